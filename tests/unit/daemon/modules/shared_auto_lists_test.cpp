// SPDX-License-Identifier: AGPL-3.0-only
// Hosts that the MTAs of a cluster put on a list together.
#include "tests/unit/daemon/modules/shared_greylisting_fixture.hpp"

namespace policyd {
namespace {

class SharedAutoWhitelist : public SharedGreylistingTest {
 protected:
  void SetUp() override {
    SharedGreylistingTest::SetUp();
    admin(
        "UPDATE greylisting SET UseAutoWhitelist = 1, AutoWhitelistPeriod = 800,"
        " AutoWhitelistCount = 3");
  }
  TripletAnswer passed_by_all(std::int64_t total, std::int64_t passed) {
    TripletAnswer known = seen(ago(300));
    known.in_whitelist_period = {total, passed};
    return known;
  }
};

TEST_F(SharedAutoWhitelist, WhoIsListedElsewherePassesAndIsListedHere) {
  TripletAnswer known;
  known.whitelist_seen = ago(800);
  EXPECT_EQ(answer_to("a@x", known), "DUNNO");
  EXPECT_NE(last_line().find("reason=auto-whitelisted"), std::string::npos);
  EXPECT_EQ(auto_whitelist(),
            fmt::format("{} 0 0 Auto-whitelisted by another MTA of the cluster", kKey));
  EXPECT_EQ(mtas_.take_told(), Told{fmt::format("white {} 0 keep=900", kKey)});
  EXPECT_EQ(answer_here("b@x"), "DUNNO");
  EXPECT_EQ(mtas_.take_told(), Told{}) << "told a moment ago";
  pass_time(seconds{100});
  EXPECT_EQ(answer_here("c@x"), "DUNNO");
  EXPECT_EQ(mtas_.take_told(), Told{fmt::format("white {} 100 keep=900", kKey)});
}

TEST_F(SharedAutoWhitelist, AnEntryThatHasExpiredElsewhereIsNone) {
  TripletAnswer known;
  known.whitelist_seen = ago(801);
  EXPECT_EQ(answer_to("a@x", known), kDefer);
  EXPECT_EQ(auto_whitelist(), "(no row)");
}

TEST_F(SharedAutoWhitelist, TheCountsOfAllMtasDecide) {
  struct Row {
    const char* name;
    std::int64_t total, passed;
    bool is_counted, is_counted_as_passed;
    bool listed;
  };
  for (const Row& row : {Row{"enough with this one", 2, 2, false, false, true},
                         Row{"this one was counted as seen", 3, 2, true, false, true},
                         Row{"this one was counted as passed", 2, 2, true, true, false},
                         Row{"one too few", 1, 1, false, false, false},
                         Row{"enough, but not let through", 9, 1, true, false, false}}) {
    SCOPED_TRACE(row.name);
    admin("DELETE FROM greylisting_tracking; DELETE FROM greylisting_autowhitelist");
    TripletAnswer known = passed_by_all(row.total, row.passed);
    known.is_counted = row.is_counted;
    known.is_counted_as_passed = row.is_counted_as_passed;
    EXPECT_EQ(answer_to("a@x", known), "DUNNO");
    EXPECT_EQ(auto_whitelist(),
              row.listed ? fmt::format("{} 0 0 Auto-whitelisted: Count/Required = 3/3", kKey)
                         : "(no row)");
    Told told{"passed " + kTriplet + " -300 keep=9000 count=800"};
    if (row.listed) told.push_back(fmt::format("white {} 0 keep=900", kKey));
    EXPECT_EQ(mtas_.take_told(), told);
  }
}

TEST_F(SharedAutoWhitelist, ATripletFromBeforeThePeriodDoesNotCount) {
  TripletAnswer known = passed_by_all(2, 2);
  known.first_seen = ago(801);
  EXPECT_EQ(answer_to("a@x", known), "DUNNO");
  EXPECT_EQ(auto_whitelist(), "(no row)");
}

// This host alone has seen enough, but that is only a part of what all have seen.
TEST_F(SharedAutoWhitelist, OwnCountsDecideOnlyWithoutAnAnswer) {
  add_triplets(9, 9);
  EXPECT_EQ(answer_to("a@x", passed_by_all(1, 1)), "DUNNO");
  EXPECT_EQ(answer_here("a@x"), "DUNNO");
  EXPECT_EQ(auto_whitelist(), "(no row)");
  EXPECT_EQ(answer_alone("b@x"), kDefer);
  pass_time(seconds{240});
  EXPECT_EQ(answer_alone("b@x"), "DUNNO");
  EXPECT_NE(auto_whitelist(), "(no row)");
}

class SharedAutoBlacklist : public SharedGreylistingTest {
 protected:
  void SetUp() override {
    SharedGreylistingTest::SetUp();
    admin(
        "UPDATE greylisting SET UseAutoBlacklist = 1, AutoBlacklistPeriod = 600,"
        " AutoBlacklistCount = 4");
  }
};

TEST_F(SharedAutoBlacklist, WhoIsListedElsewhereIsRejectedAndListedHere) {
  TripletAnswer known;
  known.blacklist_added = ago(600);
  EXPECT_EQ(answer_to("a@x", known), kReject);
  EXPECT_EQ(auto_blacklist(),
            fmt::format("{} -600 Auto-blacklisted by another MTA of the cluster", kKey));
  EXPECT_EQ(answer_here("b@x"), kReject);
  EXPECT_EQ(mtas_.take_told(), Told{});
  EXPECT_EQ(triplet("a@x"), "(no row)");
}

TEST_F(SharedAutoBlacklist, AnEntryThatHasExpiredElsewhereIsNone) {
  TripletAnswer known;
  known.blacklist_added = ago(601);
  EXPECT_EQ(answer_to("a@x", known), kDefer);
}

// Mail that was let through by another MTA does not count against a host here.
TEST_F(SharedAutoBlacklist, TheCountsOfAllMtasDecide) {
  add_triplets(9, 0);
  TripletAnswer known;
  known.in_blacklist_period = {20, 17};
  EXPECT_EQ(answer_to("a@x", known), kDefer);
  EXPECT_EQ(mtas_.take_told(), Told{"new " + kTriplet + " 0 keep=1000 count=600"});
  known.in_blacklist_period = {20, 16};
  EXPECT_EQ(answer_to("b@x", known), kReject);
  EXPECT_EQ(auto_blacklist(), fmt::format("{} 0 Auto-blacklisted: Count/Required = 4/4", kKey));
  EXPECT_EQ(mtas_.take_told(), Told{fmt::format("black {} 0 keep=600", kKey)});
}

TEST_F(SharedAutoBlacklist, OwnCountsDecideWithoutAnAnswerForThisHostAlone) {
  add_triplets(4, 0);
  EXPECT_EQ(answer_alone("a@x"), kReject);
  EXPECT_NE(auto_blacklist(), "(no row)");
  EXPECT_EQ(mtas_.take_told(), Told{});
}

TEST_F(SharedAutoBlacklist, AListIsAskedAboutIfItIsUsed) {
  ask("a@x");
  EXPECT_EQ(mtas_.waiting.at(0).first.blacklist_period, seconds{600});
  EXPECT_EQ(mtas_.waiting.at(0).first.whitelist_period, seconds{0});
  config_.greylisting_training = true;
  engine_->configure(config_);
  ask("b@x");
  EXPECT_EQ(mtas_.waiting.at(1).first.blacklist_period, seconds{0}) << "training";
  mtas_.answer({});
  loop_.run_posted();
}

}  // namespace
}  // namespace policyd
