// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/redis_greeting.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <fstream>
#include <string>
#include <vector>

namespace policyd {
namespace {

using Replies = std::vector<Result<RedisReply>>;

RedisReply text_reply(std::string text) { return {RedisReply::Kind::text, 0, std::move(text), {}}; }

RedisReply list_reply(const std::vector<std::string>& words) {
  RedisReply reply{RedisReply::Kind::list, 0, {}, {}};
  for (const std::string& word : words) reply.list.push_back(text_reply(word));
  return reply;
}

constexpr const char* kServer =
    "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:0a1b\r\n";
constexpr const char* kMaster = "# Replication\r\nrole:master\r\n";

Replies replies_of(const std::string& server, const std::string& replication) {
  return {text_reply(server), text_reply(replication), text_reply("PONG")};
}

TEST(RedisGreeting, AsksForNoMoreThanIsNeeded) {
  EXPECT_EQ(greeting_of({}),
            (std::vector<RedisCommand>{{"INFO", "server"}, {"INFO", "replication"}, {"PING"}}));
  EXPECT_EQ(
      greeting_of({"", "p", "/f", 2}),
      (std::vector<RedisCommand>{
          {"AUTH", "p"}, {"INFO", "server"}, {"INFO", "replication"}, {"PING"}, {"SELECT", "2"}}));
  EXPECT_EQ(greeting_of({"u", "p", "/f", 0}).front(), (RedisCommand{"AUTH", "u", "p"}));
  EXPECT_EQ(sentinel_greeting_of({}, "m"),
            (std::vector<RedisCommand>{{"SENTINEL", "get-master-addr-by-name", "m"}}));
  EXPECT_EQ(sentinel_greeting_of({"", "p", "/f", 0}, "m").front(), (RedisCommand{"AUTH", "p"}));
}

TEST(RedisGreeting, ReadsAServer) {
  const auto server = read_greeting({}, replies_of(kServer, kMaster));
  ASSERT_TRUE(server) << server.error().message;
  EXPECT_EQ(*server, (RedisServer{"", "0a1b", "Redis 7.0.15"}));
  const auto valkey = read_greeting(
      {}, replies_of("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.1\r\n"
                     "server_mode:standalone\r\nrun_id:1\r\n",
                     kMaster));
  ASSERT_TRUE(valkey) << valkey.error().message;
  EXPECT_EQ(*valkey, (RedisServer{"", "1", "Valkey 8.1.1"}));
}

struct Trouble {
  const char* name;
  RedisLogin login;
  Replies replies;
  std::string trouble;
};

class RedisTrouble : public testing::TestWithParam<Trouble> {};

TEST_P(RedisTrouble, IsOneSentence) {
  const auto server = read_greeting(GetParam().login, GetParam().replies);
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().message, GetParam().trouble);
}

Replies error_reply(const std::string& error) { return {failure(error)}; }
const RedisLogin kPassword{"", "", "/pw", 99};
const RedisLogin kUser{"mta", "", "/pw", 0};
const RedisLogin kUserAlone{"mta", "", "", 0};

INSTANTIATE_TEST_SUITE_P(
    Redis, RedisTrouble,
    testing::Values(
        Trouble{"Replica",
                {},
                replies_of(kServer, "role:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\n"),
                "is a replica of 10.0.0.1:6379; name its master in url in [cluster], or use "
                "sentinel://"},
        Trouble{"Old",
                {},
                replies_of("redis_version:5.0.14\r\nrun_id:a\r\n", kMaster),
                "has version 5.0.14; use 6 or newer"},
        Trouble{"NoVersion",
                {},
                replies_of("run_id:a\r\n", kMaster),
                "does not say its version, run id and role; use Redis or Valkey"},
        Trouble{"NoRole",
                {},
                replies_of(kServer, ""),
                "does not say its version, run id and role; use Redis or Valkey"},
        Trouble{
            "Nothing", {}, {}, "does not say its version, run id and role; use Redis or Valkey"},
        Trouble{"OtherTypes",
                {},
                {RedisReply{}, list_reply({kServer}), RedisReply{}},
                "does not say its version, run id and role; use Redis or Valkey"},
        Trouble{"Cluster",
                {},
                replies_of("redis_mode:cluster\r\n", kMaster),
                "is part of a Redis Cluster, which is not supported; use a single server, with "
                "replicas and Sentinel for failover"},
        Trouble{"ValkeyCluster",
                {},
                replies_of("server_mode:cluster\r\n", kMaster),
                "is part of a Redis Cluster, which is not supported; use a single server, with "
                "replicas and Sentinel for failover"},
        Trouble{"ValkeySentinel",
                {},
                {text_reply("server_mode:sentinel\r\n")},
                "is a Sentinel; write sentinel://HOST,HOST/MASTER as url in [cluster]"},
        Trouble{"Sentinel",
                {},
                {text_reply("redis_mode:sentinel\r\n"), failure("ERR unknown command 'SELECT'")},
                "is a Sentinel; write sentinel://HOST,HOST/MASTER as url in [cluster]"},
        Trouble{"NoPasswordGiven",
                {},
                error_reply("NOAUTH Authentication required."),
                "asks for a password; set password_file in [cluster]"},
        Trouble{"WrongPassword", kPassword, error_reply("WRONGPASS invalid"),
                "refuses the password in /pw; correct it"},
        Trouble{"WrongUser", kUser, error_reply("WRONGPASS invalid"),
                "refuses user 'mta' with the password in /pw; correct them"},
        Trouble{"UserWithoutPassword", kUserAlone, error_reply("WRONGPASS invalid"),
                "refuses user 'mta' without a password; set password_file in [cluster]"},
        Trouble{"NeedlessPassword", kPassword,
                error_reply("ERR AUTH <password> called without any password configured for the "
                            "default user. Are you sure your configuration is correct?"),
                "has no password; empty password_file in [cluster], or give the server the "
                "password in /pw (requirepass)"},
        Trouble{"Forbidden", kUser, error_reply("NOPERM this user has no permissions to run info"),
                "forbids user 'mta' a command: 'NOPERM this user has no permissions to run info'; "
                "allow it in the server's ACL"},
        Trouble{"Database", kPassword, error_reply("ERR DB index is out of range"),
                "has no database 99; correct url in [cluster], or raise databases in the server's "
                "configuration"},
        Trouble{"Loading",
                {},
                error_reply("LOADING Redis is loading the dataset in memory"),
                "is still loading its data; wait until it has"},
        Trouble{"Protected",
                {},
                error_reply("DENIED Redis is running in protected mode"),
                "is in protected mode, which refuses other hosts; give it a password "
                "(requirepass), and name that with password_file in [cluster]"},
        Trouble{"Clients",
                {},
                error_reply("ERR max number of clients reached"),
                "has too many clients; raise maxclients in the server's configuration"},
        Trouble{"Other",
                {},
                error_reply("ERR \x1b[2J"),
                "answers 'ERR \\x1b[2J'; check it with redis-cli"}),
    [](const auto& row) { return row.param.name; });

TEST(RedisGreeting, ReadsTheMasterOfASentinel) {
  const auto read = [](Replies replies) {
    const auto host = read_sentinel_greeting({}, "m", replies);
    return host ? host->to_string() : host.error().message;
  };
  const std::string unclear = "does not say where the master is; check it with redis-cli";
  EXPECT_EQ(read({list_reply({"10.0.0.1", "6379"})}), "10.0.0.1:6379");
  EXPECT_EQ(read({failure("ERR AUTH without"), list_reply({"::1", "1"})}), "[::1]:1");
  EXPECT_EQ(read({RedisReply{}}),
            "does not know the master 'm'; write the name in sentinel.conf into url in [cluster]");
  EXPECT_EQ(read({failure("ERR unknown command 'SENTINEL'")}),
            "is not a Sentinel; write redis://HOST as url in [cluster]");
  EXPECT_EQ(read({failure("NOAUTH x")}), "asks for a password; set password_file in [cluster]");
  for (const auto& words : std::vector<std::vector<std::string>>{{},
                                                                 {"h"},
                                                                 {"h", "0"},
                                                                 {"h", "65536"},
                                                                 {"h", "x"},
                                                                 {"", "1"},
                                                                 {"a\n", "1"},
                                                                 {std::string(254, 'h'), "1"},
                                                                 {"h", "1", "2"}}) {
    EXPECT_EQ(read({list_reply(words)}), unclear);
  }
  EXPECT_EQ(read({text_reply("x")}), unclear);
  EXPECT_EQ(read({}), "did not answer");
}

TEST(RedisGreeting, ExplainsErrnos) {
  EXPECT_EQ(trouble_of_errno(ECONNREFUSED),
            "Connection refused; start Redis there, or correct url in [cluster]");
  EXPECT_EQ(trouble_of_errno(EHOSTUNREACH),
            "No route to host; check the network between here and there");
  EXPECT_EQ(trouble_of_errno(EACCES),
            "Permission denied; let the daemon's user connect: the socket's mode and group, or a "
            "firewall");
  EXPECT_EQ(trouble_of_errno(EMFILE), "Too many open files; check the server and the network");
}

class PasswordFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string folder = testing::TempDir() + "password-XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    file_ = folder_ / "pw";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string read(const std::string& content, mode_t mode = 0640) {
    std::ofstream(file_) << content;
    EXPECT_EQ(::chmod(file_.c_str(), mode), 0);
    return result();
  }
  std::string result() {
    const auto password = read_password(file_);
    if (password) return *password;
    const std::string begin = "cannot use password_file " + file_.string() + ": ";
    EXPECT_EQ(password.error().message.substr(0, begin.size()), begin);
    return "error: " + password.error().message.substr(begin.size());
  }

  std::filesystem::path folder_;
  std::filesystem::path file_;
};

TEST_F(PasswordFile, HasThePasswordInItsFirstLine) {
  EXPECT_EQ(read("secret"), "secret");
  EXPECT_EQ(read("secret\n"), "secret");
  EXPECT_EQ(read("secret\r\nx\n"), "secret");
  EXPECT_EQ(read(" se cret ", 0400), " se cret ");
  EXPECT_EQ(read(std::string(4096, 'x')), std::string(4096, 'x'));
}

TEST_F(PasswordFile, IsRefusedInOneLine) {
  EXPECT_EQ(read(""), "error: its first line is empty; write the password into it");
  EXPECT_EQ(read("\nsecret\n"), "error: its first line is empty; write the password into it");
  EXPECT_EQ(read(std::string(4097, 'x')),
            "error: it is larger than 4096 bytes; write only the password into it");
  for (const mode_t mode : {0644U, 0642U, 0641U}) {
    EXPECT_EQ(read("secret", mode),
              "error: every user can use it; run: chmod 0640 " + file_.string());
  }
  std::filesystem::remove(file_);
  EXPECT_EQ(result(), "error: No such file or directory; write the password into it");
  ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);
  EXPECT_EQ(result(), "error: it is not a file; name one");
}

}  // namespace
}  // namespace policyd
