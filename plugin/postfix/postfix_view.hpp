// SPDX-License-Identifier: AGPL-3.0-only
// Summary: whether this host's Postfix asks the daemon.
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

// Everywhere: each smtpd that takes mail from clients asks at RCPT. Runs postconf as the current
// user, since only root may be able to read master.cf.
PostfixView inspect_postfix(const std::filesystem::path& zextras_home, std::string_view search_path,
                            const policyd::Config& config);

}  // namespace limits
