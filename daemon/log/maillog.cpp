// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/log/maillog.hpp"

#include <fmt/format.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <ctime>
#include <system_error>
#include <thread>
#include <utility>

#include "daemon/base/clock.hpp"
#include "daemon/base/printable.hpp"
#include "daemon/base/worker_thread.hpp"
#include "daemon/log/log_file.hpp"

namespace policyd {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxLineBytes = 4096;  // with the line end
static_assert(kMaxLineBytes < kBufferBytes);

// After it was woken, the thread waits this long for more lines, so that thousands of them cost one
// wake-up and one write.
constexpr std::chrono::milliseconds kLinger{5};
constexpr std::chrono::milliseconds kRetryEvery{1000};

// In the order of the enumeration, so that a level is an index.
constexpr std::array<std::string_view, 5> kLevelNames = {
    "ERROR: ", "WARNING: ", "NOTICE: ", "INFO: ", "DEBUG: "};
static_assert(kLevelNames.size() == static_cast<std::size_t>(LogLevel::debug) + 1);
constexpr std::array<int, kLevelNames.size()> kPriorities = {LOG_ERR, LOG_WARNING, LOG_NOTICE,
                                                             LOG_INFO, LOG_DEBUG};

// The beginning that all lines of one second share; formatted once a second.
class LineStart {
 public:
  const std::string& at(TimePoint now) {
    const auto second = std::chrono::floor<std::chrono::seconds>(now);
    if (text_.empty() || second != second_) {
      second_ = second;
      text_ = format(std::chrono::system_clock::to_time_t(second));
    }
    return text_;
  }

 private:
  static std::string format(std::time_t time) {
    std::tm local{};
    ::localtime_r(&time, &local);
    return fmt::format("[{:04}/{:02}/{:02}-{:02}:{:02}:{:02} - {}] [CORE] ", local.tm_year + 1900,
                       local.tm_mon + 1, local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec,
                       ::getpid());
  }

  std::chrono::sys_seconds second_{};
  std::string text_;
};

void append_line(std::string& out, LineStart& start, LogLevel level, std::string_view text) {
  const std::size_t before = out.size();
  out += start.at(wall_clock());
  out += kLevelNames[static_cast<std::size_t>(level)];
  append_printable(out, text, kMaxLineBytes - 1 - (out.size() - before));
  out += '\n';
}

// In the buffer, a line for syslog begins with its priority.
void append_syslog_line(std::string& out, LogLevel level, std::string_view before,
                        std::string_view text) {
  out += static_cast<char>('0' + kPriorities[static_cast<std::size_t>(level)]);
  out += before;
  append_printable(out, text, kMaxLineBytes - 2 - before.size());
  out += '\n';
}

void send_to_syslog(std::string_view lines) {
  while (!lines.empty()) {
    const int priority = lines.front() - '0';
    const std::string_view line = lines.substr(1, lines.find('\n') - 1);
    ::syslog(LOG_MAIL | priority, "%.*s", static_cast<int>(line.size()), line.data());
    lines.remove_prefix(line.size() + 2);
  }
}

Result<std::optional<LogFile>> open_file(const LogSettings& settings) {
  if (settings.file.empty() && settings.in_background) return std::nullopt;
  auto file = LogFile::open(settings.file);
  if (!file) return tl::unexpected<Error>{std::move(file.error())};
  return std::optional<LogFile>{std::move(*file)};
}

}  // namespace

class Maillog::Writer {
 public:
  // Without a file, all lines go to syslog.
  Writer(std::optional<LogFile> file, const LogSettings& settings)
      : level_(settings.level),
        mail_to_syslog_(settings.mail_to_syslog),
        all_to_syslog_(!file),
        file_(std::move(file)),
        thread_("log", [this] { run(); }) {}

  void apply(const LogSettings& settings) {
    level_ = settings.level;
    mail_to_syslog_ = settings.mail_to_syslog;
  }

  // Without a file, all lines go to syslog.
  void change_file(std::optional<LogFile> file) {
    wake([&] {
      all_to_syslog_ = !file;
      if (file) next_file_ = std::move(file);  // otherwise buffered lines still go into the old one
    });
  }

  [[nodiscard]] LogLevel level() const { return level_; }
  [[nodiscard]] bool mail_to_syslog() const { return mail_to_syslog_; }

  void put(LogLevel level, std::string_view text) {
    wake([&] {
      if (has_room()) append(level, text);
    });
  }

  void put_to_syslog(std::string_view text) {
    wake([&] {
      if (has_room()) append_syslog_line(syslog_lines_, LogLevel::info, {}, text);
    });
  }

  [[nodiscard]] std::uint64_t lost() const { return lost_; }
  [[nodiscard]] int lost_error() const { return lost_error_; }

  void flush() {
    auto lock = thread_.lock();
    written_.wait(lock, [this, target = accepted_] { return finished_ >= target; });
  }

 private:
  // Changes what the thread takes next, and wakes it.
  template <typename Change>
  void wake(Change change) {
    thread_.change([&] {
      change();
      woken_ = true;
    });
  }

  // To the current destination; under the lock.
  void append(LogLevel level, std::string_view text) {
    if (all_to_syslog_) {
      append_syslog_line(syslog_lines_, level, kLevelNames[static_cast<std::size_t>(level)], text);
    } else {
      append_line(lines_, line_start_, level, text);
    }
  }

  // Whether another line fits; counts it as accepted or dropped.
  bool has_room() {
    const bool room = lines_.size() + syslog_lines_.size() + kMaxLineBytes <= kBufferBytes;
    ++(room ? accepted_ : dropped_);
    return room;
  }

  // The lines collected for one turn of the thread.
  struct Batch {
    std::string lines;
    std::string syslog_lines;
    std::optional<LogFile> next_file;  // if set, they go into this one
    std::uint64_t up_to = 0;           // value of accepted_
    bool last = false;
  };

  void run() {
    ::openlog("cbpolicyd", LOG_PID, LOG_MAIL);
    Batch batch;
    while (!batch.last) {
      take(batch);
      if (batch.next_file) file_ = std::exchange(batch.next_file, std::nullopt);
      append_to_file(batch.lines);
      send_to_syslog(batch.syslog_lines);
      const auto lock = thread_.lock();
      finished_ = batch.up_to;
      written_.notify_all();
    }
    if (lost_ > 0) report_to_syslog(fmt::format("{} log lines were lost", lost_.load()));
  }

  void take(Batch& batch) {
    batch.lines.clear();
    batch.syslog_lines.clear();
    auto lock = thread_.lock();
    const auto woken = [this] { return woken_; };
    // Lost lines are reported as soon as there is room, even if nothing else is logged.
    if (lost_ > 0 ? thread_.wait_for(lock, kRetryEvery, woken) : thread_.wait(lock, woken)) {
      lock.unlock();
      std::this_thread::sleep_for(kLinger);
      lock.lock();
    }
    woken_ = false;
    batch.last = thread_.stopping();
    batch.up_to = accepted_;
    if (const auto dropped = std::exchange(dropped_, 0); dropped > 0) {
      append(LogLevel::warning,
             fmt::format("{} log lines were dropped because they could not be written fast enough",
                         dropped));
    }
    batch.lines.swap(lines_);
    batch.syslog_lines.swap(syslog_lines_);
    batch.next_file.swap(next_file_);
  }

  void append_to_file(std::string_view lines) {
    if (lost_ > 0 && append_loss()) lost_ = 0;
    if (lines.empty()) return;
    const std::size_t taken = lost_ > 0 ? 0 : file_->append(lines);
    const std::string_view rest = lines.substr(taken);
    if (rest.empty()) return;
    const bool first = lost_ == 0;
    lost_error_ = file_->error();
    lost_ += static_cast<std::uint64_t>(std::count(rest.begin(), rest.end(), '\n'));
    if (first) report_to_syslog("the log cannot be written; lines are lost");
  }

  void report_to_syslog(std::string_view text) {
    ::syslog(LOG_MAIL | LOG_ERR, "%.*s: %s", static_cast<int>(text.size()), text.data(),
             std::generic_category().message(lost_error_).c_str());
  }

  bool append_loss() {
    LineStart start;  // line_start_ belongs to the producers
    std::string report;
    append_line(report, start, LogLevel::warning,
                fmt::format("{} log lines were lost: {}", lost_.load(),
                            std::generic_category().message(lost_error_)));
    return file_->append(report) == report.size();
  }

  std::atomic<LogLevel> level_;
  std::atomic<bool> mail_to_syslog_;

  // Under the thread's lock, down to line_start_.
  std::condition_variable written_;
  bool woken_ = false;
  bool all_to_syslog_;
  std::string lines_;
  std::string syslog_lines_;
  std::uint64_t accepted_ = 0;  // lines so far
  std::uint64_t finished_ = 0;  // of these, written or lost
  std::uint64_t dropped_ = 0;   // since the last report
  std::optional<LogFile> next_file_;
  LineStart line_start_;

  // Used by the thread only.
  std::optional<LogFile> file_;  // nullopt: none yet
  // Written by the thread only.
  std::atomic<std::uint64_t> lost_ = 0;  // lines since the last report, and why
  std::atomic<int> lost_error_ = 0;

  WorkerThread thread_;
};

Result<std::unique_ptr<Maillog>> Maillog::open(const LogSettings& settings) {
  auto file = open_file(settings);
  if (!file) return tl::unexpected<Error>{std::move(file.error())};
  return std::make_unique<Maillog>(std::move(*file), settings);
}

Maillog::Maillog(std::optional<LogFile> file, const LogSettings& settings)
    : writer_(std::make_unique<Writer>(std::move(file), settings)) {}

Maillog::Maillog(std::vector<std::string>& lines) : lines_(&lines) {}

Maillog::~Maillog() = default;

Result<void> Maillog::reopen(const LogSettings& settings) {
  if (!writer_) return {};
  writer_->apply(settings);
  auto file = open_file(settings);
  if (!file) return tl::unexpected<Error>{std::move(file.error())};
  writer_->change_file(std::move(*file));
  return {};
}

bool Maillog::enabled(LogLevel level) const {
  return level <= (writer_ ? writer_->level() : LogLevel::info);
}

bool Maillog::mail_enabled() const {
  return (writer_ && writer_->mail_to_syslog()) || enabled(LogLevel::info);
}

void Maillog::write(LogLevel level, std::string_view text) {
  if (!enabled(level)) return;
  if (writer_) {
    writer_->put(level, text);
  } else {
    append_printable(lines_->emplace_back(), text, kMaxLineBytes - 1);
  }
}

void Maillog::mail(std::string_view text) {
  if (writer_ && writer_->mail_to_syslog()) {
    writer_->put_to_syslog(text);
  } else {
    write(LogLevel::info, text);
  }
}

Maillog::Lost Maillog::lost() const {
  const std::uint64_t lines = writer_ ? writer_->lost() : 0;
  if (lines == 0) return {};
  return {lines, std::generic_category().message(writer_->lost_error())};
}

void Maillog::flush() {
  if (writer_) writer_->flush();
}

}  // namespace policyd
