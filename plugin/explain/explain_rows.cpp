// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/explain/explain_rows.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>

#include "daemon/cluster/count/without_engine.hpp"
#include "daemon/counting/counters.hpp"
#include "daemon/counting/decay.hpp"
#include "daemon/modules/message/recipient_hash.hpp"
#include "daemon/modules/text/accounting_text.hpp"
#include "daemon/modules/text/quota_text.hpp"
#include "daemon/rules/match/list_item.hpp"
#include "daemon/rules/match/plain_match.hpp"
#include "daemon/rules/match/rows.hpp"
#include "plugin/database/group_faults.hpp"

namespace limits {
namespace {

using policyd::Millis;
using policyd::Side;
using policyd::TimePoint;
using policyd::sql::Statement;

constexpr std::size_t kMaxReasons = 3;  // why a policy does not match
// Further policies that do not match are not explained: matching item by item is slow.
constexpr std::size_t kMaxExplained = 1000;

struct Member {
  std::int64_t id = 0;
  std::optional<std::string> source;
  std::optional<std::string> destination;
};

using Members = std::unordered_map<std::int64_t, std::vector<Member>>;  // by policy

Result<Members> read_members(const Tables& tables) {
  Members members;
  const auto done = tables.each(
      "SELECT PolicyID, ID, Source, Destination FROM {p}policy_members WHERE Disabled = 0 "
      "ORDER BY ID",
      {}, [&](const Statement& row) {
        members[row.integer(0)].push_back(
            {row.integer(1), row.optional_text(2), row.optional_text(3)});
      });
  if (!done) return tl::unexpected{done.error()};
  return members;
}

policyd::PlainMatch match_list(const std::optional<std::string>& list, Side side,
                               const policyd::Request& request,
                               std::span<const policyd::GroupRow> groups,
                               const policyd::Extensions& extensions) {
  const bool uses_groups = list && list->find('%') != std::string::npos;
  return plain_match(list, side, request,
                     uses_groups ? groups : std::span<const policyd::GroupRow>{}, extensions);
}

// Why this member matches or does not.
policyd::PlainMatch explain_member(const Member& member, const policyd::Request& request,
                                   std::span<const policyd::GroupRow> groups,
                                   const policyd::Extensions& extensions) {
  const auto source = match_list(member.source, Side::source, request, groups, extensions);
  if (!source.matches) return {false, "Source: " + source.because};
  const auto destination =
      match_list(member.destination, Side::destination, request, groups, extensions);
  if (!destination.matches) return {false, "Destination: " + destination.because};
  const bool all =
      policyd::matches_everything(member.source) && policyd::matches_everything(member.destination);
  if (all) return {true, "it applies to all mail"};
  std::string because;
  if (!policyd::matches_everything(member.source)) because = source.because;
  if (!policyd::matches_everything(member.destination)) {
    because += (because.empty() ? "" : "; ") + destination.because;
  }
  return {true, because};
}

void explain_members(ExplainedPolicy& policy, const std::vector<Member>& members,
                     const policyd::Request& request, std::span<const policyd::GroupRow> groups,
                     const policyd::Extensions& extensions) {
  std::vector<std::string> against;
  for (const Member& member : members) {
    auto match = explain_member(member, request, groups, extensions);
    if (match.matches == policy.matches) {
      if (policy.matches) {
        policy.because = std::move(match.because);
        return;
      }
      if (std::find(against.begin(), against.end(), match.because) == against.end()) {
        against.push_back(std::move(match.because));
      }
    }
  }
  if (members.empty()) policy.because = "it has no enabled members";
  for (std::size_t i = 0; i < std::min(kMaxReasons, against.size()); ++i) {
    policy.because += (i == 0 ? "" : ". ") + against[i];
  }
  if (against.size() > kMaxReasons) {
    policy.because += fmt::format(". {} more members do not match", against.size() - kMaxReasons);
  }
}

double kib(std::uint64_t bytes) { return std::ceil(static_cast<double>(bytes) / 1024.0); }

std::string verdict_of(const policyd::RowVerdict& verdict) {
  if (verdict.kind == policyd::RowVerdict::Kind::none) return "none";
  if (verdict.kind == policyd::RowVerdict::Kind::invalid) return verdict.text;
  return std::string{policyd::name_of(verdict.action)};
}

// The same figures that Quotas compares (CBPolicyD, "Quotas").
void count(ExplainedLimit& out, policyd::Counter counter, const policyd::Quota& quota, double asked,
           bool windowed, TimePoint now) {
  const Millis period = std::chrono::seconds{quota.period_s};
  if (windowed) {
    counter.window.advance(now, period);
    out.used = static_cast<double>(counter.window.use());
    out.full = out.used + asked > out.limit;
    if (out.full) {
      out.free_at = counter.window.free_at(period, static_cast<std::uint64_t>(out.limit),
                                           static_cast<std::uint64_t>(asked));
    }
    return;
  }
  out.used = policyd::decayed(counter.value, counter.last_update_s, policyd::to_seconds(now),
                              static_cast<double>(quota.period_s));
  out.full = policyd::decay_exceeded(out.used, out.limit);
  if (!out.full) return;
  const auto free_s = policyd::decay_free_at_s(counter.value, counter.last_update_s,
                                               static_cast<double>(quota.period_s), out.limit);
  constexpr double kMaxSecond = 1e11;
  if (free_s) {
    out.free_at = TimePoint{
        Millis{static_cast<std::int64_t>(std::ceil(std::clamp(*free_s, 0.0, kMaxSecond) * 1000))}};
  }
}

// What of it is this host's own part.
double use_of(policyd::Counter counter, const ExplainedLimit& all, const policyd::Quota& quota,
              bool windowed, TimePoint now) {
  if (!windowed) return all.used;
  counter.window.advance(now, std::chrono::seconds{quota.period_s});
  return static_cast<double>(counter.window.use());
}

bool knows(policyd::Counter counter, const policyd::Quota& quota, TimePoint now,
           std::string_view recipient, const policyd::Extensions& extensions) {
  counter.window.advance(now, std::chrono::seconds{quota.period_s});
  const std::uint64_t hash = policyd::recipient_hash(recipient, extensions);
  return counter.recipients.last_use(counter.window, hash).has_value();
}

std::string_view unit_of_type(policyd::LimitType type) {
  if (policyd::is_size(type)) return "KiB";
  if (type == policyd::LimitType::distinct_recipients) return "distinct recipients";
  return type == policyd::LimitType::recipients_per_message ? "recipients" : "messages";
}

void add_quotas(std::vector<ExplainedLimit>& out, policyd::ReadingTransaction& store,
                const policyd::Config& config, const policyd::Request& request,
                const policyd::Policy& policy, const policyd::Extensions& extensions,
                const std::optional<Alone>& alone, std::int64_t& ended_by) {
  const bool exact = config.quotas_algorithm == policyd::Algorithm::window;
  for (const policyd::Quota& quota : policy.quotas) {
    const policyd::Track* const track = quota.track.for_request(request);
    if (track == nullptr) continue;
    bool used_up = false;
    for (const policyd::QuotaLimit& limit : quota.limits) {
      ExplainedLimit explained;
      explained.module = "Quotas";
      explained.policy_id = policy.id;
      explained.row_id = quota.id;
      explained.limit_id = limit.id;
      explained.ended_by = ended_by;
      policyd::append_track_key(explained.track_key, *track, request, extensions);
      explained.unit = unit_of_type(limit.type);
      explained.limit = limit.counter_limit;
      explained.period = policyd::period_in_words(quota, limit.type);
      explained.verdict = verdict_of(quota.verdict);
      const bool size = policyd::is_size(limit.type);
      const bool distinct = limit.type == policyd::LimitType::distinct_recipients;
      const bool windowed = exact || distinct;
      const double asked = size ? std::max(1.0, kib(request.size_bytes)) : 1;
      explained.of_each_message = policyd::is_of_each_message(limit.type);
      if (explained.of_each_message) {
        explained.used = explained.used_here = size ? asked : 0;  // as the first recipient
        explained.full = explained.used + (size ? 0 : asked) > explained.limit;
      } else {
        if (alone && exact && explained.limit > 0) {
          explained.limit = static_cast<double>(policyd::limit_without_engine(
              alone->without, alone->hosts, static_cast<std::uint64_t>(explained.limit)));
        }
        const auto& counter = store.counter(limit.id, explained.track_key);
        const bool known =
            distinct && knows(counter, quota, store.now(), request.recipient, extensions);
        count(explained, counter, quota, known ? 0 : asked, windowed, store.now());
        explained.known = known;
        if (known) {  // it counts nothing, even where the limit was lowered
          explained.full = false;
          explained.free_at.reset();
        }
        explained.used_here = use_of(store.stored(limit.id, explained.track_key), explained, quota,
                                     windowed, store.now());
      }
      used_up = used_up || explained.full;
      out.push_back(std::move(explained));
    }
    // With `decay` a quota that only monitors ends the check once it is used up.
    const bool monitored = !exact && quota.verdict.kind == policyd::RowVerdict::Kind::none;
    const bool ends = quota.last || (monitored && used_up);
    if (ends && ended_by == 0) ended_by = quota.id;
  }
}

void add_accounting(std::vector<ExplainedLimit>& out, policyd::ReadingTransaction& store,
                    const policyd::Request& request, const policyd::Policy& policy,
                    const policyd::Extensions& extensions, std::int64_t& ended_by) {
  constexpr std::array kPeriods = {"day", "week", "month"};
  for (const policyd::AccountingRow& row : policy.accounting) {
    const policyd::Track* const track = row.track.for_request(request);
    if (track == nullptr || row.period == policyd::AccountingRow::Period::invalid) continue;
    ExplainedLimit explained;
    explained.module = "Accounting";
    explained.policy_id = policy.id;
    explained.row_id = explained.limit_id = row.id;
    explained.ended_by = ended_by;
    policyd::append_track_key(explained.track_key, *track, request, extensions);
    explained.period = kPeriods.at(static_cast<std::size_t>(row.period));
    explained.verdict = verdict_of(row.verdict);
    const auto used =
        store.stored(row.id, explained.track_key, policyd::period_key(row.period, store.now()))
            .used;
    const auto add = [&](const char* unit, std::int64_t so_far, std::int64_t limit, bool full) {
      if (limit == 0) return;
      explained.unit = unit;
      explained.used = explained.used_here = static_cast<double>(so_far);
      explained.limit = static_cast<double>(limit);
      explained.full = full;
      out.push_back(explained);
    };
    add("messages", used.messages, row.count_limit, used.messages >= row.count_limit);
    add("KiB", used.kib, row.size_limit, used.kib > row.size_limit);
    if (row.last && ended_by == 0) ended_by = row.id;
  }
}

}  // namespace

Result<std::vector<ExplainedPolicy>> explain_policies(const Tables& tables,
                                                      const policyd::Rules& rules,
                                                      const policyd::Request& request,
                                                      std::span<const std::uint32_t> matched,
                                                      const policyd::Extensions& extensions) {
  auto members = read_members(tables);
  if (!members) return tl::unexpected{members.error()};
  const auto groups = read_groups(tables);
  if (!groups) return tl::unexpected{groups.error()};
  std::vector<ExplainedPolicy> out;
  std::size_t unmatched = 0;
  for (std::uint32_t index = 0; index < rules.policies.size(); ++index) {
    const policyd::Policy& policy = rules.policies[index];
    ExplainedPolicy& explained = out.emplace_back();
    explained.id = policy.id;
    explained.priority = policy.priority;
    explained.name = policy.name;
    explained.matches = std::binary_search(matched.begin(), matched.end(), index);
    if (!explained.matches && ++unmatched > kMaxExplained) continue;
    explain_members(explained, (*members)[policy.id], request, *groups, extensions);
  }
  return out;
}

std::vector<ExplainedLimit> explain_limits(policyd::ReadingTransaction& store,
                                           const policyd::Config& config,
                                           const policyd::Request& request,
                                           std::span<const std::uint32_t> matched,
                                           const policyd::Extensions& extensions,
                                           const std::optional<Alone>& alone) {
  std::vector<ExplainedLimit> out;
  std::int64_t ended_by = 0;
  for (const std::uint32_t index : matched) {
    if (!config.quotas) break;
    add_quotas(out, store, config, request, store.rules()->policies[index], extensions, alone,
               ended_by);
  }
  ended_by = 0;
  for (const std::uint32_t index : matched) {
    if (!config.accounting) break;
    add_accounting(out, store, request, store.rules()->policies[index], extensions, ended_by);
  }
  return out;
}

}  // namespace limits
