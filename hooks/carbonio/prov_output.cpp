// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/carbonio/prov_output.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "daemon/base/ascii.hpp"
#include "daemon/base/printable.hpp"

namespace carbonio {
namespace {

constexpr std::string_view kPrompt = "prov> ";
constexpr std::string_view kError = "ERROR: ";
constexpr std::size_t kMaxReason = 300;

// Calls `each` with every line, without its end.
template <typename Each>
void for_each_line(std::string_view text, Each each) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    each(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

// What Java and its libraries print next to the answer.
bool is_warning(std::string_view line) {
  constexpr std::array<std::string_view, 10> kStarts = {
      "WARN",    "INFO",   "DEBUG",      "[",        "\tat ",
      "SLF4J: ", "log4j:", "Picked up ", "OpenJDK ", "Java HotSpot(TM) "};
  return std::any_of(kStarts.begin(), kStarts.end(),
                     [&](std::string_view start) { return line.starts_with(start); });
}

bool is_blank(std::string_view line) {
  return std::all_of(line.begin(), line.end(), [](char c) { return policyd::is_white_space(c); });
}

std::string shortened(std::string_view text) {
  std::string out;
  policyd::append_printable(out, text, kMaxReason);
  return out;
}

std::optional<ProvError> error_in(std::string_view line) {
  if (!line.starts_with(kError)) return std::nullopt;
  line.remove_prefix(kError.size());
  if (const std::size_t cause = line.find(" (cause: "); cause != std::string_view::npos) {
    line = line.substr(0, cause);
  }
  const std::size_t open = line.find(" (");
  if (open == std::string_view::npos) return ProvError{{}, std::string{line}};
  std::string_view message = line.substr(open + 2);
  if (message.ends_with(')')) message.remove_suffix(1);
  return ProvError{std::string{line.substr(0, open)}, std::string{message}};
}

// "attr: value"
std::optional<std::pair<std::string, std::string>> attribute_in(std::string_view line) {
  constexpr std::string_view kBetween = ": ";
  const std::size_t colon = line.find(kBetween);
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const bool is_name = std::all_of(line.begin(), line.begin() + colon, [](char c) {
    return policyd::is_letter(c) || policyd::is_digit(c);
  });
  if (!is_name) return std::nullopt;
  return std::pair{std::string{line.substr(0, colon)},
                   std::string{line.substr(colon + kBetween.size())}};
}

bool same_name(std::string_view a, std::string_view b) {
  std::string left{a};
  std::string right{b};
  policyd::lower_case(left);
  policyd::lower_case(right);
  return left == right;
}

}  // namespace

std::string ProvError::to_string() const {
  return shortened(code.empty() ? message : fmt::format("{} ({})", code, message));
}

std::vector<ProvError> errors_in(std::string_view text) {
  std::vector<ProvError> out;
  for_each_line(text, [&](std::string_view line) {
    if (auto error = error_in(line)) out.push_back(std::move(*error));
  });
  return out;
}

std::string reason_in(std::string_view text) {
  if (const auto errors = errors_in(text); !errors.empty()) return errors.front().to_string();
  std::string out;
  for_each_line(text, [&](std::string_view line) {
    while (line.starts_with(kPrompt)) line.remove_prefix(kPrompt.size());
    if (out.empty() && !is_blank(line) && !is_warning(line)) out = shortened(line);
  });
  return out;
}

policyd::Result<std::vector<std::string>> split_answers(std::string_view text,
                                                        std::size_t commands) {
  std::vector<std::string> out;
  bool prompted = false;
  std::string answer;
  const auto finish = [&] {
    if (prompted) out.push_back(std::move(answer));
    answer.clear();
    prompted = true;
  };
  for_each_line(text, [&](std::string_view line) {
    while (line.starts_with(kPrompt)) {
      finish();
      line.remove_prefix(kPrompt.size());
    }
    if (!line.empty()) answer.append(line).append("\n");
  });
  if (prompted) out.push_back(std::move(answer));
  // It prints one more prompt at the end of its input.
  if (out.size() == commands + 1 && is_blank(out.back())) out.pop_back();
  if (out.size() == commands) return out;
  return policyd::failure(fmt::format("answered {} of {} commands", out.size(), commands));
}

std::vector<std::string> names_in(std::string_view answer) {
  std::vector<std::string> out;
  for_each_line(answer, [&](std::string_view line) {
    if (!is_blank(line) && !is_warning(line)) out.emplace_back(line);
  });
  return out;
}

std::vector<std::string> Attributes::values(std::string_view name) const {
  std::vector<std::string> out;
  for (const auto& [key, text] : all_) {
    if (same_name(key, name)) out.push_back(text);
  }
  return out;
}

std::optional<std::string> Attributes::value(std::string_view name) const {
  const auto all = values(name);
  if (all.empty()) return std::nullopt;
  return all.front();
}

bool Attributes::has(std::string_view name, std::string_view value) const {
  const auto all = values(name);
  return std::find(all.begin(), all.end(), value) != all.end();
}

Attributes attributes_in(std::string_view answer) {
  Attributes out;
  for_each_line(answer, [&](std::string_view line) {
    if (auto attribute = attribute_in(line)) {
      out.add(std::move(attribute->first), std::move(attribute->second));
    }
  });
  return out;
}

std::optional<Entry> server_in(std::string_view answer) {
  auto all = servers_in(answer);
  if (all.empty()) return std::nullopt;
  return std::move(all.front());
}

std::vector<Entry> servers_in(std::string_view answer) {
  constexpr std::string_view kName = "# name ";
  std::vector<Entry> out;
  for_each_line(answer, [&](std::string_view line) {
    if (line.starts_with(kName)) {
      out.push_back({std::string{line.substr(kName.size())}, {}});
    } else if (auto attribute = attribute_in(line); attribute && !out.empty()) {
      out.back().attributes.add(std::move(attribute->first), std::move(attribute->second));
    }
  });
  return out;
}

}  // namespace carbonio
