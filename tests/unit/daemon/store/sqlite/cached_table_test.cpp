// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/cached_table.hpp"
#include "daemon/counting/counters.hpp"

#include <array>
#include <iterator>

#include "tests/unit/daemon/store/sqlite/store_fixture.hpp"

namespace policyd {
namespace {

using QuotaTable = CachedTable<QuotaRecord>;
using AccountingTable = CachedTable<AccountingRecord>;

class CachedTableTest : public StoreTest {
 protected:
  void attach(QuotaTable& table) { ASSERT_TRUE(table.attach(admin_.get(), "")); }

  static void change(QuotaTable& table, const std::string& key, double value) {
    Counter& counter = table.touch({4, {key}});
    counter.value = value;
    counter.last_update_s = to_seconds(kNoon);
    table.changed(counter, 1);
  }

  static void store(QuotaTable& table) {
    ASSERT_EQ(table.write_dirty(), SQLITE_OK);
    table.committed();
    table.end_batch();
  }
};

TEST_F(CachedTableTest, ReadsAgainWhatWasForgottenForWantOfRoom) {
  make_database();
  QuotaTable table{2, kNoon};
  attach(table);
  for (const char* key : {"a", "b", "c", "d"}) change(table, key, 7);
  store(table);
  for (const char* key : {"a", "b", "c", "d"}) EXPECT_EQ(table.touch({4, {key}}).value, 7) << key;
}

TEST_F(CachedTableTest, KeepsWhatIsNotStoredBeyondItsRoom) {
  make_database();
  QuotaTable table{1, kNoon};
  attach(table);
  ASSERT_TRUE(table.attach(nullptr, ""));
  for (const char* key : {"a", "b", "c"}) {
    change(table, key, 3);
    table.end_batch();
  }
  EXPECT_EQ(table.dirty(), 3U);
  for (const char* key : {"a", "b", "c"}) EXPECT_EQ(table.touch({4, {key}}).value, 3) << key;
}

TEST_F(CachedTableTest, InsertsAgainAfterARollback) {
  make_database();
  QuotaTable table{10, kNoon};
  attach(table);
  change(table, "a", 5);
  admin("BEGIN");
  ASSERT_EQ(table.write_dirty(), SQLITE_OK);
  admin("ROLLBACK");
  table.rolled_back();
  store(table);
  EXPECT_EQ(ask_admin("SELECT Counter FROM quotas_tracking WHERE TrackKey='a'"), "5");
}

TEST_F(CachedTableTest, LoadsWhatAnotherProcessCouldNotStore) {
  make_database();
  QuotaTable before{10, kNoon};
  attach(before);
  change(before, "a", 5);
  std::string saved;
  before.save(saved, 'x');
  QuotaTable after{10, kNoon};
  StateReader in{saved};
  EXPECT_EQ(in.byte(), 'x');
  ASSERT_TRUE(after.load(in));
  EXPECT_TRUE(in.at_end());
  attach(after);
  EXPECT_EQ(after.touch({4, {"a"}}).value, 5);
  store(after);
  EXPECT_EQ(ask_admin("SELECT Counter FROM quotas_tracking WHERE TrackKey='a'"), "5");
}

TEST_F(CachedTableTest, LoadsTheRecipientsOfACounterToo) {
  make_database();
  QuotaTable before{10, kNoon};
  attach(before);
  Counter& counter = before.touch({4, {"a"}});
  counter.windowed = true;
  counter.period = std::chrono::hours{24};
  for (std::uint64_t hash = 1; hash <= DistinctRecipients::kMax; ++hash) {
    const TimePoint when =
        kNoon - counter.period + Millis{static_cast<std::int64_t>(hash * 80'000)};
    counter.recipients.add(counter.window, hash, when, counter.period);
  }
  counter.value = static_cast<double>(counter.window.use());
  counter.last_update_s = to_seconds(kNoon);
  before.changed(counter, 1);
  std::string saved;
  before.save(saved, 'x');
  QuotaTable after{10, kNoon};
  StateReader in{std::string_view{saved}.substr(1)};
  ASSERT_TRUE(after.load(in));
  attach(after);
  store(after);
  QuotaTable from_table{10, kNoon};
  attach(from_table);
  for (QuotaTable* table : {&after, &from_table}) {
    const Counter& known = table->touch({4, {"a"}});
    EXPECT_EQ(known.window, counter.window);
    EXPECT_EQ(known.recipients.size(), DistinctRecipients::kMax);
    EXPECT_TRUE(known.recipients.last_use(known.window, 1));
    EXPECT_FALSE(known.recipients.last_use(known.window, 1'001));
  }
}

// As when the process that loaded it was killed before it removed the file.
TEST_F(CachedTableTest, LoadingItTwiceCountsItOnce) {
  make_database();
  QuotaTable before{10, kNoon};
  attach(before);
  change(before, "a", 5);
  std::string saved;
  before.save(saved, 'x');
  for (int start = 0; start < 2; ++start) {
    QuotaTable after{10, kNoon};
    StateReader in{saved};
    EXPECT_EQ(in.byte(), 'x');
    ASSERT_TRUE(after.load(in));
    attach(after);
    store(after);
    EXPECT_EQ(ask_admin("SELECT Counter FROM quotas_tracking WHERE TrackKey='a'"), "5");
  }
}

TEST_F(CachedTableTest, LoadsNothingThatIsCutOff) {
  make_database();
  QuotaTable before{10, kNoon};
  attach(before);
  change(before, "a", 5);
  std::string saved;
  before.save(saved, 'x');
  for (std::size_t size = 1; size < saved.size(); ++size) {
    QuotaTable after{10, kNoon};
    StateReader in{std::string_view{saved}.substr(1, size - 1)};
    EXPECT_FALSE(after.load(in)) << size;
  }
}

TEST_F(CachedTableTest, KeepsLimitsApartThatShareAKey) {
  make_database();
  QuotaTable table{10, kNoon};
  attach(table);
  table.touch({4, {"k"}}).value = 1;
  table.touch({5, {"k"}}).value = 2;
  EXPECT_EQ(table.touch({4, {"k"}}).value, 1);
  EXPECT_EQ(table.touch({5, {"k"}}).value, 2);
}

TEST_F(CachedTableTest, TellsApartKeysOfSeveralTexts) {
  make_database();
  AccountingTable table{10, kNoon};
  ASSERT_TRUE(table.attach(admin_.get(), ""));
  struct Row {
    const char* track_key;
    const char* period_key;
  };
  constexpr std::array kRows{Row{"ab", "c"}, Row{"a", "bc"}, Row{"c", "ab"}, Row{"ab", "d"}};
  for (std::int64_t i = 0; i < std::ssize(kRows); ++i) {
    const auto& [track_key, period_key] = kRows.at(static_cast<std::size_t>(i));
    AccountingCounter& counter = table.touch({1, {track_key, period_key}});
    counter.used = {i, 10 * i};
    table.changed(counter, {i, 10 * i});
  }
  ASSERT_EQ(table.write_dirty(), SQLITE_OK);
  table.committed();
  AccountingTable other{10, kNoon};
  ASSERT_TRUE(other.attach(admin_.get(), ""));
  for (std::int64_t i = 0; i < std::ssize(kRows); ++i) {
    const auto& [track_key, period_key] = kRows.at(static_cast<std::size_t>(i));
    EXPECT_EQ(table.touch({1, {track_key, period_key}}).used.kib, 10 * i) << track_key;
    EXPECT_EQ(other.touch({1, {track_key, period_key}}).used.messages, i) << track_key;
  }
}

TEST_F(CachedTableTest, WritesAtMostTheGivenNumberOfRows) {
  make_database();
  QuotaTable table{10, kNoon};
  attach(table);
  for (const char* key : {"a", "b", "c"}) change(table, key, 5);
  ASSERT_EQ(table.write_dirty(2), SQLITE_OK);
  table.committed();
  EXPECT_EQ(table.dirty(), 1U);
  EXPECT_EQ(ask_admin("SELECT group_concat(TrackKey) FROM quotas_tracking"), "a,b");
  ASSERT_EQ(table.write_dirty(2), SQLITE_OK);
  table.committed();
  EXPECT_EQ(table.dirty(), 0U);
  EXPECT_EQ(ask_admin("SELECT count(*) FROM quotas_tracking"), "3");
}

TEST_F(CachedTableTest, WritesAllItKnowsOverAnOlderTable) {
  make_database();
  QuotaTable table{10, kNoon};
  attach(table);
  for (const char* key : {"a", "b"}) change(table, key, 7);
  store(table);
  // As a backup of before has it: one row is older, the other is not there yet.
  admin(
      "UPDATE quotas_tracking SET Counter = 2 WHERE TrackKey = 'a';"
      "DELETE FROM quotas_tracking WHERE TrackKey = 'b'");
  table.on_foreign_commit();
  table.overwrite_table();
  EXPECT_EQ(table.touch({4, {"a"}}).value, 7);
  store(table);
  EXPECT_EQ(ask_admin("SELECT group_concat(Counter) FROM quotas_tracking ORDER BY TrackKey"),
            "7,7");
}

TEST_F(CachedTableTest, AddsWhatItCouldNeverReadToAnOlderTable) {
  make_database();
  admin(
      "INSERT INTO quotas_tracking (QuotasLimitsID, TrackKey, LastUpdate, Counter)"
      " VALUES (4, 'a', 1795348800, 3)");
  QuotaTable table{10, kNoon};
  ASSERT_TRUE(table.attach(nullptr, ""));
  Counter& counter = table.touch({4, {"a"}});
  counter.windowed = true;
  counter.period = std::chrono::seconds{60};
  counter.window.add(kNoon, counter.period, 2);
  counter.value = 2;
  counter.last_update_s = to_seconds(kNoon);
  table.changed(counter, 2);
  table.overwrite_table();
  attach(table);
  store(table);
  EXPECT_EQ(ask_admin("SELECT Counter FROM quotas_tracking"), "5");
}

}  // namespace
}  // namespace policyd
