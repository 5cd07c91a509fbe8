// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/usage/reset_counters.hpp"

#include <fmt/core.h>

#include <utility>

#include "daemon/base/ip_address.hpp"
#include "daemon/modules/text/accounting_text.hpp"
#include "daemon/names/name_form.hpp"
#include "daemon/rules/track.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {
namespace {

void announce_reset(ChangeSet& changes, const char* module, std::int64_t row_id, std::string key) {
  policyd::Event event;
  event.kind = policyd::EventKind::reset;
  event.module = module;
  event.row_id = row_id;
  event.track_key = std::move(key);
  changes.announce(std::move(event));
}

}  // namespace

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

Result<std::set<int>> prefix_lengths_of(const Tables& tables,
                                        const std::vector<StoredLimit>& limits) {
  std::set<int> out;
  const auto add = [&](std::string_view text) {
    const auto track = policyd::Track::parse(text);
    if (track && track->method == policyd::TrackMethod::sender_ip) {
      out.insert(track->prefix_length);
    }
  };
  for (const StoredLimit& limit : limits) add(limit.track);
  if (!tables.has_table("accounting")) return out;
  auto done = tables.each("SELECT DISTINCT Track FROM {p}accounting", {},
                          [&](const policyd::sql::Statement& row) { add(row.text(0)); });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

std::vector<ClearedCounter> clear_counters(ChangeSet& changes,
                                           const std::vector<std::int64_t>& limit_ids,
                                           const std::optional<std::vector<std::string>>& keys) {
  constexpr std::string_view kWhere =
      "FROM {p}quotas_tracking WHERE QuotasLimitsID = ? AND TrackKey = ?";
  std::vector<ClearedCounter> out;
  for (const std::int64_t limit_id : limit_ids) {
    if (!keys) {
      changes.run("DELETE FROM {p}quotas_tracking WHERE QuotasLimitsID = ?", {limit_id});
      announce_reset(changes, "Quotas", limit_id, {});
      continue;
    }
    for (const std::string& key : *keys) {
      if (!changes.has_row(fmt::format("SELECT 1 {}", kWhere), {limit_id, key})) continue;
      changes.run(fmt::format("DELETE {}", kWhere), {limit_id, key});
      announce_reset(changes, "Quotas", limit_id, key);
      out.push_back(ClearedCounter{limit_id, key});
    }
  }
  return out;
}

std::vector<ClearedCounter> clear_accounting(ChangeSet& changes,
                                             const std::vector<std::string>& keys,
                                             policyd::TimePoint now) {
  using Period = policyd::AccountingRow::Period;
  std::vector<ClearedCounter> out;
  const Tables& tables = changes.tables();
  if (!tables.has_table("accounting") || !tables.has_table("accounting_tracking")) return out;
  std::vector<Value> values = {std::string{}};
  for (const Period each : {Period::day, Period::week, Period::month}) {
    values.emplace_back(policyd::period_key(each, now));
  }
  constexpr std::string_view kWhere = "WHERE TrackKey = ? AND PeriodKey IN (?, ?, ?)";
  for (const std::string& key : keys) {
    values.front() = key;
    std::vector<std::int64_t> rows;
    auto found = tables.each(
        fmt::format("SELECT AccountingID FROM {{p}}accounting_tracking {} AND AccountingID IN "
                    "(SELECT ID FROM {{p}}accounting WHERE CAST(MessageCountLimit AS INTEGER) > 0 "
                    "OR CAST(MessageCumulativeSizeLimit AS INTEGER) > 0)",
                    kWhere),
        values, [&](const policyd::sql::Statement& row) { rows.push_back(row.integer(0)); });
    if (!found) {
      changes.fail(found.error());
      return out;
    }
    for (const std::int64_t row : rows) {
      std::vector<Value> with_row = values;
      with_row.emplace_back(row);
      changes.run(
          fmt::format("DELETE FROM {{p}}accounting_tracking {} AND AccountingID = ?", kWhere),
          with_row);
      announce_reset(changes, "Accounting", row, key);
      out.push_back(ClearedCounter{row, key});
    }
  }
  return out;
}

}  // namespace limits
