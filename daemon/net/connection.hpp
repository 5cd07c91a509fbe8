// SPDX-License-Identifier: AGPL-3.0-only
// One connection from Postfix: receives requests, passes one at a time to the engine, and sends the
// answers in order. It never sends anything unasked: Postfix takes a readable idle connection as
// dead. Bytes after a request belong to the next one. The loop's thread.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/ip_address.hpp"
#include "daemon/base/unique_fd.hpp"
#include "daemon/engine/engine.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/loop/epoll_loop.hpp"
#include "daemon/protocol/policy_protocol.hpp"
#include "daemon/protocol/refused_requests.hpp"

namespace policyd {

// Shared by all connections, and outlives them.
struct ConnectionContext {
  Engine& engine;
  Maillog& log;
  RefusedRequests& refused;
  std::chrono::seconds timeout_idle{1020};
  std::chrono::seconds timeout_busy{120};
  std::string myorigin = {};
};

class Connection final : public Pending,
                         public EpollLoop::Client,
                         public std::enable_shared_from_this<Connection> {
 public:
  // `peer` is "192.0.2.1:4711", or the path of a UNIX socket, which has no address.
  Connection(UniqueFd socket, ConnectionContext& context, std::string peer,
             std::optional<IpAddress> peer_address);

  void ready(std::uint32_t events) override;
  void proceed() override;
  void close() { socket_.reset(); }
  [[nodiscard]] bool is_open() const { return static_cast<bool>(socket_); }

  // Closes the connection if it was idle, or within a request or an answer, for too long.
  void check_timeout();
  // Nullopt if it is not idle.
  [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> idle_since() const;
  // Waiting for the engine's answer, for room to send it, or, if new, for its first request, which
  // Postfix sends at once. A shutdown waits for these.
  [[nodiscard]] bool is_busy() const;

  [[nodiscard]] const Request& request() const override { return request_; }
  void answer(const Verdict& verdict) override;

 private:
  enum class Doing : std::uint8_t { idle, reading, deciding, writing };

  void read();
  bool receive();
  void process();
  void ask();
  void send();
  void sent();
  void refuse(std::string_view why);
  void note_refusal(std::string why);
  void now_doing(Doing doing);

  UniqueFd socket_;
  ConnectionContext& context_;
  bool readable_ = false;  // there may be bytes to read
  bool ended_ = false;     // the peer has closed its side
  bool received_now_ = false;
  std::string peer_;
  std::vector<char> in_;
  std::size_t received_ = 0;
  Framing framing_;
  Request request_;
  std::string names_;  // of a request with names beyond ASCII or without a domain
  std::string out_;
  std::size_t written_ = 0;
  bool close_after_answer_ = false;
  bool has_asked_ = false;
  Doing doing_ = Doing::idle;
  std::chrono::steady_clock::time_point since_;
};

}  // namespace policyd
