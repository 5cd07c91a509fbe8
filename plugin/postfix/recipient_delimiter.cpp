// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/postfix/recipient_delimiter.hpp"

#include <fmt/core.h>

#include <system_error>

#include "daemon/base/shell_words.hpp"
#include "daemon/config/config.hpp"
#include "daemon/config/ini.hpp"
#include "plugin/database/own_config.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kKey = "recipient_delimiter";
constexpr std::string_view kSection = "[server]";

bool sets_delimiter(std::string_view line) {
  const std::size_t equals = line.find('=');
  return equals != std::string_view::npos &&
         policyd::equal_ignoring_case(policyd::trimmed(line.substr(0, equals)), kKey);
}

}  // namespace

bool is_valid_delimiter(std::string_view value) {
  return policyd::parse_config("", "", fmt::format("{}\n{}={}\n", kSection, kKey, value), "")
      .has_value();
}

std::string with_delimiter(std::string_view text, std::string_view value) {
  const std::string setting = fmt::format("{}={}\n", kKey, value);
  std::string out;
  bool written = false;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (sets_delimiter(line)) continue;
    out += fmt::format("{}\n", line);
    if (written || !policyd::equal_ignoring_case(policyd::trimmed(line), kSection)) continue;
    out += setting;
    written = true;
  }
  if (!written) out += fmt::format("{}{}\n{}", out.empty() ? "" : "\n", kSection, setting);
  return out;
}

policyd::Result<void> write_delimiter(const fs::path& file, std::string_view value) {
  return edit_own_config(file, [value](std::string_view text) -> policyd::Result<std::string> {
    return with_delimiter(text, value);
  });
}

// The key is set once: its last value would count, with a warning.
std::string delimiter_command(const fs::path& file, std::string_view value) {
  const std::string name = policyd::shell_word(file.string());
  std::error_code code;
  const std::string before =
      fs::exists(file, code)
          ? fmt::format(R"(sed -i '/^[[:blank:]]*{}[[:blank:]]*=/Id' {} && )", kKey, name)
          : "";
  return fmt::format(R"({}printf '\n{}\n{}=%s\n' {} >>{} && carbonio-limits service reload)",
                     before, kSection, kKey, policyd::shell_word(value), name);
}

}  // namespace limits
