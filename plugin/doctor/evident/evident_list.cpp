// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/doctor/evident/evident_list.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "daemon/base/ascii.hpp"
#include "daemon/base/did_you_mean.hpp"
#include "daemon/base/printable.hpp"
#include "plugin/doctor/evident/evident_values.hpp"
#include "plugin/doctor/evident/look_alike.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::ItemKind;
using policyd::Side;
using Groups = std::set<std::string>;

bool is_valid_item(std::string_view item, Side side, const Groups& groups) {
  if (policyd::item_problem(item, side)) return false;
  const policyd::ListItem parsed = policyd::parse_item(item, side);
  return parsed.kind != ItemKind::group || groups.contains(parsed.text);
}

std::optional<std::string> evident_group(std::string_view name, const Groups& groups) {
  name = trimmed_item(name);
  for (const std::string& group : groups) {
    if (equal_ignoring_case(group, name)) return "%" + group;
  }
  std::vector<std::string_view> known{groups.begin(), groups.end()};
  const auto found = policyd::nearest(name, known);
  if (!found || name.size() < 4) return std::nullopt;
  return "%" + std::string{*found};
}

// What is inside of quotation marks, angle brackets and "mailto:".
std::string_view unwrapped(std::string_view item) {
  const std::size_t open = item.find('<');
  if (open != std::string_view::npos && item.ends_with('>')) {
    item = item.substr(open + 1, item.size() - open - 2);
  }
  for (const std::string_view mark : {"\"", "'", "`"}) {
    if (item.size() > 2 && item.starts_with(mark) && item.ends_with(mark)) {
      item = item.substr(1, item.size() - 2);
    }
  }
  for (const std::string_view quote : policyd::kTypographicQuotes) {
    if (item.starts_with(quote)) item.remove_prefix(quote.size());
    if (item.ends_with(quote)) item.remove_suffix(quote.size());
  }
  for (const std::string_view scheme : {"mailto:", "smtp:"}) {
    if (equal_ignoring_case(item.substr(0, scheme.size()), scheme)) {
      item.remove_prefix(scheme.size());
    }
  }
  return trimmed_item(item);
}

// The length of "255.255.255.0"; nullopt if its bits are not in one row.
std::optional<int> length_of_mask(std::string_view mask) {
  const auto address = policyd::IpAddress::parse(mask);
  if (!address || !address->is_v4()) return std::nullopt;
  for (int length = 1; length <= address->bits(); ++length) {
    const auto ones = policyd::IpAddress::parse("255.255.255.255");
    if (ones && ones->masked(length) == *address) return length;
  }
  return std::nullopt;
}

// Without the blanks around "/" and ".": "10.0.0.0 / 8". Others divide words.
std::string without_blanks_at_marks(std::string_view item) {
  constexpr std::string_view kMarks = "/.";
  std::string out;
  for (std::size_t i = 0; i < item.size(); ++i) {
    if (!policyd::is_white_space(item[i])) {
      out += item[i] == '\\' ? '/' : item[i];
      continue;
    }
    const std::size_t next = item.find_first_not_of(" \t", i);
    const bool before = !out.empty() && kMarks.find(out.back()) != std::string_view::npos;
    const bool behind =
        next != std::string_view::npos && kMarks.find(item[next]) != std::string_view::npos;
    if (!before && !behind) out += item[i];
  }
  return out;
}

// "10.1.*" is "10.1", "192.0.2.0/255.255.255.0" is "192.0.2.0/24", and so is
// "::ffff:192.0.2.0/24", which has the length of the IPv4 network.
std::string evident_network(std::string_view item) {
  std::string plain = without_blanks_at_marks(item);
  while (plain.ends_with(".*")) plain.resize(plain.size() - 2);
  const std::size_t slash = plain.find('/');
  if (slash != std::string::npos) {
    if (const auto length = length_of_mask(std::string_view{plain}.substr(slash + 1))) {
      plain = fmt::format("{}/{}", plain.substr(0, slash), *length);
    }
    const auto address = policyd::IpAddress::parse(std::string_view{plain}.substr(0, slash));
    if (address && address->is_v4()) plain = address->to_string() + plain.substr(slash);
  }
  return plain;
}

// Whether a row with this item, without the one beside it, would be for nearly everybody.
bool is_wide(std::string_view text, Side side) {
  constexpr int kShortV4 = 8;
  constexpr int kShortV6 = 16;
  const policyd::ListItem item = policyd::parse_item(text, side);
  if (item.negated) return true;
  switch (item.kind) {
    case ItemKind::sasl_user:
      return item.text == "-" || item.text.find_first_not_of('*') == std::string::npos;
    case ItemKind::address:
      return item.text.find_first_not_of("*@") == std::string::npos;
    case ItemKind::client_network:
    case ItemKind::peer_network:
      return item.network.length < (item.network.address.is_v4() ? kShortV4 : kShortV6);
    default:
      return false;
  }
}

// Items with ';', '|' or white space between; of a valid item itself.
std::optional<std::vector<std::string>> evident_alternatives(std::string_view item, Side side,
                                                             const Groups& groups) {
  if (is_valid_item(item, side, groups)) return std::vector<std::string>{std::string{item}};
  if (auto one = evident_item(item, side, groups)) return std::vector<std::string>{*one};
  std::vector<std::string> out;
  std::string word;
  for (const char c : std::string{item} + ';') {
    if (c != ';' && c != '|' && !policyd::is_white_space(c)) {
      word += c;
      continue;
    }
    if (word.empty()) continue;
    const bool valid = is_valid_item(word, side, groups);
    const auto evident = valid ? std::optional{word} : evident_item(word, side, groups);
    if (!evident || is_wide(*evident, side)) return std::nullopt;
    out.push_back(*evident);
    word.clear();
  }
  if (out.size() < 2) return std::nullopt;
  return out;
}

// The lists with each of the alternatives added.
std::vector<std::string> combined(const std::vector<std::string>& lists,
                                  const std::vector<std::string>& alternatives) {
  std::vector<std::string> out;
  for (const std::string& list : lists) {
    for (const std::string& item : alternatives) {
      out.push_back(list.empty() ? item : fmt::format("{},{}", list, item));
    }
  }
  return out;
}

constexpr std::size_t kMaxLists = 50;

// Divides a list whose items exclude each other: each that does gets a list with the others. Empty
// where one of the lists would match nearly all that the others do: that of '$-', or of '!a@b'
// beside 'a@b'.
std::vector<std::string> divided(const std::string& list, Side side) {
  std::vector<std::string> out = {list};
  for (std::size_t i = 0; i < out.size() && out.size() < kMaxLists;) {
    const auto two = policyd::never_together(out[i], side);
    if (!two) {
      ++i;
      continue;
    }
    if (is_wide(two->first, side) || is_wide(two->second, side)) return {};
    const std::string first{two->first};
    const std::string second{two->second};
    const auto without = [&](const std::string& left_out) {
      std::string rest;
      bool dropped = false;
      for (const std::string_view item : policyd::list_items(out[i])) {
        if (!dropped && item == left_out) {
          dropped = true;
          continue;
        }
        rest += (rest.empty() ? "" : ",") + std::string{item};
      }
      return rest;
    };
    const std::string one = without(second);
    const std::string other = without(first);
    out[i] = one;
    if (std::find(out.begin(), out.end(), other) == out.end()) {
      out.insert(out.begin() + static_cast<std::ptrdiff_t>(i) + 1, other);
    }
  }
  return out;
}

}  // namespace

std::optional<std::string> evident_item(std::string_view item, Side side, const Groups& groups) {
  if (is_valid_item(item, side, groups)) return std::nullopt;
  const auto twin = look_alike(item);
  const std::string latin = twin && !twin->plain.empty() ? twin->plain : std::string{item};
  std::string_view text = trimmed_item(latin);
  const bool negated = text.starts_with('!');
  if (negated) text = trimmed_item(text.substr(1));
  text = unwrapped(text);
  std::vector<std::string> candidates = {std::string{text}};
  if (text.starts_with('%')) {
    const auto group = evident_group(text.substr(1), groups);
    candidates = {group.value_or("")};
  } else if (text.starts_with('$') || text.starts_with('@')) {
    candidates.push_back(text.front() + std::string{trimmed_item(text.substr(1))});
  } else if (text.find('@') == std::string_view::npos) {
    candidates.push_back(evident_network(text));
    // A name of a host is none of a recipient.
    if (side == Side::destination &&
        policyd::parse_item(text, Side::source).kind == ItemKind::host) {
      candidates.push_back((text.front() == '.' ? "@*" : "@") + std::string{text});
    }
  }
  for (const std::string& candidate : candidates) {
    if (candidate.empty() || !policyd::is_printable(candidate)) continue;
    const std::string whole = (negated ? "!" : "") + candidate;
    if (is_valid_item(whole, side, groups) && !look_alike(whole)) return whole;
  }
  return std::nullopt;
}

std::optional<std::vector<std::string>> evident_lists(std::string_view list, Side side,
                                                      const Groups& groups) {
  if (trimmed_item(list) == "*" || equal_ignoring_case(trimmed_item(list), "any")) {
    return std::vector<std::string>{"any"};
  }
  std::vector<std::string> lists = {""};
  for (const std::string_view item : policyd::list_items(list)) {
    if (trimmed_item(item).empty()) continue;
    const auto alternatives = evident_alternatives(item, side, groups);
    if (!alternatives) return std::nullopt;
    lists = combined(lists, *alternatives);
    if (lists.size() > kMaxLists) return std::nullopt;
  }
  std::vector<std::string> out;
  for (const std::string& each : lists) {
    if (each.empty()) return std::nullopt;
    auto parts = divided(each, side);
    if (parts.empty()) return std::nullopt;
    for (std::string& part : parts) {
      if (std::find(out.begin(), out.end(), part) == out.end()) out.push_back(std::move(part));
    }
  }
  if (out.size() > kMaxLists) return std::nullopt;
  return out;
}

std::optional<std::string> evident_member(std::string_view member, const Groups& groups) {
  std::string out;
  for (const std::string_view item : policyd::member_items(member)) {
    if (trimmed_item(item).empty()) continue;
    const auto alternatives = evident_alternatives(item, Side::source, groups);
    if (!alternatives) return std::nullopt;
    for (const std::string& each : *alternatives) out += (out.empty() ? "" : ",") + each;
  }
  if (out.empty()) return std::nullopt;
  return out;
}

}  // namespace limits
