// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/block.hpp"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace policyd {
namespace {

constexpr const char* kTimeForm = "%Y-%m-%dT%H:%M:%SZ";
constexpr std::string_view kUntil = "until ";

std::string utc_text(TimePoint time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

std::optional<TimePoint> utc_time(std::string_view text) {
  std::array<char, std::string_view{"2026-11-26T04:00:00Z"}.size() + 1> copy{};
  if (text.size() >= copy.size()) return std::nullopt;
  std::copy(text.begin(), text.end(), copy.begin());
  std::tm parts{};
  const char* end = ::strptime(copy.data(), kTimeForm, &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return TimePoint{std::chrono::seconds{::timegm(&parts)}};
}

// The first word, which is taken off.
std::string_view take_word(std::string_view& text) {
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(std::min(text.size(), word.size() + 1));
  return word;
}

// Of the name after whom it blocks.
std::optional<TimePoint> until_of(std::string_view rest) {
  if (!rest.starts_with(kUntil)) return std::nullopt;
  return utc_time(rest.substr(kUntil.size()));
}

}  // namespace

std::string Block::policy_name() const {
  std::string out = fmt::format("{}{}", kBeginning, who);
  if (until) out += fmt::format(" {}{}", kUntil, utc_text(*until));
  return out;
}

std::string Block::comment() const {
  std::string out = "since=" + utc_text(since);
  if (!account.empty()) out += " account=" + account;
  return out + " by=" + by;
}

std::optional<Block> Block::parse(std::string_view policy_name, std::string_view comment) {
  if (!policy_name.starts_with(kBeginning)) return std::nullopt;
  policy_name.remove_prefix(kBeginning.size());
  Block out;
  out.who = take_word(policy_name);
  if (out.who.empty()) return std::nullopt;
  out.until = until_of(policy_name);
  while (!comment.empty()) {
    constexpr std::string_view kBy = "by=";
    if (comment.starts_with(kBy)) {  // the last one, in several words
      out.by = comment.substr(kBy.size());
      break;
    }
    const std::string_view word = take_word(comment);
    const std::size_t equals = std::min(word.find('='), word.size());
    const std::string_view value = word.substr(std::min(word.size(), equals + 1));
    if (word.substr(0, equals) == "since") out.since = utc_time(value).value_or(TimePoint{});
    if (word.substr(0, equals) == "account") out.account = value;
  }
  return out;
}

std::optional<TimePoint> block_end(std::string_view policy_name) {
  if (!policy_name.starts_with(Block::kBeginning)) return std::nullopt;
  policy_name.remove_prefix(Block::kBeginning.size());
  if (take_word(policy_name).empty()) return std::nullopt;
  return until_of(policy_name).value_or(TimePoint::max());
}

}  // namespace policyd
