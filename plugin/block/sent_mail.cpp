// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/block/sent_mail.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "daemon/base/ip_address.hpp"
#include "daemon/names/name_form.hpp"

namespace limits {
namespace {

// The items of a block, by what they are compared with.
struct Wanted {
  std::unordered_set<std::string> logins;
  std::unordered_set<std::string> addresses;
  std::vector<policyd::IpNetwork> networks;
};

Wanted wanted_in(std::span<const std::string> items) {
  Wanted out;
  for (const std::string& item : items) {
    if (item.starts_with('$')) {
      out.logins.insert(item.substr(1));
    } else if (item.find('@') != std::string::npos) {
      out.addresses.insert(item);
    } else if (const auto network = policyd::IpNetwork::parse(item)) {
      out.networks.push_back(*network);
    }
  }
  return out;
}

bool is_in(const std::vector<policyd::IpNetwork>& networks, std::string_view client) {
  if (networks.empty()) return false;
  const auto address = policyd::IpAddress::parse(client);
  return address && std::any_of(networks.begin(), networks.end(),
                                [&](const auto& network) { return network.contains(*address); });
}

}  // namespace

std::string SentMail::without_extension(const std::string& sender) const {
  return std::string{policyd::without_extension(sender, own_.extensions)};
}

Result<SentMail> SentMail::read(const Tables& tables, const policyd::Config& config,
                                std::span<const std::string> items, policyd::TimePoint since) {
  const Wanted wanted = wanted_in(items);
  SentMail out;
  out.own_ = read_extensions(tables, config);
  out.addresses_ = wanted.addresses;
  if (!tables.has_table("session_tracking")) return out;
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since).time_since_epoch().count();
  auto done = tables.each(
      "SELECT QueueID, Sender, SASLUsername, ClientAddress FROM {p}session_tracking WHERE "
      "UnixTimestamp >= ? ORDER BY UnixTimestamp DESC LIMIT ?",
      {std::int64_t{seconds}, kMaxRows}, [&](const policyd::sql::Statement& row) {
        const std::string sender = out.without_extension(policyd::address_form(row.text(1)));
        const std::string login = policyd::login_form(row.text(2));
        const bool by_client = is_in(wanted.networks, row.text(3));
        const bool by_account =
            wanted.logins.contains(login) || (login.empty() && wanted.addresses.contains(sender));
        if (by_client || by_account) out.queue_ids_.emplace(row.text(0));
        (by_account ? out.senders_ : out.others_).insert(sender);
      });
  if (!done) return tl::unexpected{done.error()};
  out.queue_ids_.erase("");
  out.queue_ids_.erase("NOQUEUE");
  return out;
}

bool SentMail::is(const std::string& queue_id, const std::string& sender) const {
  if (queue_ids_.contains(queue_id)) return true;
  if (sender.empty()) return false;
  const std::string name = without_extension(sender);
  return addresses_.contains(name) || (senders_.contains(name) && !others_.contains(name));
}

}  // namespace limits
