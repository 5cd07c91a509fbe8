// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/block/whom.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "daemon/base/ip_address.hpp"
#include "daemon/base/mail_address.hpp"
#include "daemon/base/read_file.hpp"
#include "daemon/config/ini.hpp"
#include "daemon/names/name_form.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::IpNetwork;

std::string_view without_dollar(std::string_view item) {
  if (item.starts_with('$')) item.remove_prefix(1);
  return item;
}

bool overlap(const IpNetwork& a, const IpNetwork& b) {
  return a.contains(b.address) || b.contains(a.address);
}

// "root on pts/0 (sudo by anna)" names root and anna.
std::vector<std::string> users_in(std::string_view actor) {
  constexpr std::string_view kSudo = "(sudo by ";
  std::vector<std::string> out = {policyd::login_form(actor.substr(0, actor.find(' ')))};
  const std::size_t sudo = actor.find(kSudo);
  if (sudo != std::string_view::npos) {
    const std::string_view rest = actor.substr(sudo + kSudo.size());
    out.push_back(policyd::login_form(rest.substr(0, rest.find(')'))));
  }
  return out;
}

bool names(std::span<const std::string> items, std::string_view name) {
  return std::any_of(items.begin(), items.end(),
                     [&](const std::string& item) { return without_dollar(item) == name; });
}

std::string why_never_client(const Target& whom, const OwnNames& own) {
  const auto network = IpNetwork::parse(whom.name);
  if (!network) return {};
  for (const char* text : {"127.0.0.0/8", "::1/128"}) {
    if (overlap(*network, *IpNetwork::parse(text))) {
      return fmt::format("{} has addresses of this host itself", whom.name);
    }
  }
  for (const std::string& text : own.networks) {
    const auto ours = IpNetwork::parse(text);
    if (ours && ours->length >= network->length && network->contains(ours->address)) {
      return fmt::format(
          "{} is all of this server's own network {} (group internal_ips), from which web mail may "
          "come; block single clients of it",
          whom.name, escaped(text));
    }
  }
  return {};
}

// An entry of [block] never: a login, an address, a domain as @example.org, a client or network.
bool stands_for(const std::string& entry, const Target& whom, std::span<const std::string> items) {
  if (whom.who == Who::client) {
    const auto network = IpNetwork::parse(whom.name);
    const auto kept = IpNetwork::parse(entry);
    return network && kept && overlap(*network, *kept);
  }
  if (!entry.starts_with('@')) return names(items, policyd::login_form(entry));
  const std::string domain = policyd::domain_form(std::string_view{entry}.substr(1));
  return std::any_of(items.begin(), items.end(),
                     [&](const std::string& item) { return policyd::domain_of(item) == domain; });
}

}  // namespace

Result<Target> parse_whom(std::string_view text) {
  constexpr std::string_view kForms =
      "give a login, a mail address, an IP address or a network, such as anna@example.org or "
      "192.0.2.1";
  if (text.empty()) return policyd::failure(fmt::format("whom? {}", kForms));
  if (text.starts_with('@')) {
    return policyd::failure(
        fmt::format("'{}' is a domain, which cannot be blocked; {}", shown(text), kForms));
  }
  const std::size_t slash = text.find('/');
  if (policyd::IpAddress::parse(text.substr(0, slash)) || slash != std::string_view::npos) {
    return parse_client(text);
  }
  if (text.find('@') == std::string_view::npos) return parse_login(text);
  return parse_user(without_dollar(text));
}

std::string whom_text(const Target& whom) {
  const char* noun = whom.who == Who::client ? "client" : "account";
  return fmt::format("the {} {}", noun, escaped(whom.name));
}

Result<OwnNames> read_own_names(const Tables& tables) {
  OwnNames out;
  auto done = tables.each(
      "SELECT g.Name, m.Member FROM {p}policy_groups g JOIN {p}policy_group_members m ON "
      "m.PolicyGroupID = g.ID WHERE g.Disabled IS 0 AND m.Disabled IS 0 AND g.Name IN "
      "('internal_domains', 'internal_ips') ORDER BY m.ID",
      {}, [&](const policyd::sql::Statement& row) {
        const std::string_view member = row.text(1);
        if (row.text(0) == "internal_ips") {
          out.networks.emplace_back(member);
        } else if (member.starts_with('@')) {
          out.domains.push_back(policyd::domain_form(member.substr(1)));
        }
      });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

std::vector<std::string> items_of_whom(const Target& whom, const std::string& login_domain) {
  if (whom.who == Who::client) return {whom.name};
  if (whom.who == Who::login) {
    if (login_domain.empty()) return {"$" + whom.name};
    const std::string address = fmt::format("{}@{}", whom.name, login_domain);
    return {"$" + whom.name, "$" + address, address};
  }
  std::vector<std::string> out = {"$" + whom.name, whom.name};
  const std::string_view local_part = policyd::local_part_of(whom.name);
  if (policyd::domain_of(whom.name) == login_domain && local_part != "-") {
    out.push_back(fmt::format("${}", local_part));
  }
  return out;
}

Result<std::vector<std::string>> read_never(const std::filesystem::path& own_config) {
  std::vector<std::string> out;
  const auto text = policyd::read_file(own_config, policyd::kMaxIniBytes);
  if (!text && text.error().code == ENOENT) return out;
  if (!text) {
    return policyd::failure(fmt::format("cannot read {}, which may say who is never blocked: {}",
                                        own_config.string(), text.error().message));
  }
  const auto sections = policyd::parse_ini(*text, own_config.string());
  if (!sections) return tl::unexpected{sections.error()};
  for (const policyd::IniSection& section : *sections) {
    if (!equal_ignoring_case(section.name, "block")) continue;
    for (const policyd::IniEntry& entry : section.entries) {
      if (!equal_ignoring_case(entry.key, "never")) continue;
      std::string_view rest = entry.value;
      while (!rest.empty()) {
        const std::string_view item = rest.substr(0, rest.find_first_of(", \t\r\n"));
        rest.remove_prefix(std::min(rest.size(), item.size() + 1));
        if (!item.empty()) out.emplace_back(item);
      }
    }
  }
  return out;
}

std::string why_never(const Target& whom, std::span<const std::string> items, const OwnNames& own,
                      std::span<const std::string> never, std::string_view actor) {
  for (const std::string& entry : never) {
    if (stands_for(entry, whom, items)) {
      return fmt::format("{} of [block] never in carbonio-limits.conf stands for {}",
                         escaped(entry), whom_text(whom));
    }
  }
  if (whom.who == Who::client) return why_never_client(whom, own);
  if (policyd::local_part_of(whom.name) == "postmaster") {
    return "postmaster must be able to answer complaints";
  }
  if (std::find(own.domains.begin(), own.domains.end(), whom.name) != own.domains.end()) {
    return fmt::format("{} is a domain of this server, not an account", whom.name);
  }
  for (const std::string& user : users_in(actor)) {
    const bool address_of_user = policyd::local_part_of(whom.name) == user &&
                                 std::find(own.domains.begin(), own.domains.end(),
                                           policyd::domain_of(whom.name)) != own.domains.end();
    if (names(items, user) || address_of_user) {
      return fmt::format("it is the account of {}, who runs this command", user);
    }
  }
  return {};
}

}  // namespace limits
