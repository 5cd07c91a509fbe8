// SPDX-License-Identifier: AGPL-3.0-only
// Writes whole files: readers see what was there or what is there now, also after a power failure,
// and after an error the file is as it was. Any thread; one writer of a file at a time.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string_view>

#include "daemon/base/read_file.hpp"

namespace policyd {

struct FileOwner {
  uid_t user;
  gid_t group;
};

// Its mode is `mode` whatever the umask, and it belongs to `owner`, if root calls this. It is
// written under the name FILE.new first, which replaces whatever had that name.
tl::expected<void, FileError> replace_file(const std::filesystem::path& file,
                                           std::string_view bytes, mode_t mode,
                                           const std::optional<FileOwner>& owner = std::nullopt);

}  // namespace policyd
