// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/usage/reset_counters.hpp"

#include <fmt/core.h>

#include <utility>

#include "daemon/base/ip_address.hpp"
#include "daemon/names/name_form.hpp"
#include "daemon/rules/track.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {
std::vector<std::string> own_keys(std::string_view who, const std::set<int>& prefix_lengths) {
  const std::string text = policyd::login_form(who);
  std::vector<std::string> out;
  if (const auto address = policyd::IpAddress::parse(text)) {
    for (auto length = prefix_lengths.lower_bound(address->bits()); length != prefix_lengths.end();
         ++length) {
      out.push_back(KeyNetwork{*address, *length}.key());
    }
    return out;
  }
  if (const auto network = KeyNetwork::parse(text)) return {network->key()};
  if (text == "<>") return {"Sender:<>", "SASLUsername:<>"};  // bounces
  // A name without a domain may be a sender, too: "root".
  for (const char* method : kNamedMethods) out.push_back(method + text);
  if (text.find('@') == std::string::npos && text.find('.') != std::string::npos) {
    const std::string domain = policyd::domain_form(who);
    out.push_back("Sender:@" + domain);
    out.push_back("Recipient:@" + domain);
  }
  return out;
}

std::set<int> prefix_lengths_of(const std::vector<StoredLimit>& limits) {
  std::set<int> out;
  for (const StoredLimit& limit : limits) {
    const auto track = policyd::Track::parse(limit.track);
    if (track && track->method == policyd::TrackMethod::sender_ip) {
      out.insert(track->prefix_length);
    }
  }
  return out;
}

std::vector<ClearedCounter> clear_counters(ChangeSet& changes,
                                           const std::vector<std::int64_t>& limit_ids,
                                           const std::optional<std::vector<std::string>>& keys) {
  constexpr std::string_view kWhere =
      "FROM {p}quotas_tracking WHERE QuotasLimitsID = ? AND TrackKey = ?";
  std::vector<ClearedCounter> out;
  const auto announce = [&](std::int64_t limit_id, std::string key) {
    policyd::Event event;
    event.kind = policyd::EventKind::reset;
    event.module = "Quotas";
    event.row_id = limit_id;
    event.track_key = std::move(key);
    changes.announce(std::move(event));
  };
  for (const std::int64_t limit_id : limit_ids) {
    if (!keys) {
      changes.run("DELETE FROM {p}quotas_tracking WHERE QuotasLimitsID = ?", {limit_id});
      announce(limit_id, {});
      continue;
    }
    for (const std::string& key : *keys) {
      if (!changes.has_row(fmt::format("SELECT 1 {}", kWhere), {limit_id, key})) continue;
      changes.run(fmt::format("DELETE {}", kWhere), {limit_id, key});
      announce(limit_id, key);
      out.push_back(ClearedCounter{limit_id, key});
    }
  }
  return out;
}

}  // namespace limits
