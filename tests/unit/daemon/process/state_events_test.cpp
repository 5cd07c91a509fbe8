// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/process/state_events.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace policyd {
namespace {

constexpr TimePoint kNoon{std::chrono::seconds{1795348800}};

class StateEventsTest : public testing::Test {
 protected:
  // The kinds, details and names of what is new.
  std::vector<std::string> look(const StateEvents::State& state, int seconds) {
    events_.look(state, kNoon + std::chrono::seconds{seconds});
    std::vector<std::string> out;
    const auto batch = queue_.take();
    if (!batch) return out;
    while (batch->size() > 0) {
      const Event event = batch->take_oldest();
      out.push_back(std::string{name_of(event.kind)} + "|" + event.detail + "|" + event.who);
    }
    return out;
  }

  EventQueue queue_;
  StateEvents events_{queue_};
};

using Lines = std::vector<std::string>;

TEST_F(StateEventsTest, TellsOfTroubleThatLastsAndOfItsEnd) {
  EXPECT_EQ(look({"locked", {}, {}, {}}, 0), Lines{});
  EXPECT_EQ(look({"locked", {}, {}, {}}, 4), Lines{});
  EXPECT_EQ(look({"locked", {}, {}, {}}, 5), Lines{"trouble|locked|"});
  EXPECT_EQ(look({"locked", {}, {}, {}}, 6), Lines{});
  EXPECT_EQ(look({"", {}, {}, {}}, 7), Lines{"recovered|locked|"});
  EXPECT_EQ(look({"locked", {}, {}, {}}, 8), Lines{});
  EXPECT_EQ(look({"", {}, {}, {}}, 9), Lines{}) << "short";
}

TEST_F(StateEventsTest, TellsOfAClusterThatIsLostAndBack) {
  EXPECT_EQ(look({"", "cannot connect", {}, {}}, 0), Lines{});
  EXPECT_EQ(look({"", "cannot connect", {}, {}}, 5), Lines{"engine_lost|cannot connect|"});
  EXPECT_EQ(look({"", "", {}, {}}, 6), Lines{"engine_back|cannot connect|"});
}

TEST_F(StateEventsTest, TellsOfOtherRulesButNotOfTheFirst) {
  EXPECT_EQ(look({"", {}, {}, {}}, 0), Lines{});
  EXPECT_EQ(look({"", {}, 7, {}}, 1), Lines{});
  EXPECT_EQ(look({"", {}, 9, {}}, 2), Lines{"rules||"});
  EXPECT_EQ(look({"", {}, 9, {}}, 3), Lines{});
  look({"gone", {}, 9, {}}, 4);
  EXPECT_EQ(look({"", {}, 10, {}}, 5), Lines{}) << "the daemon has replaced a lost file";
  EXPECT_EQ(look({"", {}, 11, {}}, 6), Lines{"rules||"});
}

TEST_F(StateEventsTest, TellsWhoPausedAndWhoEndedIt) {
  const Pause pause{kNoon + std::chrono::seconds{60}, false, "root on pts/0"};
  look({"", {}, {}, {}}, 0);
  const Lines paused = look({"", {}, {}, pause}, 1);
  ASSERT_EQ(paused.size(), 1);
  EXPECT_TRUE(paused[0].starts_with("paused|until ")) << paused[0];
  EXPECT_TRUE(paused[0].ends_with(", mail is not counted|root on pts/0")) << paused[0];
  EXPECT_EQ(look({"", {}, {}, {{}, true, "anna"}}, 2), Lines{"resumed||anna"});
  EXPECT_EQ(look({"", {}, {}, {}}, 3), Lines{});
  look({"", {}, {}, pause}, 4);
  EXPECT_EQ(look({"", {}, {}, pause}, 60), Lines{"resumed|its time was over|"});
}

TEST_F(StateEventsTest, TakesAPauseFromBeforeTheStartForNoNews) {
  EXPECT_EQ(look({"", {}, {}, {kNoon + std::chrono::seconds{60}, true, ""}}, 0), Lines{});
}

}  // namespace
}  // namespace policyd
