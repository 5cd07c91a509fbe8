// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/cli/typed_advice.hpp"

#include <gtest/gtest.h>

#include "plugin/cli/command.hpp"

namespace limits {
namespace {

constexpr const char* kAdvice = "try 'carbonio-limits usage', or carbonio-limits nothing";

std::string completed(std::string_view advice, const Arguments& arguments) {
  return TypedAdvice{arguments, {"list", "usage", "service"}}.complete(advice);
}

TEST(Advice, NamesTheDatabaseAndTheCarbonioThatWereGiven) {
  Arguments arguments;
  EXPECT_EQ(completed(kAdvice, arguments), kAdvice);
  arguments.add("zextras-home", {"/srv/a b"});
  EXPECT_EQ(completed(kAdvice, arguments),
            "try 'carbonio-limits --zextras-home '/srv/a b' usage', or carbonio-limits nothing");
  arguments.add("database", {"x.db"});
  EXPECT_EQ(completed("carbonio-limits list", arguments),
            "carbonio-limits --database x.db --zextras-home '/srv/a b' list");
  // The daemon's configuration names the database.
  EXPECT_EQ(completed("carbonio-limits service start", arguments),
            "carbonio-limits --zextras-home '/srv/a b' service start");
}

TEST(Advice, NamesAnyoneSoThatNoNameIsAnOption) {
  EXPECT_EQ(command_about("reset", "anna@example.org"), "carbonio-limits reset anna@example.org");
  EXPECT_EQ(command_about("reset", "max m", "--limit 3"),
            "carbonio-limits reset 'max m' --limit 3");
  EXPECT_EQ(command_about("unblock", "-d@example.org"),
            "carbonio-limits unblock -- -d@example.org");
  EXPECT_EQ(command_about("unblock", "-d@example.org", "--release"),
            "carbonio-limits unblock --release -- -d@example.org");
}

}  // namespace
}  // namespace limits
