// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/postfix/copied_setting.hpp"

#include <fmt/core.h>

#include <system_error>

#include "daemon/base/shell_words.hpp"
#include "daemon/config/ini.hpp"
#include "plugin/database/own_config.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSection = "[server]";

bool sets(std::string_view line, std::string_view name) {
  const std::size_t equals = line.find('=');
  return equals != std::string_view::npos &&
         policyd::equal_ignoring_case(policyd::trimmed(line.substr(0, equals)), name);
}

}  // namespace

std::optional<std::string> value_for_daemon(const CopiedSetting& setting, std::string_view value) {
  const auto read =
      policyd::parse_config("", "", fmt::format("{}\n{}={}\n", kSection, setting.name, value), "");
  if (!read) return std::nullopt;
  return read->config.*setting.daemon;
}

std::string with_setting(std::string_view text, const CopiedSetting& setting,
                         std::string_view value) {
  const std::string line_of_it = fmt::format("{}={}\n", setting.name, value);
  std::string out;
  bool written = false;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (sets(line, setting.name)) continue;
    out += fmt::format("{}\n", line);
    if (written || !policyd::equal_ignoring_case(policyd::trimmed(line), kSection)) continue;
    out += line_of_it;
    written = true;
  }
  if (!written) out += fmt::format("{}{}\n{}", out.empty() ? "" : "\n", kSection, line_of_it);
  return out;
}

policyd::Result<void> write_setting(const fs::path& file, const CopiedSetting& setting,
                                    std::string_view value) {
  return edit_own_config(file,
                         [&setting, value](std::string_view text) -> policyd::Result<std::string> {
                           return with_setting(text, setting, value);
                         });
}

// The key is set once: its last value would count, with a warning.
std::string setting_command(const fs::path& file, const CopiedSetting& setting,
                            std::string_view value) {
  const std::string name = policyd::shell_word(file.string());
  std::error_code code;
  const std::string before =
      fs::exists(file, code)
          ? fmt::format(R"(sed -i '/^[[:blank:]]*{}[[:blank:]]*=/Id' {} && )", setting.name, name)
          : "";
  return fmt::format(R"({}printf '\n{}\n{}=%s\n' {} >>{} && carbonio-limits service reload)",
                     before, kSection, setting.name, policyd::shell_word(value), name);
}

}  // namespace limits
