// SPDX-License-Identifier: AGPL-3.0-only
// Section [block] of carbonio-limits.conf, which is the command's: the daemon only checks it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "daemon/base/result.hpp"

namespace limits {

struct BlockSettings {
  std::vector<std::string> never;      // logins, addresses, "@example.org", networks
  std::vector<std::string> mailboxes;  // addresses and networks of mailbox servers
  std::uint64_t per_hour = 5;          // accounts and clients that are stopped automatically
  std::uint64_t after = 50;            // refusals in a row, then the next step of --then
  std::string countries;               // a file for signal `countries`; empty: none
  std::string mail_log;                // that signal `bounces` reads; empty: the usual one
};

// `own_config` is carbonio-limits.conf, whose values the daemon's configuration allows; the
// defaults if there is none. An Error if it cannot be read, since it may say who is never blocked.
policyd::Result<BlockSettings> read_block_settings(const std::filesystem::path& own_config);

}  // namespace limits
