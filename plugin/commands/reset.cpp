// SPDX-License-Identifier: AGPL-3.0-only
// `reset`: clears the counters of a sender or recipient, or all counters of a limit.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "daemon/base/shell_words.hpp"
#include "plugin/cluster/cluster_view.hpp"
#include "plugin/commands/by_id.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/counted_name.hpp"
#include "plugin/usage/reset_counters.hpp"
#include "plugin/usage/shared_counters.hpp"
#include "plugin/usage/usage_report.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 2> kResetOptions = {{
    {"limit", "ID", "clear only the counters of this limit; without ADDRESS, all of them"},
    kDryRunOption,
}};

struct Request {
  std::optional<std::string> who;
  std::optional<std::int64_t> limit;
  bool dry = false;
};

tl::expected<Request, Failure> request_of(const Arguments& arguments) {
  Request out;
  out.dry = arguments.has("dry-run");
  if (!arguments.words().empty()) out.who = arguments.words().front();
  if (const auto text = arguments.value("limit")) {
    const auto id = parse_id(*text);
    if (!id) return tl::unexpected{id.error()};
    out.limit = *id;
  }
  if (out.who == "") return wrong_use("the address is empty");
  if (!out.who && !out.limit) {
    return wrong_use("the address is missing; example: carbonio-limits reset alice@example.org");
  }
  return out;
}

// IDs in quotas_limits of the requested limit, or of all limits.
Result<std::vector<std::int64_t>> limit_ids_of(const AllLimits& all,
                                               std::optional<std::int64_t> id) {
  std::vector<std::int64_t> out;
  if (id) {
    const auto found = existing_limit(all, *id);
    if (!found) return tl::unexpected{found.error()};
    id = *found;
  }
  for (const StoredLimit& limit : all.limits) {
    if (id && limit.id != *id) continue;
    for (const StoredRate& rate : limit.rates) out.push_back(rate.limit_id);
  }
  return out;
}

// "limit 3", "limits 3 and 4".
std::string limits_in(const AllLimits& all, const std::vector<ClearedCounter>& cleared) {
  std::vector<std::int64_t> ids;
  for (const StoredLimit& limit : all.limits) {
    const bool affected = std::any_of(limit.rates.begin(), limit.rates.end(), [&](const auto& r) {
      return std::any_of(cleared.begin(), cleared.end(),
                         [&](const ClearedCounter& one) { return one.limit_id == r.limit_id; });
    });
    if (affected) ids.push_back(limit.id);
  }
  return with_ids("limit", ids);
}

// What `reset` takes for a counter: without "login" and the like, but networks as `usage` has them.
std::string reset_name(const std::string& key) {
  return key.starts_with("SenderIP:") ? key_text(key) : key.substr(key.find(':') + 1);
}

// Counters that `who` shares with everybody in a limit, and full ones that it shares with others,
// and how to clear them.
Result<std::vector<std::string>> still_full(const Tables& tables, const AllLimits& all,
                                            const std::string& who, const DaemonConfig& daemon,
                                            policyd::TimePoint now) {
  UsageQuery query;
  query.now = now;
  query.decay = daemon.decays();
  query.filter.emplace(who);
  auto rows = shared_rows_of(tables, all.limits, who);
  if (!rows) return tl::unexpected{rows.error()};
  query.shared = std::move(*rows);
  const auto uses = read_usage(tables, all.limits, query);
  if (!uses) return tl::unexpected{uses.error()};
  constexpr std::size_t kMaxNotes = 5;
  std::vector<std::string> out;
  std::size_t others = 0;
  for (const Use& use : uses->uses) {
    const StoredLimit& limit = all.limits[use.limit];
    const bool shared = use.key == kSharedKey;
    if (!shared && (!use.next_free || verdict_word(limit.verdict) == "none")) continue;
    if (out.size() == kMaxNotes) {
      ++others;
      continue;
    }
    out.push_back(fmt::format("{} has {} of limit {}; to clear that too: carbonio-limits reset {}",
                              shared ? "everybody together" : key_text(use.key) + " still",
                              format_used(use.used, use.rate), limit.id,
                              shared ? fmt::format("--limit {}", limit.id)
                                     : policyd::shell_word(shown(reset_name(use.key)))));
  }
  if (others != 0) {
    out.push_back(fmt::format("{} more {} full; to see them all: carbonio-limits usage {} --top {}",
                              others, of_number(others, "is", "are"),
                              policyd::shell_word(shown(who)), uses->active));
  }
  return out;
}

struct Report {
  std::string sentence;
  std::vector<std::string> notes;
};

Result<Report> reset(ChangeSet& changes, const AllLimits& all, Request request,
                     const DaemonConfig& daemon, policyd::TimePoint now) {
  if (request.who) request.who = counted_name(changes.tables(), daemon.config, *request.who);
  const auto ids = limit_ids_of(all, request.limit);
  if (!ids) return tl::unexpected{ids.error()};
  std::optional<std::vector<std::string>> keys;
  if (request.who) {
    auto own = with_other_spellings(changes.tables(),
                                    own_keys(*request.who, prefix_lengths_of(all.limits)));
    if (!own) return tl::unexpected{own.error()};
    keys = std::move(*own);
  }
  const auto cleared = clear_counters(changes, *ids, keys);
  Report out;
  const std::string_view verb = request.dry ? "Would clear" : "Cleared";
  if (!request.who) {
    out.sentence = fmt::format("{} all counters of limit {}.", verb, *request.limit);
  } else if (cleared.empty()) {
    out.sentence = fmt::format("There were no counters of {} to clear.", shown(*request.who));
  } else {
    out.sentence = fmt::format("{} the counters of {} in {}.", verb, shown(*request.who),
                               limits_in(all, cleared));
  }
  if (request.who) {
    auto notes = still_full(changes.tables(), all, *request.who, daemon, now);
    if (!notes) return tl::unexpected{notes.error()};
    out.notes = std::move(*notes);
  }
  return out;
}

Outcome run_reset(const Arguments& arguments, Context& context) {
  const auto request = request_of(arguments);
  if (!request) return tl::unexpected{request.error()};
  Report report;
  auto done = change_database(
      arguments, context, [&](const Tables& tables, const DaemonConfig& daemon) -> Result<void> {
        ChangeSet changes{tables};
        if (auto begun = changes.begin(); !begun) return begun;
        const auto all = read_limits(tables);
        if (!all) return tl::unexpected{all.error()};
        auto result = reset(changes, *all, *request, daemon, context.now);
        if (!result) return tl::unexpected{result.error()};
        report = std::move(*result);
        if (!part_note(daemon).empty()) {
          report.notes.emplace_back(
              "this clears what this host counted; run it on the other hosts of the cluster, too.");
        }
        return request->dry ? changes.result() : changes.commit();
      });
  if (!done) return done;
  context.output.line(report.sentence);
  for (const std::string& note : report.notes) {
    context.output.note(context.advice.complete(note));  // it ends with what is to be typed
  }
  return {};
}

}  // namespace

const Command kReset = {
    "reset",
    "ADDRESS [--limit ID] | --limit ID",
    "Clear the counters of a sender or recipient",
    "The next mail of ADDRESS then passes; the limits stay in place. ADDRESS is a mail address, a "
    "domain (the counters of the domain as a whole), an IP address, a network as 'usage' shows it, "
    "or a login name. Counters that ADDRESS shares with others are kept; full ones, "
    "and those of everybody in a limit, are reported.",
    "reset alice@example.org\n"
    "reset example.org --limit 5\n"
    "reset --limit 3",
    kResetOptions,
    1,
    run_reset};

}  // namespace limits
