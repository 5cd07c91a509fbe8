// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit_text/carried_text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "daemon/base/ascii.hpp"
#include "daemon/base/printable.hpp"
#include "daemon/base/shell_words.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::failure;

constexpr std::string_view kOff = "--off";

// The backslash as \xNN, and so what must not be printed.
std::string encoded(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('\\', at), text.size());
    policyd::append_printable(out, text.substr(at, end - at), std::string_view::npos);
    if (end < text.size()) out += "\\x5c";
    at = end + 1;
  }
  return out;
}

// A word of a group's line that is not the option.
std::string group_word(std::string_view text) {
  return policyd::shell_word(text == kOff ? "\\x2d-off" : encoded(text));
}

std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    if (text.substr(i, 2) != "\\x" || i + 4 > text.size()) return std::nullopt;
    unsigned char code = 0;
    const char* const end = text.data() + i + 4;
    if (std::from_chars(end - 2, end, code, 16).ptr != end) return std::nullopt;
    out += static_cast<char>(code);
    i += 3;
  }
  return out;
}

Result<std::string> decode(std::string_view text) {
  auto out = decoded(text);
  if (out) return std::move(*out);
  return failure(fmt::format("not a valid text: '{}'; write a backslash as \\x5c", shown(text)));
}

bool is_column(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return policyd::is_letter(c) || policyd::is_digit(c) || c == '_';
  });
}

Result<void> add_group(const std::vector<std::string>& words, Carried& carried) {
  if (words.size() < 2) return failure("the name of the group is missing");
  CarriedGroup group;
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (words[i] == kOff) {
      group.enabled = false;
      continue;
    }
    auto text = decode(words[i]);
    if (!text) return tl::unexpected{text.error()};
    if (i == 1) {
      group.name = std::move(*text);
    } else {
      group.members.push_back(std::move(*text));
    }
  }
  if (group.name.empty()) return failure("the name of the group is missing");
  const bool twice =
      std::any_of(carried.groups.begin(), carried.groups.end(),
                  [&](const CarriedGroup& known) { return known.name == group.name; });
  if (twice) return failure(fmt::format("group '{}' is given twice", shown(group.name)));
  carried.groups.push_back(std::move(group));
  return {};
}

bool contains(const std::vector<std::string_view>& tables, std::string_view table) {
  return std::find(tables.begin(), tables.end(), table) != tables.end();
}

Result<void> place(CarriedRow row, Carried& carried) {
  if (contains(other_carried_tables(), row.table)) {
    carried.others.push_back(std::move(row));
    return {};
  }
  if (row.table == "policies") {
    carried.policies.push_back({0, {std::move(row)}});
    return {};
  }
  if (carried.policies.empty()) {
    return failure(fmt::format("a row of {} must follow one of policies", row.table));
  }
  auto& rows = carried.policies.back().rows;
  if (row.table == "quotas_limits" && rows.back().table != "quotas" &&
      rows.back().table != "quotas_limits") {
    return failure("a row of quotas_limits must follow one of quotas");
  }
  rows.push_back(std::move(row));
  return {};
}

Result<void> add_row(const std::vector<std::string>& words, Carried& carried) {
  if (words.size() < 2) return failure("the table is missing");
  CarriedRow row;
  row.table = words[1];
  if (!contains(carried_tables_of_policies(), row.table) &&
      !contains(other_carried_tables(), row.table)) {
    return failure(
        fmt::format("'{}' is not a table whose rows a file may contain", shown(row.table)));
  }
  for (std::size_t i = 2; i < words.size(); ++i) {
    const std::string& word = words[i];
    const std::size_t equals = std::min(word.find('='), word.size());
    const std::string column = word.substr(0, equals);
    if (equals == word.size() || !is_column(column)) {
      return failure(fmt::format("'{}' is not COLUMN=VALUE", shown(word)));
    }
    if (is_reference(column)) {
      return failure(fmt::format("{} is set by import itself; leave it out", column));
    }
    auto text = decode(std::string_view{word}.substr(equals + 1));
    if (!text) return tl::unexpected{text.error()};
    row.values.emplace_back(column, std::move(*text));
  }
  if (row.values.empty()) return failure("the row has no values");
  return place(std::move(row), carried);
}

}  // namespace

std::string line_of(const CarriedGroup& group) {
  std::string out = "group " + group_word(group.name);
  if (!group.enabled) out += fmt::format(" {}", kOff);
  for (const std::string& member : group.members) out += " " + group_word(member);
  return out;
}

std::string line_of(const CarriedRow& row) {
  std::string out = "row " + row.table;
  for (const auto& [column, value] : row.values) {
    out += " " + policyd::shell_word(column + "=" + encoded(value));
  }
  return out;
}

bool is_carried(std::string_view first_word) {
  return first_word == "group" || first_word == "row";
}

Result<void> add_line(const std::vector<std::string>& words, Carried& carried) {
  return words.front() == "group" ? add_group(words, carried) : add_row(words, carried);
}

}  // namespace limits
