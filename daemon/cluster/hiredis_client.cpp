// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/hiredis_client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace policyd {
namespace {

using Steady = std::chrono::steady_clock;

// Ready for longer than this, a server is not one that drops each connection.
constexpr std::chrono::seconds kStable{10};

// Errors of a server that has stopped being one to write to, within a script, too.
bool is_loss(std::string_view error) {
  for (const std::string_view code : {"READONLY ", "LOADING ", "MASTERDOWN ", "NOAUTH "}) {
    if (error.starts_with(code)) return true;
  }
  return error.find("-READONLY ") != std::string_view::npos;
}

std::string seconds_text(std::chrono::milliseconds time) {
  return fmt::format("{:g} s", std::chrono::duration<double>(time).count());
}

}  // namespace

HiredisClient::HiredisClient(EpollLoop& loop, HiredisSettings settings,
                             std::function<void()> changed)
    : loop_(loop),
      settings_(std::move(settings)),
      changed_(std::move(changed)),
      names_(loop),
      connection_(loop, {[this] { greet(); }, [this](const std::string& why) { lost(why); }}),
      pause_(settings_.first_pause) {
  loop_.post(guard_.wrap([this] {
    start_round();
    check_silence();
  }));
}

void HiredisClient::command(std::vector<std::string> words, Done done) {
  if (!ready_) {
    loop_.post(guard_.wrap([done = std::move(done), why = trouble_] { done(failure(why)); }));
    return;
  }
  connection_.send(words, [this, done = std::move(done)](const Result<RedisReply>& reply) {
    if (!reply && ready_ && is_loss(reply.error().message)) {
      const std::string why = trouble_of_error(login_, reply.error().message);
      loop_.post(guard_.wrap([this, why, attempt = attempt_] {
        if (ready_ && attempt == attempt_) lose(why);
      }));
    }
    done(reply);
  });
}

void HiredisClient::start_round() {
  next_host_ = 0;
  troubles_.clear();
  try_next_host();
}

void HiredisClient::try_next_host() {
  const RedisAddress& address = settings_.address;
  if (next_host_ == address.hosts.size()) {
    trouble_ = troubles_;
    return pause();
  }
  try_host(address.hosts[next_host_++], address.master.empty() ? Asking::server : Asking::sentinel);
}

void HiredisClient::try_host(const RedisHost& host, Asking asking) {
  asking_ = asking;
  host_ = host.to_string();
  addresses_.clear();
  next_address_ = 0;
  arm_timeout();
  names_.look_up(
      host,
      guard_.wrap([this, attempt = attempt_](const Result<std::vector<SocketAddress>>& found) {
        if (attempt != attempt_) return;
        if (!found) return give_up(found.error().message);
        addresses_ = *found;
        try_next_address();
      }));
}

// Of the addresses that a name has.
void HiredisClient::try_next_address() {
  arm_timeout();
  replies_.clear();
  connection_.open(addresses_[next_address_++]);
}

void HiredisClient::arm_timeout() {
  const auto attempt = ++attempt_;
  loop_.after(settings_.timeout, guard_.wrap([this, attempt] {
    if (attempt != attempt_ || ready_) return;
    give_up(fmt::format("did not answer for {}; check the server and the network",
                        seconds_text(settings_.timeout)));
  }));
}

void HiredisClient::greet() {
  const RedisAddress& address = settings_.address;
  login_ = {address.user, {}, settings_.password_file, address.database};
  if (!settings_.password_file.empty()) {
    auto password = read_password(settings_.password_file);
    if (!password) return give_up(password.error().message);
    login_.password = std::move(*password);
  }
  const auto commands = asking_ == Asking::sentinel ? sentinel_greeting_of(login_, address.master)
                                                    : greeting_of(login_);
  login_.password.clear();
  replies_expected_ = commands.size();
  for (const RedisCommand& command : commands) {
    connection_.send(command, [this, attempt = attempt_](const Result<RedisReply>& reply) {
      if (attempt == attempt_) greeted(reply);
    });
  }
}

void HiredisClient::greeted(const Result<RedisReply>& reply) {
  replies_.push_back(reply);
  if (replies_.size() < replies_expected_) return;
  if (asking_ == Asking::server) {
    auto server = read_greeting(login_, replies_);
    if (!server) return give_up(server.error().message);
    server->address = host_;
    return use_server(std::move(*server));
  }
  auto master = read_sentinel_greeting(login_, settings_.address.master, replies_);
  if (!master) return give_up(master.error().message);
  connection_.close("the master is known");
  try_host(*master, Asking::server);
}

void HiredisClient::use_server(RedisServer server) {
  server_ = std::move(server);
  ++connections_;
  ready_since_ = Steady::now();
  trouble_.clear();
  set_ready(true);
}

// Of the address being tried.
void HiredisClient::give_up(const std::string& why) {
  ++attempt_;
  connection_.close(why);
  if (next_address_ < addresses_.size()) return try_next_address();
  if (!troubles_.empty()) troubles_ += "; ";
  troubles_ += fmt::format("Redis {}: {}", host_, why);
  try_next_host();
}

// By the connection.
void HiredisClient::lost(const std::string& why) {
  if (ready_) return lose(why);
  // A server that refuses a client says so before it closes.
  for (const auto& reply : replies_) {
    if (!reply) return give_up(trouble_of_error(login_, reply.error().message));
  }
  give_up(why);
}

void HiredisClient::lose(const std::string& why) {
  ++attempt_;
  trouble_ = fmt::format("Redis {}: {}", host_, why);
  if (Steady::now() - ready_since_ > kStable) pause_ = settings_.first_pause;
  set_ready(false);
  connection_.close(trouble_);
  pause();
}

void HiredisClient::pause() {
  loop_.after(std::exchange(pause_, std::min(pause_ * 2, settings_.longest_pause)),
              guard_.wrap([this] { start_round(); }));
}

void HiredisClient::set_ready(bool ready) {
  ready_ = ready;
  loop_.post(guard_.wrap([this] { changed_(); }));
}

void HiredisClient::check_silence() {
  loop_.after(settings_.timeout / 4, guard_.wrap([this] { check_silence(); }));
  if (!ready_) return;
  const auto silent_since = connection_.silent_since();
  if (!silent_since) return command({"PING"}, [](const Result<RedisReply>&) {});
  if (Steady::now() - *silent_since >= settings_.timeout) {
    lose(fmt::format("did not answer for {}; check the server and the network",
                     seconds_text(settings_.timeout)));
  }
}

}  // namespace policyd
