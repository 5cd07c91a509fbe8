// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/simulate/suggest_text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/shell_words.hpp"
#include "plugin/limit/rate_spec.hpp"
#include "plugin/limit_text/change_report.hpp"
#include "plugin/limit_text/limit_line.hpp"
#include "plugin/rows/limits.hpp"
#include "plugin/rows/surroundings.hpp"
#include "plugin/simulate/simulate_text.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {
namespace {

constexpr std::size_t kShownAccounts = 10;

std::string percent_text(double share) { return fmt::format("{:g} %", share * 100); }

// What has a counter of its own.
std::string_view noun_of(const SuggestView& view) {
  const Per per = view.suggestion.common.per;
  return per == Per::domain || per == Per::client ? name_of(per) : "account";
}

// These without the full stop, as in JSON.
std::optional<std::string> note_on_days(const PastMail& mail) {
  constexpr double kMinDays = 5;
  if (mail.days() >= kMinDays) return std::nullopt;
  return fmt::format("{}: figures from a week or more hold better",
                     mail.days() < 1 ? std::string{"less than a day is little"}
                                     : fmt::format("{:.1f} days are few", mail.days()));
}

std::string note_on_not_nameable(const AccountPeaks& account) {
  return fmt::format("{} is above the figures, and no option gives it a limit of its own",
                     key_text(account.key));
}

std::vector<Cell> peak_cells(std::string name, const std::array<std::uint64_t, 3>& peaks) {
  std::vector<Cell> out = {{std::move(name)}};
  for (const std::uint64_t peak : peaks) out.push_back({fmt::format("{}", peak)});
  return out;
}

void print_peaks(const SuggestView& view, Output& output) {
  Table table{{{"WHO", false, Shrinks::last},
               {"MINUTE", true},
               {"HOUR", true},
               {"DAY", true},
               {"MAILS", true}}};
  for (std::size_t i = 0; i < view.accounts.size() && i < kShownAccounts; ++i) {
    const AccountPeaks& account = view.accounts[i];
    auto cells = peak_cells(key_text(account.key), account.peaks);
    cells.push_back({fmt::format("{}", account.mails)});
    table.add(std::move(cells));
  }
  output.print(table);
  if (view.accounts.size() > kShownAccounts) {
    output.line(
        fmt::format("and {} more with fewer mails a day", view.accounts.size() - kShownAccounts));
  }
}

void print_commands(const SuggestView& view, Output& output) {
  const Suggestion& suggestion = view.suggestion;
  output.line("    " + view.advice.complete(command_of(suggestion.common)));
  for (const OwnLimit& own : suggestion.own) {
    output.line("    " + view.advice.complete(command_of(own.limit)));
  }
}

void print_consequences(const SuggestView& view, Output& output) {
  const std::string_view per = kPerNames.at(static_cast<std::size_t>(view.suggestion.common.per));
  const std::string today =
      view.today_a_day ? fmt::format("instead of {} by today's limit",
                                     grouped(static_cast<std::uint64_t>(*view.today_a_day)))
                       : fmt::format("where today no limit per {} holds", per);
  const bool sends = view.suggestion.common.direction == Direction::send;
  const bool of_account =
      is_account(view.suggestion.common.per) || view.suggestion.common.per == Per::user;
  const std::string who = fmt::format(
      "{}{}{} could then {}", sends && of_account ? "An account" : fmt::format("A {}", per),
      view.suggestion.own.empty() ? "" : " without a limit of its own",
      sends && of_account ? " that is hacked" : "", sends ? "send" : "receive");
  print_wrapped(
      output, {},
      {fmt::format("{} at most {} mails a day, {}. On this mail the limits would have refused {}.",
                   who, grouped(static_cast<std::uint64_t>(view.a_day)), today,
                   view.refused == 0 ? std::string{"nothing"} : counted(view.refused, "mail"))});
  for (const AccountPeaks& account : view.suggestion.not_nameable) {
    output.note(note_on_not_nameable(account) + ".");
  }
}

// With few accounts the share is none of them, so that a single one decides.
void print_outlier(const SuggestView& view, Output& output) {
  constexpr std::uint64_t kMuchMore = 4;
  if (!view.suggestion.own.empty() || view.accounts.size() < 2) return;
  const AccountPeaks& first = view.accounts[0];
  const AccountPeaks& second = view.accounts[1];
  if (first.peaks[2] < kMuchMore * std::max<std::uint64_t>(second.peaks[2], 1)) return;
  // Rounded up, so that it is one of them.
  constexpr double kHundredths = 100;
  const double least =
      std::ceil(100 * kHundredths / static_cast<double>(view.accounts.size())) / kHundredths;
  output.note(
      fmt::format("{} alone {} {} a day, the next {}; with --hit {:g}% it gets a limit "
                  "of its own, and the others a lower one.",
                  key_text(first.key),
                  view.suggestion.common.direction == Direction::send ? "sends" : "receives",
                  first.peaks[2], second.peaks[2], least));
}

// After the subcommand: after "--" it would be the name of a file.
std::string with_apply_watching(std::string typed) {
  constexpr std::string_view kSubcommand = " suggest";
  const std::size_t at = typed.find(kSubcommand);
  if (at != std::string::npos) typed.insert(at + kSubcommand.size(), " --apply-watching");
  return typed;
}

// The command that makes such a limit that refuses mail, and what it changes.
Result<void> plan_biting(WatchedLimit& watched, const AllLimits& all, const Surroundings& around) {
  auto wanted = wanted_of(watched.limit);
  if (!wanted) return {};
  wanted->verdict = default_verdict(wanted->direction);
  LimitPlan plan{all, around};
  if (auto put = plan.put(*wanted); !put) return put;
  watched.command = command_of(*wanted);
  const auto planned = plan.finish();
  if (!planned) return tl::unexpected{planned.error()};
  for (const ApplyResult& result : planned->results) {
    if (result.kind != ApplyResult::Kind::changed) continue;
    watched.changes +=
        fmt::format("{}limit {}", watched.changes.empty() ? "" : "; ", result.limit.id);
    const char* between = ": ";
    for (const std::string& difference : result.differences) {
      watched.changes += std::exchange(between, ", ") + difference;
    }
  }
  for (const ApplyResult& result : planned->results) {
    for (std::string& warning : warnings_of(result, [&](const std::vector<Rate>& rates) {
           WantedLimit kept = result.wanted;
           kept.rates = rates;
           return command_of(kept);
         })) {
      watched.warnings.push_back(std::move(warning));
    }
  }
  return {};
}

// What a limit refuses makes no difference to the next mail.
bool counts_nothing(const StoredLimit& limit) {
  return std::all_of(limit.rates.begin(), limit.rates.end(),
                     [](const StoredRate& rate) { return is_of_each_message(rate.rate.unit); });
}

std::string seen_text(const WatchedLimit& watched, std::string_view who) {
  if (watched.times == 0) return "No mail above it is on record so far.";
  const std::string mails = counted(watched.times, "mail");
  const std::string since = local_time_text(watched.first);
  if (counts_nothing(watched.limit)) {
    return fmt::format("{} {} above it, since {}: {}. This shows how many it would have refused:",
                       mails, of_number(watched.times, "was", "were"), since, who);
  }
  return fmt::format(
      "{} came while it was used up, since {}: {}. What is refused does not count, so it would "
      "have refused fewer; this shows how many:",
      mails, since, who);
}

}  // namespace

std::string command_of(const WantedLimit& limit) { return "carbonio-limits " + line_of(limit); }

void print_suggestion(const SuggestView& view, Output& output) {
  print_wrapped(output, {"Mail: "},
                {fmt::format("{}, {}.", source_text(view.mail, view.measured),
                             counted(view.accounts.size(), noun_of(view)))});
  if (const auto note = note_on_days(view.mail)) output.note(*note + ".");
  output.line("Peaks within any minute, hour and day:");
  output.line("");
  print_peaks(view, output);
  output.line("");
  const std::size_t own = view.suggestion.own.size();
  print_wrapped(
      output, {},
      {own == 0
           ? fmt::format("Suggested, a fifth above the peaks and rounded up (at most {} of all "
                         "{}s could have had a limit of their own):",
                         percent_text(view.share), noun_of(view))
           : fmt::format(
                 "Suggested, a fifth above the peaks and rounded up; {} above the first line (at "
                 "most {} of all) and {} a limit of {} own:",
                 fmt::format("{} {}", counted(own, noun_of(view)), of_number(own, "is", "are")),
                 percent_text(view.share), of_number(own, "gets", "get"),
                 of_number(own, "its", "their"))});
  output.line("");
  print_commands(view, output);
  output.line("");
  print_consequences(view, output);
  print_outlier(view, output);
  print_wrapped(output, {},
                {fmt::format("Nothing was changed. To watch them for a week before they refuse "
                             "mail{}:",
                             view.of_input ? ", with the same input" : "")});
  output.line("    " + with_apply_watching(view.typed));
  print_notes(view.mail, output);
}

nlohmann::json json_of(const SuggestView& view) {
  std::vector<std::string> notes;
  if (auto note = note_on_days(view.mail)) notes.push_back(std::move(*note));
  for (const AccountPeaks& account : view.suggestion.not_nameable) {
    notes.push_back(note_on_not_nameable(account));
  }
  notes.insert(notes.end(), view.mail.notes.begin(), view.mail.notes.end());
  nlohmann::json accounts = nlohmann::json::array();
  for (const AccountPeaks& account : view.accounts) {
    accounts.push_back({{"who", key_text(account.key)},
                        {"key", account.key},
                        {"minute", account.peaks[0]},
                        {"hour", account.peaks[1]},
                        {"day", account.peaks[2]},
                        {"mails", account.mails}});
  }
  nlohmann::json commands = nlohmann::json::array();
  commands.push_back(view.advice.complete(command_of(view.suggestion.common)));
  for (const OwnLimit& own : view.suggestion.own) {
    commands.push_back(view.advice.complete(command_of(own.limit)));
  }
  return {{"source", view.mail.source},
          {"from", policyd::to_seconds(view.mail.first)},
          {"until", policyd::to_seconds(view.mail.last)},
          {"notes", std::move(notes)},
          {"messages", view.measured.messages},
          {"recipients", view.measured.recipients},
          {"share", view.share},
          {"commands", std::move(commands)},
          {"a_day", view.a_day},
          {"today_a_day",
           view.today_a_day ? nlohmann::json(*view.today_a_day) : nlohmann::json(nullptr)},
          {"refused", view.refused},
          {"accounts", std::move(accounts)}};
}

Result<std::vector<WatchedLimit>> watched_limits(const Tables& tables) {
  auto all = read_limits(tables);
  if (!all) return tl::unexpected{all.error()};
  const auto around = read_surroundings(tables);
  if (!around) return tl::unexpected{around.error()};
  std::vector<WatchedLimit> out;
  for (const StoredLimit& limit : all->limits) {
    if (!limit.only_monitors() || !limit.enabled()) continue;
    WatchedLimit watched;
    watched.limit = limit;
    if (auto planned = plan_biting(watched, *all, *around); !planned) {
      return tl::unexpected{planned.error()};
    }
    EventFilter filter;
    filter.kinds = {policyd::EventKind::watched};
    filter.limit_ids.emplace();
    for (const StoredRate& rate : limit.rates) filter.limit_ids->push_back(rate.limit_id);
    std::map<std::string, std::uint64_t> by_key;
    auto done = each_event(tables, filter, [&](StoredEvent&& stored) {
      watched.times += stored.event.times;
      watched.first = stored.event.first;  // the newest come first
      by_key[stored.event.track_key] += stored.event.times;
      return true;
    });
    if (!done) return tl::unexpected{done.error()};
    watched.who.assign(by_key.begin(), by_key.end());
    std::stable_sort(watched.who.begin(), watched.who.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    out.push_back(std::move(watched));
  }
  return out;
}

void print_watched(const std::vector<WatchedLimit>& limits, const TypedAdvice& advice,
                   Output& output) {
  constexpr std::size_t kNamed = 5;
  if (limits.empty()) {
    output.line(
        "No limit only monitors mail. These make some: carbonio-limits suggest "
        "--apply-watching");
  }
  for (const WatchedLimit& watched : limits) {
    print_wrapped(output, {fmt::format("Limit {}: ", watched.limit.id), Colour::bold},
                  {describe(watched.limit)});
    std::string who;
    for (std::size_t i = 0; i < watched.who.size() && i < kNamed; ++i) {
      who += fmt::format("{}{} ({})", i == 0 ? "" : ", ", key_text(watched.who[i].first),
                         watched.who[i].second);
    }
    if (watched.who.size() > kNamed) {
      who += fmt::format(" and {} more", watched.who.size() - kNamed);
    }
    print_wrapped(output, {"  "}, {seen_text(watched, who)});
    if (watched.times != 0) {
      output.line("    " + advice.complete(fmt::format(
                               "carbonio-limits simulate set {} {}", watched.limit.id,
                               policyd::shell_word(format_limit(watched.limit.plain_rates())))));
    }
    if (watched.command.empty()) continue;
    print_wrapped(output, {"  "},
                  {watched.changes.empty()
                       ? std::string{"To let it refuse mail from now on:"}
                       : fmt::format("To let it refuse mail from now on, which changes {}:",
                                     watched.changes)});
    output.line("    " + advice.complete(watched.command));
    output.line("    " +
                advice.complete(fmt::format("carbonio-limits remove {}", watched.limit.id)));
    for (const std::string& warning : watched.warnings) output.note(advice.complete(warning));
  }
}

nlohmann::json json_of(const std::vector<WatchedLimit>& limits) {
  nlohmann::json out = nlohmann::json::array();
  for (const WatchedLimit& watched : limits) {
    nlohmann::json who = nlohmann::json::array();
    for (const auto& [key, times] : watched.who) {
      who.push_back({{"who", key_text(key)}, {"key", key}, {"times", times}});
    }
    nlohmann::json first = nullptr;
    if (watched.times != 0) first = policyd::to_seconds(watched.first);
    out.push_back({{"id", watched.limit.id},
                   {"times", watched.times},
                   {"first", std::move(first)},
                   {"command", watched.command},
                   {"changes", watched.changes},
                   {"warnings", watched.warnings},
                   {"accounts", std::move(who)}});
  }
  return {{"watched", std::move(out)}};
}

}  // namespace limits
