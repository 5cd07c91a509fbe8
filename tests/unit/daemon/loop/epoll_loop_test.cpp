// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/loop/epoll_loop.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

namespace policyd {
namespace {

using std::chrono::milliseconds;

// Keeps what it reads.
class Reader final : public EpollLoop::Client {
 public:
  explicit Reader(int fd) : fd_(fd) {}
  void ready(std::uint32_t events) override {
    ++told;
    seen |= events;
    std::array<char, 64> buffer{};
    const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got > 0) text.append(buffer.data(), static_cast<std::size_t>(got));
    if (on_text && !text.empty()) on_text();
  }
  int told = 0;
  std::uint32_t seen = 0;
  std::string text;
  std::function<void()> on_text;

 private:
  int fd_;
};

struct SocketPair {
  SocketPair() {
    std::array<int, 2> fds{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) != 0) std::abort();
    ours.reset(fds[0]);
    theirs.reset(fds[1]);
  }
  void say(std::string_view text) const {
    EXPECT_EQ(::send(theirs.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  UniqueFd ours, theirs;
};

TEST(EpollLoop, CallsReadyOfAllClientsBeforeProceed) {
  class Client final : public EpollLoop::Client {
   public:
    explicit Client(std::string& order) : order_(order) {}
    void ready(std::uint32_t) override { order_ += 'r'; }
    void proceed() override { order_ += 'p'; }

   private:
    std::string& order_;
  };
  EpollLoop loop;
  std::string order;
  std::array<SocketPair, 3> pairs;
  std::array clients{Client{order}, Client{order}, Client{order}};
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    ASSERT_TRUE(loop.watch(pairs[i].ours.get(), clients[i]));
  }
  loop.post([&] { loop.stop(); });
  loop.run();
  order.clear();  // each was called once when it was registered
  for (const SocketPair& pair : pairs) pair.say("x");
  loop.post([&] { loop.stop(); });
  loop.run();
  EXPECT_EQ(order, "rrrppp");
}

TEST(EpollLoop, RunsPostedTasksInOrderAlsoThoseTheyPost) {
  EpollLoop loop;
  std::string order;
  loop.post([&] {
    order += 'a';
    loop.post([&] {
      order += 'c';
      loop.stop();
    });
  });
  loop.post([&] { order += 'b'; });
  loop.run();
  EXPECT_EQ(order, "abc");
}

TEST(EpollLoop, IsWokenByAnotherThread) {
  EpollLoop loop;
  int ran = 0;
  std::thread other{[&] {
    for (int i = 0; i < 1000; ++i) loop.post([&] { ++ran; });
    loop.stop();
  }};
  loop.run();
  other.join();
  EXPECT_EQ(ran, 1000);
}

// Each would be a system call, and a turn for nothing.
TEST(EpollLoop, IsNotWokenByItsOwnThread) {
  EpollLoop loop;
  const SocketPair sockets;
  Reader reader{sockets.ours.get()};
  ASSERT_TRUE(loop.watch(sockets.ours.get(), reader));
  std::uint64_t turn = 0;
  bool posted_ran = false;
  reader.on_text = [&] {
    if (turn != 0) return;
    turn = loop.turns();
    loop.post([&] { posted_ran = true; });
  };
  sockets.say("a");
  loop.after(milliseconds{50}, [&] { loop.stop(); });
  loop.run();
  EXPECT_TRUE(posted_ran);
  // Its own turn, that of the timer, and the last one.
  EXPECT_LE(loop.turns() - turn, 2U);
}

TEST(EpollLoop, RunsDueTimersEarliestFirst) {
  EpollLoop loop;
  std::string order;
  const auto begun = std::chrono::steady_clock::now();
  loop.after(milliseconds{20}, [&] {
    order += 'c';
    loop.stop();
  });
  loop.after(milliseconds{0}, [&] { order += 'a'; });
  loop.after(milliseconds{0}, [&] { order += 'b'; });
  loop.run();
  EXPECT_EQ(order, "abc");
  EXPECT_GE(std::chrono::steady_clock::now() - begun, milliseconds{20});
}

TEST(EpollLoop, ReportsReadableDescriptorsOncePerChange) {
  EpollLoop loop;
  const SocketPair pair;
  Reader reader{pair.ours.get()};
  ASSERT_TRUE(loop.watch(pair.ours.get(), reader));
  reader.on_text = [&] { loop.stop(); };
  pair.say("one");
  loop.run();
  EXPECT_EQ(reader.text, "one");
  EXPECT_NE(reader.seen & EPOLLIN, 0U);
  const int told = reader.told;
  loop.after(milliseconds{5}, [&] { loop.stop(); });
  reader.on_text = nullptr;
  loop.run();
  EXPECT_EQ(reader.told, told) << "nothing had changed";
  reader.on_text = [&] { loop.stop(); };
  pair.say("two");
  loop.run();
  EXPECT_EQ(reader.text, "onetwo");
}

TEST(EpollLoop, ReportsTheEnd) {
  EpollLoop loop;
  SocketPair pair;
  Reader reader{pair.ours.get()};
  ASSERT_TRUE(loop.watch(pair.ours.get(), reader));
  pair.theirs.reset();
  loop.post([&] { loop.stop(); });
  loop.run();
  EXPECT_NE(reader.seen & EPOLLRDHUP, 0U);
}

// Otherwise a descriptor also open in another process would still be reported after it is closed
// here.
TEST(EpollLoop, ForgetsADescriptorStillOpenElsewhere) {
  EpollLoop loop;
  SocketPair pair;
  Reader reader{pair.ours.get()};
  ASSERT_TRUE(loop.watch(pair.ours.get(), reader));
  const UniqueFd elsewhere{::dup(pair.ours.get())};
  loop.forget(pair.ours.get());
  pair.ours.reset();
  pair.say("hello");
  loop.after(milliseconds{5}, [&] { loop.stop(); });
  loop.run();
  EXPECT_EQ(reader.told, 0);
}

TEST(EpollLoop, HandlesMoreThanOneTurnHoldsInSeveralTurns) {
  EpollLoop loop;
  std::vector<SocketPair> pairs(EpollLoop::kMaxPerTurn + 10);
  std::vector<std::unique_ptr<Reader>> readers;
  std::size_t heard = 0;
  for (const SocketPair& pair : pairs) {
    Reader& reader = *readers.emplace_back(std::make_unique<Reader>(pair.ours.get()));
    reader.on_text = [&] {
      if (++heard == pairs.size()) loop.stop();
    };
    ASSERT_TRUE(loop.watch(pair.ours.get(), reader));
    pair.say("x");
  }
  loop.run();
  EXPECT_EQ(heard, pairs.size());
}

TEST(EpollLoop, PassesSignalsToTheHandlerAlsoEarlierOnes) {
  sigset_t before;
  sigset_t usr1;
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &usr1, &before);
  ::raise(SIGUSR1);  // waits
  {
    EpollLoop loop;
    std::vector<int> signals;
    loop.on_signals({SIGUSR1, SIGHUP}, [&](int signal) {
      signals.push_back(signal);
      if (signal == SIGHUP) loop.stop();
    });
    loop.post([] { ::raise(SIGHUP); });
    loop.run();
    EXPECT_EQ(signals, (std::vector<int>{SIGUSR1, SIGHUP}));
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace
}  // namespace policyd
