// SPDX-License-Identifier: AGPL-3.0-only
// Keeps the groups internal_domains and internal_ips in step with Carbonio. Our rows are marked by
// their Comment; other rows are never touched. Reading (wanted_in) and writing (synchronise) are
// separate, so a failing Carbonio leaves nothing half done.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/events/rules_change.hpp"
#include "daemon/sqlite/sqlite.hpp"
#include "hooks/carbonio/prov.hpp"

namespace carbonio {

// Comment of our rows. It is stored in databases, so its words stay.
inline constexpr std::string_view kOwnedComment = "From Carbonio, kept by carbonio-limits sync";

// The groups that are kept in step, and the rows of a fresh database in each: they have no Comment.
enum class OwnGroup : std::uint8_t { domains, networks };
inline constexpr std::array<std::string_view, 2> kOwnGroups = {"internal_domains", "internal_ips"};
inline constexpr std::string_view kExampleRows =
    "(Comment IS NULL AND Disabled = 0 AND ((ID = 1 AND Member = '10.0.0.0/8') OR (ID = 2 AND "
    "Member = '@example.org') OR (ID = 3 AND Member = '@example.com')))";

struct WantedMembers {
  std::vector<std::string> domains;  // "@example.org": sorted, each once
  // "10.0.0.0/8", "::1/128": sorted, each once. Nullopt if Carbonio lists some but none can be
  // read: those of the group are kept.
  std::optional<std::vector<std::string>> networks;
  std::vector<std::string> skipped;  // what else Carbonio listed; escape it before printing
};

// "@example.org" of "Example.org"; empty if that is not a domain.
std::string domain_member(std::string_view domain);

// "192.0.2.0/24" of a network or an address, also as Postfix writes them; empty for anything else.
std::string network_member(std::string_view word);

// The networks in values of zimbraMtaMyNetworks, each of which may list several; whatever is not a
// network goes to `skipped`.
std::vector<std::string> networks_in(const std::vector<std::string>& values,
                                     std::vector<std::string>& skipped);

// Whose networks the group has: where MTAs share their rules, they share the groups.
enum class NetworksOf : std::uint8_t { this_server, all_mta };
// The questions for Carbonio: all domains, and the networks of this server, or of all MTAs and of
// this server; those of a server are its own, else the global ones. `answers` are those to the
// questions. Also an Error if no domain comes back, since Carbonio has at least one.
std::vector<ProvCommand> group_questions(const std::string& server, NetworksOf networks);
policyd::Result<WantedMembers> wanted_in(std::span<const std::string> answers);
// The names of all MTAs, where they were asked for.
std::vector<std::string> mta_names_in(std::span<const std::string> answers);

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
// no longer wanted and the example rows of a fresh database. With `dry_run` rolls back. `by` is
// named as the one who changed rules.
policyd::Result<GroupsChange> synchronise(sqlite3* db, std::string_view table_prefix,
                                          const WantedMembers& wanted, bool dry_run,
                                          const policyd::Actor& by = {});

// After Carbonio created or deleted one domain or network: adds its member if missing, and then
// removes the examples of a fresh database; or removes our rows. Whether anything changed. `member`
// comes from domain_member() or network_member().
policyd::Result<bool> put_member(sqlite3* db, std::string_view table_prefix, OwnGroup group,
                                 std::string_view member, bool present,
                                 const policyd::Actor& by = {});

}  // namespace carbonio
