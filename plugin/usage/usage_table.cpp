// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/usage/usage_table.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "plugin/limit_text/limit_line.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"

namespace limits {
namespace {

constexpr std::size_t kBarWidth = 12;
constexpr std::size_t kMinBarWidth = 4;
constexpr double kNearlyFull = 80;
constexpr double kFull = 100;

Colour colour_of(double percent) {
  if (percent >= kFull) return Colour::red;
  return percent >= kNearlyFull ? Colour::yellow : Colour::green;
}

bool only_monitors(const StoredLimit& limit) { return verdict_word(limit.verdict) == "none"; }

// `brief`: if there is little room.
std::string next_mail(const Use& use, const StoredLimit& limit, policyd::TimePoint now,
                      bool brief) {
  if (!only_monitors(limit)) return wait_text(use.next_free, now, brief);
  if (brief || use.used < use.rate.amount) return "now";
  return use.used == use.rate.amount
             ? "now (only monitored)"
             : fmt::format("now (monitored: {} too many)",
                           format_amount(use.rate.unit, use.used - use.rate.amount));
}

std::string ago_text(policyd::TimePoint when, policyd::TimePoint now) {
  if (when >= now) return "just now";
  std::string wait = wait_text(now + (now - when), now);  // "in 3 min"
  return wait.substr(wait.find(' ') + 1) + " ago";
}

// `brief`: only the number, not the time.
std::string refusal_text(const Refusal& refusal, policyd::TimePoint now, bool brief) {
  if (brief) return fmt::format("{}", refusal.count);
  std::string out;
  if (refusal.count != 0) {
    out = fmt::format("{}{}, {}", refusal.count, refusal.verdict == "none" ? " (monitored)" : "",
                      ago_text(refusal.last, now));
  }
  if (refusal.let_through != 0) {
    out += fmt::format("{}{} let through in a pause", out.empty() ? "" : "; ", refusal.let_through);
  }
  return out;
}

// Reduces the width of the table.
struct Layout {
  std::size_t bar = kBarWidth;  // 0: none
  bool brief = false;           // times in one unit, refusals without their time
  bool narrow = false;          // without PERCENT, which follows from USED, and with shorter titles
};

std::vector<Column> columns_of(const Layout& layout, bool refusals, bool of_all) {
  std::vector<Column> columns = {{"WHO", false, Shrinks::last},
                                 {layout.narrow ? "DIR" : "DIRECTION"}};
  if (of_all) columns.push_back({"HERE", true});
  columns.push_back({!of_all ? "USED" : layout.narrow ? "ALL" : "ALL MTAS", true});
  columns.push_back({"PERIOD"});
  if (!layout.narrow) columns.push_back({"PERCENT", true});
  if (layout.bar != 0) columns.push_back({""});
  columns.push_back({layout.narrow ? "NEXT" : "NEXT MAIL", false, Shrinks::first});
  if (refusals) columns.push_back({"REFUSED", false, Shrinks::first});
  columns.push_back({"ID", true});
  return columns;
}

Table make_table(const UsageView& view, const Layout& layout) {
  const bool refusals = !view.news.refusals.empty();
  const bool of_all = view.usage.of_all;
  Table table{columns_of(layout, refusals, of_all)};
  for (const Use& use : view.usage.uses) {
    const StoredLimit& limit = view.all.limits[use.limit];
    const Colour colour = colour_of(use.percent());
    std::vector<Cell> row = {{key_text(use.key)}, {direction_text(limit)}};
    if (of_all) row.push_back({format_amount(use.rate.unit, use.used_here)});
    row.push_back({format_used(use.used, use.rate), layout.narrow ? colour : Colour::none});
    row.push_back({format_period(use.rate.period)});
    // Rounded down: 100% is full.
    if (!layout.narrow) row.push_back({fmt::format("{}%", std::floor(use.percent())), colour});
    if (layout.bar != 0) row.push_back({bar(use.percent(), layout.bar), colour});
    row.push_back({next_mail(use, limit, view.query.now, layout.brief)});
    if (refusals) {
      const auto* refusal = view.news.refusal(use.limit_id, use.key);
      row.push_back({refusal == nullptr ? std::string{}
                                        : refusal_text(*refusal, view.query.now, layout.brief)});
    }
    row.push_back({fmt::format("{}", limit.id)});
    table.add(std::move(row));
  }
  return table;
}

// If there is too little room, first the bar becomes shorter, then NEXT MAIL and REFUSED; then the
// bar is left out, then PERCENT; only then WHO is cut.
void print_table(const UsageView& view, Output& output) {
  const Style& style = output.style();
  Layout layout{style.terminal ? kBarWidth : 0, false, false};
  Table table = make_table(view, layout);
  const auto too_wide = [&] {
    const std::size_t width = table.width();
    return style.terminal && style.width != 0 && width > style.width ? width - style.width : 0;
  };
  if (too_wide() + kMinBarWidth > kBarWidth) {  // a short bar is not enough
    layout.brief = true;
    table = make_table(view, layout);
  }
  if (const std::size_t excess = too_wide(); excess != 0) {
    layout.bar = excess + kMinBarWidth <= layout.bar ? layout.bar - excess : 0;
    table = make_table(view, layout);
  }
  if (too_wide() != 0) {
    layout.narrow = true;
    table = make_table(view, layout);
  }
  output.print(table);
}

// The limit that a row of quotas_limits belongs to: "limit 3". There may be refusals by rows that
// no longer exist, and by Quotas itself.
std::string limit_of(const AllLimits& all, std::int64_t limit_id) {
  if (limit_id == 0) return "no limit (limits could not be shared, or a row is invalid)";
  for (const StoredLimit& limit : all.limits) {
    for (const StoredRate& rate : limit.rates) {
      if (rate.limit_id == limit_id) return fmt::format("limit {}", limit.id);
    }
  }
  return "a limit that was removed";
}

bool shows(const UsageView& view, std::int64_t limit_id, std::string_view key) {
  if (view.query.limit &&
      limit_of(view.all, limit_id) != fmt::format("limit {}", *view.query.limit)) {
    return false;
  }
  return !view.query.filter || view.query.filter->shows(key) ||
         (key == kSharedKey && view.query.shared.contains(limit_id));
}

// Refusals whose counters are empty by now.
void print_earlier_refusals(const UsageView& view, Output& output) {
  for (const auto& [key, refusal] : view.news.refusals) {
    const Refusal& one = refusal;
    if (!shows(view, one.limit_id, one.track_key)) continue;
    const bool shown_above = std::any_of(
        view.usage.uses.begin(), view.usage.uses.end(),
        [&](const Use& use) { return use.limit_id == one.limit_id && use.key == one.track_key; });
    if (shown_above) continue;
    output.line(fmt::format("Earlier refusals of {} by {}: {}.", key_text(one.track_key),
                            limit_of(view.all, one.limit_id),
                            refusal_text(one, view.query.now, false)));
  }
}

// Limits that name the address as an exception.
void print_exceptions(const UsageView& view, Output& output) {
  for (const StoredLimit& limit : view.all.limits) {
    for (const std::string& item : limit.except) {
      if (!limit.enabled() || !view.query.filter->shows("Sender:" + item)) continue;
      output.line(fmt::format("Limit {} ({} for {}) does not apply to {}.", limit.id,
                              format_limit(limit.plain_rates()), target_text(limit),
                              escaped(item)));
    }
  }
}

void print_trouble(const UsageView& view, Output& output) {
  if (const auto trouble = view.news.trouble_text()) output.note(*trouble + ".");
  if (!view.news.problem.empty()) {
    output.note(fmt::format("refusals are unknown: {}.", escaped(view.news.problem)));
  }
}

nlohmann::json json_of(const Use& use, const UsageView& view) {
  const StoredLimit& limit = view.all.limits[use.limit];
  nlohmann::json next_free = nullptr;
  if (use.next_free) next_free = policyd::to_seconds(*use.next_free);
  const auto reset = reset_word(use.key);
  nlohmann::json refused = nullptr;
  nlohmann::json let_through = nullptr;
  if (view.news.refused_since) {
    const auto* refusal = view.news.refusal(use.limit_id, use.key);
    refused = refusal == nullptr ? 0 : refusal->count;
    let_through = refusal == nullptr ? 0 : refusal->let_through;
  }
  return {{"key", use.key},
          {"who", key_text(use.key)},
          {"reset", reset ? nlohmann::json(*reset) : nlohmann::json(nullptr)},
          {"direction", direction_text(limit)},
          {"used", use.used},
          {"used_here", use.used_here},
          {"amount", use.rate.amount},
          {"unit", name_of(use.rate.unit)},
          {"period_s", use.rate.period.count()},
          {"limit", format_rate(use.rate)},
          {"percent", std::floor(use.percent() * 10) / 10},
          {"next_free", next_free},
          {"verdict", verdict_word(limit.verdict)},
          {"refused", refused},
          {"let_through", let_through},
          {"id", limit.id},
          {"limit_id", use.limit_id}};
}

// Of the limit that is asked for, what has no counters.
void print_uncounted(const UsageView& view, Output& output) {
  for (const StoredLimit& limit : view.all.limits) {
    if (limit.id != view.query.limit) continue;
    if (const auto text = describe_uncounted(limit, "usage"); !text.empty()) output.line(text);
  }
}

}  // namespace

void print_usage(const UsageView& view, Output& output) {
  const Usage& usage = view.usage;
  if (usage.uses.empty()) {
    output.line(fmt::format(
        "No usage{}{} at the moment.",
        view.query.filter ? " by " + view.query.filter->text() : std::string{},
        view.query.limit ? fmt::format(" of limit {}", *view.query.limit) : std::string{}));
  } else {
    print_table(view, output);
    const auto refused = [](const auto& each) {
      return each.second.count != 0 && each.second.verdict != "none";
    };
    if (std::any_of(view.news.refusals.begin(), view.news.refusals.end(), refused)) {
      output.line(view.advice.complete(
          fmt::format("Refused {}in the last 24 hours; 'carbonio-limits refused' shows more.",
                      usage.of_all ? "here " : "")));
    }
  }
  if (usage.uses.size() < usage.active) {
    output.line(view.advice.complete(
        fmt::format("{} more; 'carbonio-limits usage --top {}' shows them all.",
                    usage.active - usage.uses.size(), usage.active)));
  }
  print_uncounted(view, output);
  if (view.query.filter) {
    print_earlier_refusals(view, output);
    print_exceptions(view, output);
  }
  print_trouble(view, output);
}

nlohmann::json json_of(const UsageView& view) {
  nlohmann::json list = nlohmann::json::array();
  for (const Use& use : view.usage.uses) list.push_back(json_of(use, view));
  nlohmann::json refusals = nlohmann::json::array();
  for (const auto& [key, refusal] : view.news.refusals) {
    if (!shows(view, refusal.limit_id, key.second)) continue;
    refusals.push_back({{"limit_id", refusal.limit_id},
                        {"key", refusal.track_key},
                        {"verdict", refusal.verdict},
                        {"count", refusal.count},
                        {"let_through", refusal.let_through},
                        {"first", policyd::to_seconds(refusal.first)},
                        {"last", policyd::to_seconds(refusal.last)}});
  }
  nlohmann::json since = nullptr;
  if (view.news.refused_since) since = policyd::to_seconds(*view.news.refused_since);
  nlohmann::json trouble = nullptr;
  if (view.news.trouble) trouble = view.news.trouble->what;
  return {{"now", policyd::to_seconds(view.query.now)},
          {"counters", view.usage.active},
          {"all_mtas", view.usage.of_all},
          {"usage", list},
          {"daemon", view.news.running},
          {"refused_since", since},
          {"trouble", trouble},
          {"refusals", refusals}};
}

}  // namespace limits
