// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/redis_connection.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "daemon/cluster/redis_greeting.hpp"

namespace policyd {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::size_t kPiece = 64 * 1024;
// Then others are served first.
constexpr int kPiecesPerTurn = 16;
constexpr std::size_t kKeptBuffer = 256 * 1024;

// A connection to a free port of this host may, by chance, have that port at both ends.
bool is_connected_to_itself(int fd) {
  sockaddr_storage own{};
  sockaddr_storage peer{};
  socklen_t own_size = sizeof own;
  socklen_t peer_size = sizeof peer;
  return ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size) == 0 &&
         ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) == 0 &&
         own.ss_family != AF_UNIX && own_size == peer_size &&
         std::memcmp(&own, &peer, own_size) == 0;
}

}  // namespace

RedisConnection::RedisConnection(EpollLoop& loop, Handlers handlers)
    : loop_(loop), handlers_(std::move(handlers)) {}

void RedisConnection::open(const SocketAddress& address) {
  close("the connection was closed");
  ++number_;
  connecting_ = true;
  const int family = address.storage.ss_family;
  socket_.reset(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_) return fail(trouble_of_errno(errno));
  if (family != AF_UNIX) {
    const int on = 1;
    ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  const auto* to = reinterpret_cast<const sockaddr*>(&address.storage);
  if (::connect(socket_.get(), to, address.size) != 0 && errno != EINPROGRESS) {
    return fail(trouble_of_errno(errno));
  }
  if (!loop_.watch(socket_.get(), *this)) return fail(trouble_of_errno(errno));
}

void RedisConnection::close(const std::string& why) {
  ++number_;
  ended_ = false;
  socket_.reset();
  reader_.reset();
  out_ = {};
  sent_ = 0;
  const auto waiting = std::exchange(waiting_, {});
  for (const Done& done : waiting) done(failure(why));
}

// The socket is closed at once, the rest happens in a task: who called may be within a reply.
void RedisConnection::fail(std::string why) {
  socket_.reset();
  loop_.post(guard_.wrap([this, number = number_, why = std::move(why)] {
    if (number == number_) handlers_.lost(why);
  }));
}

// A server that refuses a client says why before it closes.
void RedisConnection::fail_after_reading(std::string why) {
  out_.clear();
  sent_ = 0;
  ended_ = true;
  loop_.post(guard_.wrap([this, number = number_, why = std::move(why)] {
    receive();
    if (number == number_ && is_open()) fail(why);
  }));
}

void RedisConnection::send(const std::vector<std::string>& words, Done done) {
  if (!is_open() || waiting_.size() >= kMaxWaiting || out_.size() - sent_ > kMaxUnsentBytes) {
    loop_.post(guard_.wrap([done = std::move(done), open = is_open()] {
      done(failure(open ? "too many commands wait for Redis; see whether it is overloaded"
                        : "the connection to Redis is lost"));
    }));
    return;
  }
  if (waiting_.empty()) heard_ = Steady::now();
  waiting_.push_back(std::move(done));
  append_redis_command(out_, words);
  // The first command of a turn leaves at once, the others together at its end.
  if (std::exchange(flushed_in_, loop_.turns()) != loop_.turns()) return flush();
  if (std::exchange(flush_posted_, true)) return;
  loop_.post(guard_.wrap([this] {
    flush_posted_ = false;
    flush();
  }));
}

std::optional<Steady::time_point> RedisConnection::silent_since() const {
  if (waiting_.empty()) return std::nullopt;
  return heard_;
}

void RedisConnection::flush() {
  if (!is_open() || connecting_) return;
  while (sent_ < out_.size()) {
    const ssize_t sent = ::send(socket_.get(), out_.data() + sent_, out_.size() - sent_,
                                MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno != EAGAIN) return fail_after_reading(trouble_of_errno(errno));
    if (sent < 0) break;
    sent_ += static_cast<std::size_t>(sent);
  }
  if (sent_ < out_.size()) {
    // ready() continues.
    if (sent_ > kKeptBuffer) {
      out_.erase(0, sent_);
      sent_ = 0;
    }
    return;
  }
  sent_ = 0;
  out_.clear();
  if (out_.capacity() > kKeptBuffer) out_ = {};
}

// Edge-triggered: everything there is must be read, or a task must read the rest.
void RedisConnection::ready(std::uint32_t events) {
  if (!is_open()) return;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) ended_ = true;
  if (connecting_) {
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) finish_connecting();
    return;
  }
  if ((events & EPOLLOUT) != 0) flush();
  receive();
}

void RedisConnection::finish_connecting() {
  int code = 0;
  socklen_t size = sizeof code;
  if (::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &code, &size) != 0) code = errno;
  if (code == 0 && is_connected_to_itself(socket_.get())) code = ECONNREFUSED;
  if (code != 0) return fail(trouble_of_errno(code));
  connecting_ = false;
  loop_.post(guard_.wrap([this, number = number_] {
    if (number != number_ || !is_open()) return;
    handlers_.connected();
    receive();  // what came together with the connection: there is no other event
  }));
}

void RedisConnection::receive() {
  for (int piece = 0; piece < kPiecesPerTurn; ++piece) {
    // What a reply leads to may have opened another connection.
    if (!is_open() || connecting_ || !receive_some()) return;
  }
  loop_.post(guard_.wrap([this, number = number_] {
    if (number == number_) receive();
  }));
}

// Whether there may be more.
bool RedisConnection::receive_some() {
  std::array<char, kPiece> piece;  // filled by the kernel
  const ssize_t got = ::recv(socket_.get(), piece.data(), piece.size(), MSG_DONTWAIT);
  if (got < 0 && errno == EINTR) return true;
  if (got < 0 && errno == EAGAIN) return false;
  if (got <= 0) {
    fail(got == 0 ? "closed the connection; see its log" : trouble_of_errno(errno));
    return false;
  }
  reader_.feed({piece.data(), static_cast<std::size_t>(got)});
  deliver_replies();
  // Less than there was room for: that was all, but for the end.
  return static_cast<std::size_t>(got) == piece.size() || ended_;
}

void RedisConnection::deliver_replies() {
  using Kind = ReplyReader::Next::Kind;
  const auto number = number_;
  while (number == number_ && is_open()) {
    ReplyReader::Next next = reader_.next();
    if (next.kind == Kind::need_more) return;
    if (next.kind == Kind::broken) {
      return fail(next.text + "; check the port in url in [cluster] (TLS is not supported)");
    }
    heard_ = Steady::now();
    if (waiting_.empty()) {
      if (next.kind == Kind::error) return fail(trouble_of_error({}, next.text));
      return fail("sent a reply that was not asked for; check the port in url in [cluster]");
    }
    const Done done = std::move(waiting_.front());
    waiting_.pop_front();
    if (next.kind == Kind::error) {
      done(failure(std::move(next.text)));
    } else {
      done(std::move(next.reply));
    }
  }
}

}  // namespace policyd
