// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/server.hpp"

#include <utility>  // before Asio 1.74, which forgets it
//
#include <fmt/core.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <limits>

#include "daemon/connection.hpp"
#include "daemon/signals.hpp"

namespace policyd {

namespace asio = boost::asio;
using asio::generic::stream_protocol;

namespace {

constexpr std::chrono::seconds kSweepEvery{1};
// After an accept that failed for want of descriptors or memory.
constexpr std::chrono::milliseconds kAcceptAgainAfter{100};
constexpr std::chrono::seconds kSayAgainAfter{60};
constexpr std::size_t kOtherDescriptors = 64;
// How long SIGTERM waits for answers that clients do not read.
constexpr std::chrono::seconds kLastAnswers{5};

struct Peer {
  std::string name;
  std::optional<IpAddress> address;
};

Peer peer_of(const stream_protocol::endpoint& endpoint, const std::string& listener) {
  const sockaddr* address = endpoint.data();
  if (address->sa_family == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(address);
    const auto ip = IpAddress::v4(ntohl(in->sin_addr.s_addr));
    return {fmt::format("{}:{}", ip.to_string(), ntohs(in->sin_port)), ip};
  }
  if (address->sa_family == AF_INET6) {
    const auto* in = reinterpret_cast<const sockaddr_in6*>(address);
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
    if (auto network = IpNetwork::parse(text))
      parsed.push_back(*network);  // checked with the configuration
  }
  return parsed;
}

// What the limit of descriptors leaves, when the database, its helpers and the log have theirs.
std::size_t connections_possible() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::numeric_limits<std::size_t>::max();
  return limit.rlim_cur > 2 * kOtherDescriptors ? limit.rlim_cur - kOtherDescriptors
                                                : kOtherDescriptors;
}

bool any_contains(const std::vector<IpNetwork>& all, const IpAddress& address) {
  return std::any_of(all.begin(), all.end(),
                     [&](const IpNetwork& one) { return one.contains(address); });
}

}  // namespace

struct AsioLoop::Context {
  asio::io_context io{1};
};

AsioLoop::AsioLoop() : context_(std::make_unique<Context>()) {}
AsioLoop::~AsioLoop() = default;

void AsioLoop::post(Task task) { asio::post(context_->io, std::move(task)); }

void AsioLoop::after(std::chrono::milliseconds delay, Task task) {
  // shared_ptr: the timer lives until it fires.
  auto timer = std::make_shared<asio::steady_timer>(context_->io, delay);
  timer->async_wait([timer, task = std::move(task)](boost::system::error_code error) {
    if (!error) task();
  });
}

class Server::Impl {
 public:
  Impl(AsioLoop& loop, Engine& engine, Maillog& log, const Config& config, Handlers handlers)
      : io_(loop.context_->io),
        engine_(engine),
        log_(log),
        handlers_(std::move(handlers)),
        context_{engine, log, {}, {}},
        readiness_(io_),
        signals_(io_, SIGTERM, SIGINT, SIGHUP),
        sweep_(io_) {
    signals_.add(SIGUSR1);
    unblock_signals();
    configure(config);
    wait_signal();
    sweep();
  }

  void configure(const Config& config) {
    context_.timeout_idle = config.timeout_idle;
    context_.timeout_busy = config.timeout_busy;
    max_connections_ = std::min(config.max_connections, connections_possible());
    allowed_ = networks(config.cidr_allow);
    denied_ = networks(config.cidr_deny);
  }

  void add(Listener listener) {
    auto& place = *listeners_.emplace_back(std::make_unique<Place>(io_, std::move(listener)));
    log_.notice(fmt::format("listening on {}", place.name));
    accept(place);
  }

  void run() { io_.run(); }
  [[nodiscard]] std::size_t connection_count() const { return connections_.size(); }

 private:
  using Acceptor = asio::basic_socket_acceptor<stream_protocol>;
  using Socket = stream_protocol::socket;
  struct Place {
    Place(asio::io_context& io, Listener listener)
        : name(std::move(listener.name)),
          is_path(listener.unix_socket),
          is_ours(listener.unix_socket && !listener.inherited),
          acceptor(io,
                   is_path ? stream_protocol{AF_UNIX, 0} : stream_protocol{AF_INET6, IPPROTO_TCP},
                   listener.fd.release()),
          again(io) {}
    std::string name;
    bool is_path;
    bool is_ours;  // a path to be removed at the end
    Acceptor acceptor;
    asio::steady_timer again;
  };

  void accept(Place& place) {
    place.acceptor.async_accept([this, &place](boost::system::error_code error, Socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (!error) {
        welcome(std::move(socket), place);
        return accept(place);
      }
      complain(fmt::format("cannot accept a connection on {}: {}", place.name, error.message()));
      // Whoever waits goes before whoever is idle.
      if (error == asio::error::no_descriptors && close_longest_idle()) return accept(place);
      place.again.expires_after(kAcceptAgainAfter);
      place.again.async_wait([this, &place](boost::system::error_code cancelled) {
        if (!cancelled) accept(place);
      });
    });
  }

  void welcome(Socket socket, const Place& place) {
    boost::system::error_code error;
    const auto endpoint = socket.remote_endpoint(error);
    if (error) return;  // gone already
    Peer peer = peer_of(endpoint, place.name);
    if (peer.address && is_unwanted(*peer.address)) {
      complain(fmt::format("{}: refused by cidr_allow or cidr_deny", peer.name));
      return;
    }
    if (!place.is_path) {
      const int on = 1;
      ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    UniqueFd fd{socket.release(error)};
    if (error) return;
    if (connections_.size() >= max_connections_) make_room();
    const int number = fd.get();
    auto connection =
        std::make_shared<Connection>(std::move(fd), context_, std::move(peer.name), peer.address);
    if (!readiness_.add(number, *connection)) return;
    connections_.push_back(std::move(connection));
  }

  [[nodiscard]] bool is_unwanted(const IpAddress& address) const {
    if (any_contains(denied_, address)) return true;
    return !allowed_.empty() && !any_contains(allowed_, address);
  }

  // The longest idle connection goes: Postfix opens another without a word.
  void make_room() {
    forget_closed();
    if (connections_.size() < max_connections_) return;
    complain(fmt::format("{} connections are open (max_connections): closing the longest idle one",
                         connections_.size()));
    close_longest_idle();
  }

  // False where there is none.
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
    if (stopping_ && may_stop()) return io_.stop();
    sweep_.expires_after(stopping_ ? kAcceptAgainAfter : kSweepEvery);
    sweep_.async_wait([this](boost::system::error_code cancelled) {
      if (!cancelled) sweep();
    });
  }

  void wait_signal() {
    signals_.async_wait([this](boost::system::error_code error, int signal) {
      if (error) return;
      if (signal == SIGHUP) {
        handlers_.reload();
      } else if (signal == SIGUSR1) {
        handlers_.statistics();
      } else if (!stopping_) {
        stop();
      }
      wait_signal();
    });
  }

  void stop() {
    stopping_ = true;
    stopping_since_ = std::chrono::steady_clock::now();
    log_.notice("stopping: what was asked is answered first");
    handlers_.stopping();
    for (const auto& place : listeners_) {
      boost::system::error_code ignored;
      place->acceptor.close(ignored);
      if (place->is_ours) ::unlink(place->name.c_str());
    }
    sweep_.cancel();
    // Requests that have arrived are read and answered in this turn of the loop.
    asio::post(io_, [this] { sweep(); });
  }

  bool may_stop() {
    if (std::chrono::steady_clock::now() - stopping_since_ > kLastAnswers) return true;
    return engine_.idle() &&
           std::none_of(connections_.begin(), connections_.end(),
                        [](const auto& connection) { return connection->is_busy(); });
  }

  // Once a minute each kind would be nicer; once a minute altogether is enough.
  void complain(const std::string& text) {
    const auto now = std::chrono::steady_clock::now();
    if (complained_ && now - *complained_ < kSayAgainAfter) return;
    complained_ = now;
    log_.warning(text);
  }

  asio::io_context& io_;
  Engine& engine_;
  Maillog& log_;
  Handlers handlers_;
  ConnectionContext context_;
  Readiness readiness_;
  std::size_t max_connections_ = 0;
  std::vector<IpNetwork> allowed_;
  std::vector<IpNetwork> denied_;
  asio::signal_set signals_;
  asio::steady_timer sweep_;
  std::vector<std::unique_ptr<Place>> listeners_;
  // shared_ptr: handlers under way hold on to their connection too.
  std::vector<std::shared_ptr<Connection>> connections_;
  bool stopping_ = false;
  std::chrono::steady_clock::time_point stopping_since_;
  std::optional<std::chrono::steady_clock::time_point> complained_;
};

Server::Server(AsioLoop& loop, Engine& engine, Maillog& log, const Config& config,
               std::vector<Listener> listeners, Handlers handlers)
    : impl_(std::make_unique<Impl>(loop, engine, log, config, std::move(handlers))) {
  for (Listener& listener : listeners) impl_->add(std::move(listener));
}

Server::~Server() = default;
void Server::configure(const Config& config) { impl_->configure(config); }
std::size_t Server::connection_count() const { return impl_->connection_count(); }
void Server::run() { impl_->run(); }

}  // namespace policyd
