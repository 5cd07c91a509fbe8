// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit_text/target_options.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>
#include <utility>

#include "daemon/base/ascii.hpp"
#include "daemon/base/ip_address.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::size_t kMaxFrom = 100;

// In `--user a@example.org 100/h` the parser takes the limit for another value of the option, but
// what begins with a figure and has a '/' without '@' can only be a limit, or a network.
std::vector<std::string> take_limits(std::vector<std::string>& values) {
  std::vector<std::string> taken;
  const auto is_limit = [](const std::string& value) {
    const std::size_t slash = value.find('/');
    // A network has only digits after its '/', or is written in another way.
    return slash != std::string::npos && policyd::is_digit(value.front()) &&
           value.find('@') == std::string::npos &&
           !policyd::IpAddress::parse(value.substr(0, slash)) &&
           value.find_first_not_of("0123456789", slash + 1) != std::string::npos;
  };
  std::copy_if(values.begin(), values.end(), std::back_inserter(taken), is_limit);
  values.erase(std::remove_if(values.begin(), values.end(), is_limit), values.end());
  return taken;
}

using Parse = Result<Target> (*)(std::string_view);

// The options that name targets; each takes several values.
struct Naming {
  std::string_view option;
  std::string_view what;
  Parse parse;
};
constexpr std::array<Naming, 5> kNamings = {{{"domain", "domain", &parse_domain},
                                             {"user", "address", &parse_user},
                                             {"group", "group", &parse_group},
                                             {"client", "network", &parse_client},
                                             {"login", "name", &parse_login}}};

void add(std::vector<Target>& targets, const Target& target) {
  if (std::find(targets.begin(), targets.end(), target) == targets.end()) {
    targets.push_back(target);
  }
}

}  // namespace

tl::expected<NamedTargets, Failure> named_in(const Arguments& arguments) {
  NamedTargets out;
  for (const Naming& naming : kNamings) {
    const std::string option{naming.option};
    std::vector<std::string> values = arguments.values(option);
    for (std::string& limit : take_limits(values)) out.limits.push_back(std::move(limit));
    if (arguments.has(option) && values.empty()) {
      return wrong_use(fmt::format("--{} needs at least one {}", option, naming.what));
    }
    for (const std::string& text : values) {
      auto target = naming.parse(text);
      if (!target) return wrong_use(target.error().message);
      add(out.targets, *target);
    }
  }
  return out;
}

Outcome take_whole(Direction direction, Per per, const Arguments& arguments,
                   std::vector<Target>& targets) {
  const bool everyone = arguments.has("everyone");
  const bool anyone = arguments.has("anyone");
  const bool named = !targets.empty();
  const bool senders =
      direction == Direction::send && !arguments.has("client") && !arguments.has("login");
  if ((everyone && (anyone || named)) || (anyone && named && !senders)) {
    return wrong_use(
        "--everyone, --anyone and named targets (domains, users, groups, clients, logins) cannot "
        "be combined, except --anyone with domains, users and groups of 'send'; use a command for "
        "each");
  }
  for (Target& target : targets) target.from_anywhere = anyone;
  if (anyone && !named) targets.push_back({Who::anyone, {}});
  if (targets.empty()) {
    targets.push_back({is_account(per) && !everyone ? Who::anyone : Who::everyone, {}});
  }
  return {};
}

Outcome take_from(Direction direction, const Arguments& arguments, std::vector<Target>& targets,
                  std::vector<std::string>& limits) {
  std::vector<std::string> values = arguments.values("from");
  for (std::string& limit : take_limits(values)) limits.push_back(std::move(limit));
  if (!arguments.has("from")) return {};
  if (values.empty()) return wrong_use("--from needs at least one network");
  if (arguments.has("client")) {
    return wrong_use(
        "--client and --from both say where mail comes from; use --client alone for all mail from "
        "there, and --from with other targets");
  }
  std::vector<std::string> from;
  for (const std::string& text : values) {
    const auto network = parse_client(text);
    if (!network) return wrong_use(network.error().message);
    if (network->name.ends_with("/0")) {
      return wrong_use(
          fmt::format("--from {} is no condition, as it contains every address; leave "
                      "it out",
                      shown(text)));
    }
    from.push_back(network->name);
  }
  std::sort(from.begin(), from.end());
  from.erase(std::unique(from.begin(), from.end()), from.end());
  if (from.size() > kMaxFrom) {
    return wrong_use(fmt::format("--from takes at most {} networks", kMaxFrom));
  }
  const Who whole = direction == Direction::send ? Who::anyone : Who::everyone;
  for (Target& target : targets) {
    if (target.from_anywhere) {
      return wrong_use(
          "--anyone counts mail from anywhere, and --from only mail from some hosts; give one of "
          "them");
    }
    // All mail from one network: the same as --client.
    if (target.who == whole && from.size() == 1) {
      target = Target{Who::client, from.front()};
    } else {
      target.from = from;
    }
  }
  return {};
}

tl::expected<std::vector<Target>, Failure> except_of(Direction direction,
                                                     const Arguments& arguments,
                                                     std::vector<std::string>& limits) {
  std::vector<std::string> values = arguments.values("except");
  for (std::string& limit : take_limits(values)) limits.push_back(std::move(limit));
  if (arguments.has("except") && values.empty())
    return wrong_use("--except needs at least one address, domain or group");
  std::vector<Target> out;
  for (const std::string& text : values) {
    const bool user = text.find('@', 1) != std::string::npos;
    const bool login = text.substr(0, 1) == "$";
    if (text == "%internal_ips" || policyd::IpNetwork::parse(text)) {
      return wrong_use(fmt::format(
          "--except takes addresses, domains, groups and logins ($NAME), but no networks: '{}'",
          shown(text)));
    }
    if (login && direction == Direction::receive) {
      return wrong_use("a login ($NAME) sends, so it can only be exempt from limits of 'send'");
    }
    auto target = login                      ? parse_login(text)
                  : text.substr(0, 1) == "%" ? parse_group(text)
                  : user                     ? parse_user(text)
                                             : parse_domain(text);
    if (!target) return wrong_use(target.error().message);
    add(out, *target);
  }
  return out;
}

}  // namespace limits
