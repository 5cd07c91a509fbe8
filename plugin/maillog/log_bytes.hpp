// SPDX-License-Identifier: AGPL-3.0-only
// The bytes of a log, whether it is plain or compressed by gzip, xz or zstd; its first bytes tell.
// Several members, streams or frames may follow each other, as `cat a.gz b.gz` writes them. Memory
// does not depend on the size of the log.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>

#include "daemon/base/result.hpp"
#include "daemon/base/unique_fd.hpp"

namespace limits {

using policyd::Result;

class LogBytes {
 public:
  virtual ~LogBytes() = default;

  // Fills `into`, which is not empty, with up to its size; 0 at the end. An Error if the data is
  // damaged or ends in the middle: what came before it was right.
  virtual Result<std::size_t> read(std::span<char> into) = 0;

  static constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();

  // Reads the first bytes to learn what it is. Of a plain file that is longer than `end` only its
  // end is given, that many bytes and the one before them.
  static Result<std::unique_ptr<LogBytes>> open(policyd::UniqueFd file, std::uint64_t end = kAll);

  // How much of the file itself has been read, for progress.
  [[nodiscard]] virtual std::uint64_t position() const = 0;

  // Whether the beginning was left out, so that the first bytes may be in the middle of a line.
  [[nodiscard]] virtual bool is_cut() const { return false; }
};

}  // namespace limits
