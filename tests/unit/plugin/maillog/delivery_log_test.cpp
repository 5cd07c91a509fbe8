// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/maillog/delivery_log.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace limits {
namespace {

class DeliveryLogTest : public ::testing::Test {
 protected:
  DeliveryLogTest()
      : file_(
            std::filesystem::temp_directory_path() /
            fmt::format("delivery_log_test.{}", ::testing::UnitTest::GetInstance()->random_seed() +
                                                    static_cast<int>(::getpid()))) {}
  ~DeliveryLogTest() override { std::filesystem::remove(file_); }

  static std::string line(const char* id, const char* to, const char* status,
                          const char* relay = "mx.example.net[192.0.2.9]:25") {
    return fmt::format("Nov 26 09:00:02 mta1 postfix/smtp[8]: {}: to=<{}>, relay={}, status={}\n",
                       id, to, relay, status);
  }

  Deliveries of(const std::string& id, const std::string& text) {
    std::ofstream{file_} << text;
    const auto log = DeliveryLog::open(file_.string());
    if (!log || !*log) return {99, 99, 99};
    const auto found = (*log)->deliveries_of({id}).by_id;
    return found.contains(id) ? found.at(id) : Deliveries{};
  }
  static std::string other(const char* program, const char* id, const char* text) {
    return fmt::format("Nov 26 09:00:02 mta1 postfix/{}[8]: {}: {}\n", program, id, text);
  }
  static std::string queued(const char* id, const char* sender) {
    return other("cleanup", id, "message-id=<1@x>") +
           other("qmgr", id,
                 fmt::format("from=<{}>, size=9, nrcpt=1 (queue active)", sender).c_str());
  }
  // As another program of this host sends it, with the Message-ID of 4F1A2.
  static std::string again(const char* id, const char* client = "localhost[127.0.0.1]",
                           const char* sender = "anna@y") {
    return other("smtpd", id, fmt::format("client={}", client).c_str()) + queued(id, sender);
  }

  std::filesystem::path file_;
};

TEST_F(DeliveryLogTest, TheLastStatusOfEachRecipientCounts) {
  EXPECT_EQ(
      of("4F1A2", line("4F1A2", "a@x", "deferred (later)") + line("4F1A2", "b@x", "expired (old)") +
                      line("4F1A2", "a@x", "sent (Ok)") + line("4F1A2", "c@x", "bounced (no)") +
                      line("5F1A2", "d@x", "sent (Ok)")),
      (Deliveries{1, 0, 2}));
  EXPECT_EQ(of("4F1A2", line("4F1A2", "a@x", "deliverable (verified)")), Deliveries{});
}

TEST_F(DeliveryLogTest, WhatAFilterGivesBackIsTheSameMessage) {
  const char* filter = "127.0.0.1[127.0.0.1]:10024";
  // Two filters, each line before the one that names its queue ID.
  EXPECT_EQ(of("4F1A2",
               line("6F1A2", "a@x", "sent (Ok: queued as 7F1A2)") +
                   line("5F1A2", "a@x", "sent (250 Ok: queued as 6F1A2)", "localhost[::1]:10026") +
                   line("4F1A2", "a@x", "sent (250 Ok: queued as 5F1A2)", filter)),
            (Deliveries{1, 0, 0}));
  EXPECT_EQ(of("4F1A2", line("4F1A2", "a@x", "sent (250 Ok: queued as 5F1A2)") +
                            line("5F1A2", "a@x", "bounced (another message of this host)")),
            (Deliveries{1, 0, 0}));
  // One that names itself ends all the same.
  EXPECT_EQ(of("4F1A2", line("4F1A2", "a@x", "sent (250 Ok: queued as 4F1A2)", filter)),
            Deliveries{});
}

TEST_F(DeliveryLogTest, AFilterThatNamesNoQueueIdIsKnownByTheMessageId) {
  const std::string first = other("smtpd", "4F1A2", "client=pc[192.0.2.7], sasl_username=anna") +
                            queued("4F1A2", "Anna@y");
  const std::string passed = line("5F1A2", "a@x", "bounced (no)");
  const std::string removed = other("qmgr", "4F1A2", "removed");
  EXPECT_EQ(of("4F1A2", first + again("5F1A2") + removed + passed), (Deliveries{0, 0, 1}));
  // A redirection of a mail that was delivered, a mail from elsewhere, and one with a login.
  EXPECT_EQ(of("4F1A2", first + removed + again("5F1A2") + passed), Deliveries{});
  EXPECT_EQ(of("4F1A2", first + again("5F1A2", "pc[192.0.2.7]") + passed), Deliveries{});
  EXPECT_EQ(of("4F1A2", first + again("5F1A2", "localhost[::1], sasl_username=anna") + passed),
            Deliveries{});
  // A list's program sends with a sender of its own.
  EXPECT_EQ(of("4F1A2", first + again("5F1A2", "localhost[127.0.0.1]", "list-bounces@y") + passed),
            Deliveries{});
}

TEST_F(DeliveryLogTest, AliasesAreRecipientsOfTheirOwn) {
  EXPECT_EQ(of("4F1A2", line("4F1A2", "a@x>, orig_to=<all@x", "sent (Ok)") +
                            line("4F1A2", "b@x>, orig_to=<all@x", "bounced (no)")),
            (Deliveries{1, 0, 1}));
}

TEST_F(DeliveryLogTest, ALineThatIsBeingWrittenDoesNotCountYet) {
  const std::string whole = line("4F1A2", "a@x", "sent (Ok)");
  EXPECT_EQ(of("4F1A2", whole), (Deliveries{1, 0, 0}));
  std::filesystem::remove(file_);
  EXPECT_EQ(of("4F1A2", whole.substr(0, whole.size() - 1)), Deliveries{});
}

TEST_F(DeliveryLogTest, TextSaysWhatBecameOfAll) {
  EXPECT_EQ(deliveries_text({0, 0, 0}), "");
  EXPECT_EQ(deliveries_text({3, 0, 0}), "sent");
  EXPECT_EQ(deliveries_text({0, 1, 0}), "deferred");
  EXPECT_EQ(deliveries_text({2, 1, 4}), "2 sent, 1 deferred, 4 bounced");
}

TEST_F(DeliveryLogTest, UnreadableFilesAreErrorsOnlyIfTheyWereGiven) {
  EXPECT_FALSE(DeliveryLog::open("/nonexistent/mail.log"));
  EXPECT_FALSE(DeliveryLog::open("/dev/null"));
  EXPECT_TRUE(DeliveryLog::open(std::nullopt));
}

}  // namespace
}  // namespace limits
