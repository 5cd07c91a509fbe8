// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/web/link.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>
#include <vector>

#include "plugin/web/random_text.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;
using std::chrono::minutes;

class LinkTest : public testing::Test {
 protected:
  LinkTest() { fs::remove_all(folder_); }
  ~LinkTest() override { fs::remove_all(folder_); }

  std::string make(bool write = false) {
    const auto token = make_link(folder_, "root on pts/0", write, now_);
    EXPECT_TRUE(token);
    return token ? *token : std::string{};
  }

  const fs::path folder_ = fs::path{testing::TempDir()} / "link-test";
  policyd::TimePoint now_{std::chrono::hours{500'000}};
};

TEST_F(LinkTest, SaysWhoMadeItAndWhatItMay) {
  const auto link = take_link(folder_, make(true), now_);
  ASSERT_TRUE(link);
  EXPECT_EQ(link->who, "root on pts/0");
  EXPECT_TRUE(link->write);
  EXPECT_EQ(link->ends, now_ + minutes{10});
  const auto other = take_link(folder_, make(false), now_);
  ASSERT_TRUE(other);
  EXPECT_FALSE(other->write);
}

TEST_F(LinkTest, TwoAreTwo) {
  const std::string first = make(), second = make();
  EXPECT_NE(first, second);
  EXPECT_TRUE(take_link(folder_, second, now_));
  EXPECT_TRUE(take_link(folder_, first, now_));
}

TEST_F(LinkTest, LastsTenMinutes) {
  const std::string just = make(), over = make();
  EXPECT_TRUE(take_link(folder_, just, now_ + minutes{10} - policyd::Millis{1}));
  EXPECT_FALSE(take_link(folder_, over, now_ + minutes{10}));
}

// Two browsers at the same moment.
TEST_F(LinkTest, IsTakenOnce) {
  for (int round = 0; round < 20; ++round) {
    const std::string token = make();
    std::atomic<int> taken{0};
    std::vector<std::thread> threads;
    threads.reserve(4);
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        if (take_link(folder_, token, now_)) ++taken;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(taken, 1);
  }
}

TEST_F(LinkTest, ABrokenFileIsNone) {
  const std::string name(16, 'a'), token = name + std::string(48, 'b');
  const std::string secret(48, 'b');
  make();  // the folder
  const auto ends = std::to_string((now_ + minutes{5}).time_since_epoch().count());
  const auto content = [&](const std::string& who, const std::string& end) {
    return R"({"who": )" + who + R"(, "write": true, "secret": ")" + secret + R"(", "ends": )" +
           end + "}";
  };
  for (const std::string& text :
       {std::string{}, std::string{"{}"}, std::string{"[]"}, std::string(5'000, ' '),
        content("1", ends), content("\"root\"", "\"soon\""),
        content("\"root\"", "9000000000000000000")}) {
    std::ofstream{folder_ / name} << text;
    EXPECT_FALSE(take_link(folder_, token, now_)) << text;
  }
  std::ofstream{folder_ / name} << content("\"root\"", ends);
  EXPECT_TRUE(take_link(folder_, token, now_)) << "what is right is taken";
}

TEST_F(LinkTest, SaysWhereItCannotBeStored) {
  std::ofstream{folder_} << "a file";
  const auto token = make_link(folder_, "root", false, now_);
  ASSERT_FALSE(token);
  EXPECT_NE(token.error().message.find(folder_.string()), std::string::npos);
  EXPECT_FALSE(take_link(folder_, std::string(64, 'a'), now_));
}

TEST(RandomText, IsHexadecimalAndNeverTheSame) {
  const std::string text = random_text(32);
  EXPECT_EQ(text.size(), 64U);
  EXPECT_EQ(text.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_NE(text, random_text(32));
  EXPECT_EQ(random_text(1'000).size(), 512U) << "bounded";
}

TEST(RandomText, ComparesWhole) {
  EXPECT_TRUE(is_same_secret("abc", "abc"));
  EXPECT_TRUE(is_same_secret("", ""));
  for (const char* other : {"abd", "ab", "abcd", ""}) EXPECT_FALSE(is_same_secret("abc", other));
}

}  // namespace
}  // namespace limits
