// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/reset/reset_request.hpp"

#include <gtest/gtest.h>

#include "daemon/counting/window.hpp"
#include "tests/unit/daemon/cluster/count/fake_redis.hpp"

namespace policyd {
namespace {

// As the engine returns what words_to_add() has added.
RedisReply entry(const std::string& id, const std::vector<std::string>& fields) {
  RedisReply list = list_reply({});
  for (const std::string& field : fields) list.list.push_back(text_reply(field));
  return list_reply({text_reply(id), std::move(list)});
}

RedisReply added(const std::string& id, const ResetRequest& request) {
  const auto words = words_to_add("p:", request);
  return entry(id, {words.begin() + 5, words.end()});
}

Result<ReadResets> read(std::vector<RedisReply> entries) {
  return resets_of(list_reply(std::move(entries)));
}

TEST(ResetId, IsReadAndOrdered) {
  EXPECT_EQ(ResetId::parse("1764-2"), (ResetId{1764, 2}));
  EXPECT_EQ((ResetId{1764, 2}).to_string(), "1764-2");
  EXPECT_LT((ResetId{1764, 10}), (ResetId{1765, 0}));
  EXPECT_LT((ResetId{1764, 2}), (ResetId{1764, 10}));
  EXPECT_EQ((ResetId{5, 7}).next(), (ResetId{5, 8}));
  EXPECT_EQ((ResetId{5, ~std::uint64_t{0}}).next(), (ResetId{6, 0}));
  EXPECT_EQ((ResetId{1500, 0}).time(), TimePoint{Millis{1500}});
  EXPECT_LE((ResetId{~std::uint64_t{0}, 0}).time(), Window::kLatest);
  for (const char* text : {"", "5", "-", "5-", "-5", "5-x", "5--1", "18446744073709551616-0"}) {
    EXPECT_EQ(ResetId::parse(text), std::nullopt) << text;
  }
}

TEST(ResetRequest, IsReadAsItWasAdded) {
  const std::vector<ResetRequest> requests = {
      {ResetRequest::Kind::clear, {4, 77}, {"Sender:a@b", std::string("Sender:\xff\0x", 9)}},
      {ResetRequest::Kind::clear, {4}, {}},
      {ResetRequest::Kind::forget, {}, {}}};
  const auto got =
      read({added("1-0", requests[0]), added("1-1", requests[1]), added("2-0", requests[2])});
  ASSERT_TRUE(got);
  ASSERT_EQ(got->entries.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(got->entries[i].request, requests[i]) << i;
  EXPECT_EQ(got->entries[1].id, (ResetId{1, 1}));
  EXPECT_EQ(got->last, (ResetId{2, 0}));
  EXPECT_EQ(got->strange, 0u);
}

TEST(ResetRequest, StrangeEntriesArePassedOver) {
  const std::vector<std::vector<std::string>> strange = {
      {"kind"},
      {"kind", "dance"},
      {"limits", "4"},
      {"kind", "clear", "limits", "4 x"},
      {"kind", "clear", "limits", "4  5"},
      {"kind", "clear", "limits", "4", "key", ""},
      {"kind", "clear", "limits", "4", "key", std::string(kMaxResetKeyBytes + 1, 'k')}};
  for (const auto& fields : strange) {
    const auto got = read({entry("7-0", fields)});
    ASSERT_TRUE(got);
    EXPECT_EQ(got->strange, 1u) << testing::PrintToString(fields);
    EXPECT_TRUE(got->entries.empty());
    EXPECT_EQ(got->last, (ResetId{7, 0}));
  }
}

TEST(ResetRequest, ForgetIsOfNoLimit) {
  const auto got = read({entry("7-0", {"kind", "forget", "limits", "4", "key", "k"})});
  ASSERT_TRUE(got);
  ASSERT_EQ(got->entries.size(), 1u);
  EXPECT_EQ(got->entries[0].request, (ResetRequest{ResetRequest::Kind::forget, {}, {}}));
}

TEST(ResetRequest, HasBounds) {
  ResetRequest request{ResetRequest::Kind::clear, {4}, {}};
  request.keys.assign(kMaxResetKeys, std::string(kMaxResetKeyBytes, 'k'));
  EXPECT_EQ(read({added("1-0", request)})->entries.size(), 1u);
  request.keys.emplace_back("k");
  EXPECT_EQ(read({added("1-0", request)})->strange, 1u);
  request.keys.clear();
  request.limit_ids.assign(kMaxResetLimits, 4);
  EXPECT_EQ(read({added("1-0", request)})->entries.size(), 1u);
  request.limit_ids.push_back(4);
  EXPECT_EQ(read({added("1-0", request)})->strange, 1u);
}

TEST(ResetRequest, AnotherReplyIsAnError) {
  EXPECT_FALSE(resets_of(number_reply(1)));
  EXPECT_FALSE(read({number_reply(1)}));
  EXPECT_FALSE(read({entry("x", {"kind", "forget"})}));
  EXPECT_FALSE(read({entry("2-0", {"kind", "forget"}), entry("1-0", {"kind", "forget"})}));
}

}  // namespace
}  // namespace policyd
