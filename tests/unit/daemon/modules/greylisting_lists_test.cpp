// SPDX-License-Identifier: AGPL-3.0-only
// Hosts that Greylisting puts on a list by itself: just below, at and above counts, percentages and
// periods.
#include "tests/unit/daemon/modules/greylisting_fixture.hpp"

namespace policyd {
namespace {

class AutoWhitelist : public GreylistingTest {
 protected:
  void use(const char* count, const char* percentage) {
    admin(
        fmt::format("UPDATE greylisting SET GreylistPeriod = 0, UseAutoWhitelist = 1, "
                    "AutoWhitelistPeriod = 600,"
                    " AutoWhitelistCount = {}, AutoWhitelistPercentage = {}",
                    count, percentage));
  }
  // A mail that passes, so that there is one more triplet that passed.
  void let_one_pass() {
    mail("last@x");
    EXPECT_EQ(mail("last@x"), "DUNNO");
  }
};

TEST_F(AutoWhitelist, ListsAHostThatRetriedOftenEnough) {
  struct Row {
    const char* name;
    const char* count;
    const char* percentage;
    int total;  // before the one that passes
    int passed;
    const char* comment;  // null: not listed
  };
  for (const Row& row : {
           Row{"one too few", "3", "NULL", 1, 1, nullptr},
           Row{"enough", "3", "NULL", 2, 2, "Auto-whitelisted: Count/Required = 3/3"},
           Row{"enough, but not let through", "3", "NULL", 3, 1, nullptr},
           Row{"enough among others", "3", "0", 9, 2, "Auto-whitelisted: Count/Required = 3/3"},
           Row{"percentage, but too few", "3", "50", 1, 1, nullptr},
           Row{"just below the percentage", "3", "67", 2, 1, nullptr},
           Row{"just above the percentage", "3", "66", 2, 1,
               "Auto-whitelisted: TotalCount/Required = 3/3, Percentage/Threshold/Required = "
               "66.6666666666667/66"},
           Row{"at the percentage", "3", "50", 3, 1,
               "Auto-whitelisted: TotalCount/Required = 4/3, Percentage/Threshold/Required = "
               "50/50"},
           Row{"at a percentage that rounding hides", "3", "29", 99, 28,
               "Auto-whitelisted: TotalCount/Required = 100/3, Percentage/Threshold/Required = "
               "29/29"},
           Row{"no count", "NULL", "50", 9, 9, nullptr},
           Row{"a count of nothing", "0", "50", 9, 9, nullptr},
           Row{"more than all", "3", "101", 9, 9, nullptr},
       }) {
    SCOPED_TRACE(row.name);
    admin("DELETE FROM greylisting_tracking; DELETE FROM greylisting_autowhitelist");
    use(row.count, row.percentage);
    add_triplets(row.total, row.passed);
    let_one_pass();
    EXPECT_EQ(auto_whitelist(),
              row.comment ? fmt::format("{} 0 0 {}", kKey, row.comment) : "(no row)");
    EXPECT_EQ(last_line().find(row.comment ? "reason=auto-whitelisted" : "reason=authenticated") !=
                  std::string::npos,
              true);
  }
}

TEST_F(AutoWhitelist, CountsTripletsFirstSeenWithinThePeriod) {
  use("3", "NULL");
  add_triplets(1, 1, 601);
  add_triplets(1, 1, 600);
  let_one_pass();
  EXPECT_EQ(auto_whitelist(), "(no row)");
  add_triplets(1, 1, 600);
  EXPECT_EQ(mail("last@x"), "DUNNO");
  EXPECT_NE(auto_whitelist(), "(no row)");
}

TEST_F(AutoWhitelist, LetsAListedHostPassAndRenewsIt) {
  use("1", "NULL");
  let_one_pass();
  pass_time(seconds{600});
  EXPECT_EQ(mail("new@x"), "DUNNO");
  EXPECT_EQ(last_line(),
            "module=Greylisting, action=pass, host=192.0.2.1, helo=mail.example.org, "
            "from=new@x, to=bob@example.com, reason=auto-whitelisted");
  EXPECT_EQ(triplet("new@x"), "(no row)");
  EXPECT_EQ(auto_whitelist(), fmt::format("{} 0 600 Auto-whitelisted: Count/Required = 1/1", kKey));
  pass_time(seconds{600});
  EXPECT_EQ(mail("new@x"), "DUNNO");
  pass_time(seconds{601});
  EXPECT_EQ(mail("new@x"), kDefer) << "one second too late";
}

TEST_F(AutoWhitelist, StartsAgainForAHostWhoseEntryExpired) {
  use("1", "NULL");
  let_one_pass();
  pass_time(seconds{601});
  mail("new@x");
  EXPECT_EQ(mail("new@x"), "DUNNO");
  EXPECT_EQ(auto_whitelist(),
            fmt::format("{} 601 601 Auto-whitelisted: Count/Required = 1/1", kKey));
}

TEST_F(AutoWhitelist, IsUntouchedIfUnused) {
  use("1", "NULL");
  admin("UPDATE greylisting SET UseAutoWhitelist = 0");
  admin(
      fmt::format("INSERT INTO greylisting_autowhitelist (TrackKey, Added, LastSeen) VALUES"
                  " ('{}', {}, {})",
                  kKey, noon_s(), noon_s()));
  EXPECT_EQ(mail("a@x"), kDefer);
}

class AutoBlacklist : public GreylistingTest {
 protected:
  void use(const char* count, const char* percentage) {
    admin(
        fmt::format("UPDATE greylisting SET UseAutoBlacklist = 1, AutoBlacklistPeriod = 600,"
                    " AutoBlacklistCount = {}, AutoBlacklistPercentage = {}",
                    count, percentage));
  }
};

TEST_F(AutoBlacklist, ListsAHostThatNeverRetried) {
  struct Row {
    const char* name;
    const char* count;
    const char* percentage;
    int total;
    int passed;
    const char* comment;  // null: not listed
  };
  for (const Row& row : {
           Row{"one too few", "4", "NULL", 3, 0, nullptr},
           Row{"enough", "4", "NULL", 4, 0, "Auto-blacklisted: Count/Required = 4/4"},
           Row{"enough, but one came again", "4", "NULL", 4, 1, nullptr},
           Row{"enough, and one came again", "4", "0", 5, 1,
               "Auto-blacklisted: Count/Required = 4/4"},
           Row{"percentage, but too few", "4", "50", 3, 0, nullptr},
           Row{"just below the percentage", "4", "76", 4, 1, nullptr},
           Row{"at the percentage", "4", "75", 4, 1,
               "Auto-blacklisted: TotalCount/Required = 4/4, Percentage/Threshold = 75/75"},
           Row{"just above the percentage", "4", "74", 4, 1,
               "Auto-blacklisted: TotalCount/Required = 4/4, Percentage/Threshold = 75/74"},
           Row{"all of them", "4", "100", 5, 0,
               "Auto-blacklisted: TotalCount/Required = 5/4, Percentage/Threshold = 100/100"},
           Row{"all but one", "4", "100", 5, 1, nullptr},
           Row{"no count", "NULL", "50", 9, 0, nullptr},
           Row{"a count below nothing", "-1", "50", 9, 0, nullptr},
       }) {
    SCOPED_TRACE(row.name);
    admin("DELETE FROM greylisting_tracking; DELETE FROM greylisting_autoblacklist");
    use(row.count, row.percentage);
    add_triplets(row.total, row.passed);
    EXPECT_EQ(mail("new@x"), std::string{row.comment ? kReject : kDefer});
    EXPECT_EQ(auto_blacklist(),
              row.comment ? fmt::format("{} 0 {}", kKey, row.comment) : "(no row)");
    EXPECT_EQ(triplet("new@x") == "(no row)", row.comment != nullptr);
  }
}

TEST_F(AutoBlacklist, CountsTripletsFirstSeenWithinThePeriod) {
  use("2", "NULL");
  add_triplets(1, 0, 601);
  add_triplets(1, 0, 600);
  EXPECT_EQ(mail("new@x"), kDefer);
  EXPECT_EQ(mail("newer@x"), kReject);
}

TEST_F(AutoBlacklist, RejectsAListedHostUntilItsEntryExpires) {
  use("1", "NULL");
  mail("a@x");
  EXPECT_EQ(mail("b@x"), kReject);
  pass_time(seconds{600});
  EXPECT_EQ(mail("a@x"), kReject) << "also what would have been let through";
  EXPECT_EQ(last_line(),
            "module=Greylisting, action=reject, host=192.0.2.1, helo=mail.example.org, "
            "from=a@x, to=bob@example.com, reason=auto-blacklisted");
  EXPECT_EQ(auto_blacklist(), fmt::format("{} 0 Auto-blacklisted: Count/Required = 1/1", kKey));
  pass_time(seconds{1});
  EXPECT_EQ(mail("a@x"), "DUNNO");
  mail("c@x");
  EXPECT_EQ(mail("d@x"), kReject);
  EXPECT_EQ(auto_blacklist(), fmt::format("{} 601 Auto-blacklisted: Count/Required = 1/1", kKey));
}

TEST_F(AutoBlacklist, ComesAfterTheAutoWhitelist) {
  use("1", "NULL");
  admin("UPDATE greylisting SET UseAutoWhitelist = 1, AutoWhitelistPeriod = 600");
  admin(fmt::format(
      "INSERT INTO greylisting_autowhitelist (TrackKey, Added, LastSeen) VALUES ('{0}', {1}, {1});"
      "INSERT INTO greylisting_autoblacklist (TrackKey, Added) VALUES ('{0}', {1})",
      kKey, noon_s()));
  EXPECT_EQ(mail("a@x"), "DUNNO");
}

}  // namespace
}  // namespace policyd
