// SPDX-License-Identifier: AGPL-3.0-only
// The log that people and tools parse: CBPolicyD's lines to the letter, in a file opened with
// O_APPEND (so that copytruncate works), on standard error or, for mail lines, in syslog. In the
// background without a file, all lines go to syslog.
//
//   [2026/11/22-12:00:00 - PID] [CORE] INFO: module=Quotas, mode=update, host=..., ...
//
// Lines go into a bounded buffer that another thread writes, so a slow disk never delays an answer.
// Lines that fit neither into the buffer nor onto the disk are lost; their number is logged once
// there is room again. The system log gets a line when that begins and one if it lasts to the end.
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
  bool in_background = false;  // standard error is closed: use syslog instead
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
  ~Maillog();  // writes the remaining lines

  // After SIGHUP: changes the level or file. If the new file cannot be opened, the old one is kept
  // and the other settings still apply. Lines logged just before may go into the new file.
  Result<void> reopen(const LogSettings& settings);

  [[nodiscard]] bool enabled(LogLevel level) const;
  [[nodiscard]] bool mail_enabled() const;

  // Logs one line, escaped (base/printable) and cut at 4 KiB. Any thread. A mail line has level
  // INFO, or goes to syslog regardless of the level.
  void write(LogLevel level, std::string_view text);
  void mail(std::string_view text);

  void error(std::string_view text) { write(LogLevel::error, text); }
  void warning(std::string_view text) { write(LogLevel::warning, text); }
  void notice(std::string_view text) { write(LogLevel::notice, text); }
  void info(std::string_view text) { write(LogLevel::info, text); }

  // Lines that could not be written since the last that could, and why; 0 if the log is well.
  struct Lost {
    std::uint64_t lines = 0;
    std::string why;
  };
  [[nodiscard]] Lost lost() const;

  // Blocks until all lines logged so far are written, or lost. For tests and the end of the
  // program.
  void flush();

 private:
  class Writer;
  std::unique_ptr<Writer> writer_;  // null if lines are collected
  std::vector<std::string>* lines_ = nullptr;
};

}  // namespace policyd
