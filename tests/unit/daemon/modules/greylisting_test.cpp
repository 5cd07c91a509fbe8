// SPDX-License-Identifier: AGPL-3.0-only
// Triplets, rows, training, and trouble with the tables.
#include "daemon/modules/greylisting.hpp"
#include "daemon/counting/counters.hpp"

#include "tests/unit/daemon/modules/greylisting_fixture.hpp"

namespace policyd {
namespace {

TEST_F(GreylistingTest, DefersUntilThePeriodHasPassed) {
  EXPECT_EQ(mail("a@x"), kDefer);
  EXPECT_EQ(last_line(),
            "module=Greylisting, action=defer, host=192.0.2.1, helo=mail.example.org, from=a@x,"
            " to=bob@example.com, reason=greylisted");
  EXPECT_EQ(triplet("a@x"), std::string{kKey} + " bob@example.com 0 0 1 0");
  pass_time(seconds{239});
  EXPECT_EQ(mail("a@x"), kDefer);
  EXPECT_EQ(last_line(),
            "module=Greylisting, action=defer, host=192.0.2.1, helo=mail.example.org, from=a@x,"
            " to=bob@example.com, reason=greylisted, tries=2");
  EXPECT_EQ(triplet("a@x"), std::string{kKey} + " bob@example.com 0 239 2 0");
  pass_time(seconds{1});
  EXPECT_EQ(mail("a@x"), "DUNNO");
  EXPECT_EQ(last_line(),
            "module=Greylisting, action=pass, host=192.0.2.1, helo=mail.example.org, from=a@x,"
            " to=bob@example.com, reason=authenticated");
  EXPECT_EQ(triplet("a@x"), std::string{kKey} + " bob@example.com 0 240 2 1");
}

TEST_F(GreylistingTest, DistinguishesTripletsByEachOfTheThree) {
  mail("a@x");
  pass_time(seconds{300});
  EXPECT_EQ(mail("a@x", "bob@example.com", "192.0.2.200"), "DUNNO")
      << "another host of the network";
  EXPECT_EQ(mail("b@x"), kDefer);
  EXPECT_EQ(mail("a@x", "carol@example.com"), kDefer);
  EXPECT_EQ(mail("a@x", "bob@example.com", "192.0.3.1"), kDefer);
  EXPECT_EQ(mail(""), kDefer);
}

TEST_F(GreylistingTest, CountsWholeSeconds) {
  now_ += Millis{900};
  mail("a@x");
  now_ = kNoon + seconds{240} + Millis{100};
  EXPECT_EQ(mail("a@x"), "DUNNO");
}

TEST_F(GreylistingTest, LetsTheSecondMailPassWithoutAPeriod) {
  admin("UPDATE greylisting SET GreylistPeriod = NULL");
  EXPECT_EQ(mail("a@x"), kDefer);
  EXPECT_EQ(mail("a@x"), "DUNNO");
}

TEST_F(GreylistingTest, SeesWhatItStoredInTheSameBatch) {
  struct Asker final : Pending {
    explicit Asker(Request asked) : request_(asked) {}
    [[nodiscard]] const Request& request() const override { return request_; }
    void answer(const Verdict& verdict) override { received = verdict.action; }
    Request request_;
    Action received = Action::ok;
  };
  admin("UPDATE greylisting SET GreylistPeriod = 0");
  const auto first = std::make_shared<Asker>(rcpt("7.1"));
  const auto second = std::make_shared<Asker>(rcpt("7.2"));
  engine_->ask(first);
  engine_->ask(second);
  loop_.run_posted();
  EXPECT_EQ(first->received, Action::defer);
  EXPECT_EQ(second->received, Action::dunno);
  EXPECT_EQ(engine_->statistics().batches, 1U);
}

TEST_F(GreylistingTest, CountsNothingAgainThatPassedBeforeACrash) {
  mail("alice@example.org");
  pass_time(seconds{240});
  EXPECT_EQ(answer(rcpt("8.1")), "DUNNO");
  const std::string stored = triplet("alice@example.org");
  engine_.reset();
  open_store();
  restart_engine();
  EXPECT_EQ(answer(rcpt("8.1")), "DUNNO");
  EXPECT_EQ(triplet("alice@example.org"), stored);
}

TEST_F(GreylistingTest, ReplacesTheAnswersOfEarlierModules) {
  config_.access_control = true;
  engine_->configure(config_);
  admin(
      "INSERT INTO access_control (PolicyID, Name, Verdict, Data) VALUES (1, 'a', 'PASS', 'text')");
  EXPECT_EQ(mail("a@x"), kDefer);
  pass_time(seconds{240});
  EXPECT_EQ(mail("a@x"), "DUNNO");
  admin("UPDATE greylisting SET UseGreylisting = 0");
  EXPECT_EQ(mail("a@x"), "DUNNO text");
}

TEST_F(GreylistingTest, DoesNotApplyWithoutARow) {
  admin("UPDATE greylisting SET Disabled = 1");
  EXPECT_EQ(mail("a@x"), "DUNNO");
  EXPECT_EQ(triplet("a@x"), "(no row)");
  EXPECT_EQ(log_text(), "");
}

TEST_F(GreylistingTest, IsOnUnlessARowTurnsItOff) {
  struct Row {
    const char* value;
    bool used;
  };
  for (const Row& row : {Row{"0", false}, Row{"NULL", true}, Row{"1", true}, Row{"2", false}}) {
    SCOPED_TRACE(row.value);
    admin(fmt::format("UPDATE greylisting SET UseGreylisting = {}", row.value));
    EXPECT_EQ(mail(fmt::format("{}@x", row.value)), std::string{row.used ? kDefer : "DUNNO"});
  }
}

TEST_F(GreylistingTest, MergesTheRowsOfAllPoliciesInOrder) {
  admin(
      "INSERT INTO policies (Name, Priority) VALUES ('later', 9);"
      "INSERT INTO policy_members (PolicyID, Source, Destination) VALUES (2, '@x', 'any');"
      "INSERT INTO greylisting (PolicyID, Name, UseGreylisting, GreylistPeriod, Track)"
      " VALUES (2, 'h', NULL, 30, 'SenderIP:/32')");
  EXPECT_EQ(mail("a@x"), kDefer);
  EXPECT_EQ(triplet("a@x"), "SenderIP:192.0.2.1/32 bob@example.com 0 0 1 0");
  pass_time(seconds{30});
  EXPECT_EQ(mail("a@x"), "DUNNO");
  EXPECT_EQ(mail("a@other"), kDefer);
  pass_time(seconds{30});
  EXPECT_EQ(mail("a@other"), kDefer) << "the later policy does not match it";
  admin("UPDATE greylisting SET UseGreylisting = 0, GreylistPeriod = NULL WHERE PolicyID = 2");
  EXPECT_EQ(mail("b@x"), "DUNNO");
  EXPECT_EQ(triplet("b@x"), "(no row)");
}

TEST_F(GreylistingTest, LetsWhitelistedNetworksPass) {
  admin(
      "INSERT INTO greylisting_whitelist (Source) VALUES ('10.0.0.0/8'), ('senderip:192.0.2.0/28'),"
      " ('SenderIP:nonsense');"
      "INSERT INTO greylisting_whitelist (Source, Disabled) VALUES ('SenderIP:198.51.100.0/24', "
      "1)");
  EXPECT_EQ(mail("a@x", "bob@example.com", "192.0.2.15"), "DUNNO");
  EXPECT_EQ(last_line(),
            "module=Greylisting, action=pass, host=192.0.2.15, helo=mail.example.org, from=a@x,"
            " to=bob@example.com, reason=whitelisted");
  EXPECT_EQ(triplet("a@x"), "(no row)");
  EXPECT_EQ(mail("a@x", "bob@example.com", "192.0.2.16"), kDefer);
  EXPECT_EQ(mail("a@x", "bob@example.com", "10.1.1.1"), kDefer)
      << "without SenderIP: it is no entry";
  EXPECT_EQ(mail("a@x", "bob@example.com", "198.51.100.1"), kDefer) << "the entry is disabled";
}

TEST_F(GreylistingTest, DefersForAnInvalidRow) {
  struct Row {
    const char* name;
    const char* sql;
    const char* problem;
  };
  for (const Row& row :
       {Row{"auto-whitelist", "UseAutoWhitelist = 1",
            "UseAutoWhitelist is set, but AutoWhitelistPeriod is not"},
        Row{"auto-whitelist of nothing", "UseAutoWhitelist = 1, AutoWhitelistPeriod = 0",
            "UseAutoWhitelist is set, but AutoWhitelistPeriod is not"},
        Row{"auto-blacklist", "UseAutoBlacklist = 1",
            "UseAutoBlacklist is set, but AutoBlacklistPeriod is not"},
        Row{"auto-blacklist below nothing", "UseAutoBlacklist = 1, AutoBlacklistPeriod = -5",
            "UseAutoBlacklist is set, but AutoBlacklistPeriod is not"},
        Row{"track", "Track = 'Sender:@domain'",
            "'Sender:@domain' is not a valid Track; use SenderIP:/24"}}) {
    SCOPED_TRACE(row.name);
    admin(
        "UPDATE greylisting SET Track = 'SenderIP:/24', UseAutoWhitelist = NULL,"
        " AutoWhitelistPeriod = NULL, UseAutoBlacklist = NULL, AutoBlacklistPeriod = NULL");
    admin(fmt::format("UPDATE greylisting SET {}", row.sql));
    EXPECT_EQ(mail("a@x"), "DEFER");
    const std::string logged = log_text();
    EXPECT_EQ(mail("a@x"), "DEFER");
    EXPECT_EQ(log_text(), logged) << "logged once";
    EXPECT_EQ(last_line().find(std::string{"module=Greylisting, greylisting=1: "} + row.problem),
              0U)
        << last_line();
  }
  EXPECT_EQ(triplet("a@x"), "(no row)");
}

class Training : public GreylistingTest {
 protected:
  void SetUp() override {
    GreylistingTest::SetUp();
    config_.greylisting_training = true;
    engine_->configure(config_);
  }
};

TEST_F(Training, StoresTripletsAndNeverDefers) {
  EXPECT_EQ(mail("a@x"), "DUNNO");
  EXPECT_EQ(last_line(),
            "module=Greylisting, action=pass, host=192.0.2.1, helo=mail.example.org, from=a@x,"
            " to=bob@example.com, reason=training");
  EXPECT_EQ(triplet("a@x"), std::string{kKey} + " bob@example.com 0 0 1 1");
  pass_time(seconds{10});
  EXPECT_EQ(mail("a@x"), "DUNNO");
  EXPECT_EQ(triplet("a@x"), std::string{kKey} + " bob@example.com 0 10 1 2");
}

TEST_F(Training, NeverBlacklists) {
  admin(
      "UPDATE greylisting SET UseAutoBlacklist = 1, AutoBlacklistPeriod = 600,"
      " AutoBlacklistCount = 1");
  add_triplets(5, 0);
  EXPECT_EQ(mail("a@x"), "DUNNO");
  EXPECT_EQ(auto_blacklist(), "(no row)");
  admin(fmt::format("INSERT INTO greylisting_autoblacklist (TrackKey, Added) VALUES ('{}', {})",
                    kKey, noon_s()));
  EXPECT_EQ(mail("b@x"), "DUNNO");
}

TEST_F(Training, Whitelists) {
  admin(
      "UPDATE greylisting SET UseAutoWhitelist = 1, AutoWhitelistPeriod = 600,"
      " AutoWhitelistCount = 2");
  mail("a@x");
  EXPECT_EQ(auto_whitelist(), "(no row)");
  mail("b@x");
  EXPECT_EQ(auto_whitelist(), fmt::format("{} 0 0 Auto-whitelisted: Count/Required = 2/2", kKey));
}

class GreylistingInTrouble : public GreylistingTest {
 protected:
  void count_mails() {
    admin(
        "INSERT INTO quotas (PolicyID, Name, Track, Period, Verdict)"
        " VALUES (1, 'q', 'Sender:user@domain', 60, 'DEFER');"
        "INSERT INTO quotas_limits (QuotasID, Type, CounterLimit) VALUES (1, 'MessageCount', 10)");
    config_.quotas = true;
    engine_->configure(config_);
  }
};

TEST_F(GreylistingInTrouble, LetsMailPassWhileTheDatabaseIsLocked) {
  admin("BEGIN IMMEDIATE");
  EXPECT_EQ(mail("a@x"), "DUNNO");
  EXPECT_EQ(log_text(), "");
  admin("COMMIT");
  loop_.advance(seconds{1});
  EXPECT_EQ(mail("a@x"), kDefer);
}

TEST_F(GreylistingInTrouble, LetsMailPassAndKeepsCountingWithoutATable) {
  admin("ALTER TABLE greylisting_tracking RENAME TO elsewhere");
  count_mails();
  EXPECT_EQ(mail("a@x"), "DUNNO");
  EXPECT_EQ(mail("b@x"), "DUNNO");
  const std::string log = log_text();
  const std::size_t first = log.find("module=Greylisting: no such table");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(log.find("module=Greylisting: ", first + 1), std::string::npos) << "logged once";
  EXPECT_EQ(ask_admin("SELECT COUNT(*) FROM quotas_tracking"), "2");
  EXPECT_TRUE(store_->trouble().empty());
  admin("ALTER TABLE elsewhere RENAME TO greylisting_tracking");
  EXPECT_EQ(mail("a@x"), kDefer);
}

TEST_F(GreylistingInTrouble, LosesNoOtherCountWhenATripletCannotBeStored) {
  admin(
      "CREATE TRIGGER full BEFORE INSERT ON greylisting_tracking"
      " BEGIN SELECT RAISE(ROLLBACK, 'no room'); END");
  count_mails();
  EXPECT_EQ(mail("a@x"), "DUNNO");
  EXPECT_EQ(mail("b@x"), "DUNNO");
  admin("DROP TRIGGER full");
  loop_.advance(seconds{1});
  EXPECT_EQ(ask_admin("SELECT COUNT(*) || ' ' || SUM(Counter) FROM quotas_tracking"), "2 2");
  EXPECT_EQ(mail("c@x"), kDefer);
}

TEST_F(GreylistingInTrouble, HandlesHostileNumbers) {
  admin(
      "UPDATE greylisting SET GreylistPeriod = -9223372036854775808, UseAutoWhitelist = 1,"
      " AutoWhitelistPeriod = 9223372036854775807, AutoWhitelistCount = 9223372036854775807,"
      " AutoWhitelistPercentage = 9223372036854775807, UseAutoBlacklist = 1,"
      " AutoBlacklistPeriod = 9223372036854775807, AutoBlacklistCount = 1,"
      " AutoBlacklistPercentage = 9223372036854775807");
  admin(
      fmt::format("INSERT INTO greylisting_tracking VALUES ('{0}', 'a@x', 'bob@example.com',"
                  " -9223372036854775808, 'text', 9223372036854775807, 0)",
                  kKey));
  EXPECT_EQ(mail("a@x"), "DUNNO");
  EXPECT_EQ(mail("b@x"), kDefer);
  admin("UPDATE greylisting SET GreylistPeriod = 9223372036854775807");
  EXPECT_EQ(mail("b@x"), kDefer);
}

// No statement reads a whole table: each finds its rows by the tables' unique keys.
TEST_F(GreylistingInTrouble, NeverReadsAWholeTable) {
  for (const char* query : {"SELECT rowid FROM greylisting_tracking WHERE TrackKey = 1 AND Sender "
                            "= 2 AND Recipient = 3",
                            "SELECT COUNT(*), COUNT(NULLIF(Count, 0)) FROM greylisting_tracking"
                            " WHERE TrackKey = 1 AND FirstSeen >= 2",
                            "UPDATE greylisting_autowhitelist SET LastSeen = 2 WHERE TrackKey = 1",
                            "SELECT LastSeen FROM greylisting_autowhitelist WHERE TrackKey = 1",
                            "SELECT Added FROM greylisting_autoblacklist WHERE TrackKey = 1"}) {
    auto plan = sql::Statement::prepare(admin_.get(), fmt::format("EXPLAIN QUERY PLAN {}", query));
    ASSERT_TRUE(plan);
    while (plan->step() == SQLITE_ROW) {
      EXPECT_EQ(plan->text(3).substr(0, 6), "SEARCH") << query << ": " << plan->text(3);
    }
  }
}

TEST(GreylistingPrefix, FindsTablesByTheirPrefix) {
  std::string name = (std::filesystem::temp_directory_path() / "limits-greylist-XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  const std::filesystem::path folder = name;
  LogSettings log_settings;
  log_settings.file = folder / "log";
  {
    const auto log = std::move(*Maillog::open(log_settings));
    ASSERT_TRUE(create_database(folder / "db", "cb_"));
    auto db = open_database(folder / "db", OpenMode::read_write, seconds{1});
    SqliteGreylisting greylisting{*log};
    greylisting.attach(db->get(), "cb_");
    EXPECT_EQ(greylisting.tables(), nullptr) << "no batch has begun";
    greylisting.begin_batch();
    const GreylistingTables::Time now{seconds{1000}};
    greylisting.tables()->insert("k", "s", "r", now);
    EXPECT_TRUE(greylisting.tables()->find("k", "s", "r"));
    greylisting.tables()->auto_whitelist("k", now, "c");
    EXPECT_EQ(greylisting.tables()->auto_whitelist_seen("k"), now);
    greylisting.tables()->auto_blacklist("k", now, "c");
    EXPECT_EQ(greylisting.tables()->auto_blacklist_added("k"), now);
    EXPECT_EQ(greylisting.tables()->count("k", now).total, 1);
    EXPECT_EQ(greylisting.tables()->count("k", now + seconds{1}).total, 0);
    EXPECT_EQ(greylisting.end_batch(), SQLITE_OK);
    EXPECT_EQ(greylisting.tables(), nullptr);
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace policyd
