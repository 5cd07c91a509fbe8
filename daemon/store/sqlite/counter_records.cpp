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
constexpr std::size_t kMaxStateBytes = 16 * 1024;
static_assert(kMaxStateBytes > DistinctRecipients::kMax * 8 + 4096);

void append_state(std::string& out, const Counter& counter) {
  counter.recipients.serialize(out);
  counter.window.serialize(out, counter.value, counter.last_update_s);
}

// False if it is not of these columns, or damaged.
bool take_state(std::string_view state, Counter& counter) {
  auto window = Window::parse(counter.recipients.read(state), counter.value, counter.last_update_s);
  if (window) {
    counter.window = std::move(*window);
  } else {
    counter.recipients.clear();
  }
  return window.has_value();
}
}  // namespace

void QuotaRecord::read(Counter& counter, const sql::Statement& row, TimePoint now) {
  counter.value = row.real(1);
  counter.last_update_s = row.real(2);
  counter.windowed = take_state(row.blob(3), counter);
  if (counter.windowed) return;
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
  append_state(blob, counter);
  statement.bind_blob(5, blob);
}

void QuotaRecord::rebase(Counter& edited, const Counter& ours, double units, TimePoint now) {
  edited.windowed = ours.windowed;
  edited.period = ours.period;
  if (edited.windowed) {
    edited.recipients.clear();  // which of them were counted since is not known
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
  std::string state;
  if (counter.windowed) append_state(state, counter);
  put_text(out, state);
}

bool QuotaRecord::load(StateReader& in, Counter& counter, double& units, Columns& base) {
  for (double* number :
       {&counter.value, &counter.last_update_s, &units, &base.counter, &base.last_update_s}) {
    const auto read = in.number();
    if (!read) return false;
    *number = *read;
  }
  const auto period = in.millis(kLongestPeriod);
  const auto state = in.text(kMaxStateBytes);
  if (!period || !state) return false;
  counter.period = *period;
  counter.windowed = !state->empty();
  return !counter.windowed || take_state(*state, counter);
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
