// SPDX-License-Identifier: AGPL-3.0-only
// Keeps the groups internal_domains and internal_ips in step with Carbonio. Our rows are marked by
// their Comment; other rows are never touched. Reading (wanted_in) and writing (synchronise) are
// separate, so a failing Carbonio leaves nothing half done.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/sqlite/sqlite.hpp"
#include "hooks/carbonio/prov.hpp"

namespace carbonio {

// Comment of our rows. It is stored in databases, so its words stay.
inline constexpr std::string_view kOwnedComment = "From Carbonio, kept by carbonio-limits sync";

struct WantedMembers {
  std::vector<std::string> domains;  // "@example.org": sorted, each once
  // "10.0.0.0/8", "::1/128": sorted, each once. Nullopt if Carbonio lists some but none can be
  // read: those of the group are kept.
  std::optional<std::vector<std::string>> networks;
  std::vector<std::string> skipped;  // what else Carbonio listed; escape it before printing
};

// "@example.org" of "Example.org"; empty if that is not a domain.
std::string domain_member(std::string_view domain);

// The networks in values of zimbraMtaMyNetworks, each of which may list several; whatever is not a
// network goes to `skipped`.
std::vector<std::string> networks_in(const std::vector<std::string>& values,
                                     std::vector<std::string>& skipped);

// The questions for Carbonio: all domains, and the networks of this server, else the global ones.
// `answers` are those to the questions. Also an Error if no domain comes back, since Carbonio has
// at least one.
std::vector<ProvCommand> group_questions(const std::string& server);
policyd::Result<WantedMembers> wanted_in(std::span<const std::string> answers);

struct GroupChange {
  std::vector<std::string> added;
  std::vector<std::string> removed;
  std::size_t unchanged = 0;
};
struct GroupsChange {
  GroupChange domains;
  GroupChange networks;
};

// Updates both groups in one transaction: adds missing members, removes those of our rows that are
// no longer wanted and the example rows of a fresh database. With `dry_run` rolls back.
policyd::Result<GroupsChange> synchronise(sqlite3* db, std::string_view table_prefix,
                                          const WantedMembers& wanted, bool dry_run);

// After Carbonio created or deleted one domain: adds its member if missing, or removes our rows.
// Whether anything changed. `member` comes from domain_member().
policyd::Result<bool> put_domain(sqlite3* db, std::string_view table_prefix,
                                 std::string_view member, bool present);

}  // namespace carbonio
