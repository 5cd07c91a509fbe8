// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/process/fd_store.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <set>

namespace policyd {
namespace {

constexpr std::string_view kPrefix = "cbpolicyd-";

}  // namespace

HandedOver handed_over(const char* pid, const char* count, const char* names) {
  constexpr int kMaxDescriptors = 64;
  if (pid == nullptr || count == nullptr || pid != std::to_string(::getpid())) return {};
  HandedOver given;
  const std::string_view digits{count};
  std::from_chars(digits.data(), digits.data() + digits.size(), given.count);
  given.count = std::clamp(given.count, 0, kMaxDescriptors);
  std::string_view left = names != nullptr ? names : "";
  while (!left.empty()) {
    const std::size_t end = std::min(left.find(':'), left.size());
    given.names.emplace_back(left.substr(0, end));
    left.remove_prefix(std::min(end + 1, left.size()));
  }
  if (given.names.size() != static_cast<std::size_t>(given.count)) given.names.clear();
  return given;
}

std::string store_name(const Config& config) {
  std::string name = config.unix_socket ? fmt::format("{}unix-{}", kPrefix, config.port)
                                        : fmt::format("{}{}-{}", kPrefix, config.host, config.port);
  for (char& c : name) {
    if (c == ':' || c <= ' ' || c > '~') c = '_';
  }
  return name;
}

Result<std::vector<Listener>> sockets_for(const Config& config, const HandedOver& given,
                                          const Notifier& notifier) {
  if (given.count == 0) return listen_on(config);
  auto inherited = inherited_listeners(given.count);
  const std::string name = store_name(config);
  const bool outdated = std::any_of(
      given.names.begin(), given.names.end(),
      [&](const std::string& each) { return each.starts_with(kPrefix) && each != name; });
  if (!outdated) return inherited;
  for (const std::string& each : std::set<std::string>{given.names.begin(), given.names.end()}) {
    notifier.send(fmt::format("FDSTOREREMOVE=1\nFDNAME={}", each));
  }
  if (inherited) inherited->clear();
  return listen_on(config);
}

void keep_in_store(std::vector<Listener>& listeners, const Config& config,
                   const Notifier& notifier) {
  std::vector<int> descriptors;
  for (Listener& listener : listeners) {
    if (listener.inherited) continue;  // already in the store
    descriptors.push_back(listener.fd.get());
    listener.inherited = true;
  }
  // A listening socket never hangs up, so systemd need not poll it.
  notifier.send(fmt::format("FDSTORE=1\nFDNAME={}\nFDPOLL=0", store_name(config)), descriptors);
}

}  // namespace policyd
