// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit/recognise.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "daemon/names/name_form.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::string_view kAny = "any";
constexpr std::string_view kOwnDomains = "%internal_domains";
constexpr std::string_view kOwnNetworks = "%internal_ips";
constexpr std::string_view kAuthenticated = "$*";
constexpr std::string_view kNoLogin = "$-";
constexpr std::string_view kExceptEnd = "-except";

// Written by admins, and by earlier versions of this command.
constexpr std::string_view kHostsOfV4 = "SenderIP:/32";

// The table of Track texts. Others exist (Sender:user@), but none of our limits has them. Of two
// with the same meaning the first is written.
struct TrackText {
  std::string_view text;
  std::optional<Direction> direction;  // none: both
  Per per;
};
constexpr std::array<TrackText, 9> kTracks = {{
    {"Sender:user@domain", Direction::send, Per::user},
    {"Sender:@domain", Direction::send, Per::domain},
    {"Recipient:user@domain", Direction::receive, Per::user},
    {"Recipient:@domain", Direction::receive, Per::domain},
    // For IPv4 too: the daemon uses no more bits than an address has.
    {"SenderIP:/128", std::nullopt, Per::client},
    {kHostsOfV4, std::nullopt, Per::client},
    // The Perl daemon reads no further than `domain`, and counts by sender.
    {"Sender:user@domain per account", Direction::send, Per::account},
    {"SASLUsername", Direction::send, Per::login},
    {"Policy", std::nullopt, Per::everyone},
}};

bool is_any(const std::optional<std::string>& list) {
  return !list || equal_ignoring_case(*list, kAny);
}

// "!%NAME-except" → "NAME-except".
std::optional<std::string> except_group_in(std::string_view item) {
  if (item.size() <= 2 + kExceptEnd.size() || item.substr(0, 2) != "!%") return std::nullopt;
  if (item.substr(item.size() - kExceptEnd.size()) != kExceptEnd) return std::nullopt;
  return std::string{item.substr(2)};
}

// Members in the form that is compared: NULL is `any`; the order of items and of members does not
// matter, nor do case, except in group names, and the spelling of a network.
struct PlainMember {
  std::string source;
  std::string destination;

  // NOLINTNEXTLINE(modernize-use-nullptr): the 0 that clang-tidy 14 sees in <=> is not a pointer
  auto operator<=>(const PlainMember&) const = default;
};

std::string plain_list(const std::optional<std::string>& list) {
  if (is_any(list)) return std::string{kAny};
  std::vector<std::string> items;
  for (const std::string_view item : split(*list, ',')) {
    const bool group = item.substr(0, 1) == "%" || item.substr(0, 2) == "!%";
    const auto network = policyd::IpNetwork::parse(item);
    items.push_back(group     ? std::string{item}
                    : network ? network_text(*network)
                              : policyd::address_form(item));
  }
  std::sort(items.begin(), items.end());
  std::string out;
  for (const std::string& item : items) out += item + ',';
  return out;
}

std::vector<PlainMember> plain_members(std::span<const MemberText> members) {
  std::vector<PlainMember> out;
  for (const MemberText& member : members) {
    PlainMember plain;
    plain.source = plain_list(member.source);
    plain.destination = plain_list(member.destination);
    out.push_back(std::move(plain));
  }
  std::sort(out.begin(), out.end());
  return out;
}

bool is_any_network(std::string_view item) {
  return std::find(kAnyNetworks.begin(), kAnyNetworks.end(), item) != kAnyNetworks.end();
}

// What one side of a member names, apart from items that we add ourselves. "All networks" is one of
// ours if something else is named.
struct Named {
  Target target{Who::anyone, {}};
  std::vector<std::string> networks;
};

// Nullopt if it names two targets, or what is not one of ours.
std::optional<Named> named_in(const std::optional<std::string>& list) {
  Named out;
  if (is_any(list)) return out;
  const auto items = split(*list, ',');
  const bool others = std::any_of(items.begin(), items.end(), [](std::string_view item) {
    return !is_any_network(item) && item != kAuthenticated && !except_group_in(item);
  });
  for (const std::string_view item : items) {
    if (item == kAuthenticated || item == kNoLogin || item == kOwnNetworks ||
        except_group_in(item)) {
      continue;
    }
    if (others && is_any_network(item)) {
      out.target.from_anywhere = true;
      continue;
    }
    auto target = parse_item(item);
    if (!target) return std::nullopt;
    if (target->who == Who::client) {
      out.networks.push_back(std::move(target->name));
      continue;
    }
    if (out.target.who != Who::anyone) return std::nullopt;
    target->from_anywhere = out.target.from_anywhere;
    out.target = std::move(*target);
  }
  return out;
}

// A limit for a single network is one for a client, whoever it is that sends, or receives.
Target with_networks(Direction direction, Target target, std::vector<std::string> networks) {
  std::sort(networks.begin(), networks.end());
  networks.erase(std::unique(networks.begin(), networks.end()), networks.end());
  const Who whole = direction == Direction::send ? Who::anyone : Who::everyone;
  if (networks.size() == 1 && target.who == whole) {
    return Target{Who::client, std::move(networks.front())};
  }
  target.from = std::move(networks);
  return target;
}

// The target that `main`, one of the members, names, if all of them are those of a limit for it.
std::optional<Target> target_of(const MemberText& main, std::span<const MemberText> members,
                                Direction direction, Per per,
                                std::optional<std::string>& except_group) {
  const auto& side = direction == Direction::send ? main.source : main.destination;
  const auto named = named_in(side);
  if (!named) return std::nullopt;
  std::vector<std::string> networks;
  for (const MemberText& member : members) {
    auto source = named_in(member.source);
    if (!source) return std::nullopt;
    std::move(source->networks.begin(), source->networks.end(), std::back_inserter(networks));
  }
  const Target target = with_networks(direction, named->target, std::move(networks));

  std::optional<std::string> group;
  if (!is_any(side)) {
    for (const std::string_view item : split(*side, ',')) {
      if (!group) group = except_group_in(item);
    }
  }
  std::vector<MemberText> bare(members.begin(), members.end());
  if (group) {
    for (MemberText& member : bare) {
      const MemberText without = without_exception(member, direction, *group);
      if (without == member) return std::nullopt;  // not in all members: not one of ours
      member = without;
    }
  }
  if (plain_members(bare) != plain_members(members_of(direction, target, per))) {
    return std::nullopt;
  }
  except_group = group;
  return target;
}

// Whether all members are for mail from one's own senders to others.
bool leave_this_server(std::span<const MemberText> members, const OwnDomains& own) {
  const auto any_of = [](const std::optional<std::string>& list, const auto& wanted) {
    if (is_any(list)) return false;
    const auto items = split(*list, ',');
    return std::any_of(items.begin(), items.end(), wanted);
  };
  const auto is_own_address = [&](std::string_view item) {
    if (item == kOwnDomains) return true;
    const std::size_t at = item.rfind('@');
    return at != std::string_view::npos && own.contains(policyd::address_form(item.substr(at)));
  };
  const auto is_own = [&](std::string_view item) {
    return item == kOwnNetworks || item == kAuthenticated || is_own_address(item);
  };
  return !members.empty() &&
         std::all_of(members.begin(), members.end(), [&](const MemberText& member) {
           return any_of(member.destination,
                         [](std::string_view item) { return item == "!%internal_domains"; }) ||
                  (any_of(member.source, is_own) && !any_of(member.destination, is_own_address));
         });
}

std::optional<Target> recognise_target(std::span<const MemberText> members, Direction direction,
                                       Per per, std::optional<std::string>& except_group) {
  // The member for mail without a login names more than the one that says what the target is.
  for (const MemberText& main : members.first(std::min<std::size_t>(members.size(), 2))) {
    if (auto target = target_of(main, members, direction, per, except_group)) return target;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> track_of(Direction direction, Per per) {
  for (const TrackText& track : kTracks) {
    if (track.per == per && track.direction.value_or(direction) == direction) {
      return std::string{track.text};
    }
  }
  return std::nullopt;
}

bool joins_v6_clients(std::string_view track, const std::optional<Target>& target) {
  const bool v4_only =
      target && target->who == Who::client && target->name.find(':') == std::string::npos;
  return equal_ignoring_case(track, kHostsOfV4) && !v4_only;
}

MemberText without_exception(const MemberText& member, Direction direction,
                             std::string_view group) {
  MemberText out = member;
  auto& list = direction == Direction::send ? out.source : out.destination;
  if (!list) return out;
  std::string rest;
  bool found = false;
  for (const std::string_view item : split(*list, ',')) {
    if (except_group_in(item) == group) {
      found = true;
    } else {
      rest += (rest.empty() ? "" : ",") + std::string{item};
    }
  }
  if (found) list = rest.empty() ? std::string{kAny} : rest;
  return out;
}

Recognised recognise(std::span<const MemberText> members, std::string_view track, Direction hint,
                     const OwnDomains& own) {
  Recognised out;
  std::vector<MemberText> bare;
  for (const MemberText& member : members) {
    bare.push_back(with_senders(member, {}));
    for (std::string& sender : senders_in(member)) out.except_senders.push_back(std::move(sender));
  }
  const auto known = std::find_if(kTracks.begin(), kTracks.end(), [&](const TrackText& text) {
    return equal_ignoring_case(text.text, track);
  });
  if (known == kTracks.end()) {
    const std::string method = lower_cased(track.substr(0, track.find(':')));
    if (method == "sender") out.direction = Direction::send;
    if (method == "recipient") out.direction = Direction::receive;
    return out;
  }
  out.per = known->per;
  out.direction = known->direction;
  const Direction other = hint == Direction::send ? Direction::receive : Direction::send;
  for (const Direction direction : {hint, other}) {
    if (known->direction.value_or(direction) != direction) continue;
    out.target = recognise_target(bare, direction, known->per, out.except_group);
    if (out.target) {
      out.direction = direction;
      return out;
    }
  }
  // What leaves this server is sent, whatever counts it.
  if (out.direction && leave_this_server(members, own)) out.direction = Direction::send;
  return out;
}

std::string members_text(std::span<const MemberText> members) {
  const auto side = [](const std::optional<std::string>& list) {
    if (is_any(list)) return std::string{"anyone"};
    return list->empty() ? std::string{"no one"} : escaped(*list);
  };
  if (members.empty()) return "no one";
  std::vector<std::string> parts;
  for (const MemberText& member : members) {
    const std::string part = fmt::format("{} to {}", side(member.source), side(member.destination));
    if (std::find(parts.begin(), parts.end(), part) == parts.end()) parts.push_back(part);
  }
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : " or ") + part;
  return out;
}

}  // namespace limits
