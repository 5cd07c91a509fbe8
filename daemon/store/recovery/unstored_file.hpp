// SPDX-License-Identifier: AGPL-3.0-only
// What a worker could not store before it ended: a file of its own for the next worker, beside the
// database or, if that is impossible, in the folder of the pid file. Complete and checksummed, or
// not there. At the start and at the end; the loop's thread.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/result.hpp"
#include "daemon/log/maillog.hpp"

namespace policyd {

class UnstoredFile {
 public:
  // A larger content is refused: it would have to fit into memory twice.
  static constexpr std::size_t kMaxBytes = std::size_t{512} << 20;

  struct Content {
    std::filesystem::path file;
    std::string bytes;
  };

  // `run_folder` may be empty.
  UnstoredFile(Maillog& log, const std::filesystem::path& database,
               const std::filesystem::path& run_folder);

  // Replaces an earlier one, wherever that is. The file that it wrote, or an Error with the reason
  // for each place.
  Result<std::filesystem::path> write(std::string_view bytes) const;
  // The latest, if it belongs to this database. One that is not complete is logged and renamed.
  [[nodiscard]] std::optional<Content> read() const;
  void remove() const;

 private:
  [[nodiscard]] std::optional<Content> read_from(const std::filesystem::path& file) const;

  Maillog& log_;
  std::filesystem::path database_;
  std::array<std::filesystem::path, 2> places_;  // empty: none
};

}  // namespace policyd
