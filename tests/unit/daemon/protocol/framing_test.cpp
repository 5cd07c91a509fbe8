// SPDX-License-Identifier: AGPL-3.0-only
// Finding the end of a request; the rest of the protocol is in policy_protocol_test.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "daemon/protocol/policy_protocol.hpp"

namespace policyd {
namespace {

const std::string kTwoLines = "request=smtpd_access_policy\nprotocol_state=RCPT\n\n";

Frame frame_of(std::string_view text) {
  Framing at;
  return find_request(text, at);
}

struct Framed {
  const char* name;
  std::string text;
  Frame frame;
  std::size_t scanned;
};

class Framings : public testing::TestWithParam<Framed> {};

TEST_P(Framings, AreFoundAtOnce) {
  Framing at;
  EXPECT_EQ(find_request(GetParam().text, at), GetParam().frame);
  EXPECT_EQ(at.scanned, GetParam().scanned);
}

// Byte by byte, and after any first piece.
TEST_P(Framings, AreFoundInPieces) {
  const auto& [name, text, frame, scanned] = GetParam();
  for (std::size_t first = 0; first <= text.size(); ++first) {
    Framing at;
    Frame found = find_request(std::string_view(text).substr(0, first), at);
    if (found == Frame::need_more) found = find_request(text, at);
    EXPECT_EQ(found, frame) << first;
    EXPECT_EQ(at.scanned, scanned) << first;
  }
  Framing at;
  Frame found = Frame::need_more;
  for (std::size_t i = 0; i <= text.size() && found == Frame::need_more; ++i) {
    found = find_request(std::string_view(text).substr(0, i), at);
    ASSERT_LE(at.scanned, i);
  }
  EXPECT_EQ(found, frame);
  EXPECT_EQ(at.scanned, scanned);
}

INSTANTIATE_TEST_SUITE_P(
    Protocol, Framings,
    testing::Values(Framed{"Nothing", "", Frame::need_more, 0},
                    Framed{"HalfALine", "a=", Frame::need_more, 2},
                    Framed{"NoEqualsYet", "abc", Frame::need_more, 3},
                    Framed{"OneLine", "a=b\n", Frame::need_more, 4},
                    Framed{"HalfACrLf", "a=b\n\r", Frame::need_more, 5},
                    Framed{"Whole", "a=b\n\n", Frame::complete, 5},
                    Framed{"WholeInCrLf", "a=b\r\n\r\n", Frame::complete, 7},
                    Framed{"LfThenCrLf", "a=b\n\r\n", Frame::complete, 6},
                    Framed{"CrLfThenLf", "a=b\r\n\n", Frame::complete, 6},
                    Framed{"EmptyRequest", "\n", Frame::complete, 1},
                    Framed{"EmptyRequestInCrLf", "\r\n", Frame::complete, 2},
                    Framed{"CrsAreNoEmptyLine", "a=b\n\r\r\n\n", Frame::not_name_value, 7},
                    Framed{"CrWithinALine", "a=b\rc\n\n", Frame::complete, 7},
                    Framed{"StopsBehindTheFirst", "a=b\n\nc=d\n\n", Frame::complete, 5},
                    Framed{"NextMayBeAnything", "a=b\n\nnonsense\n", Frame::complete, 5},
                    Framed{"Http", "GET / HTTP/1.0\r\n\r\n", Frame::not_name_value, 16},
                    Framed{"LaterLine", "a=b\nhello\n\n", Frame::not_name_value, 10},
                    Framed{"NoName", "=b\n\n", Frame::not_name_value, 3},
                    Framed{"Nul", std::string("a=\0\n\n", 5), Frame::complete, 5}),
    [](const auto& row) { return row.param.name; });

TEST(Framing, LocatesTheInvalidLine) {
  const std::string text = "a=b\nhello\n\n";
  Framing at;
  EXPECT_EQ(find_request(text, at), Frame::not_name_value);
  EXPECT_EQ(text.substr(at.line, at.scanned - at.line), "hello\n");
}

TEST(Framing, FindsSeveralRequestsInOneBuffer) {
  std::string buffer = kTwoLines + "a=b\r\n\r\n" + kTwoLines + "c=";
  std::vector<std::string> found;
  Framing at;
  while (find_request(buffer, at) == Frame::complete) {
    found.push_back(buffer.substr(0, at.scanned));
    buffer.erase(0, at.scanned);
    at = {};
  }
  EXPECT_EQ(found, (std::vector<std::string>{kTwoLines, "a=b\r\n\r\n", kTwoLines}));
  EXPECT_EQ(buffer, "c=");
}

std::string request_of(std::size_t bytes) {
  std::string text = "a=";
  text.resize(bytes - 2, 'x');
  return text + "\n\n";
}

TEST(Framing, AcceptsSixteenKibibytesAndNotAByteMore) {
  for (const std::size_t bytes : {kMaxRequestBytes - 1, kMaxRequestBytes}) {
    Framing at;
    EXPECT_EQ(find_request(request_of(bytes), at), Frame::complete);
    EXPECT_EQ(at.scanned, bytes);
  }
  EXPECT_EQ(frame_of(request_of(kMaxRequestBytes + 1)), Frame::too_large);
  EXPECT_EQ(frame_of(request_of(10 * kMaxRequestBytes)), Frame::too_large);
}

TEST(Framing, IsTooLargeAsSoonAsNoEndCanFollow) {
  const std::string text(kMaxRequestBytes, 'x');
  EXPECT_EQ(frame_of(text.substr(1)), Frame::need_more);
  EXPECT_EQ(frame_of(text), Frame::too_large);
  Framing at;
  EXPECT_EQ(find_request(text.substr(1), at), Frame::need_more);
  EXPECT_EQ(find_request(text, at), Frame::too_large);
}

TEST(Framing, ReadsNoFurtherThanTheLargestRequest) {
  const std::string text = request_of(kMaxRequestBytes) + std::string(100'000, 'x');
  Framing at;
  EXPECT_EQ(find_request(text, at), Frame::complete);
  EXPECT_EQ(at.scanned, kMaxRequestBytes);
}

}  // namespace
}  // namespace policyd
