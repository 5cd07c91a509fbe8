// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit/target.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "daemon/base/ascii.hpp"
#include "daemon/base/mail_address.hpp"
#include "daemon/base/printable.hpp"
#include "daemon/names/name_form.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::failure;

constexpr std::string_view kAny = "any";
constexpr std::string_view kOwnDomains = "%internal_domains";
constexpr std::string_view kOwnNetworks = "%internal_ips";
constexpr std::string_view kAuthenticated = "$*";
constexpr std::string_view kNoLogin = "$-";

constexpr std::size_t kMaxAddress = 320;
constexpr std::size_t kMaxGroup = 200;
constexpr std::size_t kMaxLogin = 255;

// Local parts without quotation marks (RFC 5321, dot-string; RFC 6531) and without what is special
// in an item.
std::string_view problem_with_local_part(std::string_view text) {
  if (text.empty()) return "the part before the '@' is missing";
  if (text.front() == '!' || text.front() == '$') return "it begins with '!' or '$'";
  if (!policyd::is_printable(text)) return "it has characters that cannot be printed";
  constexpr std::string_view kOthers = "!#$&'+-/=?^_`{|}~.";
  const bool plain = std::all_of(text.begin(), text.end(), [&](char c) {
    return policyd::is_letter(c) || policyd::is_digit(c) ||
           kOthers.find(c) != std::string_view::npos || static_cast<unsigned char>(c) >= 0x80;
  });
  if (!plain) {
    return "white space, commas, quotation marks, '*', '%' and the like are not allowed";
  }
  return {};
}

std::string joined(std::string_view list, std::string_view item) {
  if (list.empty() || equal_ignoring_case(list, kAny)) return std::string{item};
  return fmt::format("{},{}", list, item);
}

// "!anna@example.org" → "anna@example.org".
std::optional<std::string> excepted_sender(std::string_view item) {
  if (item.substr(0, 1) != "!") return std::nullopt;
  auto user = parse_user(item.substr(1));
  return user ? std::optional{std::move(user->name)} : std::nullopt;
}

bool is_without_login(const MemberText& member) {
  const std::string source = member.source.value_or("");
  const auto items = split(source, ',');
  return std::find(items.begin(), items.end(), kNoLogin) != items.end();
}

// The Sources of a limit on sending, each to be joined with a network if there is a condition.
std::vector<std::string> sources_of(const Target& target, const std::string& item, Per per,
                                    bool from_all_networks) {
  const bool login = target.who == Who::login;
  if (is_account(per) || login) {
    std::vector<std::string> out = {login ? item : joined(item, kAuthenticated)};
    // Web mail has no login.
    const std::string sender = login ? target.name : item.empty() ? std::string{kOwnDomains} : item;
    if (per == Per::account && (!login || parse_user(sender))) {
      out.push_back(joined(joined(sender, kNoLogin), kOwnNetworks));
    }
    return out;
  }
  if (!from_all_networks) return {item};
  if (target.who == Who::anyone) return {std::string{kAny}};
  if (target.from_anywhere) return {joined(item, kAnyNetworks[0]), joined(item, kAnyNetworks[1])};
  return {joined(item, kAuthenticated), joined(item, kOwnNetworks)};
}

}  // namespace

Result<Target> parse_domain(std::string_view text) {
  std::string_view name = text;
  if (name.substr(0, 1) == "@") name.remove_prefix(1);
  if (name.find('@') != std::string_view::npos) {
    return failure(
        fmt::format("not a valid domain: '{}'; for a mail address use --user", shown(text)));
  }
  std::string form = policyd::domain_form(name);
  constexpr std::array<std::string_view, 5> kAll = {"all", "any", "anybody", "anyone", "everyone"};
  if (std::find(kAll.begin(), kAll.end(), form) != kAll.end()) {
    return failure(
        fmt::format("not a valid domain: '{}'; --everyone stands for all domains", shown(text)));
  }
  if (const auto wrong = policyd::problem_with_domain(form); !wrong.empty()) {
    return failure(fmt::format("not a valid domain: '{}': {}", shown(text), wrong));
  }
  return Target{Who::domain, std::move(form)};
}

Result<Target> parse_user(std::string_view text) {
  const auto refuse = [&](std::string_view why) {
    return failure(fmt::format("not a valid mail address: '{}': {}", shown(text), why));
  };
  if (text.size() > kMaxAddress) return refuse("it is longer than 320 characters");
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos) return refuse("it has no '@'; write it like alice@example.org");
  if (at + 1 == text.size()) return refuse("the domain after the '@' is missing");
  if (text.find('@') != at) return refuse("it has more than one '@'");
  if (const auto wrong = problem_with_local_part(text.substr(0, at)); !wrong.empty()) {
    return refuse(wrong);
  }
  const std::string domain = policyd::domain_form(text.substr(at + 1));
  if (const auto wrong = policyd::problem_with_domain(domain); !wrong.empty()) {
    return refuse(fmt::format("its domain is wrong: {}", wrong));
  }
  return Target{Who::user, policyd::address_form(text)};
}

Result<Target> parse_group(std::string_view text) {
  const auto refuse = [&](std::string_view why) {
    return failure(fmt::format("not a valid group: '{}': {}", shown(text), why));
  };
  std::string_view name = text;
  if (name.substr(0, 1) == "%") name.remove_prefix(1);
  if (name.empty()) return refuse("it is empty");
  if (name.size() > kMaxGroup) return refuse("it is longer than 200 characters");
  if (!policyd::is_printable(name) ||
      std::any_of(name.begin(), name.end(), [](char c) { return c == ',' || c == ' '; })) {
    return refuse("white space, commas and control characters are not allowed");
  }
  if (name == kOwnDomains.substr(1)) return refuse("use --everyone instead");
  if (name == kOwnNetworks.substr(1)) return refuse("it contains networks; use --client instead");
  return Target{Who::group, std::string{name}};
}

Result<Target> parse_login(std::string_view text) {
  const auto refuse = [&](std::string_view why) {
    return failure(fmt::format("not a valid login: '{}': {}", shown(text), why));
  };
  std::string_view name = text;
  while (!name.empty() && policyd::is_white_space(name.front())) name.remove_prefix(1);
  while (!name.empty() && policyd::is_white_space(name.back())) name.remove_suffix(1);
  if (name.substr(0, 1) == "$") name.remove_prefix(1);
  if (name.empty()) return refuse("it is empty");
  if (name.front() == '@') return refuse("for all of a domain use --domain with --per account");
  if (name == kOwnDomains || name == kOwnNetworks) {
    return refuse("it is a group; for all accounts use --everyone with --per account");
  }
  if (name.size() > kMaxLogin) return refuse("it is longer than 255 characters");
  if (name == "-") return refuse("'-' stands for mail without a login");
  if (name == "*") return refuse("for all logins use --anyone --per account");
  if (!policyd::is_valid_utf8(name) || !policyd::is_printable(name)) {
    return refuse("control characters are not allowed");
  }
  if (std::any_of(name.begin(), name.end(),
                  [](char c) { return policyd::is_white_space(c) || c == ',' || c == '*'; })) {
    return refuse("white space, commas and '*' are not allowed, as a policy cannot name them");
  }
  return Target{Who::login, policyd::login_form(name)};
}

Result<Target> parse_client(std::string_view text) {
  const auto refuse = [&](std::string_view why) {
    return failure(
        fmt::format("not a valid network: '{}': {}; write it like 192.0.2.1, 10.0.0.0/8 or "
                    "2001:db8::/32",
                    shown(text), why));
  };
  const std::size_t slash = std::min(text.find('/'), text.size());
  const auto address = policyd::IpAddress::parse(text.substr(0, slash));
  if (!address) return refuse("it is not a complete IP address");
  if (address->is_v4() && text.find(':') != std::string_view::npos) {
    return refuse("write the plain IPv4 address");
  }
  int length = address->bits();
  if (slash != text.size()) {
    length = policyd::parse_number<int>(text.substr(slash + 1)).value_or(-1);
    if (length < 0 || length > address->bits()) return refuse("the prefix length is not valid");
  }
  if (address->masked(length) != *address) {
    return refuse(fmt::format("it has bits set after the prefix (the network is {}/{})",
                              address->masked(length).to_string(), length));
  }
  return Target{Who::client, network_text({*address, length})};
}

std::string network_text(const policyd::IpNetwork& network) {
  std::string text = network.address.to_short_string();
  // For an IPv6 address without a prefix length CBPolicyD guesses it from the number of groups.
  const bool bare = network.address.is_v4() && network.length == network.address.bits();
  return bare ? text : fmt::format("{}/{}", text, network.length);
}

bool covers(Direction direction, const Target& general, const Target& special) {
  const bool whole = general.who == Who::anyone || general.who == Who::everyone;
  switch (special.who) {
    case Who::anyone:
      return false;
    case Who::everyone:
      return general.who == Who::anyone;
    case Who::group:
    case Who::domain:
      return whole;
    case Who::user:
    case Who::login:
      return whole || general.who == Who::group ||
             (general.who == Who::domain && policyd::domain_of(special.name) == general.name);
    case Who::client: {
      if (direction == Direction::receive || whole || general.who != Who::client) {
        return direction == Direction::send && whole;
      }
      const auto outer = policyd::IpNetwork::parse(general.name);
      const auto inner = policyd::IpNetwork::parse(special.name);
      return outer && inner && outer->length < inner->length && outer->contains(inner->address);
    }
  }
  return false;
}

std::string item_of(const Target& target) {
  if (target.who == Who::everyone) return std::string{kOwnDomains};
  std::string_view mark;
  if (target.who == Who::group) mark = "%";
  if (target.who == Who::domain) mark = "@";
  if (target.who == Who::login) mark = "$";
  return fmt::format("{}{}", mark, target.name);
}

std::optional<Target> parse_item(std::string_view item) {
  if (item == kOwnDomains) return Target{Who::everyone, {}};
  const auto first = item.substr(0, 1);
  auto target = first == "%"                               ? parse_group(item.substr(1))
                : first == "@"                             ? parse_domain(item)
                : first == "$"                             ? parse_login(item)
                : item.find('@') == std::string_view::npos ? parse_client(item)
                                                           : parse_user(item);
  return target ? std::optional{std::move(*target)} : std::nullopt;
}

Target exempt_from(Per per, const Target& target) {
  return is_account(per) && target.who == Who::user ? Target{Who::login, target.name} : target;
}

Target named_exempt(Per per, Target target) {
  if (!is_account(per) || target.who != Who::login) return target;
  auto user = parse_user(target.name);
  return user && user->name == target.name ? std::move(*user) : std::move(target);
}

std::string_view name_of(Direction direction) {
  return direction == Direction::send ? "send" : "receive";
}

std::string_view name_of(Per per) { return kPerNames.at(static_cast<std::size_t>(per)); }

std::string name_of(const Target& target) {
  std::string name = target.name;
  if (target.who == Who::anyone) name = "anyone";
  if (target.who == Who::everyone) name = "everyone";
  if (target.who == Who::group) name = "group " + escaped(target.name);
  if (target.who == Who::login) name = "login " + escaped(target.name);
  if (target.from_anywhere) name += " from anywhere";
  if (!target.from.empty()) name += " from " + join_with_and(target.from);
  return name;
}

bool is_account(Per per) { return per == Per::account || per == Per::login; }

std::vector<MemberText> members_of(Direction direction, const Target& target, Per per) {
  const std::string any{kAny};
  const std::string item = target.who == Who::client ? std::string{} : item_of(target);
  std::vector<std::string> networks = target.from;
  if (target.who == Who::client) networks = {target.name};
  if (direction == Direction::receive) {
    if (networks.empty()) return {MemberText{any, item.empty() ? any : item}};
    std::string to = item.empty() ? any : item;
    if (target.who == Who::client) to = kOwnDomains;
    std::vector<MemberText> out;
    out.reserve(networks.size());
    for (const std::string& network : networks) out.push_back({network, to});
    return out;
  }
  std::vector<std::string> sources = sources_of(target, item, per, networks.empty());
  if (!networks.empty()) {  // an IP address cannot be forged
    std::vector<std::string> bare;
    bare.swap(sources);
    for (const std::string& network : networks) {
      for (const std::string& source : bare) sources.push_back(joined(source, network));
    }
  }
  std::vector<MemberText> out;
  out.reserve(sources.size());
  for (const std::string& source : sources) out.push_back({source, any});
  return out;
}

MemberText with_exception(const MemberText& member, Direction direction, std::string_view group) {
  MemberText out = member;
  auto& list = direction == Direction::send ? out.source : out.destination;
  list = joined(list.value_or(std::string{kAny}), fmt::format("!%{}", group));
  return out;
}

std::optional<std::string> sender_of(std::string_view item) {
  if (item.substr(0, 1) != "$") return std::nullopt;
  auto user = parse_user(item.substr(1));
  return user ? std::optional{std::move(user->name)} : std::nullopt;
}

std::vector<std::string> senders_in(const MemberText& member) {
  std::vector<std::string> out;
  if (!is_without_login(member)) return out;
  for (const std::string_view item : split(*member.source, ',')) {
    if (auto sender = excepted_sender(item)) out.push_back(std::move(*sender));
  }
  return out;
}

MemberText with_senders(const MemberText& member, const std::vector<std::string>& senders) {
  if (!is_without_login(member) || senders_in(member) == senders) return member;
  std::string source;
  for (const std::string_view item : split(*member.source, ',')) {
    if (!excepted_sender(item)) source = joined(source, item);
  }
  for (const std::string& sender : senders) source = joined(source, fmt::format("!{}", sender));
  return {std::move(source), member.destination};
}

}  // namespace limits
