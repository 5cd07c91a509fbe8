// SPDX-License-Identifier: AGPL-3.0-only
// `reset`: clears the counters of a sender or recipient, or all counters of a limit.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <utility>

#include "plugin/block/whom.hpp"
#include "plugin/cli/typed_advice.hpp"
#include "plugin/cluster/cluster_reset.hpp"
#include "plugin/cluster/cluster_view.hpp"
#include "plugin/cluster/shared_figures.hpp"
#include "plugin/commands/by_id.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/counted_name.hpp"
#include "plugin/usage/reset_counters.hpp"
#include "plugin/usage/shared_counters.hpp"
#include "plugin/usage/track_key.hpp"
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
  if (!arguments.words().empty()) out.who = typed_name(arguments.words().front());
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
std::string reset_name(const std::string& key) { return reset_word(key).value_or(key_text(key)); }

// What was cleared, or would be.
struct Report {
  std::optional<std::string> who;  // by the name by which it is counted
  policyd::ResetRequest counters;
  std::string of_limits;  // "limit 3"; empty if there was nothing here
  std::size_t here = 0;   // counters
  std::size_t of_accounting = 0;
  DaemonConfig daemon;
  std::vector<std::string> notes;
  std::string uncounted;  // of a limit of each message: that it has no counters

  // Whether this counter was one of them.
  [[nodiscard]] bool cleared(const Use& use) const {
    const auto has = [](const auto& all, const auto& one) {
      return std::find(all.begin(), all.end(), one) != all.end();
    };
    return has(counters.limit_ids, use.limit_id) && has(counters.keys, use.key);
  }
};

// Counters that `who` shares with everybody in a limit, and full ones that it shares with others,
// and how to clear them.
Result<std::vector<std::string>> still_full(const Tables& tables, const AllLimits& all,
                                            const Report& report, UsageQuery query) {
  const std::string& who = *report.who;
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
    if (report.cleared(use)) {
      out.push_back(
          fmt::format("{} still has {} of limit {}, counted since then{}.", key_text(use.key),
                      format_used(use.used, use.rate), limit.id,
                      is_in_cluster(report.daemon) ? " or by a host that has not answered" : ""));
      continue;
    }
    out.push_back(fmt::format("{} has {} of limit {}; to clear that too: {}",
                              shared ? "everybody together" : key_text(use.key) + " still",
                              format_used(use.used, use.rate), limit.id,
                              shared ? fmt::format("carbonio-limits reset --limit {}", limit.id)
                                     : command_about("reset", shown(reset_name(use.key)))));
  }
  if (others != 0) {
    out.push_back(
        fmt::format("{} more {} full; to see them all: {}", others, of_number(others, "is", "are"),
                    command_about("usage", shown(who), fmt::format("--top {}", uses->active))));
  }
  return out;
}

Result<std::size_t> count_counters(const Tables& tables, const std::vector<std::int64_t>& ids) {
  std::size_t count = 0;
  for (const std::int64_t id : ids) {
    auto done = tables.each(
        "SELECT count(*) FROM {p}quotas_tracking WHERE QuotasLimitsID = ? AND Counter > 0", {id},
        [&](const policyd::sql::Statement& row) {
          count += static_cast<std::size_t>(row.integer(0));
        });
    if (!done) return tl::unexpected{done.error()};
  }
  return count;
}

Result<void> reset(ChangeSet& changes, const AllLimits& all, const Request& request,
                   policyd::TimePoint now, Report& report) {
  if (request.who) {
    report.who = counted_name(changes.tables(), report.daemon.config, *request.who);
  }
  auto ids = limit_ids_of(all, request.limit);
  if (!ids) return tl::unexpected{ids.error()};
  report.counters.limit_ids = *ids;
  if (const StoredLimit* limit = request.limit ? find_limit(all, *request.limit) : nullptr;
      limit != nullptr &&
      std::all_of(limit->rates.begin(), limit->rates.end(),
                  [](const auto& each) { return is_of_each_message(each.rate.unit); })) {
    report.uncounted = describe_uncounted(*limit, "counters");
  }
  if (!report.who) {
    const auto count = count_counters(changes.tables(), *ids);
    if (!count) return tl::unexpected{count.error()};
    report.here = *count;
    clear_counters(changes, *ids, std::nullopt);
    return {};
  }
  const auto names = spellings_of(changes.tables(), *report.who);
  if (!names) return tl::unexpected{names.error()};
  const auto prefix_lengths = prefix_lengths_of(changes.tables(), all.limits);
  if (!prefix_lengths) return tl::unexpected{prefix_lengths.error()};
  std::vector<std::string> own;
  for (const std::string& name : *names) {
    auto more = own_keys(name, *prefix_lengths);
    std::move(more.begin(), more.end(), std::back_inserter(own));
  }
  auto keys = with_other_spellings(changes.tables(), std::move(own));
  if (!keys) return tl::unexpected{keys.error()};
  report.counters.keys = std::move(*keys);
  const auto cleared = clear_counters(changes, *ids, report.counters.keys);
  std::vector<std::string> of_what;
  if (!cleared.empty()) of_what.push_back(limits_in(all, cleared));
  if (!request.limit) {
    const auto rows = clear_accounting(changes, report.counters.keys, now);
    std::set<std::int64_t> each_once;
    for (const ClearedCounter& each : rows) each_once.insert(each.limit_id);
    const std::vector<std::int64_t> row_ids(each_once.begin(), each_once.end());
    if (!row_ids.empty()) of_what.push_back(with_ids("accounting row", row_ids));
    report.of_accounting = rows.size();
  }
  report.here = cleared.size() + report.of_accounting;
  report.of_limits = of_what.empty() ? std::string{} : join_with_and(of_what);
  return {};
}

Result<void> note_what_is_full(Report& report, const Tables& tables, UsageQuery query) {
  if (!report.who) return {};
  const auto all = read_limits(tables);
  if (!all) return tl::unexpected{all.error()};
  query.decay = report.daemon.decays();
  auto notes = still_full(tables, *all, report, std::move(query));
  if (!notes) return tl::unexpected{notes.error()};
  report.notes = std::move(*notes);
  return {};
}

std::string sentence_of(const Report& report, const Request& request, const ClusterReset& all) {
  const std::string_view verb = request.dry ? "Would clear" : "Cleared";
  if (!report.uncounted.empty()) return report.uncounted;
  if (!report.who) return fmt::format("{} all counters of limit {}.", verb, *request.limit);
  const std::string who = shown(*report.who);
  if (!report.of_limits.empty()) {
    return fmt::format("{} the counters of {} in {}.", verb, who, report.of_limits);
  }
  if (all.cleared_elsewhere() > 0) {
    return fmt::format("{} the counters of {} on other hosts.", verb, who);
  }
  if (all.cleared_by_daemons() > 0) return fmt::format("{} the counters of {}.", verb, who);
  return fmt::format("There were no counters of {} to clear{}.", who,
                     all.not_asked.empty() ? "" : " here");
}

// As it was typed, for later.
std::string typed(const Request& request) {
  const std::string limit = request.limit ? fmt::format("--limit {}", *request.limit) : "";
  return request.who ? command_about("reset", shown(*request.who), limit)
                     : "carbonio-limits reset " + limit;
}

void print_hosts(const Report& report, const ClusterReset& all, Output& output) {
  Table table{{{"HOST", false, Shrinks::last}, {"CLEARED"}}};
  std::vector<std::string> silent;
  for (const HostReset& host : all.hosts) {
    const std::string name = host.name + (host.is_this ? " (this host)" : "");
    if (!host.cleared) {
      silent.push_back(escaped(host.name));
      table.add({{name},
                 {host.unseen.count() < 2
                      ? "no answer"
                      : fmt::format("no answer, last seen {} s ago", host.unseen.count()),
                  Colour::red}});
      continue;
    }
    const std::size_t cleared = *host.cleared + (host.is_this ? report.here : 0);
    table.add({{name}, {cleared == 0 ? "nothing to clear" : counted(cleared, "counter")}});
  }
  output.print(table);
  if (silent.empty()) return;
  output.note(fmt::format(
      "{} {} not answered: {} them when {} back, before {} with the others again. (If Redis loses "
      "its data before that, type this again.)",
      join_with_and(silent), of_number(silent.size(), "has", "have"),
      of_number(silent.size(), "it clears", "they clear"),
      of_number(silent.size(), "it is", "they are"),
      of_number(silent.size(), "it counts", "they count")));
}

Outcome run_reset(const Arguments& arguments, Context& context) {
  const auto request = request_of(arguments);
  if (!request) return tl::unexpected{request.error()};
  Report report;
  UsageQuery query;
  query.now = context.now;
  auto done = change_database(
      arguments, context, [&](const Tables& tables, const DaemonConfig& daemon) -> Result<void> {
        report.daemon = daemon;
        ChangeSet changes{tables, context.actor};
        if (auto begun = changes.begin(); !begun) return begun;
        const auto all = read_limits(tables);
        if (!all) return tl::unexpected{all.error()};
        if (auto cleared = reset(changes, *all, *request, context.now, report); !cleared)
          return cleared;
        if (!request->dry) return changes.commit();
        if (auto noted = note_what_is_full(report, tables, query); !noted) return noted;
        return changes.result();
      });
  if (!done) return done;
  ClusterReset all;
  if (!request->dry) {
    all = reset_on_all_hosts(report.daemon, report.counters);
    done = with_database(arguments, context, [&](const Tables& tables, const DaemonConfig& daemon) {
      SharedFigures figures{daemon};
      query.now = figures.now().value_or(query.now);
      query.ask_others = figures.asking();
      return note_what_is_full(report, tables, query);
    });
  }
  context.output.line(sentence_of(report, *request, all));
  if (request->dry && is_in_cluster(report.daemon)) {
    context.output.note("the other hosts of the cluster would clear theirs, too.");
  }
  if (all.configured && all.not_asked.empty()) print_hosts(report, all, context.output);
  if (!all.not_asked.empty()) {
    context.output.note(context.advice.complete(
        fmt::format("the other hosts of the cluster were not told: {}. Once limits are shared "
                    "again: {}",
                    escaped(all.not_asked), typed(*request))));
  }
  if (report.of_accounting != 0 && is_in_cluster(report.daemon)) {
    context.output.note(
        "each host of the cluster has counters of its own for Accounting; those were cleared here "
        "only.");
  }
  for (const std::string& note : report.notes) {
    context.output.note(context.advice.complete(note));  // it ends with what is to be typed
  }
  return done;
}

}  // namespace

const Command kReset = {
    "reset",
    "ADDRESS [--limit ID] | --limit ID",
    "Clear the counters of a sender or recipient",
    "The next mail of ADDRESS then passes; the limits stay in place. ADDRESS is a mail address, a "
    "domain (the counters of the domain as a whole), an IP address, a network as 'usage' shows it, "
    "or a login name; of an account both spellings, if this server has one domain. Counters that "
    "ADDRESS shares with others are kept; full ones, "
    "and those of everybody in a limit, are reported. Without --limit the counters of Accounting "
    "for the current day, week and month are cleared, too.\n"
    "In a cluster all hosts clear them, and the command waits some seconds until they have; "
    "a host that is away does so when it is back, before it counts with the others again.",
    "reset alice@example.org\n"
    "reset example.org --limit 5\n"
    "reset --limit 3",
    kResetOptions,
    1,
    run_reset};

}  // namespace limits
