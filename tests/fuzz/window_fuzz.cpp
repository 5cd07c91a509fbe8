// SPDX-License-Identifier: AGPL-3.0-only
// Stored window state: one byte for the length of a State, the State, and then traffic, four bytes
// a step. What parses is stored and read again the same; then the traffic is counted against every
// single arrival: never held too short, never longer than a sixtieth of the period too long.
#include <algorithm>
#include <bit>
#include <cmath>
#include <string>
#include <vector>

#include "daemon/counting/distinct_recipients.hpp"
#include "daemon/counting/window.hpp"
#include "fuzz.hpp"

namespace {

using namespace policyd;
using fuzz::check;

constexpr std::size_t kCounterAt = 1;
constexpr std::size_t kLastUpdateAt = 9;

double number_at(std::string_view blob, std::size_t at) {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < 8 && at + i < blob.size(); ++i) {
    bits |= std::uint64_t{static_cast<std::uint8_t>(blob[at + i])} << (8 * i);
  }
  return std::bit_cast<double>(bits);
}

Window stored_and_read(const Window& window, double counter, double last_update_s) {
  std::string blob;
  window.serialize(blob, counter, last_update_s);
  check(blob.size() <= 17 + 20 + Window::kMaxPairs * 20, "a State is bounded");
  const auto read = Window::parse(blob, counter, last_update_s);
  check(read && *read == window, "a State reads as it was stored");
  check(!Window::parse(blob, counter + 1, last_update_s) || counter + 1 == counter,
        "a State whose row was edited does not count");
  check(!Window::parse(blob + "x", counter, last_update_s), "a State is read to its end");
  check(!Window::parse(blob.substr(0, blob.size() - 1), counter, last_update_s), "and whole");
  return *read;
}

struct Arrival {
  std::int64_t ms;
  std::uint64_t units;
};

std::uint64_t later_than(const std::vector<Arrival>& arrivals, std::int64_t since) {
  std::uint64_t sum = 0;
  for (const Arrival& arrival : arrivals) sum += arrival.ms > since ? arrival.units : 0;
  return sum;
}

// Whatever was stored can be used, by any clock and any period.
void use_anyhow(Window window, std::string_view steps) {
  while (steps.size() >= 4) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(steps[i]); };
    const TimePoint now{Millis{std::int64_t{byte(0)} << (byte(1) % 63)}};
    const Millis period{std::int64_t{1} + (std::int64_t{byte(2)} << (byte(3) % 55))};
    window.advance(now, period);
    const auto free_at = window.free_at(period, Window::kMaxUnits, 1);
    check(free_at.has_value(), "what may pass at all passes some day");
    window.add(now, period, std::uint64_t{byte(3)} << (byte(2) % 57));
    window = stored_and_read(window, 1, 2);
    window.advance(TimePoint::max(), period);
    check(window.use() <= Window::kMaxUnits * Window::kMaxPairs, "use is bounded");
    steps.remove_prefix(4);
  }
}

// Those of a State, and of traffic to eight others.
void use_recipients(Window window, DistinctRecipients recipients, std::string_view steps) {
  std::string blob;
  recipients.serialize(blob);
  DistinctRecipients again;
  again.read(blob);
  check(again.size() == recipients.size(), "recipients are stored");
  while (steps.size() >= 4) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(steps[i]); };
    const TimePoint now{Millis{std::int64_t{byte(0)} << (byte(1) % 63)}};
    const Millis period{std::int64_t{1} + (std::int64_t{byte(2)} << (byte(3) % 55))};
    const std::uint64_t hash = byte(1) % 8U;
    window.advance(now, period);
    const std::uint64_t before = window.use();
    const bool known = recipients.last_use(window, hash).has_value();
    if (known) {
      recipients.renew(window, hash, now, period);
      check(window.use() <= before, "a known recipient counts nothing");
    } else {
      recipients.add(window, hash, now, period);
    }
    check(recipients.last_use(window, hash).has_value(), "then it is known");
    check(recipients.size() <= window.use(), "each has a unit");
    check(recipients.size() <= DistinctRecipients::kMax, "they are bounded");
    window = stored_and_read(window, 1, 2);
    steps.remove_prefix(4);
  }
}

// From nothing, by a clock that goes forward.
void count_exactly(std::string_view steps) {
  if (steps.size() < 2) return;
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(steps[i]); };
  const std::int64_t period_ms = 1 + (std::int64_t{byte(0)} << (byte(1) % 24));
  const std::uint64_t limit = 1 + byte(1) % 40;
  const Millis period{period_ms};
  Window window;
  std::vector<Arrival> passed;
  std::int64_t now = 1'800'000'000'000;
  for (steps.remove_prefix(2); steps.size() >= 4 && passed.size() < 300; steps.remove_prefix(4)) {
    now += period_ms * (byte(0) * 256 + byte(1)) / 32'768 + (byte(3) >> 6);
    const std::uint64_t units = 1 + byte(2) % limit;
    const TimePoint time{Millis{now}};
    window.advance(time, period);
    check(window.use() >= later_than(passed, now - period_ms), "nothing is held too short");
    check(window.use() <= later_than(passed, now - period_ms - period_ms / 60), "nor too long");
    const auto free_at = window.free_at(period, limit, units);
    check(free_at.has_value(), "so much is free some day");
    if (window.use() + units <= limit) {
      check(*free_at <= time, "it is free now");
      window.add(time, period, units);
      passed.push_back({now, units});
    } else {
      check(*free_at > time, "it is not free now");
      Window later = window;
      later.advance(*free_at, period);
      check(later.use() + units <= limit, "it is free when it was said to be");
      later = window;
      later.advance(*free_at - Millis{1}, period);
      check(later.use() + units > limit, "and not before");
    }
    if (byte(3) % 4 == 0) window = stored_and_read(window, static_cast<double>(now), 0.5);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string_view steps = fuzz::text_of(data + 1, size - 1);
  const std::string_view state = steps.substr(0, data[0]);
  steps.remove_prefix(state.size());
  DistinctRecipients recipients;
  const std::string_view blob = recipients.read(state);
  const double counter = number_at(blob, kCounterAt);
  const double last_update_s = number_at(blob, kLastUpdateAt);
  if (const auto window = Window::parse(blob, counter, last_update_s)) {
    check(stored_and_read(*window, counter, last_update_s).use() == window->use(), "use is stored");
    use_anyhow(*window, steps);
    use_recipients(*window, recipients, steps);
  }
  const double when_s = std::isfinite(last_update_s) ? std::clamp(last_update_s, 0.0, 1e12) : 0;
  use_anyhow(Window::of_counter(counter, TimePoint{Millis{static_cast<std::int64_t>(when_s)}}),
             steps);
  count_exactly(steps);
  return 0;
}
