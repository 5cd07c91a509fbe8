// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/net/server.hpp"

#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <limits>
#include <system_error>
#include <utility>

#include "daemon/base/ip_address.hpp"
#include "daemon/net/connection.hpp"

namespace policyd {

namespace {

constexpr std::chrono::seconds kSweepEvery{1};
// After an accept that failed for lack of descriptors or memory.
constexpr std::chrono::milliseconds kAcceptAgainAfter{100};
constexpr std::chrono::seconds kReportAgainAfter{60};
constexpr std::chrono::milliseconds kMayAcceptEvery{5};
constexpr std::size_t kOtherDescriptors = 64;
// Connections accepted per turn, so that a thousand arriving at once do not delay answers.
constexpr int kMaxAccepted = 64;
// How long a shutdown waits for clients to read their answers.
constexpr std::chrono::seconds kMaxShutdown{5};

struct Peer {
  std::string name;
  std::optional<IpAddress> address;
};

Peer peer_of(const sockaddr_storage& address, const std::string& listener) {
  if (address.ss_family == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(&address);
    const auto ip = IpAddress::v4(ntohl(in->sin_addr.s_addr));
    return {fmt::format("{}:{}", ip.to_string(), ntohs(in->sin_port)), ip};
  }
  if (address.ss_family == AF_INET6) {
    const auto* in = reinterpret_cast<const sockaddr_in6*>(&address);
    std::array<std::uint8_t, 16> bytes{};
    std::copy(std::begin(in->sin6_addr.s6_addr), std::end(in->sin6_addr.s6_addr), bytes.begin());
    const auto ip = IpAddress::v6(bytes);
    return {fmt::format("[{}]:{}", ip.to_string(), ntohs(in->sin6_port)), ip};
  }
  return {listener, std::nullopt};
}

std::vector<IpNetwork> networks(const std::vector<std::string>& texts) {
  std::vector<IpNetwork> parsed;
  for (const std::string& text : texts) {
    // Always valid: checked with the configuration.
    if (auto network = IpNetwork::parse(text)) parsed.push_back(*network);
  }
  return parsed;
}

// The descriptor limit less those for the database, its helpers and the log.
std::size_t connections_possible() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::numeric_limits<std::size_t>::max();
  return limit.rlim_cur > 2 * kOtherDescriptors ? limit.rlim_cur - kOtherDescriptors
                                                : kOtherDescriptors;
}

// A warning that is logged at most once a minute.
class RateLimitedWarning {
 public:
  void log(Maillog& log, const std::string& text) {
    const auto now = std::chrono::steady_clock::now();
    if (last_ && now - *last_ < kReportAgainAfter) return;
    last_ = now;
    log.warning(text);
  }

 private:
  std::optional<std::chrono::steady_clock::time_point> last_;
};

bool any_contains(const std::vector<IpNetwork>& all, const IpAddress& address) {
  return std::any_of(all.begin(), all.end(),
                     [&](const IpNetwork& one) { return one.contains(address); });
}

}  // namespace

class Server::Impl {
 public:
  Impl(EpollLoop& loop, Engine& engine, Maillog& log, const Config& config, Handlers handlers)
      : loop_(loop),
        engine_(engine),
        log_(log),
        handlers_(std::move(handlers)),
        context_{engine, log, refused_, {}, {}} {
    configure(config);
    loop_.on_signals({SIGTERM, SIGINT, SIGHUP, SIGUSR1}, [this](int signal) { on(signal); });
    loop_.after(kSweepEvery, [this] { sweep(); });
  }

  void configure(const Config& config) {
    context_.timeout_idle = config.timeout_idle;
    context_.timeout_busy = config.timeout_busy;
    context_.myorigin = config.myorigin;
    max_connections_ = std::min(config.max_connections, connections_possible());
    allowed_ = networks(config.cidr_allow);
    denied_ = networks(config.cidr_deny);
  }

  void add(Listener listener) {
    acceptors_.push_back(std::make_unique<Acceptor>(*this, std::move(listener)));
    log_.notice(fmt::format("listening on {}", acceptors_.back()->listener.name));
  }

  void run() {
    start_accepting();
    loop_.run();
  }
  [[nodiscard]] std::size_t connection_count() const { return connections_.size(); }
  [[nodiscard]] const RefusedRequests& refused_requests() const { return refused_; }

 private:
  struct Acceptor final : EpollLoop::Client {
    Acceptor(Impl& owner, Listener from) : server(owner), listener(std::move(from)) {}
    // In a task, since another connection may have to be destroyed for it.
    void ready(std::uint32_t) override {
      server.loop_.post([this] { server.accept(*this); });
    }
    Impl& server;
    Listener listener;
  };

  // Once it may.
  void start_accepting() {
    if (stopping_) return;
    if (handlers_.may_accept && !handlers_.may_accept()) {
      return loop_.after(kMayAcceptEvery, [this] { start_accepting(); });
    }
    for (const auto& acceptor : acceptors_) {
      if (!loop_.watch(acceptor->listener.fd.get(), *acceptor)) {
        throw std::system_error{errno, std::generic_category(), "epoll_ctl"};
      }
    }
  }

  // Edge-triggered: accepts until no connection waits, or continues in the next turn.
  void accept(Acceptor& acceptor) {
    for (int accepted = 0; acceptor.listener.fd; ++accepted) {
      if (accepted == kMaxAccepted) {
        return loop_.post([this, &acceptor] { accept(acceptor); });
      }
      sockaddr_storage address{};
      socklen_t size = sizeof address;
      UniqueFd fd{::accept4(acceptor.listener.fd.get(), reinterpret_cast<sockaddr*>(&address),
                            &size, SOCK_NONBLOCK | SOCK_CLOEXEC)};
      if (fd) {
        add_connection(std::move(fd), address, acceptor.listener);
        continue;
      }
      const int error = errno;
      if (error == EAGAIN) return;
      if (error == ECONNABORTED || error == EINTR) continue;
      cannot_accept_.log(log_,
                         fmt::format("cannot accept a connection on {}: {}", acceptor.listener.name,
                                     std::generic_category().message(error)));
      // A waiting connection is worth more than an idle one.
      if (error == EMFILE && close_longest_idle()) continue;
      return loop_.after(kAcceptAgainAfter, [this, &acceptor] { accept(acceptor); });
    }
  }

  void add_connection(UniqueFd fd, const sockaddr_storage& address, const Listener& listener) {
    Peer peer = peer_of(address, listener.name);
    if (peer.address && is_denied(*peer.address)) {
      denied_by_cidr_.log(log_, fmt::format("{}: refused by cidr_allow or cidr_deny", peer.name));
      return;
    }
    if (!listener.unix_socket) {
      const int on = 1;
      ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (connections_.size() >= max_connections_) make_room();
    const int number = fd.get();
    auto connection =
        std::make_shared<Connection>(std::move(fd), context_, std::move(peer.name), peer.address);
    if (!loop_.watch(number, *connection)) return;
    connections_.push_back(std::move(connection));
  }

  [[nodiscard]] bool is_denied(const IpAddress& address) const {
    if (any_contains(denied_, address)) return true;
    return !allowed_.empty() && !any_contains(allowed_, address);
  }

  // Closes the longest idle connection: Postfix silently opens another when it needs one.
  void make_room() {
    forget_closed();
    if (connections_.size() < max_connections_) return;
    too_many_.log(log_,
                  fmt::format("{} connections are open (max_connections): closing the longest "
                              "idle one",
                              connections_.size()));
    close_longest_idle();
  }

  // False if there is no connection.
  bool close_longest_idle() {
    forget_closed();
    if (connections_.empty()) return false;
    const auto oldest = std::min_element(
        connections_.begin(), connections_.end(), [](const auto& a, const auto& b) {
          constexpr auto kNever = std::chrono::steady_clock::time_point::max();
          return a->idle_since().value_or(kNever) < b->idle_since().value_or(kNever);
        });
    (*oldest)->close();
    connections_.erase(oldest);
    return true;
  }

  void forget_closed() {
    std::erase_if(connections_, [](const auto& connection) { return !connection->is_open(); });
  }

  void sweep() {
    for (const auto& connection : connections_) {
      if (connection->is_open()) connection->check_timeout();
    }
    forget_closed();
    if (stopping_ && may_stop()) return loop_.stop();
    loop_.after(stopping_ ? kAcceptAgainAfter : kSweepEvery, [this, stopping = stopping_] {
      if (stopping == stopping_) sweep();  // otherwise stop() has started its own series
    });
  }

  void on(int signal) {
    if (signal == SIGHUP) {
      handlers_.reload();
    } else if (signal == SIGUSR1) {
      handlers_.statistics();
    } else if (!stopping_) {
      stop();
    }
  }

  void stop() {
    stopping_ = true;
    stopping_since_ = std::chrono::steady_clock::now();
    log_.notice("shutting down: answering pending requests first");
    handlers_.stopping();
    for (const auto& acceptor : acceptors_) {
      Listener& listener = acceptor->listener;
      loop_.forget(listener.fd.get());
      listener.fd.reset();
      if (listener.unix_socket && !listener.inherited) ::unlink(listener.name.c_str());
    }
    // Requests that have already arrived are read and answered in this turn of the loop.
    loop_.post([this] { sweep(); });
  }

  bool may_stop() {
    if (std::chrono::steady_clock::now() - stopping_since_ > kMaxShutdown) return true;
    return engine_.idle() &&
           std::none_of(connections_.begin(), connections_.end(),
                        [](const auto& connection) { return connection->is_busy(); });
  }

  EpollLoop& loop_;
  Engine& engine_;
  Maillog& log_;
  Handlers handlers_;
  RefusedRequests refused_;
  ConnectionContext context_;
  std::size_t max_connections_ = 0;
  std::vector<IpNetwork> allowed_;
  std::vector<IpNetwork> denied_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  // shared_ptr: the engine also holds connections that wait for an answer.
  std::vector<std::shared_ptr<Connection>> connections_;
  bool stopping_ = false;
  std::chrono::steady_clock::time_point stopping_since_;
  RateLimitedWarning cannot_accept_;
  RateLimitedWarning denied_by_cidr_;
  RateLimitedWarning too_many_;
};

Server::Server(EpollLoop& loop, Engine& engine, Maillog& log, const Config& config,
               std::vector<Listener> listeners, Handlers handlers)
    : impl_(std::make_unique<Impl>(loop, engine, log, config, std::move(handlers))) {
  for (Listener& listener : listeners) impl_->add(std::move(listener));
}

Server::~Server() = default;
void Server::configure(const Config& config) { impl_->configure(config); }
std::size_t Server::connection_count() const { return impl_->connection_count(); }
const RefusedRequests& Server::refused_requests() const { return impl_->refused_requests(); }
void Server::run() { impl_->run(); }

}  // namespace policyd
