// SPDX-License-Identifier: AGPL-3.0-only
// The client while servers die, hang, change their role, or are no Redis.
#include <fmt/core.h>
#include <poll.h>

#include <atomic>
#include <thread>

#include "daemon/cluster/hiredis_client.hpp"
#include "tests/unit/daemon/cluster/redis_fixture.hpp"

namespace policyd {
namespace {

using namespace std::chrono_literals;

class HiredisFailover : public RedisFixture {
 protected:
  // Commands that wait for their replies.
  void ask_many(int count) {
    for (int i = 0; i < count; ++i) {
      client_->command({"PING"}, [this](const Result<RedisReply>& reply) {
        ++(reply ? replies_ : errors_);
        if (!reply) last_error_ = reply.error().message;
      });
    }
  }
  int replies_ = 0;
  int errors_ = 0;
  std::string last_error_;
};

TEST_F(HiredisFailover, ConnectsAgainToAServerThatWasKilled) {
  RedisProcess redis;
  redis.start();
  connect("unix://" + redis.socket(), patient());
  ASSERT_TRUE(becomes_ready());
  EXPECT_EQ(client_->connections(), 1U);
  const std::string run_id = client_->server().run_id;
  redis.signal(SIGSTOP);
  ask_many(100);
  redis.kill();
  ASSERT_TRUE(wait_until([this] { return errors_ == 100; }));
  EXPECT_FALSE(client_->ready());
  EXPECT_TRUE(trouble_becomes("Connection refused; start Redis there"));
  EXPECT_EQ(changes_, 2);
  redis.start();
  ASSERT_TRUE(becomes_ready());
  EXPECT_NE(client_->server().run_id, run_id);
  EXPECT_EQ(client_->connections(), 2U);
  EXPECT_EQ(ask_text({"PING"}), "PONG");
  EXPECT_EQ(changes_, 3);
}

TEST_F(HiredisFailover, DropsAServerThatIsSilent) {
  RedisProcess redis;
  redis.start();
  connect("unix://" + redis.socket(), quick());
  ASSERT_TRUE(becomes_ready());
  const std::string run_id = client_->server().run_id;
  redis.signal(SIGSTOP);
  ask_many(3);
  ASSERT_TRUE(wait_until([this] { return errors_ == 3; }));
  EXPECT_EQ(last_error_, "Redis " + redis.socket() +
                             ": did not answer for 0.4 s; check the server and the "
                             "network");
  redis.signal(SIGCONT);
  ASSERT_TRUE(becomes_ready());
  EXPECT_EQ(client_->server().run_id, run_id);
  EXPECT_EQ(replies_, 0);
}

TEST_F(HiredisFailover, NoticesASilentServerWithoutACommand) {
  RedisProcess redis;
  redis.start();
  auto settings = patient();
  settings.timeout = 1s;
  connect("unix://" + redis.socket(), settings);
  ASSERT_TRUE(becomes_ready());
  // It stays for longer than the time-out while it answers.
  const auto end = std::chrono::steady_clock::now() + 1500ms;
  ASSERT_TRUE(wait_until([&] { return std::chrono::steady_clock::now() > end; }));
  EXPECT_EQ(changes_, 1);
  redis.signal(SIGSTOP);
  EXPECT_TRUE(wait_until([this] { return !client_->ready(); }));
  redis.signal(SIGCONT);
}

TEST_F(HiredisFailover, LeavesAServerThatBecomesAReplica) {
  RedisProcess redis;
  redis.port = TcpListener{}.port;
  redis.start();
  connect("redis://127.0.0.1:" + std::to_string(redis.port), patient());
  ASSERT_TRUE(becomes_ready());
  EXPECT_EQ(ask_text({"REPLICAOF", "127.0.0.1", "1"}), "OK");
  EXPECT_EQ(ask_text({"EVAL", "return redis.call('SET', 'a', 'b')", "0"}).substr(0, 7), "error: ");
  EXPECT_TRUE(trouble_becomes("is a replica of 127.0.0.1:1; name its master"));
  EXPECT_FALSE(client_->ready());
  EXPECT_EQ(redis.ask("REPLICAOF NO ONE"), "+OK\r\n");
  ASSERT_TRUE(becomes_ready());
  EXPECT_EQ(ask_text({"SET", "a", "b"}), "OK");
}

TEST_F(HiredisFailover, FollowsSentinelToTheNewMaster) {
  RedisProcess master;
  master.port = TcpListener{}.port;
  master.start();
  RedisProcess replica({"--replicaof", "127.0.0.1 " + std::to_string(master.port)});
  replica.port = TcpListener{}.port;
  replica.start();
  RedisProcess sentinel({}, "redis-sentinel");
  const int port = TcpListener{}.port;
  sentinel.config = fmt::format(
      "port {}\nsentinel monitor mail 127.0.0.1 {} 1\nsentinel down-after-milliseconds mail 300\n"
      "sentinel failover-timeout mail 1000\n",
      port, master.port);
  ASSERT_TRUE(wait_until(
      [&] { return master.ask("INFO replication").find("state=online") != std::string::npos; }));
  sentinel.start();
  // The first of the Sentinels does not run.
  connect(fmt::format("sentinel://127.0.0.1:{},127.0.0.1:{}/mail/2", TcpListener{}.port, port),
          patient());
  ASSERT_TRUE(becomes_ready());
  EXPECT_EQ(client_->server().address, "127.0.0.1:" + std::to_string(master.port));
  EXPECT_EQ(ask_text({"SET", "k", "v"}), "OK");
  // It learns of the replica from the master, some time after its start.
  sentinel.port = port;
  ASSERT_TRUE(wait_until([&] {
    return sentinel.ask("SENTINEL replicas mail").find("127.0.0.1:") != std::string::npos &&
           replica.ask("INFO keyspace").find("db2:keys=1") != std::string::npos;
  }));
  master.kill();
  ASSERT_TRUE(wait_until([this] { return !client_->ready(); }));
  ASSERT_TRUE(becomes_ready()) << client_->trouble();
  EXPECT_EQ(client_->server().address, "127.0.0.1:" + std::to_string(replica.port));
  EXPECT_EQ(ask_text({"GET", "k"}), "v");
}

// Says the same to each client, whatever it asks, once it has asked.
class Rubbish {
 public:
  Rubbish(std::string text, bool closes) : text_(std::move(text)), closes_(closes) {
    thread_ = std::thread([this] { serve(); });
  }
  ~Rubbish() {
    stop_ = true;
    thread_.join();
  }
  [[nodiscard]] int port() const { return listener_.port; }
  [[nodiscard]] int clients() const { return clients_; }

 private:
  void serve() {
    std::vector<UniqueFd> clients;
    while (!stop_) {
      pollfd waiting{listener_.socket.get(), POLLIN, 0};
      if (::poll(&waiting, 1, 10) <= 0) continue;
      UniqueFd client{::accept(listener_.socket.get(), nullptr, nullptr)};
      ++clients_;
      std::string asked(65536, '\0');
      pollfd asking{client.get(), POLLIN, 0};
      while (!stop_ && ::poll(&asking, 1, 10) <= 0) {
      }
      static_cast<void>(::recv(client.get(), asked.data(), asked.size(), MSG_DONTWAIT));
      ::send(client.get(), text_.data(), text_.size(), MSG_NOSIGNAL);
      if (!closes_) clients.push_back(std::move(client));
    }
  }

  TcpListener listener_;
  const std::string text_;
  const bool closes_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> clients_ = 0;
  std::thread thread_;
};

struct Talk {
  const char* name;
  std::string text;
  bool closes;
  std::string trouble;
};

class NoRedis : public HiredisFailover, public testing::WithParamInterface<Talk> {};

TEST_P(NoRedis, IsReportedAndTriedAgain) {
  const Rubbish rubbish(GetParam().text, GetParam().closes);
  connect("redis://127.0.0.1:" + std::to_string(rubbish.port()), quick());
  EXPECT_TRUE(trouble_becomes(": " + GetParam().trouble));
  EXPECT_FALSE(client_->ready());
  EXPECT_EQ(changes_, 0);
}

const std::string kInfo =
    "$44\r\nredis_version:7.0.0\r\nrun_id:a\r\nrole:master\r\n\r\n$0\r\n\r\n+PONG\r\n";
INSTANTIATE_TEST_SUITE_P(
    Redis, NoRedis,
    testing::Values(
        Talk{"Smtp", "220 mail ESMTP\r\n", false, "does not speak the protocol of Redis; check"},
        Talk{"Http", "HTTP/1.1 400 Bad Request\r\n\r\n", true, "does not speak the protocol"},
        Talk{"Tls", std::string("\x15\x03\x01\x00\x02\x02\x46", 7), true, "does not speak the"},
        Talk{"Silent", "", false, "did not answer for 0.4 s; check the server and the network"},
        Talk{"Closes", "", true, "closed the connection; see its log"},
        Talk{"Half", "$100\r\nhalf", false, "did not answer for 0.4 s"},
        Talk{"Announces", "*2000000000\r\n$2000000000\r\n", false, "did not answer for 0.4 s"},
        Talk{"Nested", "*9\r\n*9\r\n*9\r\n*9\r\n*9\r\n*9\r\n*9\r\n*9\r\n*9\r\n*9\r\n*9\r\n", false,
             "sent lists nested more than 7 deep"},
        Talk{"Numbers", ":1\r\n:2\r\n:3\r\n", false, "does not say its version, run id and role"},
        Talk{"Clients", "-ERR max number of clients reached\r\n", true, "has too many clients"},
        Talk{"Loading", "+\r\n+\r\n-LOADING Redis is loading the dataset in memory\r\n", false,
             "is still loading its data; wait until it has"},
        Talk{"Large", fmt::format("$20000000\r\n{:x>20000000}", ""), false,
             "sent a reply of more than 16 MiB"}),
    [](const auto& row) { return row.param.name; });

TEST_F(HiredisFailover, GivesUpOnAnAddressWithoutAnyAnswer) {
  TcpListener full;
  ASSERT_EQ(::listen(full.socket.get(), 0), 0);
  const sockaddr_in address = loopback(full.port);
  std::vector<UniqueFd> others;  // the kernel then ignores further ones
  for (int i = 0; i < 4; ++i) {
    others.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    static_cast<void>(::connect(others.back().get(), reinterpret_cast<const sockaddr*>(&address),
                                sizeof address));
  }
  RedisProcess redis;
  redis.port = TcpListener{}.port;
  redis.start();
  connect(fmt::format("redis://127.0.0.1:{}", full.port), quick());
  EXPECT_TRUE(trouble_becomes(": did not answer for 0.4 s; check the server and the network"));
  connect(fmt::format("redis://127.0.0.1:{},127.0.0.1:{}", full.port, redis.port), quick());
  ASSERT_TRUE(becomes_ready());
  EXPECT_EQ(client_->server().address, fmt::format("127.0.0.1:{}", redis.port));
}

TEST_F(HiredisFailover, TriesAgainAfterGrowingPauses) {
  const Rubbish rubbish("", true);
  auto settings = quick();
  settings.first_pause = 50ms;
  settings.longest_pause = 200ms;
  connect("redis://127.0.0.1:" + std::to_string(rubbish.port()), settings);
  const auto end = std::chrono::steady_clock::now() + 1s;
  ASSERT_TRUE(wait_until([&] { return std::chrono::steady_clock::now() > end; }));
  // At 0, 50, 150, 350, 550, 750 and 950 ms, or later.
  EXPECT_GE(rubbish.clients(), 2);
  EXPECT_LE(rubbish.clients(), 7);
}

// hiredis 0.14's own asynchronous interface ends the program here.
TEST_F(HiredisFailover, SurvivesRepliesThatWereNotAskedFor) {
  const Rubbish rubbish(kInfo + "+more\r\n+more\r\n", false);
  connect("redis://127.0.0.1:" + std::to_string(rubbish.port()), quick());
  EXPECT_TRUE(trouble_becomes("sent a reply that was not asked for"));
}

}  // namespace
}  // namespace policyd
