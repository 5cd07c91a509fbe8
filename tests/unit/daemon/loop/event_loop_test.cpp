// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/loop/event_loop.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "tests/unit/daemon/loop/manual_loop.hpp"

namespace policyd {
namespace {

TEST(LoopGuard, RunsTasksWhileTheObjectLives) {
  ManualLoop loop;
  const EventLoop::Guard guard;
  int runs = 0;
  loop.post(guard.wrap([&] { ++runs; }));
  loop.after(std::chrono::milliseconds{1}, guard.wrap([&] { ++runs; }));
  loop.advance(std::chrono::milliseconds{1});
  EXPECT_EQ(runs, 2);
}

TEST(LoopGuard, DropsTasksOfADestroyedObject) {
  ManualLoop loop;
  auto guard = std::make_optional<EventLoop::Guard>();
  int runs = 0;
  loop.post(guard->wrap([&] { ++runs; }));
  guard.reset();
  loop.run_posted();
  EXPECT_EQ(runs, 0);
}

TEST(LoopGuard, PassesArgumentsOn) {
  const EventLoop::Guard guard;
  std::string got;
  const std::function<void(std::string)> done =
      guard.wrap([&](std::string text) { got = std::move(text); });
  done("answer");
  EXPECT_EQ(got, "answer");
}

}  // namespace
}  // namespace policyd
