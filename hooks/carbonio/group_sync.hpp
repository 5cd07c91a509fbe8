// SPDX-License-Identifier: AGPL-3.0-only
// The groups internal_domains and internal_ips, as Carbonio says what belongs in them. A row that
// we made is known by its Comment; rows of others stay as they are. Asking (wanted_in) and
// writing (synchronise) are apart, so that nothing is half done where Carbonio cannot be asked.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/sqlite/sqlite.hpp"
#include "hooks/carbonio/prov.hpp"

namespace carbonio {

// Comment of the rows that are ours.
inline constexpr std::string_view kOwnedComment = "From Carbonio, kept by carbonio-limits sync";

struct Wanted {
  std::vector<std::string> domains;   // "@example.org": sorted, each once
  std::vector<std::string> networks;  // "10.0.0.0/8", "::1/128": sorted, each once
  std::vector<std::string> skipped;   // what Carbonio named and is neither; not fit to be printed
};

// "@example.org" of "Example.org"; empty for what is no domain.
std::string domain_member(std::string_view domain);

// The networks of values of zimbraMtaMyNetworks, several in one too; others go to `skipped`.
std::vector<std::string> networks_in(const std::vector<std::string>& values,
                                     std::vector<std::string>& skipped);

// What is asked of Carbonio for it: all domains, and the networks of this server, else the global
// ones. `answers` are those of the questions. An Error also where no domain comes back, since
// Carbonio has one.
std::vector<ProvCommand> seed_questions(const std::string& server);
policyd::Result<Wanted> wanted_in(std::span<const std::string> answers);

struct GroupChange {
  std::vector<std::string> added;
  std::vector<std::string> removed;
  std::size_t unchanged = 0;
};
struct SeedChange {
  GroupChange domains;
  GroupChange networks;
};

// Brings both groups to what is wanted, in one transaction: adds what is missing, removes rows of
// ours that are no longer wanted and the rows that a fresh database has as examples. With `dry_run`
// rolls back.
policyd::Result<SeedChange> synchronise(sqlite3* db, std::string_view table_prefix,
                                        const Wanted& wanted, bool dry_run);

// One domain, of which Carbonio says that it was created or deleted: adds its member where there is
// none, or removes the rows of ours. Whether anything changed. `member` is of domain_member().
policyd::Result<bool> put_domain(sqlite3* db, std::string_view table_prefix,
                                 std::string_view member, bool present);

}  // namespace carbonio
