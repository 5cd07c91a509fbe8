// SPDX-License-Identifier: AGPL-3.0-only
// The settings of the daemon that should be Postfix's, recipient_delimiter and myorigin: lines of
// carbonio-limits.conf.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"
#include "plugin/postfix/postfix_asks.hpp"

namespace limits {

struct CopiedSetting {
  std::string_view name;
  std::string policyd::Config::*daemon;
  std::string PostfixFacts::*postfix;
};
inline constexpr std::array<CopiedSetting, 2> kCopiedSettings = {{
    {"recipient_delimiter", &policyd::Config::recipient_delimiter,
     &PostfixFacts::recipient_delimiter},
    {"myorigin", &policyd::Config::myorigin, &PostfixFacts::myorigin},
}};

// The value as the daemon has it when it is set; nullopt if the daemon does not support it.
std::optional<std::string> value_for_daemon(const CopiedSetting& setting, std::string_view value);

// The text of the file with this value, and otherwise unchanged.
std::string with_setting(std::string_view text, const CopiedSetting& setting,
                         std::string_view value);

// Writes it as the current user; a new file if there is none.
policyd::Result<void> write_setting(const std::filesystem::path& file, const CopiedSetting& setting,
                                    std::string_view value);

// The same as typed in a shell, and the daemon's reload.
std::string setting_command(const std::filesystem::path& file, const CopiedSetting& setting,
                            std::string_view value);

}  // namespace limits
