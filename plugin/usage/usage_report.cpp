// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/usage/usage_report.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>

#include "daemon/base/ascii.hpp"
#include "daemon/cluster/count/counter_name.hpp"
#include "daemon/cluster/count/without_engine.hpp"
#include "daemon/counting/counters.hpp"
#include "daemon/counting/decay.hpp"
#include "daemon/counting/distinct_recipients.hpp"
#include "daemon/counting/window.hpp"
#include "daemon/names/name_form.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/counted_name.hpp"

namespace limits {
namespace {

using policyd::Millis;
using policyd::TimePoint;

TimePoint from_seconds(double value, TimePoint now) {
  const double bounded_s = std::clamp(value, 0.0, policyd::to_seconds(now));
  return TimePoint{Millis{static_cast<std::int64_t>(bounded_s * 1000.0)}};
}

struct Counter {
  double value = 0;
  double last_update_s = 0;
  std::string_view state;
};

// `refuses_at`: what may be used of the limit here, at the moment.
void count_window(Use& use, const Counter& counter, const policyd::Window* others,
                  std::int64_t refuses_at, TimePoint now) {
  const Millis period = use.rate.period;
  auto window = policyd::Window::parse(policyd::DistinctRecipients::window_state(counter.state),
                                       counter.value, counter.last_update_s);
  if (!window) {
    // Written by the Perl daemon, or edited by hand.
    window = policyd::Window::of_counter(counter.value, from_seconds(counter.last_update_s, now));
  }
  window->advance(now, period);
  use.used_here = static_cast<std::int64_t>(window->use());
  if (others != nullptr) window->merge(*others);
  use.used = static_cast<std::int64_t>(window->use());
  if (use.used < refuses_at) return;
  use.next_free = window->free_at(period, static_cast<std::uint64_t>(refuses_at), 1);
}

void count_decay(Use& use, const Counter& counter, TimePoint now) {
  const auto period_s = static_cast<double>(use.rate.period.count());
  const auto limit = static_cast<double>(use.rate.amount);
  const double current =
      policyd::decayed(counter.value, counter.last_update_s, policyd::to_seconds(now), period_s);
  use.used = use.used_here = static_cast<std::int64_t>(std::ceil(current));
  if (!policyd::decay_exceeded(current, limit)) return;
  const auto free_s =
      policyd::decay_free_at_s(counter.value, counter.last_update_s, period_s, limit);
  if (free_s) use.next_free = TimePoint{Millis{static_cast<std::int64_t>(*free_s * 1000.0)}};
}

// An enabled row of quotas_limits.
struct ActiveRow {
  std::size_t limit = 0;
  Rate rate;
  bool monitors = false;
  std::int64_t refuses_at = 0;  // the limit, or this host's part of it
  double empty_before_s = 0;    // a counter that was last updated then or earlier is empty by now
};
using ActiveRows = std::unordered_map<std::int64_t, ActiveRow>;  // by ID

// Limits with `decay` are never shared.
std::int64_t refuses_at(const Rate& rate, const UsageQuery& query) {
  if (!query.alone || query.decay) return rate.amount;
  return static_cast<std::int64_t>(policyd::limit_without_engine(
      query.alone->without, query.alone->hosts, static_cast<std::uint64_t>(rate.amount)));
}

ActiveRows active_rows_of(const std::vector<StoredLimit>& limits, const UsageQuery& query) {
  ActiveRows out;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    if (query.limit && limits[i].id != *query.limit) continue;
    for (const StoredRate& rate : limits[i].rates) {
      if (!limits[i].policy_enabled || !rate.enabled) continue;
      if (is_of_each_message(rate.rate.unit)) continue;  // it has no counters
      const auto period_s = static_cast<double>(rate.rate.period.count());
      out[rate.limit_id] =
          ActiveRow{i, rate.rate, verdict_word(limits[i].verdict) == "none",
                    refuses_at(rate.rate, query), policyd::to_seconds(query.now) - period_s};
    }
  }
  return out;
}

// A counter from before its key got a limit of its own is no longer relevant.
class Exceptions {
 public:
  explicit Exceptions(const std::vector<StoredLimit>& limits) : items_(limits.size()) {
    for (std::size_t i = 0; i < limits.size(); ++i) {
      for (const std::string& item : limits[i].except)
        items_[i].insert(policyd::address_form(item));
    }
  }
  // Keys are in lower case, as the daemon writes them.
  [[nodiscard]] bool hold(std::size_t limit, std::string_view track_key) const {
    const auto& items = items_[limit];
    if (items.empty()) return false;
    const std::string_view value = track_key.substr(track_key.find(':') + 1);
    const std::size_t at = value.rfind('@');
    return items.contains(value) ||
           (at != std::string_view::npos && items.contains(value.substr(at)));
  }

 private:
  // Of each limit; in lower case.
  std::vector<std::set<std::string, std::less<>>> items_;
};

bool is_fuller(const Use& a, const Use& b) {
  if (a.refuses_now() != b.refuses_now()) return a.refuses_now();
  if (a.percent() != b.percent()) return a.percent() > b.percent();
  return a.key != b.key ? a.key < b.key : a.limit_id < b.limit_id;
}

// Takes rows one by one and keeps the fullest.
class Collector {
 public:
  Collector(const std::vector<StoredLimit>& limits, const UsageQuery& query)
      : query_(query), rows_(active_rows_of(limits, query)), exceptions_(limits) {}

  [[nodiscard]] const ActiveRows& rows() const { return rows_; }

  // What the other MTAs have counted; before the rows are taken.
  void set_others(OtherParts others) {
    others_ = std::move(others);
    usage_.of_all = true;
    for (auto& [name, window] : others_) {
      const auto found = rows_.find(id_of(name));
      if (found != rows_.end()) window.advance(query_.now, found->second.rate.period);
    }
  }

  // QuotasLimitsID, TrackKey, LastUpdate, Counter, State.
  void take(const policyd::sql::Statement& row) {
    const auto found = rows_.find(row.integer(0));
    if (found == rows_.end()) return;
    Counter counter{row.real(3), row.real(2), {}};
    if (counter.last_update_s <= found->second.empty_before_s || !(counter.value > 0)) return;
    counter.state = row.blob(4);
    if (others_.empty()) return consider(*found, row.text(1), counter, nullptr);
    const auto others = others_.find(policyd::counter_name(row.integer(0), row.text(1)));
    if (others == others_.end()) return consider(*found, row.text(1), counter, nullptr);
    consider(*found, row.text(1), counter, &others->second);
    others_.erase(others);
  }

  Usage finish() {
    // Counted on other hosts alone.
    for (const auto& [name, window] : others_) {
      const auto found = rows_.find(id_of(name));
      const std::string_view key = std::string_view{name}.substr(name.find(':') + 1);
      if (found != rows_.end() && window.use() > 0) consider(*found, key, {}, &window);
    }
    std::sort(usage_.uses.begin(), usage_.uses.end(), is_fuller);
    return std::move(usage_);
  }

 private:
  static std::int64_t id_of(const std::string& name) {
    return policyd::parse_number<std::int64_t>(std::string_view{name}.substr(0, name.find(':')))
        .value_or(0);
  }

  void consider(const ActiveRows::value_type& row, std::string_view key, const Counter& counter,
                const policyd::Window* others) {
    const auto& [limit_id, limit] = row;
    const bool shared = key == kSharedKey && query_.shared.contains(limit_id);
    if (query_.filter && !shared && !query_.filter->shows(key)) return;
    if (exceptions_.hold(limit.limit, key)) return;
    ++usage_.active;
    // Without new mail the use only falls, so the stored value is an upper bound.
    const double used =
        std::ceil(counter.value) + (others == nullptr ? 0 : static_cast<double>(others->use()));
    if (usage_.uses.size() >= query_.max && is_less_full(used, limit)) return;
    evaluate(row, key, counter, others);
  }

  void evaluate(const ActiveRows::value_type& row, std::string_view key, const Counter& counter,
                const policyd::Window* others) {
    const auto& [limit_id, limit] = row;
    Use use;
    use.limit = limit.limit;
    use.limit_id = limit_id;
    use.rate = limit.rate;
    use.monitored = limit.monitors;
    if (query_.decay && limit.rate.unit != Unit::distinct_recipients) {
      count_decay(use, counter, query_.now);
    } else {
      count_window(use, counter, others, limit.refuses_at, query_.now);
    }
    if (use.used <= 0) {
      --usage_.active;
      return;
    }
    auto& uses = usage_.uses;
    const bool full = uses.size() >= query_.max;
    if (full && use.refuses_now() == uses.front().refuses_now() &&
        use.percent() < uses.front().percent()) {
      return;
    }
    use.key = std::string{key};
    if (full && !is_fuller(use, uses.front())) return;
    if (full) {
      std::pop_heap(uses.begin(), uses.end(), is_fuller);
      uses.pop_back();
    }
    uses.push_back(std::move(use));
    // A heap with the least full at the front.
    if (query_.max < kUnbounded) std::push_heap(uses.begin(), uses.end(), is_fuller);
  }

  // Than all that are kept, whatever its exact use, which is at most `used`.
  [[nodiscard]] bool is_less_full(double used, const ActiveRow& row) const {
    const Use& least = usage_.uses.front();
    const bool may_refuse = !row.monitors && used >= static_cast<double>(row.refuses_at);
    if (may_refuse != least.refuses_now()) return !may_refuse;
    return 100.0 * used / static_cast<double>(row.rate.amount) < least.percent();
  }

  static constexpr std::size_t kUnbounded = std::numeric_limits<std::size_t>::max();

  const UsageQuery& query_;
  ActiveRows rows_;
  Exceptions exceptions_;
  OtherParts others_;
  Usage usage_;
};

constexpr std::string_view kColumns = "QuotasLimitsID, TrackKey, LastUpdate, Counter";

Result<void> take_all(const Tables& tables, policyd::sql::Statement& rows, Collector& collector) {
  int code = SQLITE_ROW;
  while ((code = rows.step()) == SQLITE_ROW) collector.take(rows);
  if (code != SQLITE_DONE) return tl::unexpected{tables.error(code)};
  rows.reset();
  return {};
}

// One pass over the table in storage order; going by the index would take four times as long.
Result<void> scan(const Tables& tables, const UsageQuery& query, std::string_view state,
                  Collector& collector) {
  double oldest_s = policyd::to_seconds(query.now);
  for (const auto& [id, limit] : collector.rows()) {
    oldest_s = std::min(oldest_s, limit.empty_before_s);
  }
  auto rows = tables.prepare(
      fmt::format("SELECT {}, {} FROM {{p}}quotas_tracking WHERE LastUpdate > ?{}", kColumns, state,
                  query.filter ? " AND (TrackKey LIKE ? OR TrackKey = ?)" : ""));
  if (!rows) return tl::unexpected{rows.error()};
  rows->bind(1, oldest_s);
  const std::string pattern = query.filter ? query.filter->pattern() : std::string{};
  if (query.filter) rows->bind(2, std::string_view{pattern}).bind(3, kSharedKey);
  return take_all(tables, *rows, collector);
}

Result<void> look_up(const Tables& tables, const std::vector<std::string>& keys,
                     std::string_view state, Collector& collector) {
  auto rows = tables.prepare(
      fmt::format("SELECT {}, {} FROM {{p}}quotas_tracking WHERE QuotasLimitsID = ? AND "
                  "TrackKey = ?",
                  kColumns, state));
  if (!rows) return tl::unexpected{rows.error()};
  for (const auto& [id, limit] : collector.rows()) {
    for (const std::string& key : keys) {
      rows->bind(1, id).bind(2, std::string_view{key});
      auto done = take_all(tables, *rows, collector);
      if (!done) return done;
    }
  }
  return {};
}

}  // namespace

Result<Usage> read_usage(const Tables& tables, const std::vector<StoredLimit>& limits,
                         const UsageQuery& query) {
  const auto with_state = tables.has_row(
      "SELECT 1 FROM pragma_table_info('{p}quotas_tracking') WHERE name = 'State'", {});
  if (!with_state) return tl::unexpected{with_state.error()};
  const std::string_view state = *with_state ? "State" : "NULL";
  Collector collector{limits, query};
  auto keys = query.filter ? query.filter->keys() : std::nullopt;
  if (keys) {
    auto spelled = with_other_spellings(tables, std::move(*keys));
    if (!spelled) return tl::unexpected{spelled.error()};
    keys = std::move(*spelled);
  }
  if (keys && !query.shared.empty()) keys->emplace_back(kSharedKey);
  if (query.ask_others && !query.decay) {
    std::vector<std::int64_t> ids;
    for (const auto& [id, limit] : collector.rows()) ids.push_back(id);
    if (auto others = query.ask_others(ids, keys)) collector.set_others(std::move(*others));
  }
  auto done =
      keys ? look_up(tables, *keys, state, collector) : scan(tables, query, state, collector);
  if (!done) return tl::unexpected{done.error()};
  return collector.finish();
}

std::string describe_uncounted(const StoredLimit& limit, std::string_view what) {
  std::vector<std::string> rates;
  for (const Rate& rate : limit.plain_rates()) {
    if (is_of_each_message(rate.unit)) rates.push_back(format_rate(rate));
  }
  if (rates.empty()) return {};
  return fmt::format("{} of limit {} {} about each message, and {} no {}.", join_with_and(rates),
                     limit.id, of_number(rates.size(), "is", "are"),
                     of_number(rates.size(), "has", "have"), what);
}

}  // namespace limits
