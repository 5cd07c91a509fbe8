// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/host/configd_rewrite.hpp"

#include <fmt/core.h>

#include <thread>

#include "hooks/carbonio/configd.hpp"

namespace limits {

Rewritten rewrite(const Configd& configd, std::string_view sections,
                  const std::function<bool()>& is_so) {
  constexpr std::chrono::milliseconds kLookAgain{200};
  Rewritten out;
  const auto asked = carbonio::ask_to_rewrite(configd.port, sections, configd.within);
  if (!asked) out.trouble = asked.error().message;
  out.nobody_there = asked && *asked == carbonio::Rewriting::nobody_there;
  const bool wait = asked && !out.nobody_there;
  const auto until = std::chrono::steady_clock::now() + configd.within;
  while (!(out.so = is_so()) && wait && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(kLookAgain);
  }
  if (wait && !out.so) {
    out.trouble = fmt::format("configd, port {}: it said yes, but nothing to be seen of it in {} s",
                              configd.port, configd.within.count());
  }
  return out;
}

}  // namespace limits
