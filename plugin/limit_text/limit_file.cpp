// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit_text/limit_file.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <unordered_map>

#include "plugin/cli/options.hpp"
#include "plugin/limit_text/carried_text.hpp"
#include "plugin/limit_text/limit_line.hpp"
#include "plugin/limit_text/limit_options.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::failure;

constexpr std::string_view kProgram = "carbonio-limits";

bool is_sql(std::string_view word) {
  constexpr std::array<std::string_view, 11> kWords = {"begin",  "insert", "update", "delete",
                                                       "create", "drop",   "alter",  "replace",
                                                       "select", "pragma", "commit"};
  const std::string lower = lower_cased(word);
  return std::find(kWords.begin(), kWords.end(), lower) != kWords.end() || word.starts_with("--");
}

Result<std::vector<WantedLimit>> parse_words(std::vector<std::string> words) {
  if (!words.empty() && words.front() == kProgram) words.erase(words.begin());
  const std::string verb = words.empty() ? std::string{} : words.front();
  const bool sending = verb == name_of(Direction::send);
  if (!sending && verb != name_of(Direction::receive)) {
    if (is_sql(verb)) {
      return failure(fmt::format("'{}' is SQL, neither send nor receive", shown(verb)));
    }
    return failure(fmt::format("'{}' is neither send nor receive, group nor row", shown(verb)));
  }
  const Direction direction = sending ? Direction::send : Direction::receive;
  words.erase(words.begin());
  const auto arguments = parse_options(words, limit_options(direction));
  if (!arguments) return tl::unexpected{arguments.error()};
  for (const char* option : {"dry-run", "print-sql"}) {
    if (arguments->has(option))
      return failure(fmt::format("--{} cannot be used in a file", option));
  }
  auto wanted = wanted_limits(direction, *arguments);
  if (!wanted) return failure(wanted.error().message);
  return std::move(*wanted);
}

// The number of the line with the limits for the same that count in the unit; 0: none.
using UnitLines = std::array<std::size_t, kUnits>;
using LinesOfLimits = std::unordered_map<std::string, UnitLines>;

// Where the limit was given before; else notes that it is in this line.
std::optional<std::size_t> same_before(LinesOfLimits& lines, const WantedLimit& limit,
                                       std::size_t number) {
  UnitLines& known = lines[key_of(limit)];
  const Units units = units_of(limit.rates);
  for (std::size_t unit = 0; unit < kUnits; ++unit) {
    if (units.of.test(unit) && known.at(unit) != 0) return known.at(unit);
  }
  for (std::size_t unit = 0; unit < kUnits; ++unit) {
    if (units.of.test(unit)) known.at(unit) = number;
  }
  return std::nullopt;
}

struct BadLine {
  std::size_t number;
  std::string why;
};

// The first error, and the line numbers of the others.
std::string summary(const std::vector<BadLine>& bad) {
  constexpr std::size_t kMaxNamed = 10;
  std::string out = fmt::format("line {}: {}", bad.front().number, bad.front().why);
  std::vector<std::string> others;
  for (const BadLine& line : bad) {
    const std::string number = fmt::format("{}", line.number);
    if (line.number != bad.front().number && (others.empty() || others.back() != number)) {
      others.push_back(number);
    }
  }
  if (others.empty()) return out;
  if (others.size() == 1) return fmt::format("{}; line {} is also wrong", out, others.front());
  if (others.size() <= kMaxNamed) {
    return fmt::format("{}; lines {} are also wrong", out, join_with_and(others));
  }
  return fmt::format("{}; {} more lines are wrong", out, others.size());
}

std::string comment_of(const StoredLimit& limit) {
  return fmt::format("# limit {} ({}, policy \"{}\") cannot be expressed as a command: {}\n",
                     limit.id, state_text(limit), escaped(limit.policy_name), describe(limit));
}

bool is_in_words(const StoredLimit& limit, const InWords& words) {
  return words.quotas.contains(limit.id);
}

// What the file is, if it is none of limits.
std::optional<std::string_view> other_kind(std::string_view text) {
  if (text.starts_with("SQLite format 3")) {
    return "this is a database; 'carbonio-limits restore FILE' restores a backup";
  }
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff") ||
      text.substr(0, 64).find('\0') != std::string_view::npos) {
    return "this is not UTF-8; save it as UTF-8, without compression";
  }
  return std::nullopt;
}

// Lines end in LF, CR LF or CR.
std::vector<std::string_view> lines_of(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  std::vector<std::string_view> out;
  while (true) {
    const std::size_t end = text.find_first_of("\r\n");
    out.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    const bool both = text.substr(end, 2) == "\r\n";
    text.remove_prefix(end + (both ? 2 : 1));
  }
}

}  // namespace

bool is_sql_file(std::string_view text) {
  for (const std::string_view line : lines_of(text)) {
    const std::size_t start = line.find_first_not_of(" \t");
    if (start == std::string_view::npos) continue;
    return is_sql(line.substr(start, line.find_first_of(" \t;", start) - start));
  }
  return false;
}

Result<LimitFile> parse_limit_file(std::string_view text) {
  if (const auto kind = other_kind(text)) return failure(std::string{*kind});
  LimitFile out;
  LinesOfLimits lines;
  std::vector<BadLine> bad;
  std::size_t number = 0;
  for (const std::string_view line : lines_of(text)) {
    ++number;
    auto words = words_of(line);
    if (!words) {
      bad.push_back({number, "missing closing quotation mark"});
      continue;
    }
    if (words->empty()) continue;
    if (is_carried(words->front())) {
      auto added = add_line(*words, out.carried);
      if (!added) bad.push_back({number, added.error().message});
      out.places.resize(out.carried.policies.size(), out.limits.size());
      continue;
    }
    auto wanted = parse_words(std::move(*words));
    if (!wanted) {
      bad.push_back({number, wanted.error().message});
      continue;
    }
    for (WantedLimit& limit : *wanted) {
      const auto same = same_before(lines, limit, number);
      if (!same) {
        out.limits.push_back(FileLimit{number, std::move(limit)});
      } else {
        bad.push_back({number, fmt::format("the same limit for {} is already in line {}",
                                           name_of(limit.target), *same)});
      }
    }
  }
  if (!bad.empty()) return failure(summary(bad));
  return out;
}

InWords in_words(const AllLimits& all, const std::unordered_set<std::int64_t>& special) {
  InWords out;
  for (const StoredLimit& limit : all.limits) {
    const bool partly = limit.partly_enabled() && !limit.enabled();
    const bool is_special =
        std::any_of(limit.rates.begin(), limit.rates.end(),
                    [&](const StoredRate& rate) { return special.contains(rate.quota_id); });
    if (partly || is_special || !wanted_of(limit)) continue;
    for (const StoredRate& rate : limit.rates) out.quotas.insert(rate.quota_id);
    if (limit.what.except_group) out.groups.insert(*limit.what.except_group);
  }
  // Those that other limits name too travel as groups.
  for (const StoredLimit& limit : all.limits) {
    if (limit.what.except_group && !out.quotas.contains(limit.id)) {
      out.groups.erase(*limit.what.except_group);
    }
  }
  return out;
}

std::string format_limit_file(const AllLimits& all, const InWords& words, const Carried& carried) {
  std::string out =
      "# Limits of this server, written by 'carbonio-limits export' and read by 'carbonio-limits\n"
      "# import'. Each line is a command without the program's name, or a group, or a row that no\n"
      "# command can express.\n";
  for (const CarriedGroup& group : carried.groups) {
    if (group.name.empty()) {
      out += "# a group without a name is left out: no rule can name it\n";
    } else if (!is_example(group)) {
      out += line_of(group) + '\n';
    }
  }
  // By policy, and as the policies come: their order decides which of two answers first.
  std::map<std::int64_t, std::string> parts;
  for (const StoredLimit& limit : all.limits) {
    std::string& part = parts[limit.policy_id];
    if (is_in_words(limit, words)) {
      part += line_of(*wanted_of(limit)) + '\n';
    } else {
      part += comment_of(limit);
    }
  }
  for (const CarriedPolicy& policy : carried.policies) {
    std::string& part = parts[policy.id];
    if (is_example(policy)) continue;
    for (const CarriedRow& row : policy.rows) part += line_of(row) + '\n';
  }
  for (const auto& [policy, part] : parts) out += part;
  for (const CarriedRow& row : carried.others) {
    if (!is_example(row)) out += line_of(row) + '\n';
  }
  for (const std::int64_t id : all.unreadable) {
    out += fmt::format(
        "# row {} of table quotas cannot be used as a limit (its period, amount or type is missing "
        "or invalid)\n",
        id);
  }
  return out;
}

}  // namespace limits
