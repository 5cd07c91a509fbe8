// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/lru_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <random>
#include <string>
#include <vector>

namespace policyd {
namespace {

using Names = LruTable<std::string>;

std::string* find(Names& names, std::size_t hash, const std::string& name) {
  return names.find(hash, [&](const std::string& known) { return known == name; });
}

std::vector<std::string> all(const Names& names) {
  std::vector<std::string> found;
  names.each([&](const std::string& name) {
    found.push_back(name);
    return true;
  });
  return found;
}

TEST(LruTable, IsEmptyAtFirst) {
  Names names;
  EXPECT_EQ(find(names, 7, "a"), nullptr);
  EXPECT_EQ(names.size(), 0U);
  EXPECT_TRUE(all(names).empty());
}

TEST(LruTable, FindsByHashAndValueAndMovesToTheFront) {
  Names names;
  names.add(7) = "a";
  names.add(7) = "b";
  names.add(8) = "c";
  EXPECT_EQ(all(names), (std::vector<std::string>{"c", "b", "a"}));
  ASSERT_NE(find(names, 7, "a"), nullptr);
  EXPECT_EQ(all(names), (std::vector<std::string>{"a", "c", "b"}));
  EXPECT_EQ(find(names, 8, "a"), nullptr);
  EXPECT_EQ(find(names, 7, "d"), nullptr);
}

TEST(LruTable, DropsOrKeepsTheOldest) {
  Names names;
  for (std::size_t i = 0; i < 3; ++i) names.add(i) = std::string(1, static_cast<char>('a' + i));
  EXPECT_EQ(names.oldest(), "a");
  names.keep_oldest();
  EXPECT_EQ(names.oldest(), "b");
  names.drop_oldest();
  EXPECT_EQ(all(names), (std::vector<std::string>{"a", "c"}));
  EXPECT_EQ(find(names, 1, "b"), nullptr);
  EXPECT_EQ(names.add(5), "");  // in the slot of the dropped value
}

TEST(LruTable, StopsVisitingOnFalse) {
  Names names;
  names.add(1) = "a";
  names.add(2) = "b";
  int seen = 0;
  names.each([&](const std::string&) { return ++seen < 1; });
  EXPECT_EQ(seen, 1);
}

// Compared with a list, with colliding hashes.
TEST(LruTable, AgreesWithAListUnderRandomOperations) {
  std::mt19937 dice{3};
  for (const std::size_t hashes : {1U, 7U, 1000U}) {
    LruTable<int> table;
    std::list<int> model;  // most recently used first
    for (int step = 0; step < 20'000; ++step) {
      const int number = static_cast<int>(dice() % 300);
      const std::size_t hash = static_cast<std::size_t>(number) % hashes * 0x9E3779B97F4A7C15ULL;
      const int* found = table.find(hash, [number](int known) { return known == number; });
      const auto in_model = std::find(model.begin(), model.end(), number);
      ASSERT_EQ(found != nullptr, in_model != model.end());
      if (found != nullptr) {
        model.splice(model.begin(), model, in_model);
      } else {
        table.add(hash) = number;
        model.push_front(number);
      }
      while (table.size() > 1 + dice() % 200) {
        ASSERT_EQ(table.oldest(), model.back());
        table.drop_oldest();
        model.pop_back();
      }
      ASSERT_EQ(table.size(), model.size());
    }
    std::list<int> left;
    table.each([&](int number) {
      left.push_back(number);
      return true;
    });
    EXPECT_EQ(left, model);
  }
}

}  // namespace
}  // namespace policyd
