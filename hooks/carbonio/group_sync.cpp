// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/carbonio/group_sync.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "daemon/base/ascii.hpp"
#include "daemon/base/ip_address.hpp"
#include "daemon/base/mail_address.hpp"
#include "daemon/names/name_form.hpp"

namespace carbonio {
namespace {

using policyd::failure;
using policyd::Result;
namespace sql = policyd::sql;

constexpr const char* kNetworks = "zimbraMtaMyNetworks";

void sort_and_unite(std::vector<std::string>& all) {
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
}

std::vector<Entry> mtas_in(std::span<const std::string> answers) {
  return answers.size() > 3 ? servers_in(answers[3]) : std::vector<Entry>{};
}

// One of the two groups during an update.
class Group {
 public:
  Group(sqlite3* db, std::string_view prefix, OwnGroup group)
      : db_(db), prefix_(prefix), name_(kOwnGroups.at(static_cast<std::size_t>(group))) {}

  // Without `wanted` only makes sure that the group exists.
  Result<GroupChange> update(const std::optional<std::vector<std::string>>& wanted_members) {
    auto done = find_or_create();
    if (done && !wanted_members) return GroupChange{};
    if (done) done = read_rows();
    if (!done) return tl::unexpected{done.error()};
    GroupChange change;
    const std::vector<std::string>& wanted = *wanted_members;
    const std::set<std::string, std::less<>> wanted_set(wanted.begin(), wanted.end());
    done = remove(wanted_set, change);
    if (done) done = add(wanted, change);
    if (!done) return tl::unexpected{done.error()};
    return change;
  }

  // One member, beside all others but the examples.
  Result<bool> put(std::string_view member, bool present) {
    auto done = find_or_create();
    if (done) done = read_rows();
    std::set<std::string, std::less<>> kept;
    for (const Row& row : rows_) {
      if (present || row.member != member) kept.insert(row.member);
    }
    GroupChange change;
    if (done) done = remove(kept, change, present);
    if (done && present) done = add({std::string{member}}, change);
    if (!done) return tl::unexpected{done.error()};
    return present ? !change.added.empty() : !change.removed.empty();
  }

 private:
  struct Row {
    std::int64_t id = 0;
    std::string member;
    bool ours = false;  // removed unless wanted
    bool example = false;
  };

  [[nodiscard]] Result<sql::Statement> prepare(std::string_view text) const {
    return sql::Statement::prepare(db_, sql::with_prefix(text, prefix_));
  }
  [[nodiscard]] Result<void> finish(int code) const {
    if (code == SQLITE_DONE) return {};
    return failure(sql::message_of(db_));
  }

  Result<void> find_or_create() {
    // Not INSERT OR IGNORE, which uses up an ID even if the group exists.
    auto insert = prepare(
        "INSERT INTO {p}policy_groups (Name) SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM "
        "{p}policy_groups WHERE Name = ?1)");
    if (!insert) return tl::unexpected{insert.error()};
    auto done = finish(insert->bind(1, name_).run());
    if (!done) return done;
    auto found = prepare("SELECT ID FROM {p}policy_groups WHERE Name = ?");
    if (!found) return tl::unexpected{found.error()};
    if (found->bind(1, name_).step() != SQLITE_ROW) return failure(sql::message_of(db_));
    id_ = found->integer(0);
    return {};
  }

  Result<void> read_rows() {
    auto rows = prepare(
        fmt::format("SELECT ID, Member, ifnull(Comment = ?, 0), {} FROM {{p}}policy_group_members "
                    "WHERE PolicyGroupID = ? ORDER BY ID",
                    kExampleRows));
    if (!rows) return tl::unexpected{rows.error()};
    rows->bind(1, kOwnedComment).bind(2, id_);
    int code = rows->step();
    for (; code == SQLITE_ROW; code = rows->step()) {
      rows_.push_back({rows->integer(0), std::string{rows->text(1)}, rows->integer(2) != 0,
                       rows->integer(3) != 0});
    }
    return finish(code);
  }

  Result<void> remove(const std::set<std::string, std::less<>>& wanted, GroupChange& change,
                      bool examples = true) {
    auto statement = prepare("DELETE FROM {p}policy_group_members WHERE ID = ?");
    if (!statement) return tl::unexpected{statement.error()};
    for (const Row& row : rows_) {
      // A wanted example row is replaced by one of ours.
      const bool kept = row.example ? !examples : !row.ours || wanted.contains(row.member);
      if (kept) {
        present_.insert(row.member);
        continue;
      }
      if (!wanted.contains(row.member)) change.removed.push_back(row.member);
      auto done = finish(statement->bind(1, row.id).run());
      if (!done) return done;
    }
    return {};
  }

  Result<void> add(const std::vector<std::string>& wanted, GroupChange& change) {
    auto statement = prepare(
        "INSERT INTO {p}policy_group_members (PolicyGroupID, Member, Comment) VALUES (?, ?, ?)");
    if (!statement) return tl::unexpected{statement.error()};
    for (const std::string& member : wanted) {
      if (present_.contains(member)) {
        ++change.unchanged;
        continue;
      }
      change.added.push_back(member);
      statement->bind(1, id_).bind(2, std::string_view{member}).bind(3, kOwnedComment);
      auto done = finish(statement->run());
      if (!done) return done;
    }
    return {};
  }

  sqlite3* db_;
  std::string_view prefix_;
  std::string_view name_;
  std::int64_t id_ = 0;
  std::vector<Row> rows_;
  std::set<std::string, std::less<>> present_;
};

void announce(policyd::RulesChange& rules, policyd::Actor by) {
  if (by.what.empty()) by.what = "this server's domains and networks";
  rules.announce(by, policyd::wall_clock());
}

}  // namespace

std::string domain_member(std::string_view domain) {
  const std::string name = policyd::domain_form(domain);
  if (!policyd::problem_with_domain(name).empty()) return {};
  return "@" + name;
}

// "10.0.0.0/8", "[::1]/128", "192.0.2.1", "[::ffff:127.0.0.0]/104", which is 127.0.0.0/8.
std::string network_member(std::string_view word) {
  const std::size_t slash = std::min(word.rfind('/'), word.size());
  std::string_view host = word.substr(0, slash);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  if (!policyd::IpAddress::parse(host)) return {};
  const int bits = host.find(':') == std::string_view::npos ? 32 : 128;
  int length = bits;
  if (slash < word.size()) {
    length = policyd::parse_number<int>(word.substr(slash + 1)).value_or(-1);
    if (length < 0 || length > bits) return {};
  }
  const auto network = policyd::IpNetwork::parse(fmt::format("{}/{}", host, length));
  if (!network) return {};
  return fmt::format("{}/{}", network->address.to_short_string(), network->length);
}

std::vector<std::string> networks_in(const std::vector<std::string>& values,
                                     std::vector<std::string>& skipped) {
  constexpr std::string_view kBetween = " ,\t\r\n";
  std::vector<std::string> out;
  for (const std::string& value : values) {
    std::size_t from = value.find_first_not_of(kBetween);
    while (from != std::string::npos) {
      const std::size_t end = std::min(value.find_first_of(kBetween, from), value.size());
      const std::string word = value.substr(from, end - from);
      const std::string member = network_member(word);
      (member.empty() ? skipped : out).push_back(member.empty() ? word : member);
      from = value.find_first_not_of(kBetween, end);
    }
  }
  sort_and_unite(out);
  return out;
}

std::vector<ProvCommand> group_questions(const std::string& server, NetworksOf networks) {
  std::vector<ProvCommand> out = {{"gad"}, {"gs", server, kNetworks}, {"gacf", kNetworks}};
  // With all attributes: anything less takes more than one call.
  if (networks == NetworksOf::all_mta) out.push_back({"gas", "-v", "mta"});
  return out;
}

Result<WantedMembers> wanted_in(std::span<const std::string> answers) {
  WantedMembers wanted;
  for (const std::string& name : names_in(answers[0])) {
    const std::string member = domain_member(name);
    (member.empty() ? wanted.skipped : wanted.domains).push_back(member.empty() ? name : member);
  }
  if (wanted.domains.empty()) return failure("carbonio prov: gad listed no domain");
  sort_and_unite(wanted.domains);
  auto server = server_in(answers[1]);
  if (!server) return failure("carbonio prov: gs did not show this server");
  std::vector<Entry> servers = mtas_in(answers);
  servers.push_back(std::move(*server));
  const auto global = attributes_in(answers[2]).values(kNetworks);
  std::vector<std::string> values;
  for (const Entry& entry : servers) {
    const auto own = entry.attributes.values(kNetworks);
    const auto& in_force = own.empty() ? global : own;
    for (const std::string& value : in_force) {
      if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
    }
  }
  std::vector<std::string> unreadable;
  auto networks = networks_in(values, unreadable);
  if (!networks.empty() || unreadable.empty()) wanted.networks = std::move(networks);
  wanted.skipped.insert(wanted.skipped.end(), unreadable.begin(), unreadable.end());
  return wanted;
}

std::vector<std::string> mta_names_in(std::span<const std::string> answers) {
  std::vector<std::string> out;
  for (Entry& entry : mtas_in(answers)) out.push_back(std::move(entry.name));
  return out;
}

Result<GroupsChange> synchronise(sqlite3* db, std::string_view table_prefix,
                                 const WantedMembers& wanted, bool dry_run,
                                 const policyd::Actor& by) {
  sql::Transaction transaction{db};
  if (auto begun = transaction.begin_immediate(); !begun) return tl::unexpected{begun.error()};
  policyd::RulesChange rules{db, table_prefix};
  Group domains{db, table_prefix, OwnGroup::domains};
  Group networks{db, table_prefix, OwnGroup::networks};
  auto first = domains.update(wanted.domains);
  if (!first) return tl::unexpected{first.error()};
  auto second = networks.update(wanted.networks);
  if (!second) return tl::unexpected{second.error()};
  if (!dry_run) {
    announce(rules, by);
    if (auto done = transaction.commit(); !done) return tl::unexpected{done.error()};
  }
  return GroupsChange{std::move(*first), std::move(*second)};
}

Result<bool> put_member(sqlite3* db, std::string_view table_prefix, OwnGroup group,
                        std::string_view member, bool present, const policyd::Actor& by) {
  sql::Transaction transaction{db};
  if (auto begun = transaction.begin_immediate(); !begun) return tl::unexpected{begun.error()};
  policyd::RulesChange rules{db, table_prefix};
  auto changed = Group{db, table_prefix, group}.put(member, present);
  if (!changed) return changed;
  announce(rules, by);
  if (auto done = transaction.commit(); !done) return tl::unexpected{done.error()};
  return changed;
}

}  // namespace carbonio
