// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/system/line_client.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <array>
#include <cerrno>

namespace carbonio {
namespace {

using policyd::UniqueFd;
using std::chrono::milliseconds;

Deadline in(milliseconds time) { return std::chrono::steady_clock::now() + time; }

// A connection whose other end has already sent `answer`, and closes it unless `open`.
struct Answered {
  explicit Answered(std::string_view answer, bool open = false) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    client.reset(ends[0]);
    server.reset(ends[1]);
    EXPECT_EQ(::send(server.get(), answer.data(), answer.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(answer.size()));
    if (!open) ::shutdown(server.get(), SHUT_WR);
  }
  policyd::Result<std::string> ask(std::size_t max_line = 100,
                                   milliseconds time = milliseconds{60'000}) const {
    return ask_for_line(client, "question\n", max_line, in(time));
  }
  UniqueFd client;
  UniqueFd server;
};

TEST(LineClient, SendsTheRequestAndReturnsTheFirstLine) {
  const Answered peer{"yes\nmore\n", true};
  EXPECT_EQ(*peer.ask(), "yes");
  std::array<char, 20> received{};
  EXPECT_EQ(::recv(peer.server.get(), received.data(), received.size(), 0), 9);
  EXPECT_STREQ(received.data(), "question\n");
}

TEST(LineClient, AcceptsCarriageReturnsAndALineWithoutItsEnd) {
  EXPECT_EQ(*Answered{"yes\r\n"}.ask(), "yes");
  EXPECT_EQ(*Answered{"yes"}.ask(), "yes");
  EXPECT_EQ(*Answered{"\n"}.ask(), "");
}

TEST(LineClient, ReportsWhyThereIsNoLine) {
  EXPECT_EQ(Answered{""}.ask().error().message, "closed the connection without an answer");
  EXPECT_EQ((Answered{"ye", true}.ask(100, milliseconds{30}).error().message), "no answer in time");
  EXPECT_EQ((Answered{"123456", true}.ask(5).error().message), "the answer is too long");
}

TEST(LineClient, ReportsAServerThatIsGone) {
  Answered peer{"", true};
  peer.server.reset();
  EXPECT_EQ(peer.ask().error().message, "cannot send the request");
}

TEST(LineClient, ConnectsOrSetsErrno) {
  const UniqueFd listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(listener.get(), any, size), 0);
  ASSERT_EQ(::getsockname(listener.get(), any, &size), 0);
  EXPECT_FALSE(connect_to(any, size, in(milliseconds{60'000})));
  EXPECT_EQ(errno, ECONNREFUSED);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_TRUE(connect_to(any, size, in(milliseconds{60'000})));
}

TEST(LineClient, EscapesAndCutsAnUnexpectedAnswer) {
  EXPECT_EQ(unexpected_answer("a\x1b[31m"), "unexpected answer 'a\\x1b[31m'");
  EXPECT_LT(unexpected_answer(std::string(1000, 'x')).size(), 120U);
}

}  // namespace
}  // namespace carbonio
