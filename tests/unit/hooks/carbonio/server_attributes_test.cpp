// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/carbonio/server_attributes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace carbonio {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Act = AttributeChange::Action;

constexpr const char* kText =
    "# name mail.example.com\nzimbraServiceEnabled: mta\nzimbraServiceEnabled: mailbox\n";
const Entry kServer{"mail.example.com", attributes_in(kText)};

TEST(AttributeChange, ChangesOnlyWhatDiffers) {
  const Attributes global = attributes_in("quotas: TRUE\nspf: FALSE\n");
  const std::array<AttributeChange, 4> changes = {{{Act::add, "zimbraServiceEnabled", "cbpolicyd"},
                                                   {Act::add, "zimbraServiceEnabled", "mta"},
                                                   {Act::set, "quotas", "TRUE"},
                                                   {Act::set, "spf", "TRUE"}}};
  EXPECT_THAT(
      command_for(kServer, global, changes),
      ElementsAre("ms", "mail.example.com", "+zimbraServiceEnabled", "cbpolicyd", "spf", "TRUE"));
  EXPECT_THAT(
      command_for(kServer, global, std::array<AttributeChange, 1>{{{Act::set, "quotas", "TRUE"}}}),
      IsEmpty());
}

TEST(AttributeChange, RemovesOnlyExistingValues) {
  const std::array<AttributeChange, 2> changes = {{{Act::remove, "zimbraServiceEnabled", "mailbox"},
                                                   {Act::remove, "zimbraServiceEnabled", "x"}}};
  EXPECT_THAT(command_for(kServer, {}, changes),
              ElementsAre("ms", "mail.example.com", "-zimbraServiceEnabled", "mailbox"));
}

TEST(AttributeChange, SetMeansOneValue) {
  const std::array<AttributeChange, 1> change = {{{Act::set, "zimbraServiceEnabled", "mta"}}};
  EXPECT_FALSE(is_applied(kServer, {}, change[0])) << "it has two";
}

TEST(AttributeChange, TheDefaultAppliesWithoutAnyValue) {
  const AttributeChange change{Act::set, "greet", "ignore", "ignore"};
  EXPECT_TRUE(is_applied(kServer, {}, change));
  EXPECT_FALSE(is_applied(kServer, attributes_in("greet: drop\n"), change));
  EXPECT_FALSE(is_applied(kServer, {}, AttributeChange{Act::set, "greet", "ignore"}))
      << "unknown default";
}

TEST(AttributeChange, CopiesAnInheritedList) {
  const Attributes global = attributes_in("sites: a.example\nsites: b.example\n");
  const std::array<AttributeChange, 2> changes = {
      {{Act::add, "sites", "c.example"}, {Act::add, "sites", "d.example"}}};
  EXPECT_THAT(command_for(kServer, global, changes),
              ElementsAre("ms", "mail.example.com", "+sites", "a.example", "+sites", "b.example",
                          "+sites", "c.example", "+sites", "d.example"));
  EXPECT_THAT(command_for(Entry{{}, global}, global, changes),
              ElementsAre("mcf", "+sites", "c.example", "+sites", "d.example"));
}

TEST(Directory, AsksForEachServerOrForAllInOne) {
  const std::vector<std::string> names = {"x", "y"};
  EXPECT_THAT(directory_questions({{"a", "b"}, false, false}, names, Inherited::without),
              ElementsAre(ProvCommand{"gacf", "x", "y"}, ProvCommand{"gs", "-e", "a", "x", "y"},
                          ProvCommand{"gs", "-e", "b", "x", "y"}));
  EXPECT_THAT(directory_questions({{}, true, false}, names, Inherited::with),
              ElementsAre(ProvCommand{"gacf", "x", "y"}, ProvCommand{"gas", "-v", "mta"}));
}

TEST(Directory, ReadsAllServersOfOneAnswer) {
  const std::array<std::string, 2> answers = {
      "quotas: TRUE\n", "WARN odd\n# name a\nx: 1\nnotes: see # name z\n# name b\nx: 2\nx: 3\n"};
  const auto directory = directory_in(answers, {{}, true, false});
  ASSERT_TRUE(directory) << directory.error().message;
  ASSERT_EQ(directory->entries.size(), 2U);
  EXPECT_EQ(directory->entries[0].name, "a");
  EXPECT_THAT(directory->entries[1].attributes.values("X"), ElementsAre("2", "3"));
  EXPECT_THAT(directory->global.values("quotas"), ElementsAre("TRUE"));
}

TEST(Directory, WhatShowsNoServerIsAnError) {
  const std::array<std::string, 2> answers = {"", ""};
  EXPECT_THAT(directory_in(answers, {{"a"}, false, false}).error().message, HasSubstr("gs a"));
  EXPECT_THAT(directory_in(answers, {{}, true, false}).error().message, HasSubstr("no MTA host"));
}

}  // namespace
}  // namespace carbonio
