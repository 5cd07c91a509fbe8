// SPDX-License-Identifier: AGPL-3.0-only
// Which files a log consists of, and their order.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/unique_fd.hpp"
#include "plugin/maillog/mail_reader.hpp"

namespace limits {

// Carbonio's mail log and its rotated parts in `folder` (/var/log); none if there is no such log.
std::vector<std::filesystem::path> carbonio_log_files(const std::filesystem::path& folder);

struct ReadLog {
  Mails mails;
  MailReader::Counts counts;
  std::size_t files = 0;
  std::vector<std::string> problems;  // of files that could be read in part: name and reason
};

// Called with how much of all files has been read, in bytes; false: no more of it is wanted.
using LogProgress = std::function<bool(std::uint64_t done, std::uint64_t all)>;

// Files that are open: the command opens them as the user who runs it, and may be another one when
// it reads them.
class OpenLog {
 public:
  static constexpr std::size_t kMaxFiles = 500;

  // "-" is standard input. Files that were last written before `since` are left out. An Error if
  // one cannot be opened.
  static Result<OpenLog> open(const std::vector<std::filesystem::path>& files,
                              policyd::TimePoint since, policyd::TimePoint now);

  // Reads them in the order of their first lines. An Error if they are no log of Postfix, or if
  // `progress` ended it.
  Result<ReadLog> read(RefusalTexts texts, const LogProgress& progress = {}) const;

 private:
  struct Part {
    std::filesystem::path file;
    policyd::UniqueFd fd;
    std::uint64_t size = 0;
    policyd::TimePoint written{};  // last
    std::optional<policyd::TimePoint> first;
  };

  static Result<Part> open_part(const std::filesystem::path& file, policyd::TimePoint now);

  policyd::TimePoint since_{};
  policyd::TimePoint now_{};
  std::vector<Part> parts_;
};

}  // namespace limits
