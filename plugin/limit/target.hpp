// SPDX-License-Identifier: AGPL-3.0-only
// Whom a limit applies to and what has a counter of its own, and how CBPolicyD stores that: as
// Source and Destination of a policy's members and as Track of its quotas. Pure functions, both
// ways: a limit is recognised if its rows are exactly those that would be written for it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/ip_address.hpp"
#include "daemon/base/result.hpp"

namespace limits {

using policyd::Result;

enum class Direction : std::uint8_t { send, receive };

// What has a counter of its own. `account` is the SASL user name, and for mail without one that
// comes from this server's own networks with an own domain as sender, such as web mail, the sender.
// `login` is the SASL user name alone.
enum class Per : std::uint8_t { user, domain, client, account, everyone, login };
inline constexpr std::array<std::string_view, 6> kPerNames = {"user",    "domain",   "client",
                                                              "account", "everyone", "login"};

enum class Who : std::uint8_t {
  anyone,    // the whole world
  everyone,  // this server's own domains, group internal_domains
  group,     // another row of policy_groups
  client,    // a network, regardless of the sender
  domain,
  user,
  login,  // a SASL user name, whatever the sender
};

struct Target {
  Who who = Who::everyone;
  // "example.org", "alice@example.org", "192.0.2.0/24" in lower case, or the exact name of the
  // group; empty for the others.
  std::string name;
  // For sending users, domains and groups: counts all mail with such a sender, wherever it comes
  // from, not only mail that is authenticated or comes from this server's networks.
  bool from_anywhere = false;
  // Only mail from one of these networks counts; sorted. Empty: no such condition.
  std::vector<std::string> from = {};

  bool operator==(const Target&) const = default;
};

// Letters, digits, '-' and '_' in labels; at most 255 characters. A leading '@' is accepted.
Result<Target> parse_domain(std::string_view text);
// LOCAL@DOMAIN, at most 320 characters. LOCAL must not contain what has a special meaning in an
// item of a policy: white space, commas, '*', '%', '"', or '!' or '$' at the beginning.
Result<Target> parse_user(std::string_view text);

// The name of a group as it can be used in a list: no commas or white space; at most 200
// characters. The two groups for which there are other options are refused.
Result<Target> parse_group(std::string_view text);
// A SASL user name, at most 255 characters, in lower case. A leading '$' is accepted, and so are
// blanks around it; what an item of a policy cannot contain or gives a meaning is refused: white
// space, commas, '*', and the name "-".
Result<Target> parse_login(std::string_view text);
// "192.0.2.1", "10.0.0.0/8", "2001:db8::/32": only complete addresses, unlike in the tables.
// The name has the one spelling of the network, so that its limit is found again.
Result<Target> parse_client(std::string_view text);
// That spelling: "192.0.2.1", "10.0.0.0/8", "2001:db8::1/128".
std::string network_text(const policyd::IpNetwork& network);

// Whether a limit for `special` replaces one for `general` for its target, both with the same
// `from`: users replace their domain and groups, and so do logins that are addresses; all of these
// replace everyone, and everyone replaces anyone. Groups and domains may overlap, so neither
// replaces the other; nor do a sender and a login. Networks replace everyone and larger networks,
// but only for sending, because a Destination cannot name them.
bool covers(Direction direction, const Target& general, const Target& special);

// The item that stands for it in a policy's list or in a group: "%internal_domains",
// "@example.org". Empty for anyone.
std::string item_of(const Target& target);
// The inverse: nullopt if the item is not one of ours.
std::optional<Target> parse_item(std::string_view item);

// What is exempt from a limit if the admin names `target`: of a limit by account, an address is the
// login, since anyone may name it as the sender. The inverse, for an item of such a limit.
Target exempt_from(Per per, const Target& target);
Target named_exempt(Per per, Target target);

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

// All networks: what a member contains if mail from anywhere counts. (Without them the rows would
// be those of the examples in a new database.)
inline constexpr std::array<std::string_view, 2> kAnyNetworks = {"0.0.0.0/0", "::/0"};

// The members of a limit's policy. Sending is limited if the mail is authenticated (`$*`) or comes
// from this server's networks: Postfix asks us before it has checked whether the sender is genuine.
std::vector<MemberText> members_of(Direction direction, const Target& target, Per per);

// Whether it is a SASL user name.
bool is_account(Per per);

// "Sender:user@domain". Nullopt if impossible: there is no account for receiving.
std::optional<std::string> track_of(Direction direction, Per per);

// Whether a per-client Track counts IPv6 clients by networks of /32, as large as a provider's:
// `SenderIP:/32`, unless the target is an IPv4 network.
bool joins_v6_clients(std::string_view track, const std::optional<Target>& target);

// Adds `!%group` to the side of the member that names the target.
MemberText with_exception(const MemberText& member, Direction direction, std::string_view group);

// Removes it; `any` if nothing remains.
MemberText without_exception(const MemberText& member, Direction direction, std::string_view group);

// An account that is excepted is an item `$anna@example.org` of the group, which mail without a
// login never matches: the member for such mail (`$-`) names it itself, `!anna@example.org`.
// The sender of such an item: "anna@example.org"; none for other items and logins without a domain.
std::optional<std::string> sender_of(std::string_view item);
// The member with exactly these senders excepted; the same if it is not for mail without a login.
MemberText with_senders(const MemberText& member, const std::vector<std::string>& senders);
// The senders that it excepts.
std::vector<std::string> senders_in(const MemberText& member);

}  // namespace limits
