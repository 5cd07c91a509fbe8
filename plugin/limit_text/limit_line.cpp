// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit_text/limit_line.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "daemon/base/printable.hpp"
#include "daemon/base/shell_words.hpp"
#include "plugin/limit/steps.hpp"
#include "plugin/rows/limit_rows.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::Action;

std::optional<std::optional<Action>> verdict_of(const StoredLimit& limit) {
  const std::string word = limit.verdict.value_or("");
  if (word.empty()) return std::optional<Action>{};
  const auto action = policyd::parse_action(word);
  if (action == Action::defer || action == Action::reject || action == Action::hold ||
      action == Action::discard) {
    return action;
  }
  return std::nullopt;
}

// False if one --message cannot express the texts.
bool take_message(const StoredLimit& limit, WantedLimit& wanted) {
  if (has_default_texts(limit)) return true;
  const auto& first = limit.rates.front().data;
  const bool one = std::all_of(limit.rates.begin(), limit.rates.end(),
                               [&](const StoredRate& row) { return same_text(row.data, first); });
  if (!one || !wanted.verdict || !policyd::is_printable(first.value_or(""))) return false;
  wanted.message = first.value_or("");
  return true;
}

bool take_except(const StoredLimit& limit, WantedLimit& wanted) {
  for (const std::string& item : limit.exempt) {
    const auto target = parse_item(item);
    if (!target || target->who == Who::everyone || target->who == Who::client) return false;
    wanted.except.push_back(named_exempt(wanted.per, *target));
  }
  return true;
}

std::string who_words(const Target& target) {
  constexpr std::array<std::string_view, 7> kOptions = {"anyone", "everyone", "group", "client",
                                                        "domain", "user",     "login"};
  std::string out = fmt::format("--{}", kOptions.at(static_cast<std::size_t>(target.who)));
  // --login takes the first '$' for the mark of a login.
  const bool marked = target.who == Who::login && target.name.starts_with('$');
  if (!target.name.empty()) out += ' ' + policyd::shell_word((marked ? "$" : "") + target.name);
  if (target.from_anywhere) out += " --anyone";
  if (!target.from.empty()) out += " --from";
  for (const std::string& network : target.from) out += ' ' + network;
  return out;
}

}  // namespace

std::optional<WantedLimit> wanted_of(const StoredLimit& limit) {
  const Recognised& what = limit.what;
  const auto verdict = verdict_of(limit);
  if (!what.target || !what.direction || !what.per || !verdict) return std::nullopt;
  if (limit.has_twin) return std::nullopt;
  WantedLimit wanted;
  wanted.direction = *what.direction;
  wanted.target = *what.target;
  wanted.per = *what.per;
  wanted.rates = limit.plain_rates();
  // parse_limit must accept it: no period twice, none longer than counters are kept.
  const auto parsed = parse_limit(format_limit(wanted.rates));
  if (!parsed || *parsed != wanted.rates) return std::nullopt;
  wanted.verdict = *verdict;
  wanted.enabled = limit.enabled();
  // A slip in a Comment typed by hand is no step; doctor reports it.
  if (const auto steps = parse_steps(limit.then())) wanted.then = steps_text(*steps);
  if (!take_message(limit, wanted) || !take_except(limit, wanted)) return std::nullopt;
  const std::string& name = limit.policy_name;
  if (name != default_name(wanted.direction, wanted.target, wanted.per) && !name.empty() &&
      policyd::is_printable(name) && !is_reserved_name(name)) {
    wanted.name = name;
  }
  return wanted;
}

bool is_reserved_name(std::string_view policy_name) {
  return lower_cased(policy_name).starts_with("carbonio-limits ");
}

std::string line_of(const WantedLimit& wanted) {
  std::string out =
      fmt::format("{} {} {}", name_of(wanted.direction),
                  policyd::shell_word(format_limit(wanted.rates)), who_words(wanted.target));
  if (wanted.per != default_per(wanted.direction, wanted.target)) {
    out += fmt::format(" --per {}", name_of(wanted.per));
  }
  if (wanted.verdict != default_verdict(wanted.direction)) {
    out +=
        fmt::format(" --verdict {}", wanted.verdict ? policyd::name_of(*wanted.verdict) : "none");
  }
  if (!wanted.except.empty()) out += " --except";
  for (const Target& target : wanted.except) {
    out += " " + policyd::shell_word(target.who == Who::domain ? target.name : item_of(target));
  }
  if (wanted.message) out += " --message " + policyd::shell_word(*wanted.message);
  if (wanted.name) out += " --name " + policyd::shell_word(*wanted.name);
  if (!wanted.then.empty()) out += " --then " + wanted.then;
  if (!wanted.enabled) out += " --off";
  return out;
}

std::optional<std::vector<std::string>> words_of(std::string_view line) {
  return policyd::split_shell_words(line, policyd::HashMark::comment);
}

std::string describe(const StoredLimit& limit) {
  if (const auto wanted = wanted_of(limit)) return describe(*wanted);
  return fmt::format("{}: {}, each {}, {}", target_text(limit), format_limit(limit.plain_rates()),
                     per_text(limit), verdict_word(limit.verdict));
}

}  // namespace limits
