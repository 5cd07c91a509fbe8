// SPDX-License-Identifier: AGPL-3.0-only
// What an admin types to be allowed to read a log, which belongs to root and a group: adm on Debian
// and Ubuntu.
#pragma once

#include <filesystem>
#include <string>

namespace limits {

// "; run this as root, or ...", for an error of a file that this user may not read.
std::string advice_to_read(const std::filesystem::path& file);

}  // namespace limits
