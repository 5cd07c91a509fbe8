// SPDX-License-Identifier: AGPL-3.0-only
// Whether this host's Postfix asks the daemon, in one word.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "daemon/config/config.hpp"

namespace limits {

struct PostfixView {
  enum class Asks : std::uint8_t { unknown, nowhere, somewhere, everywhere } asks = Asks::unknown;
  std::string what;  // a sentence without a full stop
};

// Everywhere: each smtpd that takes mail from clients asks at RCPT. As who we are: master.cf may be
// for root's eyes only.
PostfixView look_at_postfix(const std::filesystem::path& zextras_home, std::string_view search_path,
                            const policyd::Config& config);

}  // namespace limits
