// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/system/users.hpp"

#include <gtest/gtest.h>

namespace carbonio {
namespace {

TEST(Users, AreFoundByNameAndById) {
  const auto by_name = find_user("root");
  ASSERT_TRUE(by_name);
  EXPECT_EQ(by_name->id, 0U);
  EXPECT_EQ(by_name->group, 0U);
  EXPECT_EQ(find_user(uid_t{0})->name, "root");
  EXPECT_FALSE(find_user("no-such-user"));
}

}  // namespace
}  // namespace carbonio
