// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/count/stored_counters.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/daemon/store/sqlite/store_fixture.hpp"

namespace policyd {
namespace {

class StoredCountersTest : public StoreTest {
 protected:
  StoredCountersTest() {
    make_database();
    stored_ = std::make_unique<StoredCounters>(loop_, *log_, file_, "", [] { return kNoon; });
  }
  ~StoredCountersTest() override { stored_.reset(); }

  // "key units" of the next slice.
  std::vector<std::string> slice(std::size_t most) {
    std::vector<std::string> out;
    bool done = false;
    stored_->next(most, [&](const std::vector<OwnCounters::Counter>& counters) {
      for (const auto& counter : counters) {
        EXPECT_EQ(counter.limit_id, 4);
        EXPECT_EQ(counter.period, std::chrono::seconds{60});
        out.push_back(counter.track_key + " " + std::to_string(counter.own.use()));
      }
      done = true;
    });
    while (!done) {
      if (!loop_.run_one_from_thread()) break;
    }
    std::sort(out.begin(), out.end());
    return out;
  }
  void put(const std::string& key, int units, int seconds_ago) {
    admin(
        "INSERT INTO quotas_tracking (QuotasLimitsID, TrackKey, LastUpdate, Counter) VALUES (4, '" +
        key + "', " + std::to_string(1795348800 - seconds_ago) + ", " + std::to_string(units) +
        ")");
  }

  std::unique_ptr<StoredCounters> stored_;
};

TEST_F(StoredCountersTest, ComeInSlicesAndThenNone) {
  for (const char* key : {"a", "b", "c"}) put(key, 2, 5);
  EXPECT_EQ(slice(2), (std::vector<std::string>{"a 2", "b 2"}));
  EXPECT_EQ(slice(2), (std::vector<std::string>{"c 2"}));
  EXPECT_TRUE(slice(2).empty());
  stored_->begin();
  EXPECT_EQ(slice(9).size(), 3U);
}

TEST_F(StoredCountersTest, OnlyThoseOfTheLastPeriod) {
  put("old", 2, 61);
  put("new", 1, 59);
  EXPECT_EQ(slice(9), (std::vector<std::string>{"new 1"}));
}

TEST_F(StoredCountersTest, ASliceOfAnEarlierRoundDoesNotCome) {
  put("a", 2, 5);
  bool came = false;
  stored_->next(9, [&](const std::vector<OwnCounters::Counter>&) { came = true; });
  stored_->begin();
  EXPECT_EQ(slice(9).size(), 1U);
  EXPECT_FALSE(came);
}

TEST_F(StoredCountersTest, WithoutADatabaseThereAreNone) {
  remove_database(file_);
  EXPECT_TRUE(slice(9).empty());
}

}  // namespace
}  // namespace policyd
