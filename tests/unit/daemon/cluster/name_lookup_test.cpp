// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/name_lookup.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <optional>
#include <string>

#include "tests/unit/daemon/loop/manual_loop.hpp"

namespace policyd {
namespace {

using Found = Result<std::vector<SocketAddress>>;

class NameLookupTest : public testing::Test {
 protected:
  Found look_up(const RedisHost& host) {
    std::optional<Found> found;
    names_.look_up(host, [&found](Found result) { found = std::move(result); });
    EXPECT_FALSE(found) << "before look_up() returned";
    EXPECT_TRUE(loop_.run_one_from_thread());
    return found.value_or(failure("no result"));
  }

  ManualLoop loop_;
  NameLookup names_{loop_};
};

std::uint16_t port_of(const SocketAddress& address) {
  // The port is at the same place for IPv4 and IPv6.
  return ntohs(reinterpret_cast<const sockaddr_in&>(address.storage).sin_port);
}

TEST_F(NameLookupTest, FindsAddressesAndNamesOfTheHostsFile) {
  const auto v4 = look_up({"192.0.2.1", 6379});
  ASSERT_TRUE(v4);
  ASSERT_EQ(v4->size(), 1U);
  EXPECT_EQ(v4->front().storage.ss_family, AF_INET);
  EXPECT_EQ(port_of(v4->front()), 6379);
  const auto v6 = look_up({"2001:db8::1", 1});
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->front().storage.ss_family, AF_INET6);
  EXPECT_EQ(port_of(v6->front()), 1);
  const auto name = look_up({"localhost", 65535});
  ASSERT_TRUE(name) << name.error().message;
  EXPECT_EQ(port_of(name->front()), 65535);
}

TEST_F(NameLookupTest, TakesAPathAsItIs) {
  const auto found = look_up({"/run/r.sock", 0});
  ASSERT_TRUE(found);
  const auto& address = reinterpret_cast<const sockaddr_un&>(found->front().storage);
  EXPECT_EQ(address.sun_family, AF_UNIX);
  EXPECT_STREQ(address.sun_path, "/run/r.sock");
}

TEST_F(NameLookupTest, ReportsAnUnknownName) {
  const auto found = look_up({"no-such-host.invalid", 6379});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().message.find("the name cannot be resolved: "), 0U);
  EXPECT_NE(found.error().message.find("; correct url in [cluster], or add the name to /etc/hosts"),
            std::string::npos);
}

TEST_F(NameLookupTest, StartsNoSecondThread) {
  const std::string refused = "the name is still being resolved; check the DNS";
  bool seen = false;
  for (int round = 0; round < 100 && !seen; ++round) {  // the first may be that quick
    int answers = 0;
    for (int i = 0; i < 2; ++i) {
      names_.look_up({"no-such-host.invalid", 1}, [&](const Found& found) {
        ++answers;
        seen = seen || found.error().message.find(refused) == 0;
      });
    }
    while (answers < 2) ASSERT_TRUE(loop_.run_one_from_thread());
  }
  EXPECT_TRUE(seen);
}

TEST(NameLookup, DropsTheResultsOfAnOwnerThatIsGone) {
  ManualLoop loop;
  for (int i = 0; i < 20; ++i) {
    NameLookup names{loop};
    names.look_up({"localhost", 1}, [](const Found&) {});
  }
  loop.run_posted();
}

}  // namespace
}  // namespace policyd
