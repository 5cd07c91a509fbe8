// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/log/maillog.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/unique_fd.hpp"

namespace policyd {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> lines_of(std::istream& in) {
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> lines_in(const fs::path& file) {
  std::ifstream in{file};
  return lines_of(in);
}

// A line from its level on: "INFO: text".
std::string after_start(const std::string& line) {
  const std::string_view core = "] [CORE] ";
  const auto at = line.find(core);
  return at == std::string::npos ? "no start: " + line : line.substr(at + core.size());
}

// The number before " log lines were ..."; 0 for other lines.
std::uint64_t reported(const std::string& line, const std::string& what) {
  const std::string level = "WARNING: ";
  const auto from = line.find(level);
  const auto to = line.find(" log lines were " + what);
  if (from == std::string::npos || to == std::string::npos) return 0;
  return std::stoull(line.substr(from + level.size(), to - from - level.size()));
}

class MaillogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "maillog-test-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    settings_.file = folder_ / "log";
  }
  void TearDown() override {
    log_.reset();
    fs::remove_all(folder_);
  }

  Maillog& log() {
    if (!log_) {
      auto opened = Maillog::open(settings_);
      EXPECT_TRUE(opened) << opened.error().message;
      log_ = std::move(*opened);
    }
    return *log_;
  }

  // The lines so far, each from its level on.
  std::vector<std::string> written() {
    log().flush();
    auto lines = lines_in(settings_.file);
    std::transform(lines.begin(), lines.end(), lines.begin(), after_start);
    return lines;
  }

  using Lines = std::vector<std::string>;
  fs::path folder_;
  LogSettings settings_;
  std::unique_ptr<Maillog> log_;
};

TEST_F(MaillogTest, WritesTheLinesThatToolsParse) {
  settings_.level = LogLevel::info;
  const std::string text = "module=Quotas, mode=update, host=192.0.2.1, quota=3.87/250 (1.5%)";
  log().mail(text);
  log().flush();
  const auto lines = lines_in(settings_.file);
  ASSERT_EQ(lines.size(), 1u);
  std::string form = lines[0];
  for (char& c : form) c = c >= '0' && c <= '9' ? '9' : c;
  const std::string process = std::to_string(::getpid());
  EXPECT_EQ(form, "[9999/99/99-99:99:99 - " + std::string(process.size(), '9') +
                      "] [CORE] INFO: module=Quotas, mode=update, host=999.9.9.9, "
                      "quota=9.99/999 (9.9%)");
  EXPECT_NE(lines[0].find(" - " + process + "] [CORE] INFO: " + text), std::string::npos);
}

TEST_F(MaillogTest, UsesLocalTime) {
  const auto stamp = [] {
    const std::time_t time = std::chrono::system_clock::to_time_t(
        std::chrono::floor<std::chrono::seconds>(wall_clock()));
    std::tm local{};
    ::localtime_r(&time, &local);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "[%Y/%m/%d-%H:%M:%S", &local);
    return std::string{text.data()};
  };
  const std::string before = stamp();
  log().error("now");
  const std::string after = stamp();
  log().flush();
  const std::string line = lines_in(settings_.file).at(0).substr(0, before.size());
  EXPECT_LE(before, line);
  EXPECT_LE(line, after);
}

TEST_F(MaillogTest, FiltersByLevel) {
  constexpr std::array kLevels = {LogLevel::error, LogLevel::warning, LogLevel::notice,
                                  LogLevel::info, LogLevel::debug};
  const Lines all = {"ERROR: text", "WARNING: text", "NOTICE: text", "INFO: text", "DEBUG: text"};
  for (std::size_t shown = 0; shown < kLevels.size(); ++shown) {
    settings_.level = kLevels[shown];
    settings_.file = folder_ / std::to_string(shown);
    log_.reset();
    for (std::size_t i = 0; i < kLevels.size(); ++i) {
      log().write(kLevels[i], "text");
      EXPECT_EQ(log().enabled(kLevels[i]), i <= shown);
    }
    const auto end = all.begin() + static_cast<std::ptrdiff_t>(shown) + 1;
    EXPECT_EQ(written(), (Lines{all.begin(), end}));
    EXPECT_EQ(log().mail_enabled(), settings_.level >= LogLevel::info);
  }
}

TEST_F(MaillogTest, SendsMailLinesToSyslogOnly) {
  settings_.level = LogLevel::debug;
  settings_.mail_to_syslog = true;
  log().mail("module=Test of carbonio-limits");
  log().info("text");
  EXPECT_EQ(written(), Lines{"INFO: text"});
  settings_.level = LogLevel::error;
  ASSERT_TRUE(log().reopen(settings_));
  EXPECT_TRUE(log().mail_enabled());
}

TEST_F(MaillogTest, EscapesLineBreaks) {
  log().error("helo=x\n[2026/11/22-12:00:00 - 1] [CORE] INFO: forged\r\x1b[2J\x7f\xff");
  EXPECT_EQ(
      written(),
      Lines{
          R"(ERROR: helo=x\x0a[2026/11/22-12:00:00 - 1] [CORE] INFO: forged\x0d\x1b[2J\x7f\xff)"});
}

TEST_F(MaillogTest, CutsALineAtFourKilobytes) {
  log().error(std::string(100'000, 'x'));
  log().error(std::string(100'000, '\n'));
  log().error("next");
  log().flush();
  const auto lines = lines_in(settings_.file);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].size(), 4095u);
  EXPECT_LE(lines[1].size(), 4095u);
  EXPECT_GT(lines[1].size(), 4095u - 4);
  EXPECT_EQ(after_start(lines[2]), "ERROR: next");
}

TEST_F(MaillogTest, AppendsToAnExistingFile) {
  std::ofstream{settings_.file} << "[] [CORE] from before\n";
  log().error("new");
  EXPECT_EQ(written(), (Lines{"from before", "ERROR: new"}));
}

TEST_F(MaillogTest, CreatesAFileThatOthersMayRead) {
  const auto before = ::umask(022);
  log();
  ::umask(before);
  struct stat status {};
  ASSERT_EQ(::stat(settings_.file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0644u);
}

TEST_F(MaillogTest, ContinuesFromTheStartAfterCopytruncate) {
  log().error("rotated away");
  log().flush();
  fs::resize_file(settings_.file, 0);
  log().error("after");
  EXPECT_EQ(written(), Lines{"ERROR: after"});
}

TEST_F(MaillogTest, ContinuesInANewFileAfterReopen) {
  log().error("first");
  log().flush();
  fs::rename(settings_.file, folder_ / "log.1");
  log().error("second");
  log().flush();
  ASSERT_TRUE(log().reopen(settings_));
  log().error("third");
  EXPECT_EQ(written(), Lines{"ERROR: third"});
  EXPECT_EQ(lines_in(folder_ / "log.1").size(), 2u);
}

TEST_F(MaillogTest, KeepsTheOldFileIfTheNewOneCannotBeOpened) {
  log().error("first");
  LogSettings wrong = settings_;
  wrong.file = folder_ / "nowhere" / "log";
  wrong.level = LogLevel::debug;
  const auto reopened = log().reopen(wrong);
  ASSERT_FALSE(reopened);
  EXPECT_NE(reopened.error().message.find(wrong.file.string()), std::string::npos);
  EXPECT_NE(reopened.error().message.find("No such file"), std::string::npos);
  log().write(LogLevel::debug, "second");
  EXPECT_EQ(written(), (Lines{"ERROR: first", "DEBUG: second"}));
}

TEST_F(MaillogTest, ReportsWhyItCannotBeOpened) {
  settings_.file = folder_;
  const auto opened = Maillog::open(settings_);
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message.find(folder_.string()), std::string::npos);
  EXPECT_NE(opened.error().message.find("directory"), std::string::npos);
}

TEST_F(MaillogTest, WritesRemainingLinesAtTheEnd) {
  for (int i = 0; i < 1000; ++i) log().error("text");
  log_.reset();
  EXPECT_EQ(lines_in(settings_.file).size(), 1000u);
}

TEST_F(MaillogTest, UsesStandardErrorWithoutAFile) {
  settings_.file.clear();
  ::testing::internal::CaptureStderr();
  log().error("text");
  log_.reset();
  std::istringstream captured{::testing::internal::GetCapturedStderr()};
  const auto lines = lines_of(captured);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(after_start(lines[0]), "ERROR: text");
}

TEST_F(MaillogTest, AcceptsLinesFromManyThreads) {
  constexpr int kThreads = 4;
  constexpr int kLines = 1000;
  log();
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < kLines; ++i) {
        log_->error(fmt::format("{} {}", t, i));
        if (i % 100 == 0) log_->flush();
        if (i % 250 == 0) {
          EXPECT_TRUE(log_->reopen(settings_));
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  const auto lines = written();
  EXPECT_EQ(lines.size(), static_cast<std::size_t>(kThreads) * kLines);
  std::array<int, kThreads> next{};
  for (const auto& line : lines) {
    const int thread = line.at(7) - '0';
    EXPECT_EQ(line,
              fmt::format("ERROR: {} {}", thread, next.at(static_cast<std::size_t>(thread))++));
  }
}

// A disk that has stopped responding: standard error is a pipe that is not read for a while.
class SlowMaillogTest : public MaillogTest {
 protected:
  void SetUp() override {
    MaillogTest::SetUp();
    settings_.file.clear();
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    reader_ = ends[0];
    const UniqueFd writer{ends[1]};
    const UniqueFd before{::dup(STDERR_FILENO)};
    ASSERT_EQ(::dup2(writer.get(), STDERR_FILENO), STDERR_FILENO);
    log();  // keeps a descriptor of its own
    ASSERT_EQ(::dup2(before.get(), STDERR_FILENO), STDERR_FILENO);
  }
  void TearDown() override {
    if (reader_ >= 0) ::close(reader_);
    MaillogTest::TearDown();
  }

  // Reads until all logs that write into the pipe are gone.
  std::string read_to_end() {
    std::string all;
    std::array<char, 65536> part{};
    for (ssize_t n = 0; (n = ::read(reader_, part.data(), part.size())) > 0;) {
      all.append(part.data(), static_cast<std::size_t>(n));
    }
    return all;
  }

  int reader_ = -1;
};

TEST_F(SlowMaillogTest, DropsCountsAndReportsLinesThatDoNotFit) {
  constexpr std::size_t kLines = 3000;
  const std::string text(1000, 'x');
  for (std::size_t i = 0; i < kLines; ++i) log().error(text);  // must not block
  std::thread end{[this] { log_.reset(); }};
  std::istringstream all{read_to_end()};
  end.join();

  const auto lines = lines_of(all);
  std::size_t whole = 0;
  std::uint64_t dropped = 0;
  int reports = 0;
  for (const auto& line : lines) {
    if (after_start(line) == "ERROR: " + text) ++whole;
    if (const auto count = reported(line, "dropped"); count > 0) dropped += count, ++reports;
  }
  EXPECT_EQ(whole + dropped, kLines);
  EXPECT_EQ(whole + static_cast<std::size_t>(reports), lines.size());
  // One buffer that is being written and one that is filled.
  EXPECT_LE(whole * text.size(), std::size_t{2} << 20);
  EXPECT_GE(whole * text.size(), std::size_t{900'000});
  EXPECT_GE(reports, 1);
  EXPECT_LE(reports, 2);
}

TEST_F(MaillogTest, ContinuesAfterTheDiskWasFull) {
  settings_.file = "/dev/full";
  for (int i = 0; i < 10; ++i) log().error("lost");
  log().flush();
  log().error("lost");
  log().flush();

  settings_.file = folder_ / "log";
  ASSERT_TRUE(log().reopen(settings_));
  log().error("first");
  log().error("second");
  const auto lines = written();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(reported(lines[0], "lost"), 11u);
  EXPECT_NE(lines[0].find("No space left on device"), std::string::npos);
  EXPECT_EQ(lines[1], "ERROR: first");
  log().error("third");
  EXPECT_EQ(written().size(), 4u);
}

// RLIMIT_FSIZE cuts a line off, as a disk does when it fills up.
TEST_F(MaillogTest, EndsALineThatAFullDiskCutOff) {
  log().error("fits");
  log().flush();
  const auto size = fs::file_size(settings_.file);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit tight{size + 10, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  log().error("torn");
  log().flush();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  log().error("after");
  log().flush();

  const auto lines = lines_in(settings_.file);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(after_start(lines[0]), "ERROR: fits");
  EXPECT_EQ(lines[1].size(), 10u);
  EXPECT_EQ(reported(lines[2], "lost"), 1u);
  EXPECT_NE(lines[2].find("File too large"), std::string::npos);
  EXPECT_EQ(after_start(lines[3]), "ERROR: after");
}

// The event loop handles the program's signals. SIGXFSZ above and SIGPIPE here are raised by the
// writing thread itself, and must not end the program.
TEST_F(SlowMaillogTest, SurvivesAReaderThatExits) {
  log().error("text");
  log().flush();
  ::close(std::exchange(reader_, -1));
  log().error("text");
  log().flush();
  SUCCEED();
}

std::atomic<std::thread::id> handled_by;

TEST_F(MaillogTest, ReceivesNoSignals) {
  sigset_t usr1;
  sigset_t before;
  ::sigemptyset(&usr1);
  ::sigaddset(&usr1, SIGUSR1);
  log();
  struct sigaction action {};
  struct sigaction old {};
  action.sa_handler = [](int) { handled_by = std::this_thread::get_id(); };
  ASSERT_EQ(::sigaction(SIGUSR1, &action, &old), 0);
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &usr1, &before), 0);
  ASSERT_EQ(::kill(::getpid(), SIGUSR1), 0);  // any thread that does not block it gets it
  log().error("text");
  log().flush();
  EXPECT_EQ(handled_by.load(), std::thread::id{});
  ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
  EXPECT_EQ(handled_by.load(), std::this_thread::get_id());
  ::sigaction(SIGUSR1, &old, nullptr);
}

}  // namespace
}  // namespace policyd
