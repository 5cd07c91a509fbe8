// SPDX-License-Identifier: AGPL-3.0-only
// Reads files into memory, up to a bound. Any thread.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <tl/expected.hpp>

#include "daemon/base/unique_fd.hpp"

namespace policyd {

struct FileError {
  int code;             // errno; EISDIR, EINVAL (not a regular file) and EFBIG (too large) included
  std::string message;  // "Permission denied", "it is a folder"; without the file's name
};

// The content of a regular file. Never waits: a FIFO or a device is an error (EINVAL).
tl::expected<std::string, FileError> read_file(const std::filesystem::path& file,
                                               std::size_t max_bytes);

// Opens a file, a device or a pipe. Does not wait for someone to write to a FIFO: as long as no one
// does, it is empty. Without a value on failure, with errno.
UniqueFd open_to_read(const std::filesystem::path& file);

// Everything up to the end of an open file, pipe or terminal; for a pipe it waits.
tl::expected<std::string, FileError> read_to_end(int fd, std::size_t max_bytes);

}  // namespace policyd
