// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/rows/replacements.hpp"

#include <fmt/core.h>

#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/base/ip_address.hpp"
#include "daemon/base/mail_address.hpp"

namespace limits {
namespace {

using Indexes = std::vector<std::size_t>;

// The limits of one direction, --per and --from, found by their target.
struct Kind {
  Direction direction = Direction::send;
  Indexes anyone;
  Indexes everyone;
  Indexes groups;
  std::unordered_map<std::string, Indexes> domains;
  std::unordered_map<std::string, Indexes> networks;  // "192.0.2.0/24"
  std::set<int> lengths;                              // of the networks
};

std::string kind_of(const Recognised& what) {
  std::string out = fmt::format("{} {}", name_of(*what.direction), name_of(*what.per));
  for (const std::string& network : what.target->from) out += ' ' + network;
  return out;
}

std::string network_key(const policyd::IpAddress& address, int length) {
  return fmt::format("{}/{}", address.masked(length).to_string(), length);
}

void add(Kind& kind, const Target& target, std::size_t index) {
  switch (target.who) {
    case Who::anyone:
      return kind.anyone.push_back(index);
    case Who::everyone:
      return kind.everyone.push_back(index);
    case Who::group:
      return kind.groups.push_back(index);
    case Who::domain:
      return kind.domains[target.name].push_back(index);
    case Who::client:
      if (const auto network = policyd::IpNetwork::parse(target.name)) {
        kind.networks[network_key(network->address, network->length)].push_back(index);
        kind.lengths.insert(network->length);
      }
      return;
    case Who::user:
    case Who::login:
      return;  // nothing is more special
  }
}

using Take = std::function<void(const Indexes& generals)>;

void larger_networks(const Kind& kind, const std::string& name, const Take& take) {
  const auto network = policyd::IpNetwork::parse(name);
  if (!network) return;
  for (const int length : kind.lengths) {
    if (length >= network->length) break;
    const auto found = kind.networks.find(network_key(network->address, length));
    if (found != kind.networks.end()) take(found->second);
  }
}

// As covers() says for two targets.
void generals_of(const Kind& kind, const Target& target, const Take& take) {
  if (target.who == Who::anyone) return;
  if (target.who == Who::client && kind.direction == Direction::receive) return;
  take(kind.anyone);
  if (target.who == Who::everyone) return;
  take(kind.everyone);
  if (target.who == Who::client) larger_networks(kind, target.name, take);
  if (target.who != Who::user && target.who != Who::login) return;
  take(kind.groups);
  const auto found = kind.domains.find(std::string{policyd::domain_of(target.name)});
  if (found != kind.domains.end()) take(found->second);
}

}  // namespace

void each_pair(std::span<const StoredLimit* const> limits,
               const std::function<void(std::size_t general, std::size_t special)>& take) {
  std::unordered_map<std::string, Kind> kinds;
  std::vector<Kind*> kind_of_limit(limits.size(), nullptr);
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const Recognised& what = limits[i]->what;
    if (!what.target || !what.direction || !what.per) continue;
    Kind& kind = kinds[kind_of(what)];
    kind.direction = *what.direction;
    kind_of_limit[i] = &kind;
    add(kind, *what.target, i);
  }
  for (std::size_t special = 0; special < limits.size(); ++special) {
    if (kind_of_limit[special] == nullptr) continue;
    generals_of(*kind_of_limit[special], *limits[special]->what.target,
                [&](const Indexes& generals) {
                  for (const std::size_t general : generals) take(general, special);
                });
  }
}

bool replaces(const StoredLimit& general, const StoredLimit& special) {
  return special.enabled() && general.only_monitors() == special.only_monitors() &&
         units_of(general).overlap(units_of(special));
}

}  // namespace limits
