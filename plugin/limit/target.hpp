// SPDX-License-Identifier: AGPL-3.0-only
// Whom a limit is for and what has a counter of its own, and how CBPolicyD writes that down: the
// Source and Destination of a policy's members and the Track of its quotas. Pure functions, both
// ways: a limit is recognised when its rows are what would be written for it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/result.hpp"

namespace limits {

using policyd::Result;

enum class Direction : std::uint8_t { send, receive };

// What has its own counter. `account` is the SASL user name, of authenticated mail only.
enum class Per : std::uint8_t { user, domain, client, account, everyone };

enum class Who : std::uint8_t {
  anyone,    // the whole world
  everyone,  // this server's own domains, group internal_domains
  group,     // another row of policy_groups
  client,    // whatever comes from a network
  domain,
  user,
};

struct Target {
  Who who = Who::everyone;
  // "example.org", "alice@example.org", "192.0.2.0/24" in lower case, or the group's name as it is;
  // empty for the others.
  std::string name;
  // Sending, of a user, domain or group: mail that names it as sender counts wherever it comes
  // from, and not only what is authenticated or of this server's networks.
  bool from_anywhere = false;

  bool operator==(const Target&) const = default;
};

// Letters, digits, '-' and '_' in labels; at most 255 characters. A leading '@' is accepted.
Result<Target> parse_domain(std::string_view text);
// LOCAL@DOMAIN, at most 320 characters; nothing in LOCAL that an item of a policy reads otherwise:
// no white space, comma, '*', '%', '"', no '!' or '$' in front.
Result<Target> parse_user(std::string_view text);

// What policy_groups may be called in an item of a list: no commas or white space; at most 200
// characters. The two groups that have words of their own here are refused.
Result<Target> parse_group(std::string_view text);
// "192.0.2.1", "10.0.0.0/8", "2001:db8::/32": complete addresses only, unlike in the tables.
Result<Target> parse_client(std::string_view text);

// Whether the special one's limit replaces the general one's for its target: users under their
// domain and under groups, all under everyone, and that under anyone. Groups and domains may hold a
// part of each other, so neither replaces the other. Networks are under everyone, and under
// networks around them, for sending only, since a Destination cannot name them.
bool covers(Direction direction, const Target& general, const Target& special);

// The item of a policy's list or the member of a group that stands for it: "%internal_domains",
// "@example.org". Empty for anyone.
std::string item_of(const Target& target);
// And back: nullopt for an item that is none of ours.
std::optional<Target> parse_item(std::string_view item);

std::string_view name_of(Direction direction);  // "send"
std::string_view name_of(Per per);              // "user"

// "everyone", "anyone", "example.org", "alice@example.org", "group sales", "10.0.0.0/8",
// "example.org from anywhere".
std::string name_of(const Target& target);

// Source and Destination of a row of policy_members; NULL is nullopt and matches everything.
struct MemberText {
  std::optional<std::string> source;
  std::optional<std::string> destination;

  bool operator==(const MemberText&) const = default;
};

// Of all networks: what a member says where mail from anywhere counts. (Without them the rows would
// be those of the examples in a fresh database.)
inline constexpr std::array<std::string_view, 2> kAnyNetworks = {"0.0.0.0/0", "::/0"};

// The members of the policy of a limit. Sending is limited where the mail is authenticated (`$*`)
// or comes from this server's networks: Postfix asks before it has checked whether the sender is
// who he says.
std::vector<MemberText> members_of(Direction direction, const Target& target, Per per);

// "Sender:user@domain". Nullopt where there is none: receiving has no account.
std::optional<std::string> track_of(Direction direction, Per per);

// Whether a Track that is recognised as per client counts IPv6 clients by networks of /32, so as
// large as a provider's: `SenderIP:/32`, but where only IPv4 is concerned.
bool joins_v6_clients(std::string_view track, const std::optional<Target>& target);

// A member with `!%group` added to the side that names whom the limit is for.
MemberText with_exception(const MemberText& member, Direction direction, std::string_view group);

// And without it: `any` where nothing remains.
MemberText without_exception(const MemberText& member, Direction direction, std::string_view group);

}  // namespace limits
