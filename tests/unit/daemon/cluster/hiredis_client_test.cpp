// SPDX-License-Identifier: AGPL-3.0-only
// The client against a real Redis: replies, logins, and servers that may not be used.
#include "daemon/cluster/hiredis_client.hpp"

#include <sys/stat.h>

#include "tests/unit/daemon/cluster/redis_fixture.hpp"

namespace policyd {
namespace {

class HiredisClientTest : public RedisFixture {};

TEST_F(HiredisClientTest, IsReadyWithRunIdAndVersion) {
  RedisProcess redis;
  redis.start();
  connect("unix://" + redis.socket());
  EXPECT_FALSE(client_->ready());
  EXPECT_EQ(client_->trouble(), "not connected yet");
  ASSERT_TRUE(becomes_ready());
  EXPECT_EQ(client_->trouble(), "");
  EXPECT_EQ(client_->server().address, redis.socket());
  EXPECT_EQ(client_->server().run_id.size(), 40U);
  EXPECT_FALSE(client_->server().version.empty());
  ASSERT_TRUE(wait_until([this] { return changes_ == 1; }));
}

TEST_F(HiredisClientTest, AnswersCommandsOfAllKinds) {
  RedisProcess redis;
  redis.start();
  connect("unix://" + redis.socket());
  ASSERT_TRUE(becomes_ready());
  const std::string bytes("a\0\r\n\xff", 5);
  EXPECT_EQ(ask_text({"SET", bytes, bytes}), "OK");
  EXPECT_EQ(ask_text({"GET", bytes}), bytes);
  EXPECT_EQ(ask({"GET", "none"}).kind, RedisReply::Kind::nothing);
  EXPECT_EQ(ask({"INCRBY", "n", "41"}).number, 41);
  EXPECT_EQ(ask_text({"HGET", bytes, "x"}).substr(0, 16), "error: WRONGTYPE");
  const auto list = ask({"EVAL", "return {1, 'two', {3, false}}", "0"});
  ASSERT_EQ(list.list.size(), 3U);
  EXPECT_EQ(list.list[0].number, 1);
  EXPECT_EQ(list.list[1].text, "two");
  EXPECT_EQ(list.list[2].list[1].kind, RedisReply::Kind::nothing);
  EXPECT_TRUE(client_->ready());
}

TEST_F(HiredisClientTest, AnswersTenThousandCommandsInOrder) {
  RedisProcess redis;
  redis.start();
  connect("unix://" + redis.socket());
  ASSERT_TRUE(becomes_ready());
  constexpr int kCount = 10'000;
  int answered = 0;
  for (int i = 1; i <= kCount; ++i) {
    client_->command({"INCR", "n"}, [&answered](const Result<RedisReply>& reply) {
      ++answered;
      ASSERT_TRUE(reply);
      ASSERT_EQ(reply->number, answered);
    });
  }
  EXPECT_TRUE(wait_until([&] { return answered == kCount; }));
}

TEST_F(HiredisClientTest, SendsAndReceivesLargeTextsAndDropsLargerOnes) {
  RedisProcess redis;
  redis.start();
  connect("unix://" + redis.socket());
  ASSERT_TRUE(becomes_ready());
  const std::string large(10 * 1024 * 1024, 'x');
  EXPECT_EQ(ask_text({"SET", "k", large}), "OK");
  EXPECT_TRUE(ask_text({"GET", "k"}) == large);
  EXPECT_EQ(ask({"APPEND", "k", large}).number, 20 * 1024 * 1024);
  EXPECT_EQ(ask_text({"GET", "k"}),
            "error: Redis " + redis.socket() +
                ": sent a reply of more than 16 MiB; check the port in url in [cluster] (TLS is "
                "not supported)");
  ASSERT_TRUE(becomes_ready());
  EXPECT_EQ(ask_text({"PING"}), "PONG");
}

TEST_F(HiredisClientTest, SelectsTheDatabase) {
  RedisProcess redis;
  redis.start();
  connect("unix://" + redis.socket() + "?db=3");
  ASSERT_TRUE(becomes_ready());
  EXPECT_EQ(ask_text({"SET", "k", "v"}), "OK");
  EXPECT_NE(ask_text({"INFO", "keyspace"}).find("db3:keys=1"), std::string::npos);
  connect("unix://" + redis.socket() + "?db=99", quick());
  EXPECT_TRUE(trouble_becomes("Redis " + redis.socket() + ": has no database 99; correct url"));
}

TEST_F(HiredisClientTest, LogsInWithThePasswordAsItIsAtEachConnection) {
  RedisProcess redis({"--requirepass", "right"});
  redis.start();
  connect("unix://" + redis.socket(), quick());
  EXPECT_TRUE(trouble_becomes("asks for a password; set password_file in [cluster]"));
  auto settings = quick();
  settings.password_file = redis.folder() / "password";
  const auto write = [&](const std::string& password) {
    std::ofstream(settings.password_file) << password << '\n';
    ::chmod(settings.password_file.c_str(), 0640);
  };
  connect("unix://" + redis.socket(), settings);
  EXPECT_TRUE(trouble_becomes("cannot use password_file " + settings.password_file.string() +
                              ": No such file or directory"));
  write("wrong");
  EXPECT_TRUE(trouble_becomes("refuses the password in " + settings.password_file.string()));
  write("right");
  ASSERT_TRUE(becomes_ready());
  EXPECT_EQ(ask_text({"PING"}), "PONG");
}

TEST_F(HiredisClientTest, LogsInAsAUser) {
  RedisProcess redis;
  redis.config = "user mta on >pw ~* &* +@all\n";
  redis.start();
  auto settings = quick();
  connect("unix://other@" + redis.socket(), settings);
  EXPECT_TRUE(trouble_becomes("refuses user 'other' without a password; set password_file"));
  settings.password_file = redis.folder() / "password";
  std::ofstream(settings.password_file) << "pw";
  ::chmod(settings.password_file.c_str(), 0600);
  connect("unix://mta@" + redis.socket(), settings);
  ASSERT_TRUE(becomes_ready());
  EXPECT_EQ(ask_text({"ACL", "WHOAMI"}), "mta");
  connect("unix://" + redis.socket(), settings);
  EXPECT_TRUE(trouble_becomes("has no password; empty password_file in [cluster], or give"));
}

TEST_F(HiredisClientTest, UsesNoReplicaButTheNextAddress) {
  RedisProcess master;
  master.port = TcpListener{}.port;
  master.start();
  RedisProcess replica({"--replicaof", "127.0.0.1 " + std::to_string(master.port)});
  replica.port = TcpListener{}.port;
  replica.start();
  const std::string to_replica = "redis://localhost:" + std::to_string(replica.port);
  connect(to_replica, quick());
  EXPECT_TRUE(trouble_becomes("is a replica of 127.0.0.1:" + std::to_string(master.port)));
  connect(to_replica + ",127.0.0.1:" + std::to_string(master.port), quick());
  ASSERT_TRUE(becomes_ready());
  EXPECT_EQ(client_->server().address, "127.0.0.1:" + std::to_string(master.port));
}

// localhost has two addresses on most hosts: the second is tried after the first is given up, from
// within its connection.
TEST_F(HiredisClientTest, GivesUpEachAddressOfAName) {
  RedisProcess redis({"--bind", "127.0.0.1", "-::1"});
  redis.port = TcpListener{}.port;
  redis.start();
  auto settings = quick();
  settings.password_file = redis.folder() / "password";
  connect("redis://localhost:" + std::to_string(redis.port), settings);
  EXPECT_TRUE(trouble_becomes(": No such file or directory; write the password into it"));
  settings.password_file.clear();
  connect("redis://localhost:" + std::to_string(redis.port) + "/99", settings);
  EXPECT_TRUE(trouble_becomes("has no database 99"));
  EXPECT_EQ(redis.ask("PING"), "+PONG\r\n");
}

TEST_F(HiredisClientTest, ReportsAServerWithTooManyClients) {
  RedisProcess redis({"--maxclients", "1"});
  redis.start();
  connect("unix://" + redis.socket());
  ASSERT_TRUE(becomes_ready());
  HiredisSettings settings = quick();
  settings.address = *parse_redis_address("unix://" + redis.socket());
  HiredisClient second{loop_, settings, [] {}};
  EXPECT_TRUE(wait_until([&] {
    return second.trouble().find("has too many clients; raise maxclients") != std::string::npos;
  })) << second.trouble();
  EXPECT_TRUE(client_->ready());
}

TEST_F(HiredisClientTest, ReportsEachAddressThatCannotBeReached) {
  const int port = TcpListener{}.port;
  connect("redis://127.0.0.1:" + std::to_string(port) + ",no-such-host.invalid", quick());
  EXPECT_TRUE(trouble_becomes(fmt::format(
      "Redis 127.0.0.1:{}: Connection refused; start Redis there, or correct url in [cluster]; "
      "Redis no-such-host.invalid:6379: the name",
      port)));
  EXPECT_EQ(ask_text({"PING"}), "error: " + client_->trouble());
  connect("unix:///no/such/socket", quick());
  EXPECT_TRUE(trouble_becomes("Redis /no/such/socket: No such file or directory; start Redis"));
}

TEST_F(HiredisClientTest, UsesNoSentinelAsServerNorServerAsSentinel) {
  RedisProcess redis;
  redis.port = TcpListener{}.port;
  redis.start();
  RedisProcess sentinel({}, "redis-sentinel");
  const int port = TcpListener{}.port;
  sentinel.config = "port " + std::to_string(port) + "\n";
  sentinel.start();
  connect("redis://127.0.0.1:" + std::to_string(port) + "/1", quick());
  EXPECT_TRUE(trouble_becomes("is a Sentinel; write sentinel://HOST,HOST/MASTER"));
  connect("sentinel://127.0.0.1:" + std::to_string(redis.port) + "/m", quick());
  EXPECT_TRUE(trouble_becomes("is not a Sentinel; write redis://HOST"));
  connect("sentinel://127.0.0.1:" + std::to_string(port) + "/m", quick());
  EXPECT_TRUE(trouble_becomes("does not know the master 'm'; write the name in sentinel.conf"));
}

}  // namespace
}  // namespace policyd
