// SPDX-License-Identifier: AGPL-3.0-only
#include "rules.hpp"

#include <algorithm>
#include <array>

namespace differential {
namespace {

constexpr std::array<std::string_view, 5> kUsers = {"alice", "bob", "a.b", "bob+tag", "x-1"};
constexpr std::array<std::string_view, 4> kDomains = {"example.org", "example.com", "corp.test",
                                                      "sub.corp.test"};
constexpr std::array<std::string_view, 4> kHosts = {"mx1.corp.test", "dsl-1.pool.isp.test",
                                                    "unknown", "client.example.net"};
constexpr std::array<std::string_view, 3> kHostDomains = {"corp.test", "isp.test", "example.net"};
constexpr std::array kClients = {
    Client{"192.0.2.10", 0xC000020A, "192.0.2.0/24", "192.0.2.10/64"},
    Client{"192.0.2.99", 0xC0000263, "192.0.2.0/24", "192.0.2.99/64"},
    Client{"10.1.2.3", 0x0A010203, "10.1.2.0/24", "10.1.2.3/64"},
    Client{"10.200.0.1", 0x0AC80001, "10.200.0.0/24", "10.200.0.1/64"},
    Client{"2001:db8::1", 0, "2001:0d00:0000:0000:0000:0000:0000:0000/24",
           "2001:0db8:0000:0000:0000:0000:0000:0000/64"},
};
constexpr std::array kTracks = {
    "Sender:user@domain", "Sender:@domain", "Sender:user@",   "Recipient:user@domain",
    "Recipient:@domain",  "SenderIP:/24",   "SenderIP:/64",   "SASLUsername",
    "sender:USER@domain", "Policy",         "Recipient:user@"};
constexpr std::array kVerdicts = {"DEFER", "REJECT", "reject", "HOLD", "", "DEFER", "DISCARD"};
constexpr std::array kPeriods = {10, 60, 300, 3'600, 86'400};
constexpr int kGroups = 5;

std::string group_name(std::int64_t number) { return "g" + std::to_string(number); }

// A group names only later ones, so that none contains itself; the last does not exist.
Item random_item(Random& random, std::int64_t first_group) {
  Item item;
  item.negated = random.percent(20);
  item.user = random.of(kUsers);
  item.domain = random.of(kDomains);
  item.client = &random.of(kClients);
  constexpr std::array kWeighted = {
      Kind::address,     Kind::domain,      Kind::domain,  Kind::domain,
      Kind::any_user_of, Kind::user_of_any, Kind::sasl,    Kind::no_sasl,
      Kind::any_sasl,    Kind::bounce,      Kind::network, Kind::network,
      Kind::host_suffix, Kind::host_star,   Kind::group,   Kind::group};
  item.kind = random.of(kWeighted);
  if (item.kind == Kind::group && first_group > kGroups) item.kind = Kind::domain;
  if (item.kind == Kind::group) item.user = group_name(random.between(first_group, kGroups));
  if (item.kind == Kind::host_suffix || item.kind == Kind::host_star) {
    item.domain = random.of(kHostDomains);
  }
  constexpr std::array kBits = {0, 8, 16, 24, 31, 32};
  item.bits = item.client->v4 == 0 ? 128 : random.of(kBits);
  return item;
}

List random_list(Random& random) {
  if (random.percent(45)) return std::nullopt;
  std::vector<Item> items;
  if (random.percent(3)) return items;
  do {
    items.push_back(random_item(random, 0));
  } while (random.percent(30));
  return items;
}

Quota random_quota(Random& random, std::int64_t id, std::int64_t& limit_id) {
  Quota quota;
  quota.id = id;
  quota.disabled = random.percent(8);
  quota.track = random.percent(1) ? "Nonsense:x" : random.of(kTracks);
  quota.period_s = random.of(kPeriods);
  quota.verdict = random.percent(2) ? "NONSENSE" : random.of(kVerdicts);
  quota.last = random.percent(10);
  const bool several = random.percent(40);
  for (int i = several ? 2 : 1; i > 0; --i) {
    Limit limit;
    limit.id = limit_id++;
    limit.disabled = random.percent(8);
    constexpr std::array kTypes = {"MessageCount",          "MessageCount",   "MessageCount",
                                   "MessageCumulativeSize", "Messages",       "Messages",
                                   "RecipientsPerMessage",  "SizePerMessage", "DistinctRecipients"};
    limit.type = random.percent(3) ? "Nonsense" : random.of(kTypes);
    // With decay, a quota that only monitors counts nothing once it is full, which is not seen in
    // an answer; near its edge a window may be full or not.
    if (limit.type == "DistinctRecipients" && quota.verdict.empty()) limit.type = "Messages";
    const bool size = limit.type == "MessageCumulativeSize" || limit.type == "SizePerMessage";
    const bool few = limit.type == "RecipientsPerMessage" || limit.type == "DistinctRecipients";
    const std::int64_t largest = few ? 5 : 25;
    limit.most = static_cast<double>(random.between(1, size ? 4'000 : largest));
    if (random.percent(5)) limit.most += 0.5;
    if (random.percent(1)) limit.most = 0;
    quota.limits.push_back(limit);
  }
  // Without Data the answer names the type, which may be either with two limits.
  quota.data = several || random.percent(70) ? "q" + std::to_string(id) : "";
  return quota;
}

bool list_matches(const List& list, bool source, const Rules& rules, const Asked& asked);

bool in_network(const Item& item, const Client& client) {
  if (item.client->v4 == 0 || client.v4 == 0) return item.client == &client;
  const std::uint32_t mask = item.bits == 0 ? 0 : ~std::uint32_t{0} << (32 - item.bits);
  return (item.client->v4 & mask) == (client.v4 & mask);
}

// Whether the item is valid on this side and matches, without `!`.
bool holds(const Item& item, bool source, const Rules& rules, const Asked& asked) {
  const std::string& user = source ? asked.user : asked.recipient_user;
  const std::string& domain = source ? asked.domain : asked.recipient_domain;
  const bool named = asked.sasl && !asked.sasl->empty();
  switch (item.kind) {
    case Kind::address:
      return user == item.user && domain == item.domain;
    case Kind::domain:
    case Kind::any_user_of:
      return !user.empty() && domain == item.domain;
    case Kind::user_of_any:
      return user == item.user;
    case Kind::sasl:
      return source && named && *asked.sasl == item.user;
    case Kind::no_sasl:
      return source && !named;
    case Kind::any_sasl:
      return source && named;
    case Kind::bounce:
      return source && user.empty();
    case Kind::network:
      return source && in_network(item, *asked.client);
    case Kind::host_suffix:
    case Kind::host_star:
      return source && asked.host.ends_with("." + item.domain);
    case Kind::group: {
      const auto group = rules.groups.find(item.user);
      if (group == rules.groups.end() || group->second.disabled) return false;
      const auto& members = group->second.members;
      return std::any_of(members.begin(), members.end(), [&](const Item& member) {
        return holds(member, source, rules, asked) != member.negated;
      });
    }
  }
  return false;
}

bool list_matches(const List& list, bool source, const Rules& rules, const Asked& asked) {
  if (!list) return true;
  return !list->empty() && std::all_of(list->begin(), list->end(), [&](const Item& item) {
    return holds(item, source, rules, asked) != item.negated;
  });
}

std::string in_sql(const List& list) {
  if (!list) return "NULL";
  std::string text;
  for (const Item& item : *list) text += (text.empty() ? "" : ",") + item.text();
  return "'" + text + "'";
}

std::string joined(const std::vector<std::string>& values) {
  std::string out;
  for (const std::string& value : values) out += (out.empty() ? "" : ", ") + value;
  return out;
}

void insert(std::string& sql, const std::string& table, const std::vector<std::string>& values) {
  sql += "INSERT INTO " + table + " VALUES (" + joined(values) + ");\n";
}

std::string flag(bool value) { return value ? "1" : "0"; }
std::string word(const std::string& text) { return "'" + text + "'"; }

}  // namespace

std::string Item::text() const {
  const std::string sign = negated ? "!" : "";
  switch (kind) {
    case Kind::address:
      return sign + user + "@" + domain;
    case Kind::domain:
      return sign + "@" + domain;
    case Kind::any_user_of:
      return sign + "*@" + domain;
    case Kind::user_of_any:
      return sign + user + "@*";
    case Kind::sasl:
      return sign + "$" + user;
    case Kind::no_sasl:
      return sign + "$-";
    case Kind::any_sasl:
      return sign + "$*";
    case Kind::bounce:
      return sign + "@";
    case Kind::network:
      return sign + std::string{client->text} + "/" + std::to_string(bits);
    case Kind::host_suffix:
      return sign + "." + domain;
    case Kind::host_star:
      return sign + "*." + domain;
    case Kind::group:
      return sign + "%" + user;
  }
  return {};
}

Rules random_rules(Random& random) {
  Rules rules;
  for (std::int64_t i = 0; i < kGroups; ++i) {  // g5 does not exist
    Group& group = rules.groups[group_name(i)];
    group.disabled = random.percent(10);
    for (auto n = random.below(4); n > 0; --n) group.members.push_back(random_item(random, i + 1));
  }
  std::int64_t quota_id = 1;
  std::int64_t limit_id = 1;
  const auto count = static_cast<std::int64_t>(3 + random.below(8));
  for (std::int64_t id = 1; id <= count; ++id) {
    Policy policy;
    policy.id = id;
    policy.priority = static_cast<int>(random.below(4));
    policy.disabled = random.percent(10);
    for (auto n = 1 + random.below(2); n > 0; --n) {
      auto source = random_list(random);
      policy.members.push_back({random.percent(8), std::move(source), random_list(random)});
    }
    for (auto n = random.below(4); n > 0; --n) {
      policy.quotas.push_back(random_quota(random, quota_id++, limit_id));
    }
    rules.policies.push_back(std::move(policy));
  }
  std::stable_sort(rules.policies.begin(), rules.policies.end(),
                   [](const Policy& a, const Policy& b) { return a.priority < b.priority; });
  return rules;
}

std::string to_sql(const Rules& rules) {
  std::string sql;
  std::int64_t id = 1;
  for (const auto& [name, group] : rules.groups) {
    const std::string group_id = std::to_string(id++);
    insert(sql, "policy_groups (ID, Name, Disabled)", {group_id, word(name), flag(group.disabled)});
    for (const Item& item : group.members) {
      insert(sql, "policy_group_members (PolicyGroupID, Member)", {group_id, word(item.text())});
    }
  }
  for (const Policy& policy : rules.policies) {
    const std::string policy_id = std::to_string(policy.id);
    insert(sql, "policies (ID, Name, Priority, Disabled)",
           {policy_id, "'p'", std::to_string(policy.priority), flag(policy.disabled)});
    for (const Member& member : policy.members) {
      insert(sql, "policy_members (PolicyID, Source, Destination, Disabled)",
             {policy_id, in_sql(member.source), in_sql(member.destination), flag(member.disabled)});
    }
    for (const Quota& quota : policy.quotas) {
      const std::string quota_id = std::to_string(quota.id);
      insert(sql, "quotas (ID, PolicyID, Name, Track, Period, Verdict, Data, LastQuota, Disabled)",
             {quota_id, policy_id, "'q'", word(quota.track), std::to_string(quota.period_s),
              word(quota.verdict), word(quota.data), flag(quota.last), flag(quota.disabled)});
      for (const Limit& limit : quota.limits) {
        insert(sql, "quotas_limits (ID, QuotasID, Type, CounterLimit, Disabled)",
               {std::to_string(limit.id), quota_id, word(limit.type), std::to_string(limit.most),
                flag(limit.disabled)});
      }
    }
  }
  return sql;
}

Asked random_sender(Random& random) {
  Asked asked;
  if (!random.percent(5)) {
    asked.user = random.of(kUsers);
    asked.domain = random.of(kDomains);
  }
  asked.client = &random.of(kClients);
  asked.host = random.of(kHosts);
  if (random.percent(50)) asked.sasl = random.percent(5) ? "" : std::string{random.of(kUsers)};
  return asked;
}

void random_recipient(Random& random, Asked& asked) {
  asked.recipient_user = random.of(kUsers);
  asked.recipient_domain = random.of(kDomains);
}

std::vector<const Policy*> matching(const Rules& rules, const Asked& asked) {
  std::vector<const Policy*> found;
  for (const Policy& policy : rules.policies) {
    const bool matches =
        std::any_of(policy.members.begin(), policy.members.end(), [&](const Member& member) {
          return !member.disabled && list_matches(member.source, true, rules, asked) &&
                 list_matches(member.destination, false, rules, asked);
        });
    if (!policy.disabled && matches) found.push_back(&policy);
  }
  return found;
}

std::optional<std::string> tracking_key(const std::string& track, const Asked& asked) {
  const std::string from = asked.user.empty() ? "<>" : "";
  if (track == "Policy") return "Policy";
  if (track == "SenderIP:/24") return "SenderIP:" + std::string{asked.client->key_24};
  if (track == "SenderIP:/64") {
    // An IPv4 address has 32 bits at most.
    return "SenderIP:" + std::string{asked.client->key_64};
  }
  if (track == "SASLUsername") return "SASLUsername:" + asked.sasl.value_or("-");
  if (track == "Sender:user@domain" || track == "sender:USER@domain") {
    return "Sender:" + from + asked.sender();
  }
  if (track == "Sender:@domain") {
    return "Sender:" + (from.empty() ? "@" + asked.domain : from);
  }
  if (track == "Sender:user@") return "Sender:" + (from.empty() ? asked.user + "@" : from);
  if (track == "Recipient:user@domain") return "Recipient:" + asked.recipient();
  if (track == "Recipient:@domain") return "Recipient:@" + asked.recipient_domain;
  if (track == "Recipient:user@") return "Recipient:" + asked.recipient_user + "@";
  return std::nullopt;
}

}  // namespace differential
