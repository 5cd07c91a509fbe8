// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/connection.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

namespace policyd {

namespace asio = boost::asio;

namespace {
// Postfix's requests have some 700 bytes; the buffer grows for others.
constexpr std::size_t kFirstBuffer = 2048;
static_assert(kFirstBuffer <= kMaxRequestBytes);
}  // namespace

Connection::Connection(Socket socket, ConnectionContext& context, std::string peer,
                       std::optional<IpAddress> peer_address)
    : socket_(std::move(socket)), context_(context), peer_(std::move(peer)), since_(std::chrono::steady_clock::now()) {
  request_.peer_address = peer_address;
}

void Connection::close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void Connection::now_doing(Doing doing) {
  if (doing_ == doing) return;
  doing_ = doing;
  since_ = std::chrono::steady_clock::now();
}

std::optional<std::chrono::steady_clock::time_point> Connection::idle_since() const {
  if (doing_ != Doing::idle) return std::nullopt;
  return since_;
}

void Connection::check_timeout() {
  if (doing_ == Doing::deciding) return;  // ours to end, not the client's
  const auto allowed = doing_ == Doing::idle ? context_.timeout_idle : context_.timeout_busy;
  if (std::chrono::steady_clock::now() - since_ < allowed) return;
  if (doing_ != Doing::idle) {
    context_.log.warning(fmt::format(
        "{}: closed: {} for {} s", peer_,
        doing_ == Doing::reading ? "a request was not finished" : "an answer was not read",
        allowed.count()));
  }
  close();
}

void Connection::wait_readable() {
  socket_.async_wait(Socket::wait_read,
                     [self = shared_from_this()](boost::system::error_code error) {
                       if (!error && self->is_open()) self->read();
                     });
}

void Connection::read() {
  if (received_ == in_.size())
    in_.resize(std::max(kFirstBuffer, std::min(in_.size() * 2, kMaxRequestBytes + 1)));
  boost::system::error_code error;
  const std::size_t got =
      socket_.read_some(asio::buffer(in_.data() + received_, in_.size() - received_), error);
  if (error == asio::error::would_block) return wait_readable();
  if (error) return close();
  received_ += got;
  process();
}

// Called with new bytes, and after an answer with what is left of them.
void Connection::process() {
  switch (find_request({in_.data(), received_}, framing_)) {
    case Frame::need_more:
      now_doing(received_ == 0 ? Doing::idle : Doing::reading);
      return wait_readable();
    case Frame::too_large:
      return refuse(fmt::format("a request of more than {} bytes", kMaxRequestBytes));
    case Frame::not_name_value:
      return refuse(fmt::format(
          "a line is not name=value: '{}'",
          std::string_view{in_.data() + framing_.line, framing_.scanned - framing_.line}));
    case Frame::complete:
      return ask();
  }
}

void Connection::ask() {
  const Parsed parsed = parse_request({in_.data(), framing_.scanned}, request_);
  switch (parsed.outcome) {
    case Parsed::Outcome::not_name_value:
      return refuse(fmt::format("a line is not name=value: '{}'", parsed.what));
    case Parsed::Outcome::incomplete:
      context_.log.error(fmt::format("{}: request refused: {}", peer_, parsed.what));
      close_after_answer_ = true;
      return answer({Action::defer, {}});
    case Parsed::Outcome::ok:
      now_doing(Doing::deciding);
      context_.engine.ask(shared_from_this());
      return;
  }
}

void Connection::refuse(std::string_view why) {
  context_.log.warning(fmt::format("{}: closed: {}", peer_, why));
  close();
}

void Connection::answer(const Verdict& verdict) {
  if (!is_open()) return;
  // What follows the request belongs to the next one.
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
  boost::system::error_code error;
  written_ +=
      socket_.write_some(asio::buffer(out_.data() + written_, out_.size() - written_), error);
  if (error && error != asio::error::would_block) return close();
  if (written_ == out_.size()) return sent();
  now_doing(Doing::writing);
  socket_.async_wait(Socket::wait_write,
                     [self = shared_from_this()](boost::system::error_code failed) {
                       if (!failed && self->is_open()) self->send();
                     });
}

void Connection::sent() {
  if (close_after_answer_) return close();
  now_doing(Doing::idle);
  if (received_ > 0) return process();
  wait_readable();
}

}  // namespace policyd
