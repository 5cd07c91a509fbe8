// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/events/refusals.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "daemon/modules/block.hpp"
#include "plugin/events/since.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {
namespace {

using policyd::Event;
using policyd::EventKind;

std::string key_of(const Event& event) {
  return fmt::format("{}\n{}\n{}\n{}\n{}", static_cast<int>(event.kind), event.row_id, event.module,
                     event.verdict, event.track_key);
}

// By the ID of a row of quotas_limits.
struct RateOfLimit {
  const StoredLimit* limit = nullptr;
  const StoredRate* rate = nullptr;
};
RateOfLimit find_rate(const AllLimits& all, std::int64_t limit_id) {
  for (const StoredLimit& limit : all.limits) {
    for (const StoredRate& rate : limit.rates) {
      if (rate.limit_id == limit_id) return {&limit, &rate};
    }
  }
  return {};
}

// "now", "3 min"; empty if it is not known.
std::string free_text(const Event& event, policyd::TimePoint now) {
  if (!event.free_at) return {};
  const std::string text = wait_text(event.free_at, now, true);
  return text.starts_with("in ") ? text.substr(3) : text;
}

std::string verdict_text(const Event& event) {
  if (event.kind == EventKind::watched) return "watched";
  if (event.kind == EventKind::let_through) return "let through";
  return escaped(event.verdict);
}

nlohmann::json time_or_null(const std::optional<policyd::TimePoint>& time) {
  return time ? nlohmann::json(policyd::to_seconds(*time)) : nlohmann::json(nullptr);
}

nlohmann::json number_or_null(const std::optional<double>& number) {
  return number ? nlohmann::json(*number) : nlohmann::json(nullptr);
}

}  // namespace

Result<std::vector<Event>> read_refusal_spells(const Tables& tables, const EventFilter& filter) {
  std::vector<Event> out;
  std::unordered_map<std::string, std::size_t> open;  // the earliest so far of each counter
  auto done = each_event(tables, filter, [&](StoredEvent&& stored) {
    Event& event = stored.event;
    const auto [found, is_new] = open.try_emplace(key_of(event), out.size());
    if (!is_new) {
      Event& later = out[found->second];
      if (later.first - event.last <= kRefusalGap) {
        later.first = std::min(later.first, event.first);
        later.times += event.times;
        return true;
      }
      found->second = out.size();
    }
    out.push_back(std::move(event));
    return true;
  });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

Result<FreedSince> FreedSince::read(const Tables& tables, const AllLimits& all,
                                    policyd::TimePoint earliest) {
  FreedSince out{all};
  EventFilter filter;
  filter.kinds = {EventKind::reset};
  filter.since = earliest;
  auto done = each_event(tables, filter, [&](StoredEvent&& stored) {
    if (stored.event.module != "Quotas") return true;
    // The latest comes first.
    out.cleared_.try_emplace({stored.event.row_id, std::move(stored.event.track_key)},
                             stored.event.last);
    return true;
  });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

bool FreedSince::operator()(const Event& refusal) const {
  const auto [limit, rate] = find_rate(*all_, refusal.row_id);
  if (limit == nullptr || !limit->policy_enabled || !rate->enabled || limit->only_monitors()) {
    return true;
  }
  if (refusal.limit && static_cast<double>(rate->rate.amount) > *refusal.limit) return true;
  for (const std::string& key : {refusal.track_key, std::string{}}) {
    const auto found = cleared_.find({refusal.row_id, key});
    if (found != cleared_.end() && found->second >= refusal.last) return true;
  }
  return false;
}

Result<void> note_who_was_freed(const Tables& tables, const AllLimits& all,
                                std::vector<Event>& refusals) {
  if (refusals.empty()) return {};
  const auto earliest =
      std::min_element(refusals.begin(), refusals.end(),
                       [](const Event& a, const Event& b) { return a.last < b.last; });
  const auto freed = FreedSince::read(tables, all, earliest->last);
  if (!freed) return tl::unexpected{freed.error()};
  for (Event& event : refusals) {
    if (event.module == "Quotas" && event.free_at > event.last && (*freed)(event)) {
      event.free_at = event.last;
    }
  }
  return {};
}

std::optional<std::int64_t> limit_of(const Event& event, const AllLimits& all) {
  if (event.module != "Quotas") return std::nullopt;
  const StoredLimit* limit = find_rate(all, event.row_id).limit;
  return limit == nullptr ? std::nullopt : std::optional{limit->id};
}

std::string refused_by(const AllLimits& all, const Event& event) {
  if (event.module == "Quotas" && event.row_id != 0) {
    const auto id = limit_of(event, all);
    return id ? fmt::format("limit {}", *id) : "a removed limit";
  }
  const bool block =
      event.module == "AccessControl" &&
      (event.detail == policyd::Block::kAccountText || event.detail == policyd::Block::kClientText);
  if (block) return "block";
  return event.row_id == 0 ? escaped(event.module)
                           : fmt::format("{} {}", escaped(event.module), event.row_id);
}

std::string refused_who(const Event& event) {
  // Others than limits count by client only because they have to; whose mail it was says more.
  const bool by_name = event.track_key.starts_with("SenderIP:") && event.module != "Quotas" &&
                       event.module != "Accounting" && !event.sender.empty();
  return by_name ? escaped(event.sender) : key_text(event.track_key);
}

void print_refusals(const std::vector<Event>& refusals, const AllLimits& all,
                    policyd::TimePoint now, Output& output) {
  const bool verdicts = std::any_of(refusals.begin(), refusals.end(), [](const Event& event) {
    return event.kind != EventKind::refused;
  });
  std::vector<Column> columns = {
      {"WHO", false, Shrinks::last},  {"TIMES", true}, {"SINCE"}, {"UNTIL"}, {"BY"},
      {"FROM", false, Shrinks::first}};
  columns.push_back({verdicts ? "VERDICT" : "FREE IN"});
  Table table{std::move(columns)};
  for (const Event& event : refusals) {
    const std::string since = short_time_text(event.first, now);
    std::string until = short_time_text(event.last, now);
    if (until == since) {
      until.clear();
    } else if (short_time_text(event.first, event.last).size() < since.size()) {
      until = short_time_text(event.last, event.last);  // on the same day
    }
    table.add({{refused_who(event)},
               {fmt::format("{}", event.times)},
               {since},
               {until},
               {refused_by(all, event)},
               {escaped(event.client)},
               {verdicts ? verdict_text(event) : free_text(event, now)}});
  }
  output.print(table);
}

std::string refusal_line(const Event& event, const AllLimits& all, policyd::TimePoint now) {
  std::string out = fmt::format("{}  {}", local_time_text(event.first), refused_who(event));
  if (event.kind == EventKind::let_through) {
    out += " let through in a pause, in place of ";
  } else {
    out += event.kind == EventKind::watched ? " watched by " : " refused by ";
  }
  out += refused_by(all, event);
  if (event.kind == EventKind::refused) out += fmt::format(" ({})", escaped(event.verdict));
  if (event.times > 1) out += fmt::format(", {} times", event.times);
  if (!event.client.empty()) out += fmt::format(", from {}", escaped(event.client));
  if (event.free_at) out += fmt::format(", free {}", wait_text(event.free_at, now, true));
  return out;
}

nlohmann::json json_of(const Event& event, const AllLimits& all) {
  const auto id = limit_of(event, all);
  const auto reset = id ? reset_word(event.track_key) : std::nullopt;
  return {{"kind", policyd::name_of(event.kind)},
          {"who", refused_who(event)},
          {"key", event.track_key},
          {"reset", reset ? nlohmann::json(*reset) : nlohmann::json(nullptr)},
          {"module", event.module},
          {"row_id", event.row_id},
          {"id", id ? nlohmann::json(*id) : nlohmann::json(nullptr)},
          {"verdict", event.verdict},
          {"times", event.times},
          {"first", policyd::to_seconds(event.first)},
          {"last", policyd::to_seconds(event.last)},
          {"client", event.client},
          {"login", event.login},
          {"sender", event.sender},
          {"recipient", event.recipient},
          {"used", number_or_null(event.used)},
          {"limit", number_or_null(event.limit)},
          {"free_at", time_or_null(event.free_at)},
          {"detail", event.detail}};
}

}  // namespace limits
