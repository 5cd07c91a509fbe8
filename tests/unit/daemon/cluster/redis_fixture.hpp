// SPDX-License-Identifier: AGPL-3.0-only
// Real Redis servers for tests, each in a folder of its own, on a UNIX socket or a free port of
// 127.0.0.1; and a client under test on a real loop.
#pragma once

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "daemon/cluster/hiredis_client.hpp"
#include "daemon/loop/epoll_loop.hpp"

namespace policyd {

inline constexpr std::chrono::milliseconds kPatience{30'000};

// Debian's redis-tools has the program as redis-check-rdb, and redis-server links to it: by which
// name it is called decides what it does.
inline std::string redis_program() {
  for (const char* name : {"/redis-server", "/valkey-server", "/redis-check-rdb"}) {
    for (const char* folder : {"/usr/bin", "/usr/local/bin", "/usr/sbin"}) {
      const std::string path = std::string(folder) + name;
      if (::access(path.c_str(), X_OK) == 0) return path;
    }
  }
  return {};
}

inline sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

// A socket that listens on a free port.
struct TcpListener {
  TcpListener() : socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(socket.get(), 16), 0);
    ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
  }
  UniqueFd socket;
  int port = 0;
};

class RedisProcess {
 public:
  // `arguments` follow those for the folder; `name` decides between server and Sentinel.
  explicit RedisProcess(std::vector<std::string> arguments = {}, std::string name = "redis-server")
      : name_(std::move(name)), arguments_(std::move(arguments)) {
    std::string folder = testing::TempDir() + "redis-XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr) std::abort();
    folder_ = folder;
  }
  ~RedisProcess() {
    kill();
    std::filesystem::remove_all(folder_);
  }
  RedisProcess(const RedisProcess&) = delete;
  RedisProcess& operator=(const RedisProcess&) = delete;

  void start() {
    std::vector<std::string> words = {name_};
    if (!config.empty()) {
      std::ofstream(folder_ / "conf") << config;
      words.push_back((folder_ / "conf").string());
    }
    if (name_ == "redis-server") {
      for (const char* word : {"--save", "", "--unixsocket"}) words.emplace_back(word);
      words.push_back(socket());
      for (const char* word : {"--repl-diskless-sync-delay", "0", "--port"}) {
        words.emplace_back(word);
      }
      words.push_back(std::to_string(port));
    }
    for (const char* word : {"--bind", "127.0.0.1"}) words.emplace_back(word);
    for (const std::string& word : arguments_) words.push_back(word);
    for (const char* word : {"--logfile", "log", "--dir"}) {
      words.emplace_back(word);
    }
    words.push_back(folder_.string());
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    const std::string program = redis_program();
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::execv(program.c_str(), pointers.data());
    ::_exit(127);
  }
  void signal(int number) const { ::kill(pid_, number); }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  // By another client.
  [[nodiscard]] std::string ask(const std::string& line) const {
    const UniqueFd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const sockaddr_in address = loopback(port);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      return {};
    }
    const std::string bytes = line + "\r\n";
    ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    std::string answer(4096, '\0');
    const ssize_t got = ::recv(fd.get(), answer.data(), answer.size(), 0);
    answer.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return answer;
  }
  [[nodiscard]] std::string socket() const { return (folder_ / "socket").string(); }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

  int port = 0;  // 0: only the socket
  std::string config;

 private:
  std::string name_;
  std::vector<std::string> arguments_;
  std::filesystem::path folder_;
  pid_t pid_ = -1;
};

class RedisFixture : public testing::Test {
 protected:
  void SetUp() override {
    if (redis_program().empty()) {
      GTEST_SKIP() << "needs Redis: apt-get install redis-tools (scripts/install-dependencies)";
    }
  }
  void TearDown() override { client_.reset(); }

  void connect(const std::string& url, HiredisSettings settings = {}) {
    auto address = parse_redis_address(url);
    ASSERT_TRUE(address) << address.error().message;
    settings.address = *address;
    client_.reset();
    client_.emplace(loop_, settings, [this] { ++changes_; });
  }
  // Without a time-out that a busy machine reaches.
  static HiredisSettings patient() {
    HiredisSettings settings;
    settings.first_pause = std::chrono::milliseconds{10};
    settings.longest_pause = std::chrono::milliseconds{50};
    return settings;
  }
  static HiredisSettings quick() {
    HiredisSettings settings = patient();
    settings.timeout = std::chrono::milliseconds{400};
    return settings;
  }
  // Runs the loop until it holds. False if it does not within a while.
  template <typename Condition>
  bool wait_until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      loop_.after(std::chrono::milliseconds{2}, [this] { loop_.stop(); });
      loop_.run();
    }
    return true;
  }
  bool becomes_ready() {
    return wait_until([this] { return client_->ready(); });
  }
  bool trouble_becomes(const std::string& text) {
    const bool found =
        wait_until([&] { return client_->trouble().find(text) != std::string::npos; });
    EXPECT_TRUE(found) << client_->trouble();
    return found;
  }
  // The reply to a command; an error as "error: ...".
  RedisReply ask(std::vector<std::string> words) {
    std::optional<RedisReply> answer;
    client_->command(std::move(words), [&](const Result<RedisReply>& reply) {
      answer = reply ? *reply
                     : RedisReply{RedisReply::Kind::text, 0, "error: " + reply.error().message, {}};
    });
    EXPECT_FALSE(answer) << "before command() returned";
    EXPECT_TRUE(wait_until([&] { return answer.has_value(); }));
    return answer.value_or(RedisReply{});
  }
  std::string ask_text(std::vector<std::string> words) { return ask(std::move(words)).text; }

  EpollLoop loop_;
  int changes_ = 0;
  std::optional<HiredisClient> client_;
};

}  // namespace policyd
