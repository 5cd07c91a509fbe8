// SPDX-License-Identifier: AGPL-3.0-only
// Reads files into memory, up to a bound. Any thread.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <tl/expected.hpp>

namespace policyd {

struct FileError {
  int code;             // errno; EISDIR, EINVAL (not a regular file) and EFBIG (too large) included
  std::string message;  // "Permission denied", "it is a folder"; without the file's name
};

// The content of a regular file. Never waits: a FIFO or a device is an error (EINVAL).
tl::expected<std::string, FileError> read_file(const std::filesystem::path& file,
                                               std::size_t max_bytes);

// Everything up to the end of an open file, pipe or terminal; for a pipe it waits.
tl::expected<std::string, FileError> read_to_end(int fd, std::size_t max_bytes);

}  // namespace policyd
