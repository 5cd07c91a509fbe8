// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/rules/rule_text.hpp"

#include <string>

#include "tests/unit/daemon/store/sqlite/store_fixture.hpp"

namespace policyd {
namespace {

class RuleTextTest : public StoreTest {
 protected:
  RuleTextTest() { make_database(); }

  std::string saved() {
    const auto bytes = save_rules(admin_.get(), {});
    EXPECT_TRUE(bytes) << bytes.error().message;
    return bytes.value_or("");
  }
  Result<void> replace(std::string_view bytes) {
    sql::Transaction transaction{admin_.get()};
    if (auto begun = transaction.begin_immediate(); !begun) return begun;
    if (auto done = replace_rules(admin_.get(), {}, bytes); !done) return done;
    return transaction.commit();
  }
  std::string rows() {
    std::string out;
    for (const char* table : rule_tables()) {
      out += ask_admin("SELECT count(*) || coalesce(sum(ID), '') FROM " + std::string{table}) + " ";
    }
    return out;
  }
};

TEST_F(RuleTextTest, EqualRulesAreEqualBytes) {
  const std::string before = saved();
  admin("UPDATE quotas SET Comment = Comment; ALTER TABLE quotas ADD COLUMN Extra TEXT");
  EXPECT_EQ(saved(), before);
  EXPECT_EQ(sha1_of(saved()), sha1_of(before));
  admin("UPDATE quotas SET Period = Period + 1 WHERE ID = 3");
  EXPECT_NE(sha1_of(saved()), sha1_of(before));
  EXPECT_EQ(sha1_of(before).size(), 40U);
}

TEST_F(RuleTextTest, TheDigestIsSha1) {
  EXPECT_EQ(sha1_of("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

TEST_F(RuleTextTest, RowsComeBackAsTheyWere) {
  admin(
      "UPDATE quotas SET Name = 'it''s ' || char(10), Comment = NULL, Data = x'00ff27', "
      "Period = 1.5 WHERE ID = 3; UPDATE policies SET Name = 'a' || char(0) || 'b' WHERE ID = 6;"
      "INSERT INTO quotas_limits (ID, QuotasID, Type, CounterLimit) VALUES (99, 3, 'MessageCount', "
      "9007199254740993)");
  const std::string before = saved();
  const std::string rows_before = rows();
  admin(
      "DELETE FROM policies; DELETE FROM quotas_limits; INSERT INTO policy_groups (Name) VALUES "
      "('x')");
  ASSERT_TRUE(replace(before));
  EXPECT_EQ(saved(), before);
  EXPECT_EQ(rows(), rows_before);
}

TEST_F(RuleTextTest, AValueThatOthersCannotReadIsNotSaved) {
  const auto set = [&](const std::string& column, const std::string& value) {
    admin("UPDATE policies SET " + column + " = " + value + " WHERE ID = 6");
    return save_rules(admin_.get(), {});
  };
  const std::string mib = "1024 * 1024";
  for (const std::string column : {"Name", "Description"}) {
    SCOPED_TRACE(column);
    const auto largest = set(column, "printf('%.*c', " + mib + ", 'x')");
    ASSERT_TRUE(largest);
    EXPECT_TRUE(replace(*largest));
    for (const std::string& value :
         {"printf('%.*c', " + mib + " + 1, 'x')", "zeroblob(" + mib + " + 1)"}) {
      const auto larger = set(column, value);
      ASSERT_FALSE(larger);
      EXPECT_EQ(larger.error().message,
                "policies 6: " + column + " is longer than 1 MiB, too long to be shared");
    }
    set(column, "'x'");
  }
}

TEST_F(RuleTextTest, TheRulesVersionRises) {
  const std::string version = ask_admin("SELECT Version FROM limits_rules_version");
  ASSERT_TRUE(replace(saved()));
  EXPECT_NE(ask_admin("SELECT Version FROM limits_rules_version"), version);
}

TEST_F(RuleTextTest, AsStatementsTheyDoTheSame) {
  admin(
      "UPDATE quotas SET Name = 'it''s', Comment = NULL, Data = x'00ff27', Period = 1.5 WHERE ID = "
      "3; UPDATE quotas_limits SET CounterLimit = -9e999 WHERE ID = 4;"
      "UPDATE policies SET Name = 'a' || char(0) || 'b' WHERE ID = 6");
  const std::string before = saved();
  const auto text = rules_as_sql(before, {});
  ASSERT_TRUE(text);
  admin("DELETE FROM quotas; DELETE FROM policies; DELETE FROM quotas_limits");
  admin(*text);
  EXPECT_EQ(saved(), before);
}

TEST_F(RuleTextTest, OtherBytesChangeNothing) {
  const std::string before = saved();
  const std::string last = before.substr(0, before.size() - 1);
  std::string other_version = before;
  other_version[0] = 9;
  std::string other_table = before;
  other_table.replace(other_table.find("quotas_limits"), 13, "quotas_limitz");
  std::string other_column = before;
  other_column.replace(other_column.find("CounterLimit"), 12, "x) SELECT 1;");
  for (const std::string& bytes :
       {std::string{}, last, before + "x", before.substr(0, 500), other_version, other_table,
        other_column, std::string(999, 'a')}) {
    EXPECT_FALSE(replace(bytes)) << bytes.size();
    EXPECT_EQ(saved(), before);
  }
}

TEST_F(RuleTextTest, CountsThem) {
  EXPECT_EQ(count_rules(saved()).policies, 6U);
  EXPECT_EQ(count_rules(saved()).quotas, 3U);
  EXPECT_EQ(count_rules("nonsense").policies, 0U);
}

}  // namespace
}  // namespace policyd
