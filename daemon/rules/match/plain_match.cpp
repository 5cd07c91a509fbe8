// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/match/plain_match.hpp"
#include "daemon/base/ascii.hpp"
#include "daemon/base/mail_address.hpp"
#include "daemon/base/printable.hpp"
#include "daemon/names/name_form.hpp"
#include "daemon/names/wildcard.hpp"

#include <unordered_map>
#include <unordered_set>

namespace policyd {
namespace {

bool address_matches(std::string_view pattern, std::string_view address,
                     const Extensions& extensions) {
  if (address.empty()) return false;
  const auto local_part = local_part_of(pattern);
  return domain_match(domain_of(pattern), domain_of(address)) &&
         (local_part.empty() || wildcard_match(local_part, local_part_of(address)) ||
          wildcard_match(local_part, extensions.user_of(address)));
}

bool is_authenticated(const Request& request) {
  return request.sasl_username && !request.sasl_username->empty();
}

bool sasl_matches(std::string_view pattern, const Request& request) {
  if (!is_authenticated(request)) return pattern == "-";
  return wildcard_match(pattern, *request.sasl_username);
}

bool host_matches(std::string_view pattern, std::string_view name) {
  std::string lower(name);
  lower_case(lower);
  return host_match(pattern, lower);
}

// All kinds except groups, without `!`.
bool positive_match(const ListItem& item, Side side, const Request& request,
                    const Extensions& extensions) {
  switch (item.kind) {
    case ItemKind::client_network:
      return item.network.contains(request.client_address);
    case ItemKind::peer_network:
      return request.peer_address && item.network.contains(*request.peer_address);
    case ItemKind::sasl_user:
      return sasl_matches(item.text, request);
    case ItemKind::empty_sender:
      return request.sender.empty();
    case ItemKind::address:
      return address_matches(item.text, side == Side::source ? request.sender : request.recipient,
                             extensions);
    case ItemKind::host:
      return host_matches(item.text, request.reverse_client_name);
    case ItemKind::group:
    case ItemKind::unparsable:
    case ItemKind::error:
      break;
  }
  return false;
}

// The part of the request that an item is compared with, for the explanation.
std::string subject(const ListItem& item, Side side, const Request& request) {
  switch (item.kind) {
    case ItemKind::client_network:
      return "client " + request.client_address.to_string();
    case ItemKind::peer_network:
      return request.peer_address ? "Postfix at " + request.peer_address->to_string()
                                  : "Postfix without an address";
    case ItemKind::sasl_user:
      return is_authenticated(request) ? "SASL user " + in_quotes(*request.sasl_username)
                                       : "unauthenticated mail";
    case ItemKind::host:
      return "host name " + in_quotes(request.reverse_client_name);
    case ItemKind::group:
    case ItemKind::unparsable:
    case ItemKind::error:
    case ItemKind::empty_sender:
    case ItemKind::address:
      break;
  }
  return side == Side::source ? "sender " + in_quotes(request.sender)
                              : "recipient " + in_quotes(request.recipient);
}

// The groups that one list reaches, evaluated for one request.
class Groups {
 public:
  enum class Value : std::uint8_t { unknown, open, no, yes, error };

  Groups(std::span<const GroupRow> rows, Side side, const Request& request,
         const Extensions& extensions)
      : side_(side), request_(request), extensions_(extensions) {
    for (const auto& row : rows) groups_.emplace(row.name, Group{&row, {}, false, Value::unknown});
  }

  Value evaluate(const std::string& name) {
    if (!groups_.contains(name)) return Value::no;
    std::vector<Position> path;
    open(name, path);
    while (!path.empty()) step(path);
    return groups_.at(name).value;
  }

  // Whether a loop or an error can be reached from the group.
  bool is_broken(const std::string& name) {
    std::unordered_map<std::string, bool> visited;  // true while on the path
    std::vector<Position> path{{name, 0}};
    while (!path.empty()) {
      Position& position = path.back();
      const auto known = groups_.find(position.group);
      if (known == groups_.end() || position.member == items_of(known->second).size()) {
        visited[position.group] = false;
        path.pop_back();
        continue;
      }
      visited[position.group] = true;
      const ListItem& item = known->second.items[position.member++];
      if (item.kind == ItemKind::error) return true;
      if (item.kind != ItemKind::group || sound_.contains(item.text)) continue;
      const auto seen = visited.find(item.text);
      if (seen == visited.end()) {
        path.push_back(Position{item.text, 0});
      } else if (seen->second) {
        return true;
      }
    }
    for (const auto& group : visited) sound_.insert(group.first);
    return false;
  }

  // All kinds except groups.
  [[nodiscard]] bool item_matches(const ListItem& item) const {
    return positive_match(item, side_, request_, extensions_) != item.negated;
  }

  // The member by which the group matches.
  [[nodiscard]] std::string reason(const std::string& name) const {
    const auto found = reasons_.find(name);
    return found == reasons_.end() ? std::string() : found->second;
  }

 private:
  struct Group {
    const GroupRow* row = nullptr;
    std::vector<ListItem> items;
    bool parsed = false;
    Value value = Value::unknown;
  };
  struct Position {
    std::string group;
    std::size_t member = 0;
  };

  const std::vector<ListItem>& items_of(Group& group) {
    if (group.parsed) return group.items;
    group.parsed = true;
    for (const auto& member : group.row->members) {
      for (const auto text : member_items(member.text)) {
        group.items.push_back(parse_item(text, side_));
      }
    }
    return group.items;
  }

  void open(const std::string& name, std::vector<Position>& path) {
    groups_.at(name).value = Value::open;
    path.push_back(Position{name, 0});
  }

  // Evaluates one member of the group at the end of the path.
  void step(std::vector<Position>& path) {
    Position& position = path.back();
    Group& group = groups_.at(position.group);
    if (position.member == items_of(group).size()) {
      group.value = Value::no;
      path.pop_back();
      return;
    }
    const ListItem& item = group.items[position.member];
    const Value value = member_value(item);
    if (value == Value::unknown) return open(item.text, path);
    ++position.member;
    if (value == Value::no) return;
    group.value = value;
    if (value == Value::yes) note_reason(position.group, item);
    path.pop_back();
  }

  // Unknown if the group that the item names must be evaluated first.
  Value member_value(const ListItem& item) {
    if (item.kind == ItemKind::error) return Value::error;
    if (item.kind == ItemKind::peer_network && !request_.peer_address) return Value::no;
    if (item.kind != ItemKind::group) {
      const bool matches = item_matches(item);
      return matches ? Value::yes : Value::no;
    }
    const auto known = groups_.find(item.text);
    const Value value = known == groups_.end() ? Value::no : known->second.value;
    if (value == Value::open) return Value::error;  // it contains itself
    if (value == Value::unknown || value == Value::error || !item.negated) return value;
    if (is_broken(item.text)) return Value::error;
    return value == Value::yes ? Value::no : Value::yes;
  }

  void note_reason(const std::string& group, const ListItem& item) {
    std::string text = item.negated ? "!" : "";
    text += item.kind == ItemKind::group ? "%" + item.text : subject(item, side_, request_);
    reasons_[group] = text;
  }

  Side side_;
  const Request& request_;
  const Extensions& extensions_;
  std::unordered_map<std::string, Group> groups_;
  std::unordered_map<std::string, std::string> reasons_;
  std::unordered_set<std::string> sound_;  // known not to be broken
};

PlainMatch match_group(const ListItem& item, const std::string& shown, Groups& groups) {
  const auto value = groups.evaluate(item.text);
  const bool broken = groups.is_broken(item.text);
  if (value == Groups::Value::error || (item.negated && broken)) {
    return {false, shown + " fails: the group contains itself or an invalid address"};
  }
  if (value == Groups::Value::no) {
    return {item.negated,
            shown + (item.negated ? " matches" : " fails") + ": no member of the group matches"};
  }
  return {!item.negated, shown + (item.negated ? " fails: " : " matches: ") +
                             groups.reason(item.text) + " is in the group"};
}

PlainMatch match_item(std::string_view text, Side side, const Request& request, Groups& groups) {
  const ListItem item = parse_item(text, side);
  const auto shown = in_quotes(text);
  if (item.kind == ItemKind::error) {
    return {false, shown + " fails: it is empty or not a valid address"};
  }
  if (item.kind == ItemKind::group) return match_group(item, shown, groups);
  if (item.kind == ItemKind::unparsable) {
    return {item.negated, shown + (item.negated ? " matches" : " fails") +
                              ": it is not a valid item of " +
                              (side == Side::source ? "Source" : "Destination")};
  }
  if (item.kind == ItemKind::peer_network && !request.peer_address) {
    return {false, shown + " fails: Postfix uses a UNIX socket"};
  }
  const bool matches = groups.item_matches(item);
  return {matches,
          subject(item, side, request) + (matches ? " matches " : " does not match ") + shown};
}

}  // namespace

PlainMatch plain_match(const std::optional<std::string>& list, Side side, const Request& request,
                       std::span<const GroupRow> groups, const Extensions& extensions) {
  if (matches_everything(list)) return {true, "it matches everything"};
  const auto items = list_items(*list);
  if (items.empty()) return {false, "an empty list matches nothing"};
  Groups evaluated(groups, side, request, extensions);
  std::string because;
  for (const auto item : items) {
    PlainMatch result = match_item(item, side, request, evaluated);
    if (!result.matches) return result;
    if (!because.empty()) because += "; ";
    because += result.because;
  }
  return {true, because};
}

}  // namespace policyd
