// SPDX-License-Identifier: AGPL-3.0-only
// `suggest`: which figures would suit the mail of the past days.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plugin/block/blocks.hpp"
#include "plugin/block/whom.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/load_past_mail.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/limit_text/change_report.hpp"
#include "plugin/limit_text/limit_line.hpp"
#include "plugin/simulate/suggest_text.hpp"
#include "plugin/simulate/suggestion.hpp"
#include "plugin/simulate/tried_limits.hpp"
#include "plugin/terminal/progress.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {
namespace {

constexpr double kDefaultShare = 0.005;

constexpr std::array<Option, 6> kSuggestOptions = {{
    {"per", "WHAT",
     "what has a counter of its own: user (the default), domain, client, account or login; after "
     "'receive' domain (the default), user or client",
     false, "user domain client account login"},
    {"hit", "SHARE",
     "at most this share of accounts may be above the common figures (default: 0.5%)"},
    kPastSinceOption,
    {"apply-watching", "", "make the limits with --verdict none: they count, and refuse nothing"},
    {"review", "",
     "show what limits with verdict none would have refused, and the commands that make them "
     "refuse mail"},
    {"json", "", "print JSON"},
}};

// "0.5%" or "0.5": a share of 0.005.
std::optional<double> share_of(std::string_view text) {
  if (text.ends_with('%')) text.remove_suffix(1);
  double percent = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), percent);
  constexpr double kWhole = 100;
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size() || !(percent >= 0) ||
      percent > kWhole) {
    return std::nullopt;
  }
  return percent / kWhole;
}

struct SuggestQuestion {
  Direction direction = Direction::send;
  Per per = Per::user;
  double share = kDefaultShare;
  std::vector<std::string> files;
};

tl::expected<SuggestQuestion, Failure> suggestion_wanted(const Arguments& arguments) {
  SuggestQuestion out;
  out.files = arguments.words();
  if (!out.files.empty() && (out.files[0] == "send" || out.files[0] == "receive")) {
    if (out.files[0] == "receive") out.direction = Direction::receive;
    out.files.erase(out.files.begin());
  }
  out.per = default_per(out.direction);
  if (const auto text = arguments.value("per")) {
    const auto known = std::find(kPerNames.begin(), kPerNames.end(), lower_cased(*text));
    const auto per = static_cast<Per>(known - kPerNames.begin());
    if (known == kPerNames.end() || per == Per::everyone || !track_of(out.direction, per)) {
      return wrong_use(fmt::format(
          "not a valid --per: '{}'; choose user, domain{}", shown(*text),
          out.direction == Direction::send ? ", client, account or login" : " or client"));
    }
    out.per = per;
  }
  if (const auto text = arguments.value("hit")) {
    const auto share = share_of(*text);
    if (!share) {
      return wrong_use(
          fmt::format("not a valid --hit: '{}'; write a share such as 0.5% or 2%", shown(*text)));
    }
    out.share = *share;
  }
  if (arguments.has("review") &&
      (arguments.has("apply-watching") || arguments.has("per") || arguments.has("hit") ||
       arguments.has("since") || !arguments.words().empty())) {
    return wrong_use("--review reads no mail log; give it alone, or with --json");
  }
  if (arguments.has("apply-watching") && arguments.has("json")) {
    return wrong_use("--apply-watching and --json cannot be combined");
  }
  return out;
}

// Plays the mail to limits that a copy of the rules gets, alone.
Result<Replay> played_on(const LoadedMail& loaded, const std::vector<WantedLimit>& wanted,
                         bool decides, StoredLimit& first, const Context& context) {
  auto copy = RulesCopy::of(loaded.database.tables);
  if (!copy) return tl::unexpected{copy.error()};
  // None of today's limits is to have a say in who is exempt.
  if (auto done = copy->without_limits(); !done) return tl::unexpected{done.error()};
  auto plan = copy->plan();
  if (!plan) return tl::unexpected{plan.error()};
  for (const WantedLimit& limit : wanted) {
    if (auto put = plan->put(limit); !put) return tl::unexpected{put.error()};
  }
  const auto planned = plan->finish();
  if (!planned) return tl::unexpected{planned.error()};
  if (auto done = copy->run(planned->changes); !done) return tl::unexpected{done.error()};
  const auto all = read_limits(copy->tables());
  if (!all) return tl::unexpected{all.error()};
  const StoredLimit* const made = find_limit(*all, planned->results.front().limit.id);
  if (made == nullptr) return policyd::failure("the limit cannot be tried");
  first = *made;
  const auto rules = copy->rules();
  if (!rules) return tl::unexpected{rules.error()};
  Progress progress{decides ? "Trying the figures" : "Counting"};
  ReplayWish wish;
  wish.decides = decides;
  return replay(loaded.mail.mails, *rules, loaded.daemon.config, wish, [&](std::uint64_t done) {
    progress.show(done, loaded.mail.mails.all.size());
    return !context.is_given_up();
  });
}

// What the strictest limit for everyone lets an account send in a day.
Result<std::optional<std::int64_t>> today_in_a_day(const Tables& tables, Direction direction,
                                                   Per per, policyd::Algorithm algorithm) {
  const auto all = read_limits(tables);
  if (!all) return tl::unexpected{all.error()};
  std::optional<std::int64_t> out;
  for (const StoredLimit& limit : all->limits) {
    const auto& what = limit.what;
    if (!limit.enabled() || limit.only_monitors() || !what.target || what.direction != direction ||
        what.per != per || (what.target->who != Who::everyone && what.target->who != Who::anyone)) {
      continue;
    }
    const std::int64_t day = most_in_a_day(limit.plain_rates(), algorithm);
    if (day != most_in_a_day({}, algorithm)) out = std::min(out.value_or(day), day);
  }
  return out;
}

// What is taken away from limits that were there; not that those with a limit of their own are no
// part of the common one.
std::vector<std::string> warnings_on(ApplyResult result, const PlannedChange& planned) {
  std::erase_if(result.losses, [&](const Loss& loss) {
    return loss.replaced && std::any_of(planned.results.begin(), planned.results.end(),
                                        [&](const auto& each) { return each.limit.id == loss.of; });
  });
  return warnings_of(result, [&](const std::vector<Rate>& rates) {
    WantedLimit kept = result.wanted;
    kept.rates = rates;
    return "carbonio-limits " + line_of(kept);
  });
}

Outcome apply_watching(const Suggestion& suggestion, const Arguments& arguments, Context& context) {
  std::vector<WantedLimit> wanted = {suggestion.common};
  for (const OwnLimit& own : suggestion.own) wanted.push_back(own.limit);
  for (WantedLimit& limit : wanted) limit.verdict.reset();
  const auto make = [&](LimitPlan plan, const Tables&) -> Result<LimitsChange> {
    for (const WantedLimit& limit : wanted) {
      if (auto put = plan.put(limit); !put) return tl::unexpected{put.error()};
    }
    auto planned = plan.finish();
    if (!planned) return tl::unexpected{planned.error()};
    LimitsChange out;
    std::vector<std::string> lines;
    for (const ApplyResult& result : planned->results) {
      for (std::string& line : report_change(describe(result.wanted), result, false)) {
        lines.push_back(std::move(line));
      }
      for (const std::string& warning : warnings_on(result, *planned)) {
        out.warnings.push_back(context.advice.complete(warning));
      }
    }
    out.rows = std::move(planned->changes);
    out.report = [lines = std::move(lines), &context] {
      for (const std::string& line : lines) context.output.line(line);
      context.output.line(context.advice.complete(
          "They only count. In a week, see what they would have done: carbonio-limits suggest "
          "--review"));
    };
    return out;
  };
  return change_limits(arguments, context, false, make);
}

Outcome review_watched(const Arguments& arguments, Context& context) {
  return with_database(arguments, context,
                       [&](const Tables& tables, const DaemonConfig&) -> Result<void> {
                         const auto watched = watched_limits(tables);
                         if (!watched) return tl::unexpected{watched.error()};
                         if (arguments.has("json")) {
                           context.output.print(json_of(*watched));
                         } else {
                           print_watched(*watched, context.advice, context.output);
                         }
                         return {};
                       });
}

// Mail of those who are blocked now is what limits are to stop, under all names that their blocks
// stand for. A note for each of them.
Result<void> leave_out_blocked(LoadedMail& loaded, std::vector<AccountPeaks>& accounts,
                               policyd::TimePoint now) {
  const auto blocks = read_blocks(loaded.database.tables);
  if (!blocks) return tl::unexpected{blocks.error()};
  for (const StoredBlock& stored : *blocks) {
    if (!stored.in_force(now)) continue;
    const KeyFilter whom{stored.block.who, names_in(stored.items)};
    const auto gone =
        std::remove_if(accounts.begin(), accounts.end(),
                       [&](const AccountPeaks& account) { return whom.shows(account.key); });
    if (gone == accounts.end()) continue;
    accounts.erase(gone, accounts.end());
    loaded.mail.notes.push_back(fmt::format(
        "{} is blocked now, so its peaks are no part of the figures", shown(stored.block.who)));
  }
  return {};
}

Outcome run_suggest(const Arguments& arguments, Context& context) {
  const auto question = suggestion_wanted(arguments);
  if (!question) return tl::unexpected{question.error()};
  if (arguments.has("review")) return review_watched(arguments, context);
  auto loaded = load_past_mail(arguments, question->files, context);
  if (!loaded) return tl::unexpected{loaded.error()};
  const auto of_database = [&](const policyd::Error& error) {
    return failed(
        fmt::format("database {}: {}", loaded->daemon.config.database.string(), error.message));
  };
  StoredLimit measured;
  const auto counted_mail = played_on(
      *loaded, {measuring_limit(question->direction, question->per)}, false, measured, context);
  if (!counted_mail) return of_database(counted_mail.error());
  const std::string given_up = "the mail was not tried to its end: no one waits for it";
  if (context.is_given_up()) return failed(given_up);
  auto accounts = peaks_of(*counted_mail, measured);
  if (accounts.empty()) {
    return failed(
        "none of the mail would count, since no sender or recipient is of this server; are its "
        "domains and networks known? carbonio-limits doctor shows it");
  }
  if (question->direction == Direction::send && question->per != Per::domain) {
    if (auto done = leave_out_blocked(*loaded, accounts, context.now); !done) {
      return of_database(done.error());
    }
    if (accounts.empty()) return failed("all mail that counts is of those who are blocked now");
  }
  const Suggestion suggestion =
      suggest(accounts, question->share, question->direction, question->per);
  if (arguments.has("apply-watching")) {
    loaded->database.handle.reset();
    return apply_watching(suggestion, arguments, context);
  }
  std::vector<WantedLimit> wanted = {suggestion.common};
  for (const OwnLimit& own : suggestion.own) wanted.push_back(own.limit);
  StoredLimit common;
  const auto tried = played_on(*loaded, wanted, true, common, context);
  if (!tried) return of_database(tried.error());
  if (context.is_given_up()) return failed(given_up);
  const policyd::Algorithm algorithm = loaded->daemon.config.quotas_algorithm;
  const auto today =
      today_in_a_day(loaded->database.tables, question->direction, question->per, algorithm);
  if (!today) return of_database(today.error());
  const bool of_input =
      std::find(question->files.begin(), question->files.end(), "-") != question->files.end();
  const SuggestView view{loaded->mail,
                         *counted_mail,
                         accounts,
                         suggestion,
                         question->share,
                         tried->hits.size(),
                         most_in_a_day(suggestion.common.rates, algorithm),
                         *today,
                         context.actor.what,
                         of_input,
                         context.advice};
  if (arguments.has("json")) {
    context.output.print(json_of(view));
  } else {
    print_suggestion(view, context.output);
  }
  return {};
}

}  // namespace

const Command kSuggest = {
    "suggest",
    "[send | receive] [--per WHAT] [--hit SHARE] [--since TIME] [--apply-watching | --json] "
    "[FILE...] | --review [--json]",
    "Suggest figures for limits from the mail of the past days",
    "Reads mail as 'simulate' does, and prints the peaks of each account within a minute, an hour "
    "and a day, commands that set limits a fifth above them, and what a hacked account could still "
    "send. At most the share --hit of the accounts may be above the common figures; each of them "
    "gets a limit of its own. Blocked accounts are left out. Nothing is changed.\n"
    "With --apply-watching the limits are made with verdict none, so they refuse nothing and "
    "replace no limit that refuses mail; an earlier limit with verdict none for the same senders "
    "is changed. After a week --review shows what they would have refused, and the commands that "
    "make them refuse mail.",
    "suggest\n"
    "suggest --per account --since 30day\n"
    "suggest --hit 2% /var/log/mail.log*\n"
    "suggest --apply-watching\n"
    "suggest --review",
    kSuggestOptions,
    1 + OpenLog::kMaxFiles,
    run_suggest,
    Takes::file,
    "send receive"};

}  // namespace limits
