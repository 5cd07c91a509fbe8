// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit_text/limit_file.hpp"

#include <fmt/core.h>

#include <map>

#include "plugin/cli/options.hpp"
#include "plugin/limit_text/limit_line.hpp"
#include "plugin/limit_text/limit_options.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::failure;

constexpr std::string_view kProgram = "carbonio-limits";

Result<std::vector<WantedLimit>> parse_words(std::vector<std::string> words) {
  if (!words.empty() && words.front() == kProgram) words.erase(words.begin());
  const std::string verb = words.empty() ? std::string{} : words.front();
  const bool sending = verb == name_of(Direction::send);
  if (!sending && verb != name_of(Direction::receive)) {
    return failure(fmt::format("'{}' is neither send nor receive", shown(verb)));
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

std::string key_of(const WantedLimit& wanted) {
  return fmt::format("{} {} {} {} {}", name_of(wanted.direction), name_of(wanted.per),
                     static_cast<int>(wanted.target.who), wanted.target.from_anywhere,
                     wanted.target.name);
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

std::string comment_of(const AllLimits& all, const StoredLimit& limit) {
  return fmt::format(
      "# limit {} ({}, policy \"{}\") cannot be expressed here and is left unchanged: {}\n",
      limit.id, state_text(limit), escaped(limit.policy_name), describe(all, limit));
}

}  // namespace

Result<std::vector<FileLimit>> parse_limit_file(std::string_view text) {
  std::vector<FileLimit> out;
  std::map<std::string, std::size_t> lines;  // line number of each limit
  std::vector<BadLine> bad;
  std::size_t number = 0;
  for (const std::string_view line : split(text, '\n')) {
    ++number;
    auto words = words_of(line);
    if (!words) {
      bad.push_back({number, "missing closing quotation mark"});
      continue;
    }
    if (words->empty()) continue;
    auto wanted = parse_words(std::move(*words));
    if (!wanted) {
      bad.push_back({number, wanted.error().message});
      continue;
    }
    for (WantedLimit& limit : *wanted) {
      const auto [known, inserted] = lines.emplace(key_of(limit), number);
      if (inserted) {
        out.push_back(FileLimit{number, std::move(limit)});
      } else {
        bad.push_back({number, fmt::format("the same limit for {} is already in line {}",
                                           name_of(limit.target), known->second)});
      }
    }
  }
  if (!bad.empty()) return failure(summary(bad));
  return out;
}

std::string format_limit_file(const AllLimits& all) {
  std::string out =
      "# Limits of this server, written by 'carbonio-limits export' and read by 'carbonio-limits\n"
      "# import'. Each line is a command without the program's name.\n";
  for (const StoredLimit& limit : all.limits) {
    const auto wanted = wanted_of(all, limit);
    out += wanted ? line_of(*wanted) + '\n' : comment_of(all, limit);
  }
  for (const std::int64_t id : all.unreadable) {
    out += fmt::format("# row {} of table quotas is not a limit (no period, amount or type)\n", id);
  }
  return out;
}

}  // namespace limits
