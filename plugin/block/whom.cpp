// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/block/whom.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "daemon/base/ip_address.hpp"
#include "daemon/base/mail_address.hpp"
#include "daemon/names/name_form.hpp"
#include "daemon/names/origin.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {
namespace {

using policyd::IpNetwork;

constexpr std::string_view kForms =
    "give a login, a mail address, an IP address or a network, such as anna@example.org or "
    "192.0.2.1";

bool overlap(const IpNetwork& a, const IpNetwork& b) {
  return a.contains(b.address) || b.contains(a.address);
}

// "root on pts/0 (sudo by anna)" names root and anna, and so does "the page, signed in as root on
// pts/0 ...".
std::vector<std::string> users_in(std::string_view actor) {
  constexpr std::string_view kSudo = "(sudo by ";
  constexpr std::string_view kPage = "the page, signed in as ";
  if (actor.starts_with(kPage)) actor.remove_prefix(kPage.size());
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
  for (const std::string& text : own.host_addresses) {
    const auto address = network_in(text);
    if (address && overlap(*network, *address)) {
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

// No login looks like it.
bool is_meant_as_client(std::string_view text) {
  return text.find_first_of(":[") != std::string_view::npos ||
         (text.find('.') != std::string_view::npos &&
          text.find_first_not_of("0123456789.") == std::string_view::npos);
}

// An entry of [block] never: a login, an address, a domain as @example.org, a client or network.
// "example.org" may be meant as a login or as a domain, so it stands for both.
bool stands_for(const std::string& entry, const Target& whom, std::span<const std::string> items) {
  if (whom.who == Who::client) {
    const auto network = IpNetwork::parse(whom.name);
    const auto kept = network_in(entry);
    return network && kept && overlap(*network, *kept);
  }
  if (!entry.starts_with('@') && names(items, policyd::login_form(entry))) return true;
  const std::size_t at = entry.find('@');
  if (at != std::string::npos && at != 0) return false;
  const std::string domain = policyd::domain_form(std::string_view{entry}.substr(at == 0 ? 1 : 0));
  return std::any_of(items.begin(), items.end(),
                     [&](const std::string& item) { return policyd::domain_of(item) == domain; });
}

}  // namespace

Result<Target> parse_whom(std::string_view text) {
  text = without_noun(text);
  if (text.empty()) return policyd::failure(fmt::format("whom? {}", kForms));
  if (text.starts_with('@')) {
    return policyd::failure(
        fmt::format("'{}' is a domain, which cannot be blocked; {}", shown(text), kForms));
  }
  if (text.find('*') != std::string_view::npos) {
    return policyd::failure(
        fmt::format("'{}' stands for more than one account; {}", shown(text), kForms));
  }
  const std::size_t slash = text.find('/');
  const bool of_account = text.find('@') != std::string_view::npos;  // a local part may have '/'
  if (policyd::IpAddress::parse(text.substr(0, slash)) ||
      (slash != std::string_view::npos && !of_account)) {
    return parse_client(text);
  }
  if (!of_account) return parse_login(text);
  return parse_user(without_dollar(text));
}

Result<Target> parse_typed_whom(std::string_view text) {
  text = typed_name(text);
  if (text.starts_with('$') || text.find('@') != std::string_view::npos) return parse_whom(text);
  if (is_meant_as_client(text)) return parse_client(text);
  if (text.find_first_of("%.<") == 0) {
    return policyd::failure(
        fmt::format("'{}' is neither a login nor an address; {}", shown(text), kForms));
  }
  const std::string address = policyd::with_domain(text, {});
  return address.ends_with('@') ? parse_whom(text) : parse_user(address);
}

std::string_view without_dollar(std::string_view item) {
  if (item.starts_with('$')) item.remove_prefix(1);
  return item;
}

std::string whom_text(const Target& whom) {
  const char* noun = whom.who == Who::client ? "client" : "account";
  return fmt::format("the {} {}", noun, escaped(whom.name));
}

std::vector<std::string> items_of_whom(const Target& whom, const std::string& login_domain) {
  if (whom.who == Who::client) return {whom.name};
  if (whom.who == Who::login) {
    if (login_domain.empty()) return {"$" + whom.name};
    const std::string address = fmt::format("{}@{}", whom.name, login_domain);
    // As an item "!anna@example.org" would stand for everybody else.
    if (!parse_user(address)) return {"$" + whom.name, "$" + address};
    return {"$" + whom.name, "$" + address, address};
  }
  std::vector<std::string> out = {"$" + whom.name, whom.name};
  const std::string_view local_part = policyd::local_part_of(whom.name);
  if (policyd::domain_of(whom.name) == login_domain && local_part != "-") {
    out.push_back(fmt::format("${}", local_part));
  }
  return out;
}

std::vector<std::string> names_in(std::span<const std::string> items) {
  std::vector<std::string> out;
  for (const std::string& item : items) {
    const std::string_view name = without_dollar(item);
    if (std::find(out.begin(), out.end(), name) == out.end()) out.emplace_back(name);
  }
  return out;
}

Result<std::vector<std::string>> spellings_of(const Tables& tables, std::string_view name) {
  const auto whom = parse_whom(name);
  if (!whom || whom->who == Who::client) return std::vector{std::string{name}};
  const auto own = read_own_names(tables);
  if (!own) return tl::unexpected{own.error()};
  return names_in(items_of_whom(*whom, own->login_domain()));
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
  for (const std::string& item : items) {  // also an alias
    if (policyd::local_part_of(without_dollar(item)) == "postmaster") {
      return fmt::format("{} must be able to answer complaints", escaped(without_dollar(item)));
    }
  }
  if (own.has_domain(whom.name)) {
    return fmt::format("{} is a domain of this server, not an account", whom.name);
  }
  for (const std::string& user : users_in(actor)) {
    const bool address_of_user =
        policyd::local_part_of(whom.name) == user && own.has_domain(policyd::domain_of(whom.name));
    if (names(items, user) || address_of_user) {
      return fmt::format("it is the account of {}, who runs this command", user);
    }
  }
  return {};
}

}  // namespace limits
