// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/notify/notice_items.hpp"

#include <fmt/core.h>

#include <cstdint>
#include <string_view>

#include "daemon/base/printable.hpp"
#include "plugin/answers/due_steps.hpp"
#include "plugin/block/whom.hpp"
#include "plugin/cli/typed_advice.hpp"
#include "plugin/events/refusals.hpp"
#include "plugin/events/since.hpp"
#include "plugin/limit_text/limit_line.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {
namespace {

using policyd::Event;
using policyd::EventKind;
using policyd::TimePoint;

const StoredLimit* limit_with_row(const AllLimits& all, const Event& event) {
  if (event.module != "Quotas") return nullptr;
  for (const StoredLimit& limit : all.limits) {
    for (const StoredRate& rate : limit.rates) {
      if (rate.limit_id == event.row_id) return &limit;
    }
  }
  return nullptr;
}

// "limit 3 (everyone: 100/h per user, defer)"
std::string limit_words(const AllLimits& all, const Event& event) {
  const StoredLimit* limit = limit_with_row(all, event);
  std::string name = refused_by(all, event);
  return limit == nullptr ? name : fmt::format("{} ({})", name, escaped(describe(*limit)));
}

// How all mail of the same sender is refused. Nothing for counters that others share, and for names
// that 'block' does not take.
std::string blocking_command(const Event& event, const NoticeContext& context) {
  const std::string name = name_of_counter(event.track_key);
  const auto whom = parse_whom(name);
  if (name.empty() || !whom) return {};
  const auto items = items_of_whom(*whom, context.own.login_domain());
  const bool refused = !why_never(*whom, items, context.own, context.never, {}).empty();
  return refused ? std::string{} : command_about("block", name);
}

// How the counter is cleared: of a limit only, since Accounting's counters are not ours to clear.
std::string freeing_command(const Event& event, const StoredLimit* limit) {
  if (limit == nullptr || !policyd::is_printable(event.track_key)) return {};
  if (event.track_key == kSharedKey) {
    return fmt::format("carbonio-limits reset --limit {}", limit->id);
  }
  const std::string name = key_text(event.track_key);
  if (name.empty() || name == event.track_key) return {};
  return command_about("reset", name, fmt::format("--limit {}", limit->id));
}

void add_command(NoticeItem& item, std::string_view label, const std::string& command) {
  // What cannot be typed is not offered.
  if (!command.empty() && policyd::is_printable(command)) {
    item.commands.emplace_back(label, command);
  }
}

std::string span_words(const Event& event, TimePoint now) {
  const std::string first = short_time_text(event.first, now);
  const std::string last = short_time_text(event.last, now);
  return first == last ? "at " + first : fmt::format("{} to {}", first, last);
}

// "root on pts/0 paused the limits", or if it is not known who "the limits were paused".
std::string done_words(const Event& event, std::string_view did, std::string_view was_done) {
  return event.who.empty() ? std::string{was_done} : fmt::format("{} {}", escaped(event.who), did);
}

std::string incident_words(const Event& event, const AllLimits& all) {
  switch (event.kind) {
    case EventKind::rules:
      return done_words(event, "changed the limits", "the limits were changed");
    case EventKind::reset: {
      // A reset of several counters, joined.
      if (event.track_key.empty() && event.times > 1) {
        const std::string counters = counted(event.times, "counter");
        return done_words(event, "cleared " + counters, counters + " were cleared");
      }
      const std::string what = event.track_key.empty()
                                   ? fmt::format("all counters of {}", refused_by(all, event))
                                   : fmt::format("the counter of {}, {}", key_text(event.track_key),
                                                 refused_by(all, event));
      return done_words(event, "cleared " + what, what + " was cleared");
    }
    case EventKind::paused:
      return done_words(event, "paused the limits", "the limits were paused");
    case EventKind::resumed:
      return done_words(event, "ended the pause", "the pause of the limits ended");
    case EventKind::trouble:
      return event.module == "Core" ? "database trouble" : "trouble";
    case EventKind::recovered:
      return "the database trouble is over";
    case EventKind::locked:
      if (event.verdict.empty())
        return done_words(event, "blocked " + key_text(event.track_key),
                          key_text(event.track_key) + " was blocked");
      return fmt::format("{} was stopped automatically ({}, {})", key_text(event.track_key),
                         escaped(event.who), escaped(event.verdict));
    case EventKind::released:
      return done_words(event, "unblocked " + key_text(event.track_key),
                        key_text(event.track_key) + " was unblocked");
    case EventKind::suspect:
      return fmt::format("{} stands out and was NOT stopped ({})", key_text(event.track_key),
                         escaped(event.who));
    case EventKind::engine_lost:
      return "this host no longer shares its limits with the others";
    case EventKind::engine_back:
      return "this host shares its limits with the others again";
    default: {
      const std::string what = key_text(event.track_key);
      const std::string_view kind = policyd::name_of(event.kind);
      return done_words(event, fmt::format("{} {}", kind, what), fmt::format("{}: {}", kind, what));
    }
  }
}

}  // namespace

std::string times_words(std::uint64_t times) {
  return times == 1 ? "once" : times == 2 ? "twice" : fmt::format("{} times", times);
}

NoticeItem refused_item(const Event& event, const NoticeContext& context, TimePoint now) {
  const AllLimits& all = context.all;
  const StoredLimit* limit = limit_with_row(all, event);
  NoticeItem item;
  item.text = fmt::format("{}: refused {}, {}, by {}", refused_who(event), times_words(event.times),
                          span_words(event, now), limit_words(all, event));
  if (!event.client.empty()) {
    item.text += fmt::format(", the last time from {}", escaped(event.client));
  }
  if (!event.login.empty() && event.track_key != "SASLUsername:" + event.login) {
    item.text += fmt::format(" as {}", escaped(event.login));
  }
  item.text += '.';
  if (event.free_at && *event.free_at > now) {
    item.text += fmt::format(" Free {}.", wait_text(event.free_at, now, true));
  }
  add_command(item, "To clear the counter", freeing_command(event, limit));
  add_command(item, "To stop the sender", blocking_command(event, context));
  return item;
}

NoticeItem near_item(const Event& event, const AllLimits& all, TimePoint now) {
  NoticeItem item;
  item.text = fmt::format("{}: ", refused_who(event));
  if (event.used && event.limit) {
    item.text += fmt::format("{:g} of {:g} used, ", *event.used, *event.limit);
  }
  item.text += fmt::format("{}, of {}.", span_words(event, now), limit_words(all, event));
  add_command(item, "To clear the counter", freeing_command(event, limit_with_row(all, event)));
  return item;
}

NoticeItem watched_item(const Event& event, const AllLimits& all, TimePoint now) {
  return {fmt::format("{}: {}, {}, by {}.", refused_who(event), times_words(event.times),
                      span_words(event, now), limit_words(all, event)),
          {}};
}

NoticeItem incident_item(const Event& event, const NoticeContext& context, TimePoint now) {
  NoticeItem item{
      fmt::format("{}  {}", short_time_text(event.first, now), incident_words(event, context.all)),
      {}};
  if (!event.detail.empty()) item.text += fmt::format(" ({})", escaped(event.detail));
  item.text += '.';
  if (event.kind == EventKind::rules) add_command(item, "To see them", "carbonio-limits list");
  const std::string name = name_of_counter(event.track_key);
  if (event.kind == EventKind::locked && !name.empty()) {
    const bool step = !event.verdict.empty();  // which has also held the sender's mail
    add_command(item, step ? "To end that and deliver the mail held" : "To end that",
                command_about("unblock", name, step ? "--release" : ""));
  }
  if (event.kind == EventKind::suspect) {
    add_command(item, "To stop the sender", blocking_command(event, context));
  }
  if (event.kind == EventKind::engine_lost) {
    add_command(item, "To see more", "carbonio-limits cluster status");
  }
  return item;
}

}  // namespace limits
