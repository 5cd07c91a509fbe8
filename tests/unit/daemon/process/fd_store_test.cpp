// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/process/fd_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <string>

#include "daemon/process/readiness.hpp"
#include "hooks/service/supervisor.hpp"

namespace policyd {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(FdStore, AcceptsOnlyWhatIsMeantForThisProcess) {
  const std::string us = std::to_string(::getpid());
  const auto two = handed_over(us.c_str(), "2", "cbpolicyd-localhost-10031:other");
  EXPECT_EQ(two.count, 2);
  EXPECT_THAT(two.names, ElementsAre("cbpolicyd-localhost-10031", "other"));
  EXPECT_EQ(handed_over("1", "2", "a:b").count, 0) << "our parent's";
  EXPECT_EQ(handed_over(nullptr, "2", nullptr).count, 0);
  EXPECT_EQ(handed_over(us.c_str(), nullptr, nullptr).count, 0);
  EXPECT_EQ(handed_over(us.c_str(), "-1", nullptr).count, 0);
  EXPECT_EQ(handed_over(us.c_str(), "x", nullptr).count, 0);
  EXPECT_EQ(handed_over(us.c_str(), "1000000", nullptr).count, 64);
  EXPECT_THAT(handed_over(us.c_str(), "2", "one").names, IsEmpty()) << "names that do not match";
}

TEST(FdStore, IsNamedAfterTheConfiguredSockets) {
  Config config;
  config.host = "localhost";
  config.port = "10031";
  EXPECT_EQ(store_name(config), "cbpolicyd-localhost-10031");
  config.host = "::1";
  EXPECT_EQ(store_name(config), "cbpolicyd-__1-10031") << "a colon is not allowed";
  config.unix_socket = true;
  config.port = "/run/carbonio/policy socket";
  EXPECT_EQ(store_name(config), "cbpolicyd-unix-/run/carbonio/policy_socket");
}

TEST(Readiness, UsesAWatchdogMeantForThisProcessOnly) {
  using std::chrono::microseconds;
  const std::string us = std::to_string(::getpid());
  EXPECT_EQ(watchdog_interval("60000000", us.c_str()), microseconds{60'000'000});
  EXPECT_EQ(watchdog_interval("5000000000", nullptr), microseconds{5'000'000'000});
  EXPECT_EQ(watchdog_interval("60000000", "1"), microseconds{0});
  EXPECT_EQ(watchdog_interval(nullptr, nullptr), microseconds{0});
  EXPECT_EQ(watchdog_interval("1s", nullptr), microseconds{0});
}

TEST(Supervisor, PassesOnUsefulVariablesAndNoSecrets) {
  const std::array<const char*, 10> environment = {"PATH=/bin",
                                                   "zimbra_ldap_password=S3cret",
                                                   "LC_ALL=C.UTF-8",
                                                   "LISTEN_FDS=3",
                                                   "PATHOLOGY=no",
                                                   "ZEXTRAS_HOME=/opt/zextras",
                                                   "NOTIFY_SOCKET=/run",
                                                   "WATCHDOG_USEC=1",
                                                   "TZ=UTC",
                                                   nullptr};
  EXPECT_THAT(carbonio::worker_environment(environment.data()),
              ElementsAre("PATH=/bin", "LC_ALL=C.UTF-8", "ZEXTRAS_HOME=/opt/zextras", "TZ=UTC"));
}

}  // namespace
}  // namespace policyd
