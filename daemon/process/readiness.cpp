// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/process/readiness.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>
#include <utility>

namespace policyd {
namespace {

constexpr std::chrono::seconds kStatusEvery{1};

template <typename Number>
Number number_in(const char* text) {
  const std::string_view digits = text != nullptr ? text : "";
  Number number{};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error == std::errc{} && end == digits.data() + digits.size() ? number : Number{};
}

}  // namespace

std::chrono::microseconds watchdog_interval(const char* usec, const char* pid) {
  if (pid != nullptr && number_in<pid_t>(pid) != ::getpid()) return {};
  return std::chrono::microseconds{number_in<std::int64_t>(usec)};
}

Readiness::Readiness(EventLoop& loop, const Notifier& notifier, std::chrono::microseconds watchdog,
                     StatusLine status_line)
    : loop_(loop), notifier_(notifier), watchdog_(watchdog), status_line_(std::move(status_line)) {
  send_status();
  if (watchdog_ > std::chrono::microseconds::zero()) ping_watchdog();
}

void Readiness::ready() { notifier_.send("READY=1"); }

void Readiness::reloading() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  notifier_.send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}",
                             std::chrono::duration_cast<std::chrono::microseconds>(now).count()));
}

void Readiness::stopping() { notifier_.send("STOPPING=1\nSTATUS=Stopping."); }

void Readiness::send_status() {
  loop_.after(kStatusEvery, guard_.wrap([this] { send_status(); }));
  std::string now = status_line_();
  if (now == sent_) return;
  notifier_.send(fmt::format("STATUS={}", now));
  sent_ = std::move(now);
}

void Readiness::ping_watchdog() {
  notifier_.send("WATCHDOG=1");
  const auto half = std::chrono::duration_cast<std::chrono::milliseconds>(watchdog_ / 2);
  loop_.after(std::max(half, std::chrono::milliseconds{1}),
              guard_.wrap([this] { ping_watchdog(); }));
}

}  // namespace policyd
