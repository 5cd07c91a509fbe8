// SPDX-License-Identifier: AGPL-3.0-only
// `reset`: sets a sender or recipient free at once, or all that a limit has counted.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "plugin/commands/by_id.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/reset_counters.hpp"
#include "plugin/usage/usage_report.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 2> kOptions = {{
    {"limit", "ID", "only what this limit has counted; without ADDRESS, all of it"},
    {"dry-run", "", "say what would be done, and change nothing"},
}};

struct Asked {
  std::optional<std::string> who;
  std::optional<std::int64_t> limit;
  bool dry = false;
};

tl::expected<Asked, Failure> asked_of(const Arguments& arguments) {
  Asked out;
  out.dry = arguments.has("dry-run");
  if (!arguments.words().empty()) out.who = arguments.words().front();
  if (const auto text = arguments.value("limit")) {
    const auto id = parse_id(*text);
    if (!id) return tl::unexpected{id.error()};
    out.limit = *id;
  }
  if (out.who == "") return wrong_use("the address is empty");
  if (!out.who && !out.limit) {
    return wrong_use("the address is missing; as in 'carbonio-limits reset alice@example.org'");
  }
  return out;
}

// Rows of quotas_limits of the limit asked for, or of all.
Result<std::vector<std::int64_t>> rows_of(const AllLimits& all, std::optional<std::int64_t> id) {
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

std::string limits_in(const AllLimits& all, const std::vector<Freed>& freed) {
  std::vector<std::string> ids;
  for (const StoredLimit& limit : all.limits) {
    const bool concerned = std::any_of(limit.rates.begin(), limit.rates.end(), [&](const auto& r) {
      return std::any_of(freed.begin(), freed.end(),
                         [&](const Freed& one) { return one.limit_id == r.limit_id; });
    });
    if (concerned) ids.push_back(fmt::format("{}", limit.id));
  }
  return fmt::format("{} {}", ids.size() == 1 ? "limit" : "limits", join_with_and(ids));
}

// What he shares with others and is full too.
Result<std::vector<std::string>> still_full(const Tables& tables, const AllLimits& all,
                                            const std::string& who, const DatabasePlace& place,
                                            policyd::TimePoint now) {
  UsageQuery query;
  query.now = now;
  query.decay = place.decay;
  query.filter.emplace(who);
  const auto uses = read_usage(tables, all.limits, query);
  if (!uses) return tl::unexpected{uses.error()};
  constexpr std::size_t kMostNotes = 5;
  std::vector<std::string> out;
  std::size_t others = 0;
  for (const Use& use : uses->uses) {
    const StoredLimit& limit = all.limits[use.limit];
    if (!use.next_free || verdict_word(limit.verdict) == "none") continue;
    if (out.size() == kMostNotes) {
      ++others;
      continue;
    }
    out.push_back(
        fmt::format("{} still has {} of limit {}; 'carbonio-limits reset {}' frees it too",
                    say_key(use.key), format_used(use.used, use.rate), limit.id,
                    use.key == "Policy" ? fmt::format("--limit {}", limit.id) : say_key(use.key)));
  }
  if (others != 0) {
    out.push_back(fmt::format("{} more {} full; 'carbonio-limits usage {} --top {}' shows them all",
                              others, others == 1 ? "is" : "are", shown(who), uses->active));
  }
  return out;
}

struct Done {
  std::string sentence;
  std::vector<std::string> notes;
};

Result<Done> reset(const Tables& tables, const Asked& asked, const DatabasePlace& place,
                   policyd::TimePoint now) {
  Changes changes{tables};
  if (auto begun = changes.begin(); !begun) return tl::unexpected{begun.error()};
  const auto all = read_limits(tables);
  if (!all) return tl::unexpected{all.error()};
  const auto rows = rows_of(*all, asked.limit);
  if (!rows) return tl::unexpected{rows.error()};
  const auto keys = asked.who ? std::optional{own_keys(*asked.who, prefix_lengths_of(all->limits))}
                              : std::nullopt;
  const auto freed = free_counters(changes, *rows, keys);
  if (!freed) return tl::unexpected{freed.error()};
  Done out;
  if (!asked.who) {
    out.sentence = fmt::format("All that limit {} had counted {} forgotten.", *asked.limit,
                               asked.dry ? "would be" : "is");
  } else if (freed->empty()) {
    out.sentence = fmt::format("Nothing was counted against {}.", shown(*asked.who));
  } else {
    out.sentence = fmt::format("{} {} free: what {} had counted {} forgotten.", shown(*asked.who),
                               asked.dry ? "would be" : "is", limits_in(*all, *freed),
                               asked.dry ? "would be" : "is");
  }
  if (asked.who) {
    auto notes = still_full(tables, *all, *asked.who, place, now);
    if (!notes) return tl::unexpected{notes.error()};
    out.notes = std::move(*notes);
  }
  if (!asked.dry) {
    if (auto done = changes.commit(); !done) return tl::unexpected{done.error()};
  }
  return out;
}

Outcome run(const Arguments& arguments, Context& context) {
  const auto asked = asked_of(arguments);
  if (!asked) return tl::unexpected{asked.error()};
  const auto place =
      find_database(arguments.value(std::string{kDatabaseOption}), context.zextras_home);
  if (!place) return failed(place.error());
  const auto database = open_as_owner(*place);
  if (!database) return failed(database.error());
  const auto done = reset(database->tables, *asked, *place, context.now);
  if (!done) {
    return failed(fmt::format("database {}: {}; nothing was changed", place->file.string(),
                              done.error().message));
  }
  context.output.line(done->sentence);
  for (const std::string& note : done->notes) {
    context.output.note(context.advice.complete(note) + ".");
  }
  return {};
}

}  // namespace

const Command kReset = {
    "reset",
    "ADDRESS [--limit ID] | --limit ID",
    "Set a sender or recipient free at once",
    "What was counted against him is forgotten, so that his next mail passes; the limits stay. "
    "ADDRESS is a mail address, a domain (what is counted for it as a whole), an IP address, a "
    "network as 'usage' shows it, or a login name. Counters that he shares with others are kept, "
    "and named where they are full.",
    "reset alice@example.org\n"
    "reset example.org --limit 5\n"
    "reset --limit 3",
    kOptions,
    1,
    run};

}  // namespace limits
