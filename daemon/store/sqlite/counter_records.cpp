// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/counter_records.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "daemon/counting/decay.hpp"

namespace policyd {

namespace {
// Bounds for what another process saved.
constexpr Millis kLongestPeriod{std::int64_t{1} << 60};
constexpr std::size_t kMaxWindowBytes = 4096;
}  // namespace

void QuotaRecord::read(Counter& counter, const sql::Statement& row, TimePoint now) {
  counter.value = row.real(1);
  counter.last_update_s = row.real(2);
  auto window = Window::parse(row.blob(3), counter.value, counter.last_update_s);
  counter.windowed = window.has_value();
  if (window) {
    counter.window = std::move(*window);
    return;
  }
  const double when_s = std::clamp(counter.last_update_s, 0.0, to_seconds(now));
  counter.window = Window::of_counter(
      counter.value, TimePoint{Millis{static_cast<std::int64_t>(std::floor(when_s * 1000))}});
}

void QuotaRecord::bind(sql::Statement& statement, const Counter& counter, std::string& blob) {
  statement.bind(3, counter.last_update_s).bind(4, counter.value);
  if (!counter.windowed) {
    statement.bind_null(5);
    return;
  }
  blob.clear();
  counter.window.serialize(blob, counter.value, counter.last_update_s);
  statement.bind_blob(5, blob);
}

void QuotaRecord::rebase(Counter& edited, const Counter& ours, double units, TimePoint now) {
  edited.windowed = ours.windowed;
  edited.period = ours.period;
  if (edited.windowed) {
    edited.window.advance(now, edited.period);
    edited.window.add(now, edited.period, static_cast<std::uint64_t>(std::ceil(units)));
    edited.value = static_cast<double>(edited.window.use());
  } else {
    edited.value = decayed(edited.value, edited.last_update_s, to_seconds(now),
                           to_seconds(TimePoint{edited.period})) +
                   units;
  }
  edited.last_update_s = to_seconds(now);
}

void AccountingRecord::read(AccountingCounter& counter, const sql::Statement& row, TimePoint) {
  counter.last_update_s = row.integer(1);
  counter.used = {row.integer(2), row.integer(3)};
}

void AccountingRecord::bind(sql::Statement& statement, const AccountingCounter& counter,
                            std::string&) {
  statement.bind(4, counter.last_update_s).bind(5, counter.used.messages).bind(6, counter.used.kib);
}

void AccountingRecord::rebase(AccountingCounter& edited, const AccountingCounter& ours,
                              const AccountingUnits& units, TimePoint) {
  edited.used += units;
  edited.last_update_s = ours.last_update_s;
}

void QuotaRecord::save(std::string& out, const Counter& counter, double units,
                       const Columns& base) {
  for (const double number :
       {counter.value, counter.last_update_s, units, base.counter, base.last_update_s}) {
    put_double(out, number);
  }
  put_millis(out, counter.period);
  std::string window;
  if (counter.windowed) counter.window.serialize(window, counter.value, counter.last_update_s);
  put_text(out, window);
}

bool QuotaRecord::load(StateReader& in, Counter& counter, double& units, Columns& base) {
  for (double* number :
       {&counter.value, &counter.last_update_s, &units, &base.counter, &base.last_update_s}) {
    const auto read = in.number();
    if (!read) return false;
    *number = *read;
  }
  const auto period = in.millis(kLongestPeriod);
  const auto window = in.text(kMaxWindowBytes);
  if (!period || !window) return false;
  counter.period = *period;
  counter.windowed = !window->empty();
  if (!counter.windowed) return true;
  auto parsed = Window::parse(*window, counter.value, counter.last_update_s);
  if (parsed) counter.window = std::move(*parsed);
  return parsed.has_value();
}

void AccountingRecord::save(std::string& out, const AccountingCounter& counter,
                            const AccountingUnits& units, const Columns& base) {
  for (const std::int64_t number : {counter.used.messages, counter.used.kib, counter.last_update_s,
                                    units.messages, units.kib, base.messages, base.kib}) {
    put_integer(out, number);
  }
}

bool AccountingRecord::load(StateReader& in, AccountingCounter& counter, AccountingUnits& units,
                            Columns& base) {
  for (std::int64_t* number : {&counter.used.messages, &counter.used.kib, &counter.last_update_s,
                               &units.messages, &units.kib, &base.messages, &base.kib}) {
    const auto read = in.integer();
    if (!read) return false;
    *number = *read;
  }
  return true;
}

}  // namespace policyd
