// SPDX-License-Identifier: AGPL-3.0-only
// The log that people and panels parse: CBPolicyD's lines to the letter, in a file opened with
// O_APPEND (so that copytruncate works), on standard error, or, for the mail lines, in syslog. In
// the background without a file all of them go to syslog.
//
//   [2026/11/22-12:00:00 - PID] [CORE] INFO: module=Quotas, mode=update, host=..., ...
//
// A line is put into a bounded buffer; another thread writes what has gathered, so a slow disk
// never holds up an answer. What does not fit into the buffer, or onto the disk, is lost; how much
// is counted and logged when there is room again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/result.hpp"

namespace policyd {

class LogFile;

enum class LogLevel : std::uint8_t { error, warning, notice, info, debug };

struct LogSettings {
  std::filesystem::path file;  // empty: standard error
  bool in_background = false;  // nobody reads that: syslog then
  LogLevel level = LogLevel::notice;
  bool mail_to_syslog = false;
};

class Maillog {
 public:
  // Opens the file and starts the writing thread. An Error names the file and the reason.
  static Result<std::unique_ptr<Maillog>> open(const LogSettings& settings);
  Maillog(std::optional<LogFile> file, const LogSettings& settings);
  // Appends lines up to INFO to `lines`, without time and level, in place of writing them: for a
  // command that runs the daemon's code. One thread; `lines` must outlive this.
  explicit Maillog(std::vector<std::string>& lines);
  ~Maillog();  // writes what is left
  Maillog(const Maillog&) = delete;
  Maillog& operator=(const Maillog&) = delete;

  // After SIGHUP: another level or file. The file that is open stays where the new one cannot be
  // opened; the rest of the settings applies all the same. Lines of the last moments before may go
  // into the new file.
  Result<void> reopen(const LogSettings& settings);

  [[nodiscard]] bool enabled(LogLevel level) const;
  [[nodiscard]] bool mail_enabled() const;

  // One line; control characters and what is not UTF-8 are escaped, and it is cut at 4 KiB. Any
  // thread. A mail line is an INFO line, or goes to syslog instead, whatever the level.
  void write(LogLevel level, std::string_view text);
  void mail(std::string_view text);

  void error(std::string_view text) { write(LogLevel::error, text); }
  void warning(std::string_view text) { write(LogLevel::warning, text); }
  void notice(std::string_view text) { write(LogLevel::notice, text); }
  void info(std::string_view text) { write(LogLevel::info, text); }

  // Blocks until everything put in before is written, or lost where it cannot be. For tests and
  // the end of the program.
  void flush();

 private:
  class Writer;
  std::unique_ptr<Writer> writer_;  // null if lines are collected
  std::vector<std::string>* lines_ = nullptr;
};

}  // namespace policyd
