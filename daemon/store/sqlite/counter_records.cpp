// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/counter_records.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "daemon/counting/decay.hpp"

namespace policyd {

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

}  // namespace policyd
