// SPDX-License-Identifier: AGPL-3.0-only
// Sends a notice: as mail by a sendmail program, which no limit counts, or as JSON to a program of
// the admin. Both are bounded in time, and neither is run by a shell.
#pragma once

#include <filesystem>
#include <string>

#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"

namespace limits {

// The one in [notify], else Carbonio's, else the system's.
std::filesystem::path sendmail_program(const policyd::Config& config,
                                       const std::filesystem::path& zextras_home);

policyd::Result<void> send_mail(const std::filesystem::path& sendmail,
                                const policyd::Config& config, const std::string& host,
                                const std::string& mail);
policyd::Result<void> run_notice_command(const policyd::Config& config, const std::string& json);

}  // namespace limits
