// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/quota_record.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "daemon/counting/counters.hpp"
#include "daemon/counting/decay.hpp"

namespace policyd {

void QuotaRecord::read(Counter& counter, const sql::Statement& found, TimePoint now) {
  counter.value = found.real(1);
  counter.last_update_s = found.real(2);
  auto window = Window::parse(found.blob(3), counter.value, counter.last_update_s);
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

void QuotaRecord::rebase(Counter& found, const Counter& ours, double units, TimePoint now) {
  found.windowed = ours.windowed;
  found.period = ours.period;
  if (found.windowed) {
    found.window.advance(now, found.period);
    found.window.add(now, found.period, static_cast<std::uint64_t>(std::ceil(units)));
    found.value = static_cast<double>(found.window.use());
  } else {
    found.value = decayed(found.value, found.last_update_s, to_seconds(now),
                          to_seconds(TimePoint{found.period})) +
                  units;
  }
  found.last_update_s = to_seconds(now);
}

}  // namespace policyd
