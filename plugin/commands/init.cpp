// SPDX-License-Identifier: AGPL-3.0-only
// `init`: a fresh database; with --force, fresh contents for an existing one.
#include <fmt/core.h>

#include <array>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "daemon/sqlite/database.hpp"
#include "plugin/block/block_text.hpp"
#include "plugin/block/blocks.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/database/as_owner.hpp"
#include "plugin/database/backup.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/database/restore.hpp"
#include "plugin/host/group_sync.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;

constexpr std::array<Option, 3> kInitOptions = {{
    {"force", "", "replace the contents of an existing database, after making a copy"},
    {"no-prov", "", "do not ask Carbonio for its domains and networks"},
    kProvTimeoutOption,
}};

Result<void> attach(sqlite3* db, const fs::path& file) {
  auto statement = policyd::sql::Statement::prepare(db, "ATTACH ? AS fresh");
  if (!statement) return tl::unexpected{statement.error()};
  const std::string path = file.string();
  if (statement->bind(1, std::string_view{path}).run() != SQLITE_DONE) {
    return policyd::failure(policyd::sql::message_of(db));
  }
  return {};
}

struct Old {
  fs::path copy;                    // of the old contents
  std::vector<StoredBlock> blocks;  // which are kept
};
Result<Old> start_over(const DaemonConfig& daemon, const Context& context) {
  Old out;
  auto database = open_as_owner(daemon);
  if (!database) return tl::unexpected{database.error()};
  const TemporaryDatabase fresh{daemon.config.database, "fresh"};
  auto done = policyd::create_database(fresh.file(), daemon.config.table_prefix);
  if (done) done = attach(database->tables.db, fresh.file());
  if (!done) return tl::unexpected{done.error()};

  // Lock first: a count made in between would be in neither of the two.
  ChangeSet changes{database->tables, context.actor};
  done = changes.begin();
  if (!done) return tl::unexpected{done.error()};
  auto copy = copy_aside(daemon.config.database, context.now);
  if (!copy) return tl::unexpected{copy.error()};
  // Tables that cannot be read are a reason to start over.
  auto blocks = read_blocks(database->tables).value_or(std::vector<StoredBlock>{});
  done = replace_tables(database->tables);
  if (done) {
    if (auto kept = replace_blocks(database->tables, blocks); !kept) {
      done = tl::unexpected{kept.error()};
    }
  }
  if (done) done = changes.commit();
  if (!done) {
    std::error_code ignored;  // nothing changed, so the copy is not needed
    fs::remove(*copy, ignored);
    return tl::unexpected{done.error()};
  }
  out.copy = std::move(*copy);
  out.blocks = std::move(blocks);
  return out;
}

// The members of the groups; nullopt if Carbonio is not installed or shall not be asked.
tl::expected<std::optional<carbonio::WantedMembers>, Failure> ask(const Arguments& arguments,
                                                                  const Context& context) {
  if (arguments.has("no-prov") || !carbonio::has_prov(context.zextras_home)) return std::nullopt;
  auto wanted = ask_carbonio(context.zextras_home, arguments);
  if (wanted) return std::move(*wanted);
  Failure failure = wanted.error();
  if (failure.exit == Exit::failed) {
    failure.message += " (--no-prov creates the database without asking Carbonio)";
  }
  return tl::unexpected{failure};
}

void print_not_filled(Context& context) {
  context.output.note(fmt::format(
      "domains and networks were not filled in, since Carbonio is not installed (no {}). Groups "
      "internal_domains and internal_ips hold example rows; put the real ones into table "
      "policy_group_members.",
      (context.zextras_home / "bin" / "carbonio").string()));
}

Outcome fill_groups(const DaemonConfig& daemon, const carbonio::WantedMembers& wanted,
                    Context& context) {
  const auto database = open_as_owner(daemon);
  if (!database) return failed(database.error());
  const auto change = carbonio::synchronise(database->handle.get(), daemon.config.table_prefix,
                                            wanted, false, context.actor);
  if (!change) {
    return failed(
        fmt::format("database {}: {}; its groups were not filled; try 'carbonio-limits "
                    "sync'",
                    daemon.config.database.string(), change.error().message));
  }
  print_skipped(wanted, context.output);
  print_change(*change, false, context.output);
  return {};
}

Outcome run_init(const Arguments& arguments, Context& context) {
  const auto daemon = database_of(arguments, context);
  if (!daemon) return failed(daemon.error());
  const std::string file = daemon->config.database.string();
  std::error_code code;
  const bool fresh = !fs::exists(fs::symlink_status(daemon->config.database, code));
  // Before anything is created, and while this process may still become Carbonio's user.
  std::optional<carbonio::WantedMembers> wanted;
  if (fresh || arguments.has("force")) {
    auto asked = ask(arguments, context);
    if (!asked) return tl::unexpected{asked.error()};
    wanted = std::move(*asked);
  }
  if (auto became = become_owner_of(daemon->config.database); !became)
    return failed(became.error());
  if (fresh) {
    if (auto done = make_database(*daemon); !done) return failed(done.error());
    context.output.line(fmt::format("Created the database {}.", file));
  } else if (!arguments.has("force")) {
    return failed(fmt::format(
        "database {} already exists and was not changed; 'carbonio-limits init --force' "
        "gives it fresh contents and keeps a copy next to it",
        file));
  } else {
    const auto old = start_over(*daemon, context);
    if (!old) {
      return failed(fmt::format("database {}: {}; it was not changed", file, old.error().message));
    }
    context.output.line(fmt::format("Copied the old database to {}.", old->copy.string()));
    context.output.line(fmt::format("Database {} now has fresh contents.", file));
    if (!old->blocks.empty()) context.output.line(kept_text(old->blocks));
  }
  if (wanted) return fill_groups(*daemon, *wanted, context);
  if (!arguments.has("no-prov")) print_not_filled(context);
  return {};
}

}  // namespace

const Command kInit = {
    "init",
    "[--force] [--no-prov] [--prov-timeout SECONDS]",
    "Create a fresh database",
    "With CBPolicyD's tables and default rows. An existing database is left alone, unless --force "
    "is given: then it is first copied to a file next to it, with the date in its name, and gets "
    "fresh contents. Blocks stay, with what they know of accounts that they have locked. The "
    "daemon may be running.\n"
    "On a Carbonio host its domains and networks are added to the groups, as sync does.",
    "init\n"
    "init --force --database /tmp/try.sqlitedb --no-prov",
    kInitOptions,
    0,
    run_init};

}  // namespace limits
