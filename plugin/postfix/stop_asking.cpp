// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/postfix/stop_asking.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "daemon/base/shell_words.hpp"
#include "hooks/system/run_program.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::chrono::seconds kPostconfWithin{10};

std::string_view stripped(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

// Appends a command for each "name = value" that names us.
void append_commands(std::vector<std::string>& out, std::string_view lines,
                     const std::vector<std::string>& ours, const std::string& postconf,
                     const char* option) {
  for (const std::string_view line : split(lines, '\n')) {
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view value = stripped(line.substr(equals + 1));
    const std::string rest = without_us(value, ours);
    if (rest == value) continue;
    const std::vector<std::string> words = {
        postconf, option, fmt::format("{}={}", stripped(line.substr(0, equals)), rest)};
    out.push_back(policyd::shell_words(words));
  }
}

}  // namespace

std::string without_us(std::string_view list, const std::vector<std::string>& ours) {
  const auto words = restriction_words(list);
  std::vector<std::string> kept;
  bool found = false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool here = equal_ignoring_case(words[i], kPolicyCheck) && i + 1 < words.size() &&
                      names_policy_service(words[i + 1], ours);
    if (!here) {
      kept.push_back(words[i]);
      continue;
    }
    found = true;
    ++i;
    if (!kept.empty() && equal_ignoring_case(kept.back(), "warn_if_reject")) kept.pop_back();
  }
  if (!found) return std::string{list};
  std::string out;
  for (const std::string& word : kept) out += (out.empty() ? "" : " ") + word;
  return out;
}

std::vector<std::string> stop_asking_commands(std::string_view main_cf, std::string_view overrides,
                                              const std::vector<std::string>& ours,
                                              const std::string& postconf) {
  std::vector<std::string> out;
  append_commands(out, main_cf, ours, postconf, "-e");
  append_commands(out, overrides, ours, postconf, "-P");
  return out;
}

std::vector<std::string> stop_asking_commands(const PostfixFacts& facts,
                                              const std::vector<std::string>& ours) {
  if (facts.program.empty()) return {};
  const auto ask = [&](const char* option) -> std::string {
    const auto output = carbonio::run_program({{facts.program, option}, kPostconfWithin});
    return output && output->status == 0 ? output->out : std::string{};
  };
  return stop_asking_commands(ask("-n"), ask("-P"), ours, facts.program);
}

}  // namespace limits
