// SPDX-License-Identifier: AGPL-3.0-only
// One connection at a time to a Redis server: commands out, replies in, in order. It knows nothing
// of logins and reconnecting (hiredis_client). The loop's thread; destroyed in tasks and timers
// only.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/unique_fd.hpp"
#include "daemon/cluster/name_lookup.hpp"
#include "daemon/cluster/redis.hpp"
#include "daemon/cluster/reply_reader.hpp"
#include "daemon/loop/epoll_loop.hpp"

namespace policyd {

class RedisConnection final : public EpollLoop::Client {
 public:
  // Without a reply. Beyond it a command gets an Error at once.
  static constexpr std::size_t kMaxWaiting = 100'000;
  static constexpr std::size_t kMaxUnsentBytes = 64 * 1024 * 1024;

  using Done = Redis::Done;
  struct Handlers {
    // Both in tasks, only for the connection that is open.
    std::function<void()> connected;
    std::function<void(const std::string& why)> lost;
  };

  RedisConnection(EpollLoop& loop, Handlers handlers);

  // Closes what is open, and connects; `connected` or `lost` follows.
  void open(const SocketAddress& address);
  // Commands that wait for a reply get an Error with this text. `lost` is not called.
  void close(const std::string& why);
  [[nodiscard]] bool is_open() const { return static_cast<bool>(socket_); }

  // `done` is called once on the loop, after this function has returned.
  void send(const std::vector<std::string>& words, Done done);
  // Since when a command waits and no reply was received; nullopt if none waits.
  [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> silent_since() const;

  void ready(std::uint32_t events) override;

 private:
  void finish_connecting();
  void receive();
  bool receive_some();
  void deliver_replies();
  void flush();
  void fail(std::string why);
  void fail_after_reading(std::string why);

  EpollLoop& loop_;
  Handlers handlers_;
  UniqueFd socket_;
  std::uint64_t number_ = 0;  // of the connection
  bool connecting_ = false;
  bool ended_ = false;  // nothing follows what can be read
  ReplyReader reader_;
  std::deque<Done> waiting_;
  std::chrono::steady_clock::time_point heard_;  // a reply, or the first of waiting_ was sent
  std::string out_;
  std::size_t sent_ = 0;          // bytes of out_
  std::uint64_t flushed_in_ = 0;  // turn of the loop
  bool flush_posted_ = false;
  EventLoop::Guard guard_;
};

}  // namespace policyd
