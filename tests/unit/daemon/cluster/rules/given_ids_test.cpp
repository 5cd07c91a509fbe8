// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/rules/given_ids.hpp"

#include <string>

#include "tests/unit/daemon/store/sqlite/store_fixture.hpp"

namespace policyd {
namespace {

class GivenIdsTest : public StoreTest {
 protected:
  GivenIdsTest() { make_database(); }

  std::string ids() { return given_ids(admin_.get(), {}).value(); }
  std::string of(const std::string& table) {
    return ask_admin("SELECT seq FROM sqlite_sequence WHERE name = '" + table + "'");
  }
  void raise(std::string_view text) { ASSERT_TRUE(raise_given_ids(admin_.get(), {}, text)); }
};

TEST_F(GivenIdsTest, RemovedRowsAreIncluded) {
  const std::string before = of("quotas");
  admin("DELETE FROM quotas");
  EXPECT_NE((" " + ids() + " ").find(" quotas=" + before + " "), std::string::npos) << ids();
}

TEST_F(GivenIdsTest, AreRaisedAndNeverLowered) {
  const std::string before = ids();
  raise("quotas=1 policies=0");
  EXPECT_EQ(ids(), before);
  raise("policies=44 quotas=99");
  EXPECT_EQ(of("quotas"), "99");
  EXPECT_EQ(of("policies"), "44");
  admin("DELETE FROM sqlite_sequence WHERE name = 'quotas'");  // as of a table that never had a row
  raise("quotas=100");
  EXPECT_EQ(of("quotas"), "100");
}

TEST_F(GivenIdsTest, AnythingElseIsIgnored) {
  const std::string before = ids();
  for (const std::string& text :
       {std::string{"nonsense"}, std::string{"quotas"}, std::string{"quotas="},
        std::string{"quotas=x"}, std::string{"quotas=-9"}, std::string{"=9 session_tracking=9"},
        std::string{"quotas=9223372036854775807"}, std::string{"quotas=99999999999999999999"},
        std::string(3'000, ' ') + "quotas=99"}) {
    SCOPED_TRACE(text.substr(0, 50));
    raise(text);
    EXPECT_EQ(ids(), before);
    EXPECT_EQ(given_ids(admin_.get(), {}, text).value(), before);
    EXPECT_EQ(of("session_tracking"), "(no row)");
  }
}

TEST_F(GivenIdsTest, ATableThatRemembersNoneIsLeftAlone) {
  admin("DROP TABLE quotas; CREATE TABLE quotas (ID INTEGER PRIMARY KEY, PolicyID INT, Name TEXT)");
  raise("quotas=99");
  EXPECT_EQ(of("quotas"), "(no row)");
  EXPECT_EQ(ids().find("quotas="), std::string::npos);
}

}  // namespace
}  // namespace policyd
