// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/append_number.hpp"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <iterator>

namespace policyd {

void append_number(std::string& out, std::int64_t number) {
  const fmt::format_int text{number};
  out.append(text.data(), text.size());
}

void append_number(std::string& out, double number) {
  fmt::format_to(std::back_inserter(out), FMT_COMPILE("{}"), number);
}

void append_fixed(std::string& out, double number, int decimals) {
  fmt::format_to(std::back_inserter(out), "{:.{}f}", number, decimals);
}

}  // namespace policyd
