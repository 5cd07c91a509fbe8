// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/names/origin.hpp"

#include <gtest/gtest.h>

namespace policyd {
namespace {

TEST(Origin, IsAddedToAnAddressWithoutAnAtSign) {
  EXPECT_TRUE(lacks_domain("anna"));
  EXPECT_TRUE(lacks_domain("example.org!anna"));
  EXPECT_FALSE(lacks_domain(""));
  EXPECT_FALSE(lacks_domain("anna@example.org"));
  EXPECT_FALSE(lacks_domain("anna@"));
}

// As trivial-rewrite(8) answers, but for the last three, of which it leaves nothing that could be
// delivered.
TEST(Origin, IsUsedAsByPostfix) {
  struct Row {
    const char* address;
    const char* whole;
  };
  for (const Row& row : {
           Row{"anna", "anna@own.test"},
           Row{"postmaster", "postmaster@own.test"},
           Row{"anna.", "anna.@own.test"},
           Row{"example.org!anna", "anna@example.org"},
           Row{"example.org!far.test!anna", "far.test!anna@example.org"},
           Row{"anna%example.org", "anna@example.org"},
           Row{"anna%far.test%example.org", "anna%far.test@example.org"},
           Row{"example.org!anna%far.test", "anna%far.test@example.org"},
           Row{"max m%example.org", "max m%example.org@own.test"},
           Row{"a..b%example.org", "a..b%example.org@own.test"},
           Row{"anna%example.org.", "anna%example.org.@own.test"},
           Row{"!anna", "!anna@own.test"},
           Row{"example.org!", "example.org!@own.test"},
           Row{"%", "%@own.test"},
       }) {
    EXPECT_EQ(with_domain(row.address, "own.test"), row.whole);
  }
}

}  // namespace
}  // namespace policyd
