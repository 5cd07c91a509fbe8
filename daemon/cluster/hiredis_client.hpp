// SPDX-License-Identifier: AGPL-3.0-only
// Redis over hiredis: one connection to the first address that is a server which may be written to,
// kept up from the loop without ever delaying it. After a loss, and after each round through the
// addresses without success, it waits 0.1 s, doubled up to 5 s. Of Sentinels, each is asked for the
// master in turn, again after each loss. While nothing else is asked it sends PING twice a second;
// a server that is silent for 2 s, though asked, is lost.
//
// The loop's thread; destroyed in tasks and timers only. Commands that then wait for a reply are
// never answered.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "daemon/cluster/name_lookup.hpp"
#include "daemon/cluster/redis.hpp"
#include "daemon/cluster/redis_address.hpp"
#include "daemon/cluster/redis_connection.hpp"
#include "daemon/cluster/redis_greeting.hpp"
#include "daemon/loop/epoll_loop.hpp"

namespace policyd {

struct HiredisSettings {
  RedisAddress address;
  std::filesystem::path password_file;       // read at each connection; empty: no password
  std::chrono::milliseconds timeout{2'000};  // of each step of connecting, and of replies
  std::chrono::milliseconds first_pause{100};
  std::chrono::milliseconds longest_pause{5'000};
};

class HiredisClient final : public Redis {
 public:
  // Begins to connect when the loop runs. `changed` is called in a task each time ready() has
  // changed; server() then says whether it is another server, or was started again.
  HiredisClient(EpollLoop& loop, HiredisSettings settings, std::function<void()> changed);

  [[nodiscard]] bool ready() const override { return ready_; }
  [[nodiscard]] const std::string& trouble() const override { return trouble_; }
  [[nodiscard]] std::uint64_t connections() const override { return connections_; }
  void command(std::vector<std::string> words, Done done) override;

  // The one connected to; the last one if not ready.
  [[nodiscard]] const RedisServer& server() const { return server_; }

 private:
  enum class Asking : std::uint8_t { sentinel, server };

  void start_round();
  void try_next_host();
  void try_host(const RedisHost& host, Asking asking);
  void try_next_address();
  void greet();
  void greeted(const Result<RedisReply>& reply);
  void use_server(RedisServer server);
  void give_up(const std::string& why);
  void lost(const std::string& why);
  void lose(const std::string& why);
  void pause();
  void set_ready(bool ready);
  void arm_timeout();
  void check_silence();

  EpollLoop& loop_;
  const HiredisSettings settings_;
  const std::function<void()> changed_;
  NameLookup names_;
  RedisConnection connection_;

  bool ready_ = false;
  std::string trouble_ = "not connected yet";
  RedisServer server_;
  std::uint64_t connections_ = 0;  // that became ready

  // The round through the addresses.
  std::size_t next_host_ = 0;
  std::string troubles_;  // of this round's addresses
  std::chrono::milliseconds pause_;
  std::chrono::steady_clock::time_point ready_since_;
  // The address being tried. What belongs to an earlier number is too late.
  std::uint64_t attempt_ = 0;
  Asking asking_ = Asking::server;
  std::string host_;  // for messages
  std::vector<SocketAddress> addresses_;
  std::size_t next_address_ = 0;
  RedisLogin login_;
  std::size_t replies_expected_ = 0;
  std::vector<Result<RedisReply>> replies_;
  EventLoop::Guard guard_;
};

}  // namespace policyd
