// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/events/mail_log.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace limits {
namespace {

class MailLogTest : public ::testing::Test {
 protected:
  MailLogTest()
      : file_(std::filesystem::temp_directory_path() /
              fmt::format("mail_log_test.{}", ::testing::UnitTest::GetInstance()->random_seed() +
                                                  static_cast<int>(::getpid()))) {}
  ~MailLogTest() override { std::filesystem::remove(file_); }

  static std::string line(const char* id, const char* to, const char* status,
                          const char* relay = "mx.example.net[192.0.2.9]:25") {
    return fmt::format("Nov 26 09:00:02 mta1 postfix/smtp[8]: {}: to=<{}>, relay={}, status={}\n",
                       id, to, relay, status);
  }

  Deliveries of(const std::string& id, const std::string& text) {
    std::ofstream{file_} << text;
    const auto log = MailLog::open(file_.string());
    if (!log || !*log) return {99, 99, 99};
    const auto found = (*log)->deliveries_of({id});
    return found.contains(id) ? found.at(id) : Deliveries{};
  }

  std::filesystem::path file_;
};

TEST_F(MailLogTest, TheLastStatusOfEachRecipientCounts) {
  EXPECT_EQ(of("4F", line("4F", "a@x", "deferred (later)") + line("4F", "b@x", "expired (old)") +
                         line("4F", "a@x", "sent (Ok)") + line("4F", "c@x", "bounced (no)") +
                         line("5F", "d@x", "sent (Ok)")),
            (Deliveries{1, 0, 2}));
  EXPECT_EQ(of("4F", line("4F", "a@x", "deliverable (verified)")), Deliveries{});
}

TEST_F(MailLogTest, WhatAFilterGivesBackIsTheSameMessage) {
  const char* filter = "127.0.0.1[127.0.0.1]:10024";
  // Two filters, each line before the one that names its queue ID.
  EXPECT_EQ(of("4F", line("6F", "a@x", "sent (Ok: queued as 7F)") +
                         line("5F", "a@x", "sent (250 Ok: queued as 6F)", "localhost[::1]:10026") +
                         line("4F", "a@x", "sent (250 Ok: queued as 5F)", filter)),
            (Deliveries{1, 0, 0}));
  EXPECT_EQ(of("4F", line("4F", "a@x", "sent (250 Ok: queued as 5F)") +
                         line("5F", "a@x", "bounced (another message of this host)")),
            (Deliveries{1, 0, 0}));
  // One that names itself ends all the same.
  EXPECT_EQ(of("4F", line("4F", "a@x", "sent (250 Ok: queued as 4F)", filter)), Deliveries{});
}

TEST_F(MailLogTest, TextSaysWhatBecameOfAll) {
  EXPECT_EQ(deliveries_text({0, 0, 0}), "");
  EXPECT_EQ(deliveries_text({3, 0, 0}), "sent");
  EXPECT_EQ(deliveries_text({0, 1, 0}), "deferred");
  EXPECT_EQ(deliveries_text({2, 1, 4}), "2 sent, 1 deferred, 4 bounced");
}

TEST_F(MailLogTest, UnreadableFilesAreErrorsOnlyIfTheyWereGiven) {
  EXPECT_FALSE(MailLog::open("/nonexistent/mail.log"));
  EXPECT_FALSE(MailLog::open("/dev/null"));
  EXPECT_TRUE(MailLog::open(std::nullopt));
}

}  // namespace
}  // namespace limits
