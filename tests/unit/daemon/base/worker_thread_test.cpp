// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/worker_thread.hpp"

#include <gtest/gtest.h>
#include <pthread.h>

#include <array>
#include <csignal>
#include <string>
#include <vector>

namespace policyd {
namespace {

using std::chrono::milliseconds;

// Doubles numbers, one at a time.
class Doubler {
 public:
  void put(int number) {
    thread_.change([&] { inbox_.push_back(number); });
  }
  std::vector<int> wait_for_results(std::size_t count) {
    auto lock = thread_.lock();
    done_.wait(lock, [&] { return results_.size() >= count; });
    return results_;
  }

 private:
  void work() {
    auto lock = thread_.lock();
    while (thread_.wait(lock, [this] { return !inbox_.empty(); })) {
      for (const int number : inbox_) results_.push_back(2 * number);
      inbox_.clear();
      done_.notify_all();
    }
  }

  std::vector<int> inbox_, results_;
  std::condition_variable done_;
  WorkerThread thread_{"doubler", [this] { work(); }};
};

TEST(WorkerThread, HandlesChangesAndEndsWithItsOwner) {
  Doubler doubler;
  doubler.put(1);
  EXPECT_EQ(doubler.wait_for_results(1), std::vector{2});
  doubler.put(2);
  EXPECT_EQ(doubler.wait_for_results(2), (std::vector{2, 4}));
}

TEST(WorkerThread, HasItsNameAndAllSignalsBlocked) {
  std::array<char, 16> name{};
  bool blocked = false;
  WorkerThread thread{"named", [&] {
                        pthread_getname_np(pthread_self(), name.data(), name.size());
                        sigset_t mask;
                        pthread_sigmask(SIG_SETMASK, nullptr, &mask);
                        blocked =
                            sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGHUP) == 1;
                      }};
  thread.stop();
  EXPECT_EQ(std::string{name.data()}, "named");
  EXPECT_TRUE(blocked);
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  EXPECT_EQ(sigismember(&mask, SIGTERM), 0) << "the creator's mask is unchanged";
}

class WaitingThread {
 public:
  explicit WaitingThread(bool (*wait)(WorkerThread&))
      : thread_("waiting", [this, wait] {
          went_on_ = wait(thread_);
          ended_ = true;
        }) {}

  std::atomic<bool> went_on_ = false;
  std::atomic<bool> ended_ = false;
  WorkerThread thread_;
};

TEST(WorkerThread, StopEndsEachKindOfWait) {
  const std::array<bool (*)(WorkerThread&), 3> waits = {
      [](WorkerThread& thread) {
        auto lock = thread.lock();
        return thread.wait(lock, [] { return false; });
      },
      [](WorkerThread& thread) {
        auto lock = thread.lock();
        return thread.wait_for(lock, std::chrono::hours{1});
      },
      [](WorkerThread& thread) {
        auto lock = thread.lock();
        return thread.wait_until(lock, std::chrono::steady_clock::now() + std::chrono::hours{1},
                                 [] { return false; });
      }};
  for (const auto wait : waits) {
    WaitingThread waiting{wait};
    EXPECT_FALSE(waiting.thread_.stopping());
    waiting.thread_.stop();
    EXPECT_TRUE(waiting.ended_);
    EXPECT_FALSE(waiting.went_on_);
    waiting.thread_.stop();  // a second time is allowed
  }
}

TEST(WorkerThread, TimedWaitsReturnTrueOnTimeout) {
  WaitingThread waiting{[](WorkerThread& thread) {
    auto lock = thread.lock();
    return thread.wait_for(lock, milliseconds{1}) &&
           thread.wait_until(lock, std::chrono::steady_clock::now(), [] { return false; });
  }};
  while (!waiting.ended_) std::this_thread::yield();
  EXPECT_TRUE(waiting.went_on_);
}

TEST(WorkerThread, KnowsItsOwnThread) {
  std::atomic<bool> in_thread = false;
  WaitingThread waiting{[](WorkerThread& thread) {
    auto lock = thread.lock();
    return thread.wait_for(lock, milliseconds{1}) && thread.is_current();
  }};
  while (!waiting.ended_) std::this_thread::yield();
  in_thread = waiting.went_on_.load();
  EXPECT_TRUE(in_thread);
  EXPECT_FALSE(waiting.thread_.is_current());
}

}  // namespace
}  // namespace policyd
