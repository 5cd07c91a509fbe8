// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/reply_reader.hpp"

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <string>

namespace policyd {
namespace {

using Kind = ReplyReader::Next::Kind;

// A reply as text: 'text', 7, nil, [ ... ].
std::string shown(const RedisReply& reply) {
  switch (reply.kind) {
    case RedisReply::Kind::nothing:
      return "nil";
    case RedisReply::Kind::number:
      return std::to_string(reply.number);
    case RedisReply::Kind::text:
      return "'" + reply.text + "'";
    case RedisReply::Kind::list:
      break;
  }
  std::string out = "[";
  for (const RedisReply& element : reply.list) out += " " + shown(element);
  return out + " ]";
}

// All replies of a reader, each in a line.
std::string read_all(ReplyReader& reader) {
  std::string out;
  while (true) {
    const auto next = reader.next();
    switch (next.kind) {
      case Kind::need_more:
        return out;
      case Kind::reply:
        out += shown(next.reply) + "\n";
        break;
      case Kind::error:
        out += "error " + next.text + "\n";
        break;
      case Kind::broken:
        return out + "broken: " + next.text + "\n";
    }
  }
}

struct Case {
  const char* name;
  std::string bytes;
  std::string replies;
};

class Replies : public testing::TestWithParam<Case> {};

TEST_P(Replies, AreReadAtOnceAndByteByByte) {
  ReplyReader reader;
  reader.feed(GetParam().bytes);
  EXPECT_EQ(read_all(reader), GetParam().replies);
  reader.reset();
  std::string replies;
  for (const char byte : GetParam().bytes) {
    reader.feed({&byte, 1});
    replies += read_all(reader);
    if (replies.find("broken") != std::string::npos) break;
  }
  EXPECT_EQ(replies, GetParam().replies);
}

constexpr const char* kBroken = "broken: does not speak the protocol of Redis\n";
// hiredis 0.14 does not know version 3 of the protocol; 1.x does.
constexpr const char* kOther =
    HIREDIS_MAJOR == 0 ? kBroken : "broken: does not speak version 2 of the protocol of Redis\n";

std::string lists_in_lists(int depth) {
  std::string bytes;
  for (int i = 0; i < depth; ++i) bytes += "*1\r\n";
  return bytes + "+x\r\n";
}

INSTANTIATE_TEST_SUITE_P(
    Redis, Replies,
    testing::Values(
        Case{"Status", "+OK\r\n", "'OK'\n"}, Case{"Number", ":-7\r\n", "-7\n"},
        Case{"Text", "$5\r\na\r\nbc\r\n", "'a\r\nbc'\n"}, Case{"Empty", "$0\r\n\r\n", "''\n"},
        Case{"Nil", "$-1\r\n", "nil\n"}, Case{"NilList", "*-1\r\n", "nil\n"},
        Case{"Error", "-OOM no\r\n", "error OOM no\n"},
        Case{"ErrorThenText", "-ERR x\r\n+OK\r\n", "error ERR x\n'OK'\n"},
        Case{"List", "*3\r\n:1\r\n$-1\r\n+x\r\n", "[ 1 nil 'x' ]\n"},
        Case{"EmptyList", "*0\r\n", "[ ]\n"},
        Case{"ErrorInList", "*2\r\n-ERR x\r\n:2\r\n", "[ 'ERR x' 2 ]\n"},
        Case{"Nested", "*2\r\n*2\r\n:1\r\n*1\r\n:2\r\n*0\r\n:9\r\n", "[ [ 1 [ 2 ] ] [ ] ]\n9\n"},
        Case{"Several", "+a\r\n:2\r\n*1\r\n+b\r\n", "'a'\n2\n[ 'b' ]\n"},
        Case{"Smtp", "220 mail ESMTP\r\n", kBroken}, Case{"Http", "HTTP/1.1 400\r\n", kBroken},
        Case{"TlsAlert", "\x15\x03\x01", kBroken},
        Case{"AfterReply", "+OK\r\nx", std::string("'OK'\n") + kBroken},
        Case{"Deep", lists_in_lists(7), "[ [ [ [ [ [ [ 'x' ] ] ] ] ] ] ]\n"},
        Case{"TooDeep", lists_in_lists(8), "broken: sent lists nested more than 7 deep\n"},
        Case{"Double", ",1.5\r\n", kOther}, Case{"Bool", "*2\r\n#t\r\n:1\r\n", kOther},
        Case{"Map", "%1\r\n+a\r\n+b\r\n", kOther}),
    [](const auto& row) { return row.param.name; });

TEST(ReplyReader, TakesWhatItsLimitsAllow) {
  ReplyReader reader;
  const std::string text(ReplyReader::kMaxReplyBytes - 100, 'x');
  for (int i = 0; i < 3; ++i) {  // the limit is one of each reply
    reader.feed("$" + std::to_string(text.size()) + "\r\n");
    EXPECT_EQ(reader.next().kind, Kind::need_more);
    reader.feed(text);
    EXPECT_EQ(reader.next().kind, Kind::need_more);
    reader.feed("\r\n");
    const auto next = reader.next();
    ASSERT_EQ(next.kind, Kind::reply);
    EXPECT_EQ(next.reply.text, text);
  }
}

TEST(ReplyReader, BoundsBytes) {
  ReplyReader reader;
  reader.feed("$99999999\r\n");
  const std::string piece(1024 * 1024, 'x');
  for (std::size_t fed = 0; fed + piece.size() < ReplyReader::kMaxReplyBytes; fed += piece.size()) {
    reader.feed(piece);
    ASSERT_EQ(reader.next().kind, Kind::need_more);
  }
  reader.feed(piece);
  EXPECT_EQ(read_all(reader), "broken: sent a reply of more than 16 MiB\n");
  EXPECT_EQ(read_all(reader), "broken: sent a reply of more than 16 MiB\n");
  reader.reset();
  reader.feed("+OK\r\n");
  EXPECT_EQ(read_all(reader), "'OK'\n");
}

TEST(ReplyReader, BoundsElements) {
  const auto list = [](std::size_t size) {
    std::string bytes = "*" + std::to_string(size) + "\r\n";
    for (std::size_t i = 0; i < size; ++i) bytes += ":1\r\n";
    return bytes;
  };
  ReplyReader reader;
  for (int i = 0; i < 2; ++i) {  // of each reply
    reader.feed(list(ReplyReader::kMaxElements));
    const auto next = reader.next();
    ASSERT_EQ(next.kind, Kind::reply);
    EXPECT_EQ(next.reply.list.size(), ReplyReader::kMaxElements);
  }
  reader.feed(list(ReplyReader::kMaxElements + 1));
  EXPECT_EQ(read_all(reader), "broken: sent a reply of more than 262144 elements\n");
}

// What is announced takes no memory before it comes.
TEST(ReplyReader, DoesNotBelieveAnnouncedSizes) {
  for (const char* head : {"*2000000000\r\n", "*1\r\n*2147483647\r\n", "$2000000000\r\n"}) {
    ReplyReader reader;
    reader.feed(head);
    EXPECT_EQ(reader.next().kind, Kind::need_more) << head;
  }
}

TEST(RedisCommand, HoldsAnyBytes) {
  std::string out = "x";
  append_redis_command(out, {"SET", std::string("a\0\r\n", 4), ""});
  EXPECT_EQ(out, std::string("x*3\r\n$3\r\nSET\r\n$4\r\na\0\r\n\r\n$0\r\n\r\n", 30));
}

}  // namespace
}  // namespace policyd
