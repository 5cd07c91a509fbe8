// SPDX-License-Identifier: AGPL-3.0-only
// `signal`: what a hacked account does and its owner does not, and the steps that follow.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "daemon/base/ascii.hpp"
#include "plugin/answers/bounces.hpp"
#include "plugin/answers/signal_levels.hpp"
#include "plugin/answers/signals.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/signal_files.hpp"
#include "plugin/commands/step_notes.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 5> kSignalOptions = {{
    {"then", "STEPS",
     "the steps that follow: notify (at first), hold:1h, block:1h, lock, or several, one after the "
     "other"},
    {"factor", "N", "of rate: this many times the account's own 99th percentile (at first: 5)"},
    {"hours", "FROM-TO", "of night: when it is (at first: 22:00-06:00)"},
    {"dry-run", "", "show what would change, and change nothing"},
    {"json", "", "print JSON, without a NAME"},
}};

constexpr std::size_t kShownLevels = 3;
constexpr std::uint64_t kMaxCountries = 250;  // there are no more

struct WantedSignal {
  Signal signal;
  bool off = false;
  // What was given; else it stays, if the signal is set.
  bool factor = false;
  bool hours = false;
  bool steps = false;

  [[nodiscard]] Signal over(const Signal& before) const {
    Signal out = signal;
    if (!factor) out.factor = before.factor;
    if (!hours) std::tie(out.from, out.to) = std::pair{before.from, before.to};
    if (!steps) out.steps = before.steps;
    return out;
  }
};

tl::expected<WantedSignal, Failure> wanted_signal(const Arguments& arguments) {
  const auto& words = arguments.words();
  const auto kind = parse_signal_kind(words.front());
  if (!kind) {
    return wrong_use(fmt::format(
        "not a signal: '{}'; there are networks, senders, rate, night, countries and bounces",
        shown(words.front())));
  }
  WantedSignal out;
  out.signal.kind = *kind;
  out.factor = arguments.has("factor");
  out.hours = arguments.has("hours");
  out.steps = arguments.has("then");
  if (words.size() < 2) {
    return wrong_use(
        fmt::format("how many? Example: carbonio-limits signal {} 10", name_of(*kind)));
  }
  if (arguments.has("json")) return wrong_use("--json shows signals, so give no NAME with it");
  if (words[1] == "off") {
    out.off = true;
    return out;
  }
  const auto amount = policyd::parse_number<std::uint64_t>(words[1]);
  const std::uint64_t most = *kind == Signal::Kind::countries ? kMaxCountries : kMaxSignal;
  if (!amount || *amount == 0 || *amount > most) {
    return wrong_use(
        fmt::format("not a valid number: '{}'; give 1 to {}, or off", shown(words[1]), most));
  }
  out.signal.amount = *amount;
  if (const auto text = arguments.value("factor")) {
    if (*kind != Signal::Kind::rate) return wrong_use("--factor is of signal rate only");
    const auto factor = policyd::parse_number<unsigned>(*text);
    if (!factor || *factor == 0 || *factor > kMaxFactor) {
      return wrong_use(
          fmt::format("not a valid --factor: '{}'; give 1 to {}", shown(*text), kMaxFactor));
    }
    out.signal.factor = *factor;
  }
  if (const auto text = arguments.value("hours")) {
    if (*kind != Signal::Kind::night) return wrong_use("--hours is of signal night only");
    const auto hours = parse_hours(*text);
    if (!hours) {
      return wrong_use(fmt::format("not a valid --hours: '{}'; give two times, such as 22:00-06:00",
                                   shown(*text)));
    }
    out.signal.from = hours->first;
    out.signal.to = hours->second;
  }
  auto steps = parse_steps(arguments.value("then").value_or("notify"));
  if (!steps) return wrong_use("--then: " + steps.error().message);
  out.signal.steps = std::move(*steps);
  return out;
}

Outcome set_signal(WantedSignal wanted, const Arguments& arguments, Context& context) {
  const bool dry = arguments.has("dry-run");
  std::vector<std::string> lines;
  std::vector<std::string> notes;
  return change_rules(
      arguments, context, dry,
      [&](const Tables& tables, const DaemonConfig& daemon) -> Result<void> {
        ChangeSet changes{tables, context.actor};
        if (!dry) {
          if (auto begun = changes.begin(); !begun) return begun;
        }
        const auto all = read_signals(tables);
        if (!all) return tl::unexpected{all.error()};
        const Signal::Kind kind = wanted.signal.kind;
        const auto before = std::find_if(all->begin(), all->end(), [&](const StoredSignal& each) {
          return each.signal.kind == kind;
        });
        const bool set = before != all->end();
        if (set) wanted.signal = wanted.over(before->signal);
        if (!wanted.off) notes = step_notes(wanted.signal.steps, daemon.config);
        const auto count = count_signals(tables, kind);
        if (!count) return tl::unexpected{count.error()};
        const bool same =
            wanted.off ? *count == 0 : *count == 1 && set && before->signal == wanted.signal;
        if (same) {
          lines.push_back(wanted.off
                              ? fmt::format("Nothing to change: signal {} is off.", name_of(kind))
                              : "Nothing to change: the signal is set so already.");
          return {};
        }
        auto rows = wanted.off ? Result<std::vector<RowChange>>{rows_to_remove(kind)}
                               : rows_to_set(tables, wanted.signal);
        if (!rows) return tl::unexpected{rows.error()};
        lines.push_back(
            wanted.off ? fmt::format("Signal {} is {}off.", name_of(kind), dry ? "to be " : "")
                       : fmt::format("{} signal {}: {}; {}.", dry ? "Would set" : "Set",
                                     signal_text(wanted.signal), steps_text(wanted.signal.steps),
                                     meaning_of(wanted.signal)));
        if (dry) {
          auto statements = typed(tables, *rows);
          if (!statements) return tl::unexpected{statements.error()};
          for (std::string& each : *statements) lines.push_back(std::move(each));
          lines.emplace_back("Nothing was changed (--dry-run).");
          return {};
        }
        for (const RowChange& row : *rows) changes.run(row);
        return changes.commit();
      },
      [&] {
        for (const std::string& line : lines) context.output.line(line);
        for (const std::string& note : notes) {
          context.output.note(context.advice.complete(note) + ".");
        }
      });
}

// As if nothing was done about them.
Result<std::vector<SignalLevel>> top_of(const SignalSources& sources, const Signal& signal,
                                        policyd::TimePoint now) {
  Signal lowest = signal;
  lowest.amount = 1;
  lowest.factor = 0;
  auto levels = read_levels(sources, lowest, StepsTaken{}, now);
  if (levels && levels->size() > kShownLevels) levels->resize(kShownLevels);
  return levels;
}

constexpr std::array<Signal::Kind, 6> kAllKinds = {Signal::Kind::networks,  Signal::Kind::senders,
                                                   Signal::Kind::rate,      Signal::Kind::night,
                                                   Signal::Kind::countries, Signal::Kind::bounces};

Result<void> show_signals(const Tables& tables, const SignalFiles& files, bool json,
                          Context& context) {
  const auto stored = read_signals(tables);
  if (!stored) return tl::unexpected{stored.error()};
  const auto own = read_own_names(tables);
  if (!own) return tl::unexpected{own.error()};
  const BounceState bounces = files.bounces.read(*own, context.now);
  const SignalSources sources{tables, *own, bounces.bounced, files.known_countries()};
  Table table{{{"SIGNAL"}, {"AT LEAST"}, {"THEN"}, {"MOST NOW", false, Shrinks::last}}};
  nlohmann::json list = nlohmann::json::array();
  for (const Signal::Kind kind : kAllKinds) {
    Signal signal;
    signal.kind = kind;
    const auto found = std::find_if(stored->begin(), stored->end(), [&](const StoredSignal& each) {
      return each.signal.kind == kind;
    });
    const bool on = found != stored->end();
    if (on) signal = found->signal;
    const auto top = top_of(sources, signal, context.now);
    if (!top) return tl::unexpected{top.error()};
    std::vector<std::string> names;
    nlohmann::json levels = nlohmann::json::array();
    for (const SignalLevel& each : *top) {
      names.push_back(fmt::format("{} {}", escaped(key_text(each.last.track_key)), each.reached));
      levels.push_back({{"who", key_text(each.last.track_key)},
                        {"reached", each.reached},
                        {"usual", each.usual}});
    }
    std::string most;
    for (const std::string& name : names) most += (most.empty() ? "" : ", ") + name;
    table.add({{std::string{name_of(kind)}},
               {on ? signal_text(signal).substr(name_of(kind).size() + 1) : "off",
                on ? Colour::green : Colour::dim},
               {on ? steps_text(signal.steps) : ""},
               {most}});
    list.push_back({{"name", name_of(kind)},
                    {"on", on},
                    {"amount", on ? nlohmann::json(signal.amount) : nlohmann::json(nullptr)},
                    {"then", on ? steps_text(signal.steps) : ""},
                    {"most", std::move(levels)}});
  }
  if (json) {
    context.output.print(nlohmann::json{{"signals", std::move(list)},
                                        {"mail_log_problem", bounces.problem},
                                        {"countries_problem", files.no_countries}});
    return {};
  }
  context.output.print(table);
  const auto is_set = [&](Signal::Kind kind) {
    return std::any_of(stored->begin(), stored->end(),
                       [&](const StoredSignal& each) { return each.signal.kind == kind; });
  };
  if (!bounces.problem.empty() && is_set(Signal::Kind::bounces)) {
    context.output.note(fmt::format("bounces cannot be counted: {}.", bounces.problem));
  }
  if (!files.countries && is_set(Signal::Kind::countries)) {
    context.output.note(fmt::format("countries cannot be counted: {}.", files.no_countries));
  }
  context.output.note(context.advice.complete(
      "networks, senders and countries count logins, so they do not see web mail, which has no "
      "login and no client in Postfix; rate, night and bounces do. 'carbonio-limits answer' shows "
      "the steps taken."));
  return {};
}

Outcome run_signal(const Arguments& arguments, Context& context) {
  if (arguments.words().empty()) {
    for (const char* option : {"then", "factor", "hours", "dry-run"}) {
      if (arguments.has(option)) {
        return wrong_use(fmt::format("--{} needs the NAME of a signal", option));
      }
    }
    const auto files = open_signal_files(arguments, context);
    if (!files) return failed(files.error());
    return with_database(arguments, context, [&](const Tables& tables, const DaemonConfig&) {
      return show_signals(tables, *files, arguments.has("json"), context);
    });
  }
  auto wanted = wanted_signal(arguments);
  if (!wanted) return tl::unexpected{wanted.error()};
  return set_signal(std::move(*wanted), arguments, context);
}

}  // namespace

const Command kSignal = {
    "signal",
    "[NAME AMOUNT|off [--then STEPS] [--factor N] [--hours FROM-TO] [--dry-run]] [--json]",
    "Set what makes an account stand out, and what follows",
    "A hacked account sends from many places, under many names, far more than its owner ever did, "
    "at night, or to addresses that do not exist. Off until set: 'networks 5' is mail of one login "
    "from 5 client networks (IPv4 /24, IPv6 /64) within a day; 'senders 10' is 10 sender addresses "
    "of one login within a day; 'rate 100' is 100 messages of an account within an hour, if that "
    "is also --factor times the 99th percentile of the hours of the last 30 days in which it has "
    "sent; 'night 50' is 50 messages of an account since the night began; 'bounces 20' is 20 "
    "recipients of an account within an hour whose mail bounced or who do not exist; 'countries 3' "
    "is mail of one login from 3 countries within a day, if [block] countries names a file in "
    "MaxMind's format.\n"
    "'carbonio-limits answer --due', run each minute, takes the steps; rate is checked every ten "
    "minutes. What counts is messages of session_tracking, which has those that the daemon was "
    "asked about at their end, on this host; for bounces it is the mail log of this host ([block] "
    "mail_log), of which each run reads what was added since the last one. networks, senders and "
    "countries do not see web mail, which has neither login nor client in Postfix; rate, night and "
    "bounces do, by its sender.\n"
    "Another AMOUNT for a signal that is set leaves its factor, hours and steps as they are, "
    "unless they are given. Without a NAME: all signals, and who comes nearest to each now, to "
    "choose figures by.",
    "signal\n"
    "signal networks 5 --then notify,block:1h\n"
    "signal rate 100 --factor 10\n"
    "signal night 50 --hours 23:00-05:00\n"
    "signal bounces 20 --then block:1h\n"
    "signal countries 3\n"
    "signal networks off",
    kSignalOptions,
    2,
    run_signal,
    Takes::other,
    "networks senders rate night countries bounces"};

}  // namespace limits
