// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/answers/bounces.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace limits {
namespace {

using policyd::TimePoint;
using std::chrono::minutes;

constexpr TimePoint kNow{std::chrono::sys_days{std::chrono::year{2026} / 11 / 26} +
                         std::chrono::hours{12}};

class Bounces : public testing::Test {
 protected:
  Bounces() {
    std::string name = testing::TempDir() + "bounces-XXXXXX";
    folder_ = ::mkdtemp(name.data());
    own_.domains = {"example.org"};
    own_.networks = {"10.0.0.0/8"};
  }
  ~Bounces() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string log() const { return (folder_ / "mail.log").string(); }
  [[nodiscard]] std::filesystem::path state() const { return folder_ / "bounces"; }
  void line(const std::string& time, const std::string& program, const std::string& text) {
    std::ofstream{log(), std::ios::app} << "2026-11-26T" << time << "Z mail postfix/" << program
                                        << "[1]: " << text << "\n";
  }
  void begin(const std::string& time, const std::string& id, const std::string& client) {
    line(time, "smtpd", id + ": client=" + client);
    line(time, "qmgr", id + ": from=<anna@example.org>, size=648, nrcpt=1 (queue active)");
  }
  void bounce(const std::string& time, const std::string& id, const std::string& to) {
    line(time, "smtp",
         id + ": to=<" + to + ">, relay=mx[192.0.2.25]:25, dsn=5.1.1, status=bounced (no)");
  }
  // As one run does it.
  BounceState run(TimePoint now) {
    BounceState out = BounceReader::open(log(), state()).read(own_, now);
    EXPECT_TRUE(write_bounce_state(state(), out));
    EXPECT_EQ(read_bounce_state(state()), out);
    return out;
  }

  std::filesystem::path folder_;
  OwnNames own_;
};

TEST_F(Bounces, AreCountedByAccountOverSeveralRuns) {
  begin("11:58:00", "AAAAA1", "pc[192.0.2.7], sasl_method=PLAIN, sasl_username=anna");
  begin("11:58:01", "AAAAA2", "web[10.0.0.9]");     // web mail
  begin("11:58:02", "AAAAA3", "out[203.0.113.9]");  // from outside
  const BounceState first = run(kNow);
  EXPECT_TRUE(first.bounced.empty());
  EXPECT_EQ(first.waiting.size(), 3U);
  for (const char* id : {"AAAAA1", "AAAAA2", "AAAAA3"}) bounce("12:00:30", id, "x@example.com");
  bounce("12:00:31", "AAAAA1", "y@example.com");
  const BounceState next = run(kNow + minutes{1});
  ASSERT_EQ(next.bounced.size(), 2U);
  EXPECT_EQ(next.bounced[0], (Bounced{"SASLUsername:anna", kNow + std::chrono::seconds{31}, 2,
                                      "192.0.2.7", "anna", "anna@example.org", "y@example.com"}));
  EXPECT_EQ(next.bounced[1].key, "Sender:anna@example.org");
  EXPECT_EQ(run(kNow + minutes{2}).bounced, next.bounced);
  EXPECT_TRUE(run(kNow + minutes{62}).bounced.empty());
}

TEST_F(Bounces, OfMoreThanAnHourAgoAreLeftOut) {
  begin("10:00:00", "AAAAA1", "pc[192.0.2.7], sasl_method=PLAIN, sasl_username=anna");
  bounce("10:59:59", "AAAAA1", "x@example.com");
  bounce("11:00:00", "AAAAA1", "y@example.com");
  const BounceState state = run(kNow);
  ASSERT_EQ(state.bounced.size(), 1U);
  EXPECT_EQ(state.bounced[0].times, 1U);
}

TEST_F(Bounces, AreBegunAnewIfTheFileIsDamaged) {
  begin("11:58:00", "AAAAA1", "pc[192.0.2.7], sasl_method=PLAIN, sasl_username=anna");
  bounce("11:58:01", "AAAAA1", "x@example.com");
  for (const char* text : {"", "{", "[]", "{\"position\":7}", "null"}) {
    std::ofstream{state()} << text;
    EXPECT_EQ(read_bounce_state(state()), std::nullopt) << text;
    EXPECT_EQ(run(kNow).bounced.size(), 1U) << text;
  }
}

TEST_F(Bounces, OfNamesThatAreNoTextAreStoredAllTheSame) {
  begin("11:58:00", "AAAAA1", "pc[192.0.2.7], sasl_method=PLAIN, sasl_username=an\xff\"na");
  bounce("11:58:01", "AAAAA1", "x\xfe@example.com");
  const BounceState state = BounceReader::open(log(), this->state()).read(own_, kNow);
  ASSERT_TRUE(write_bounce_state(this->state(), state));
  const auto read = read_bounce_state(this->state());
  ASSERT_TRUE(read);
  ASSERT_EQ(read->bounced.size(), 1U);
  EXPECT_EQ(read->bounced[0].times, 1U);
}

TEST_F(Bounces, AreKeptWhileTheLogCannotBeRead) {
  begin("11:58:00", "AAAAA1", "pc[192.0.2.7], sasl_method=PLAIN, sasl_username=anna");
  bounce("11:58:01", "AAAAA1", "x@example.com");
  run(kNow);
  std::filesystem::rename(log(), log() + "-moved");
  const BounceState state = run(kNow + minutes{1});
  EXPECT_EQ(state.problem, "cannot read the mail log " + log() + ": No such file or directory");
  EXPECT_EQ(state.bounced.size(), 1U);
  EXPECT_EQ(state.waiting.size(), 1U);
  std::filesystem::rename(log() + "-moved", log());
  bounce("12:01:00", "AAAAA1", "y@example.com");
  const BounceState again = run(kNow + minutes{2});
  EXPECT_EQ(again.problem, "");
  EXPECT_EQ(again.bounced.size(), 2U);
}

// The descriptor of this process that is open on the file.
int descriptor_of(const std::string& file) {
  for (const auto& each : std::filesystem::directory_iterator{"/proc/self/fd"}) {
    std::error_code gone;
    if (std::filesystem::read_symlink(each.path(), gone) == file) {
      return std::stoi(each.path().filename().string());
    }
  }
  return -1;
}

TEST_F(Bounces, CountOnceThoughTheLogCannotBeReadToItsEnd) {
  begin("11:58:00", "AAAAA1", "pc[192.0.2.7], sasl_method=PLAIN, sasl_username=anna");
  const BounceState before = run(kNow);
  bounce("12:00:01", "AAAAA1", "x@example.com");
  std::filesystem::rename(log(), log() + ".1");
  bounce("12:00:02", "AAAAA1", "y@example.com");
  {
    const BounceReader reader = BounceReader::open(log(), state());
    const int fd = descriptor_of(log());
    ASSERT_GE(fd, 0);
    const int unreadable = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ASSERT_GE(::dup3(unreadable, fd, O_CLOEXEC), 0);
    ::close(unreadable);
    const BounceState failed = reader.read(own_, kNow + minutes{1});
    EXPECT_EQ(failed.problem, "cannot read the mail log " + log() + ": Bad file descriptor");
    EXPECT_TRUE(failed.bounced.empty());
    EXPECT_EQ(failed.waiting, before.waiting);
    ASSERT_TRUE(write_bounce_state(state(), failed));
  }
  const BounceState again = run(kNow + minutes{2});
  ASSERT_EQ(again.bounced.size(), 1U);
  EXPECT_EQ(again.bounced[0].times, 2U);
}

TEST_F(Bounces, SayThatAFileIsNoLog) {
  std::ofstream{log()} << "nothing\nof the kind\n";
  EXPECT_EQ(run(kNow).problem, "the mail log has no lines of syslog");
}

}  // namespace
}  // namespace limits
