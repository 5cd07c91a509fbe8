// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/net/connection.hpp"

#include <fmt/core.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "daemon/base/clock.hpp"
#include "daemon/base/printable.hpp"

namespace policyd {

namespace {
// Postfix's requests have about 700 bytes; for larger ones the buffer grows.
constexpr std::size_t kFirstBuffer = 2048;
static_assert(kFirstBuffer <= kMaxRequestBytes);
// From the connection to its first byte.
constexpr std::chrono::milliseconds kFirstRequest{100};
}  // namespace

Connection::Connection(UniqueFd socket, ConnectionContext& context, std::string peer,
                       std::optional<IpAddress> peer_address)
    : socket_(std::move(socket)),
      context_(context),
      peer_(std::move(peer)),
      since_(coarse_steady_now()) {
  request_.peer_address = peer_address;
}

// Edge-triggered: what cannot be handled now must be remembered.
void Connection::ready(std::uint32_t events) {
  if (!is_open()) return;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) ended_ = true;
  if (ended_ || (events & EPOLLIN) != 0) readable_ = true;
  switch (doing_) {
    case Doing::idle:
    case Doing::reading:
      received_now_ = readable_ && receive();
      return;
    case Doing::writing:
      return send();
    case Doing::deciding:
      return;
  }
}

void Connection::proceed() {
  if (std::exchange(received_now_, false)) process();
}

void Connection::now_doing(Doing doing) {
  if (doing_ == doing) return;
  doing_ = doing;
  since_ = coarse_steady_now();
}

std::optional<std::chrono::steady_clock::time_point> Connection::idle_since() const {
  if (doing_ != Doing::idle) return std::nullopt;
  return since_;
}

bool Connection::is_busy() const {
  if (doing_ == Doing::deciding || doing_ == Doing::writing) return true;
  return !has_asked_ && coarse_steady_now() - since_ < kFirstRequest;
}

void Connection::check_timeout() {
  if (doing_ == Doing::deciding) return;  // the engine answers in time
  const auto allowed = doing_ == Doing::idle ? context_.timeout_idle : context_.timeout_busy;
  if (coarse_steady_now() - since_ < allowed) return;
  if (doing_ != Doing::idle) {
    context_.log.warning(fmt::format(
        "{}: closed: {} for {} s", peer_,
        doing_ == Doing::reading ? "request not completed" : "answer not read", allowed.count()));
  }
  close();
}

void Connection::read() {
  if (receive()) process();
}

// Whether bytes were received.
bool Connection::receive() {
  if (received_ == in_.size()) {
    in_.resize(std::max(kFirstBuffer, std::min(in_.size() * 2, kMaxRequestBytes + 1)));
  }
  const std::size_t room = in_.size() - received_;
  const ssize_t got = ::recv(socket_.get(), in_.data() + received_, room, MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) {
    readable_ = false;
    return false;
  }
  if (got <= 0) {
    close();
    return false;
  }
  received_ += static_cast<std::size_t>(got);
  if (static_cast<std::size_t>(got) < room && !ended_) readable_ = false;
  return true;
}

// Called when bytes were received, and after an answer for the bytes that follow the request.
void Connection::process() {
  switch (find_request({in_.data(), received_}, framing_)) {
    case Frame::need_more:
      now_doing(received_ == 0 ? Doing::idle : Doing::reading);
      if (readable_) read();
      return;
    case Frame::too_large:
      return refuse(fmt::format("request larger than {} bytes", kMaxRequestBytes));
    case Frame::not_name_value:
      return refuse(
          fmt::format("not a valid name=value line: {}",
                      in_quotes({in_.data() + framing_.line, framing_.scanned - framing_.line})));
    case Frame::complete:
      return ask();
  }
}

void Connection::ask() {
  const std::string_view problem =
      parse_request({in_.data(), framing_.scanned}, framing_, request_, names_, context_.myorigin);
  if (!problem.empty()) {
    const auto value = [this](Attribute attribute) {
      return in_quotes(value_of({in_.data(), framing_.scanned}, framing_, attribute));
    };
    note_refusal(fmt::format("{}: request refused: {} (client {}, sender {}, recipient {})", peer_,
                             problem, value(Attribute::client_address), value(Attribute::sender),
                             value(Attribute::recipient)));
    context_.log.error(context_.refused.last);
    close_after_answer_ = true;
    return answer({context_.engine.is_paused() ? Action::dunno : Action::defer, {}});
  }
  has_asked_ = true;
  now_doing(Doing::deciding);
  context_.engine.ask(shared_from_this());
}

void Connection::refuse(std::string_view why) {
  note_refusal(fmt::format("{}: closed: {}", peer_, why));
  context_.log.warning(context_.refused.last);
  close();
}

void Connection::note_refusal(std::string why) {
  ++context_.refused.count;
  context_.refused.last = std::move(why);
  context_.refused.last_at = wall_clock();
}

void Connection::answer(const Verdict& verdict) {
  if (!is_open()) return;
  // The bytes after the request belong to the next one.
  const auto rest = in_.begin() + static_cast<std::ptrdiff_t>(framing_.scanned);
  std::copy(rest, in_.begin() + static_cast<std::ptrdiff_t>(received_), in_.begin());
  received_ -= framing_.scanned;
  framing_ = {};
  out_.clear();
  written_ = 0;
  append_action(out_, verdict);
  send();
}

void Connection::send() {
  const ssize_t sent_now = ::send(socket_.get(), out_.data() + written_, out_.size() - written_,
                                  MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent_now < 0 && errno != EAGAIN) return close();
  if (sent_now > 0) written_ += static_cast<std::size_t>(sent_now);
  if (written_ == out_.size()) return sent();
  now_doing(Doing::writing);
}

void Connection::sent() {
  if (close_after_answer_) return close();
  now_doing(Doing::idle);
  if (received_ > 0) return process();
  if (readable_) read();
}

}  // namespace policyd
