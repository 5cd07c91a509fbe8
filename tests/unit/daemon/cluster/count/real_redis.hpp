// SPDX-License-Identifier: AGPL-3.0-only
// redis-server, as redis-tools installs it, on a free port of loopback, without data at first, and
// a client that waits for each reply and hands it over on the loop.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../../loop/manual_loop.hpp"
#include "daemon/cluster/redis.hpp"

namespace policyd {

inline int connect_to(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  ::close(fd);
  return -1;
}

class RealRedis {
 public:
  static bool is_installed() { return std::filesystem::exists("/usr/bin/redis-check-rdb"); }

  RealRedis() {
    std::string folder = std::filesystem::temp_directory_path() / "redis-test-XXXXXX";
    folder_ = ::mkdtemp(folder.data());
    port_ = free_port();
    start();
  }
  ~RealRedis() {
    kill();
    std::filesystem::remove_all(folder_);
  }
  RealRedis(const RealRedis&) = delete;
  RealRedis& operator=(const RealRedis&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }

  void start() {
    const std::vector<std::string> words = {"redis-server", "--port",        std::to_string(port_),
                                            "--bind",       "127.0.0.1",     "--dir",
                                            folder_,        "--save",        "",
                                            "--logfile",    folder_ + "/log"};
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    ::posix_spawn(&pid_, "/usr/bin/redis-check-rdb", nullptr, nullptr, arguments.data(), environ);
    for (int i = 0; i < 500; ++i) {
      if (const int fd = connect_to(port_); fd >= 0) {
        ::close(fd);
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
  }
  void kill() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  static std::uint16_t free_port() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    const bool known = ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                       ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    ::close(fd);
    return known ? ntohs(address.sin_port) : 0;
  }

  std::string folder_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

class WaitingRedis final : public Redis {
 public:
  WaitingRedis(ManualLoop& loop, std::uint16_t port) : loop_(loop), port_(port) { connect(); }
  ~WaitingRedis() override { lost(); }

  void connect() {
    fd_ = connect_to(port_);
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    left_.clear();
    ++connections_;
  }

  void cut() { lost(); }

  [[nodiscard]] bool ready() const override { return fd_ >= 0; }
  [[nodiscard]] const std::string& trouble() const override { return trouble_; }
  [[nodiscard]] std::uint64_t connections() const override { return connections_; }

  void command(std::vector<std::string> words, Done done) override {
    loop_.post([done = std::move(done), reply = run(words)] { done(reply); });
  }

  Result<RedisReply> run(const std::vector<std::string>& words) {
    std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
    for (const std::string& word : words) {
      bytes += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
    }
    std::string_view rest = bytes;
    while (!rest.empty()) {
      const ssize_t sent = ::send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent <= 0) return lost();
      rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    return read();
  }

 private:
  tl::unexpected<Error> lost() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
    return failure(trouble_);
  }

  bool fill(std::size_t size) {
    while (left_.size() < size) {
      char buffer[65536];
      const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
      if (got <= 0) return false;
      left_.append(buffer, static_cast<std::size_t>(got));
    }
    return true;
  }

  std::string take(std::size_t size) {
    std::string taken = left_.substr(0, size);
    left_.erase(0, size);
    return taken;
  }

  Result<RedisReply> read() {
    std::size_t end = 0;
    while ((end = left_.find("\r\n")) == std::string::npos) {
      if (!fill(left_.size() + 1)) return lost();
    }
    std::string line = take(end + 2);
    line.resize(end);
    const std::string value = line.substr(1);
    if (line[0] == '-') return failure(value);
    if (line[0] == '+') return RedisReply{RedisReply::Kind::text, 0, value, {}};
    const std::int64_t number = std::stoll(value);
    if (line[0] == ':') return RedisReply{RedisReply::Kind::number, number, {}, {}};
    if (number < 0) return RedisReply{};
    if (line[0] == '$') {
      const auto size = static_cast<std::size_t>(number);
      if (!fill(size + 2)) return lost();
      std::string text = take(size + 2);
      text.resize(size);
      return RedisReply{RedisReply::Kind::text, 0, std::move(text), {}};
    }
    RedisReply list{RedisReply::Kind::list, 0, {}, {}};
    for (std::int64_t i = 0; i < number; ++i) {
      auto item = read();
      if (!item) return item;
      list.list.push_back(std::move(*item));
    }
    return list;
  }

  ManualLoop& loop_;
  std::uint16_t port_;
  int fd_ = -1;
  std::uint64_t connections_ = 0;
  std::string left_;  // of what was received
  std::string trouble_ = "redis does not answer";
};

}  // namespace policyd
