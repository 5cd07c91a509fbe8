// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/rules/reconcile.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <system_error>

#include "daemon/base/replace_file.hpp"
#include "daemon/cluster/rules/given_ids.hpp"
#include "daemon/cluster/rules/rule_text.hpp"
#include "daemon/events/rules_change.hpp"
#include "daemon/sqlite/database.hpp"

namespace policyd {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kLockPatience{2};
constexpr std::int64_t kMaxHosts = 1000;

constexpr std::string_view kOurTables = R"(
CREATE TABLE IF NOT EXISTS {p}limits_cluster (
  ID INTEGER PRIMARY KEY CHECK (ID = 1), Version INTEGER NOT NULL, Digest TEXT NOT NULL,
  Choice TEXT, Hosts INTEGER NOT NULL DEFAULT 1);
INSERT OR IGNORE INTO {p}limits_cluster (ID, Version, Digest) VALUES (1, 0, '');
CREATE TABLE IF NOT EXISTS {p}limits_cluster_past (
  Version INTEGER PRIMARY KEY, Digest TEXT NOT NULL);
)";
// How many versions limits_cluster_past remembers.
constexpr std::int64_t kMaxPast = 100;

// Between the name of the database and the time.
constexpr std::string_view kKept = ".rules-";

// A connection in one transaction, which is rolled back unless commit() is called.
class Session {
 public:
  // For reading alone: reading many rules must not keep the daemon from writing counters.
  static Result<std::unique_ptr<Session>> open_to_read(const RuleDatabase& database) {
    auto db = open_database(database.file, OpenMode::read_write, kLockPatience);
    if (!db) return tl::unexpected{db.error()};
    auto session = std::make_unique<Session>(std::move(*db), database.table_prefix);
    if (auto done = sql::execute_or_explain(session->db(), "BEGIN"); !done) {
      return tl::unexpected{done.error()};
    }
    return session;
  }
  static Result<std::unique_ptr<Session>> open(const RuleDatabase& database) {
    auto db = open_database(database.file, OpenMode::read_write, kLockPatience);
    if (!db) return tl::unexpected{db.error()};
    auto session = std::make_unique<Session>(std::move(*db), database.table_prefix);
    auto done = session->transaction_.begin_immediate();
    if (done) {
      done = sql::execute_or_explain(session->db(),
                                     sql::with_prefix(kOurTables, session->table_prefix_));
    }
    if (!done) return tl::unexpected{done.error()};
    return session;
  }
  Session(sql::Handle db, std::string table_prefix)
      : db_(std::move(db)), transaction_(db_.get()), table_prefix_(std::move(table_prefix)) {}

  [[nodiscard]] sqlite3* db() const { return db_.get(); }
  Result<void> commit() { return transaction_.commit(); }
  Result<std::string> rules() { return save_rules(db(), table_prefix_); }
  Result<std::string> ids(const std::string& others) {
    return given_ids(db(), table_prefix_, others);
  }

  Result<RememberedRules> remembered() { return remembered_rules(db(), table_prefix_); }

  Result<void> remember(const PublishedRules& published) {
    auto row = sql::Statement::prepare(
        db(), "INSERT OR REPLACE INTO {p}limits_cluster_past (Version, Digest) VALUES (?1, ?2)",
        table_prefix_);
    if (!row) return tl::unexpected{row.error()};
    row->bind(1, published.version).bind(2, published.digest);
    if (row->run() != SQLITE_DONE) return failure(sql::message_of(db()));
    auto done = sql::execute_or_explain(
        db(),
        sql::with_prefix(fmt::format("DELETE FROM {{p}}limits_cluster_past WHERE Version <= {}",
                                     published.version - kMaxPast),
                         table_prefix_));
    if (done) done = raise_given_ids(db(), table_prefix_, published.ids);
    return done ? put(published, {}) : done;
  }
  // Whether the cluster had these rules while this host was in it.
  Result<bool> knows(const PublishedRules& published) {
    auto row = sql::Statement::prepare(
        db(), "SELECT 1 FROM {p}limits_cluster_past WHERE Version = ?1 AND Digest = ?2",
        table_prefix_);
    if (!row) return tl::unexpected{row.error()};
    row->bind(1, published.version).bind(2, published.digest);
    return row->step() == SQLITE_ROW;
  }
  Result<void> put(const PublishedRules& published, std::string_view choice) {
    auto row = sql::Statement::prepare(
        db(),
        "UPDATE {p}limits_cluster SET Version = ?1, Digest = ?2, Choice = nullif(?3, '') "
        "WHERE ID = 1",
        table_prefix_);
    if (!row) return tl::unexpected{row.error()};
    row->bind(1, published.version).bind(2, published.digest).bind(3, choice);
    if (row->run() != SQLITE_DONE) return failure(sql::message_of(db()));
    return {};
  }

 private:
  sql::Handle db_;
  sql::Transaction transaction_;
  std::string table_prefix_;
};

// Beside the database, with the time in its name.
Result<fs::path> keep(const RuleDatabase& database, std::string_view rules, TimePoint now) {
  const auto text = rules_as_sql(rules, database.table_prefix);
  if (!text) return tl::unexpected{text.error()};
  const std::string name = fmt::format("{}{}{:%Y%m%dT%H%M%SZ}.sql", database.file.string(), kKept,
                                       fmt::gmtime(std::chrono::system_clock::to_time_t(now)));
  for (int number = 1; number < 100; ++number) {
    const fs::path file = number == 1 ? name : fmt::format("{}.{}", name, number);
    std::error_code code;
    if (fs::exists(file, code)) continue;
    if (const auto written = replace_file(file, *text, 0640); !written) {
      return failure(fmt::format("{}: {}", file.string(), written.error().message));
    }
    return file;
  }
  return failure(fmt::format("{} exists", name));
}

}  // namespace

Result<RememberedRules> remembered_rules(sqlite3* db, std::string_view table_prefix) {
  const auto table = sql::first_integer(
      db, "SELECT 1 FROM sqlite_master WHERE name = '{p}limits_cluster'", table_prefix);
  if (!table) return RememberedRules{};  // nothing was ever shared
  auto row = sql::Statement::prepare(
      db, "SELECT Version, Digest, Choice FROM {p}limits_cluster WHERE ID = 1", table_prefix);
  if (!row) return tl::unexpected{row.error()};
  if (row->step() != SQLITE_ROW) return RememberedRules{};
  return RememberedRules{{row->integer(0), std::string{row->text(1)}}, std::string{row->text(2)}};
}

Result<bool> is_published(const RuleDatabase& database) {
  const auto session = Session::open_to_read(database);
  if (!session) return tl::unexpected{session.error()};
  const auto remembered = (*session)->remembered();
  if (!remembered) return tl::unexpected{remembered.error()};
  const auto rules = (*session)->rules();
  if (!rules) return tl::unexpected{rules.error()};
  return remembered->choice.empty() && remembered->last.digest == sha1_of(*rules);
}

std::vector<fs::path> kept_rules(const RuleDatabase& database) {
  const std::string beginning = database.file.filename().string() + std::string{kKept};
  std::vector<fs::path> out;
  std::error_code code;
  for (auto at = fs::directory_iterator{database.file.parent_path(), code};
       !code && at != fs::directory_iterator{}; at.increment(code)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with(beginning) && !name.ends_with(".new")) out.push_back(at->path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

Result<RuleStep> next_rule_step(const RuleDatabase& database, const PublishedRules& published) {
  const auto session = Session::open_to_read(database);
  if (!session) return tl::unexpected{session.error()};
  const auto remembered = (*session)->remembered();
  if (!remembered) return tl::unexpected{remembered.error()};
  auto rules = (*session)->rules();
  if (!rules) return tl::unexpected{rules.error()};
  RuleStep step{RuleStep::Kind::publish, {}, sha1_of(*rules), {}};

  const PublishedRules& last = remembered->last;
  step.version = std::max(published.version, last.version) + 1;
  Result<bool> gone_back = false;
  if (published.version < last.version) gone_back = (*session)->knows(published);
  if (!gone_back) return tl::unexpected{gone_back.error()};
  const bool same = step.digest == published.digest;
  // Also under another version: another host may have published them to an engine that was empty.
  const bool only_ours_are_new =
      !same && (published.digest == last.digest || *gone_back) && remembered->choice.empty();
  if (published.version == 0 || remembered->choice == "ours" || only_ours_are_new) {
    step.kind = RuleStep::Kind::publish;
  } else if (same) {
    step.kind = RuleStep::Kind::agree;
  } else if (last.version > 0 || remembered->choice == "theirs") {
    step.kind = RuleStep::Kind::take;
  } else {
    step.kind = RuleStep::Kind::choose;
  }
  if (step.kind == RuleStep::Kind::publish) {
    auto ids = (*session)->ids(published.ids);
    if (!ids) return tl::unexpected{ids.error()};
    step.ids = std::move(*ids);
    step.rules = std::move(*rules);
  }
  if (step.kind == RuleStep::Kind::agree && !(published == last && remembered->choice.empty())) {
    if (auto done = remember_published(database, published); !done) {
      return tl::unexpected{done.error()};
    }
  }
  return step;
}

Result<void> remember_published(const RuleDatabase& database, const PublishedRules& published) {
  const auto session = Session::open(database);
  if (!session) return tl::unexpected{session.error()};
  auto done = (*session)->remember(published);
  if (done) done = (*session)->commit();
  return done;
}

Result<fs::path> take_rules(const RuleDatabase& database, std::string_view rules,
                            const PublishedRules& published, TimePoint now) {
  const auto session = Session::open(database);
  if (!session) return tl::unexpected{session.error()};
  const auto remembered = (*session)->remembered();
  if (!remembered) return tl::unexpected{remembered.error()};
  const auto ours = (*session)->rules();
  if (!ours) return tl::unexpected{ours.error()};
  fs::path kept;
  const PublishedRules& last = remembered->last;
  if (sha1_of(*ours) != last.digest || last.version >= published.version) {
    auto file = keep(database, *ours, now);
    if (!file) return file;
    kept = std::move(*file);
  }
  RulesChange change{(*session)->db(), database.table_prefix};
  auto done = replace_rules((*session)->db(), database.table_prefix, rules);
  change.announce({"", "taken over from another host of the cluster"}, now);
  if (done) done = (*session)->remember(published);
  if (done) done = (*session)->commit();
  if (!done) return tl::unexpected{done.error()};
  return kept;
}

Result<void> remember_hosts(const RuleDatabase& database, std::size_t hosts) {
  const auto session = Session::open(database);
  if (!session) return tl::unexpected{session.error()};
  auto row = sql::Statement::prepare((*session)->db(),
                                     "UPDATE {p}limits_cluster SET Hosts = ?1 WHERE ID = 1",
                                     database.table_prefix);
  if (!row) return tl::unexpected{row.error()};
  row->bind(1, static_cast<std::int64_t>(hosts));
  if (row->run() != SQLITE_DONE) return failure(sql::message_of((*session)->db()));
  return (*session)->commit();
}

std::size_t remembered_hosts(const RuleDatabase& database) {
  const auto db = open_database(database.file, OpenMode::read_only, std::chrono::seconds{0});
  if (!db) return 1;
  const auto hosts = sql::first_integer(
      db->get(), "SELECT Hosts FROM {p}limits_cluster WHERE ID = 1", database.table_prefix);
  return static_cast<std::size_t>(std::clamp<std::int64_t>(hosts.value_or(1), 1, kMaxHosts));
}

Result<void> choose_rules(const RuleDatabase& database, RuleChoice choice) {
  const auto session = Session::open(database);
  if (!session) return tl::unexpected{session.error()};
  const auto remembered = (*session)->remembered();
  if (!remembered) return tl::unexpected{remembered.error()};
  auto done = (*session)->put(remembered->last, choice == RuleChoice::ours ? "ours" : "theirs");
  if (done) done = (*session)->commit();
  return done;
}

Result<void> forget_published(const RuleDatabase& database) {
  const auto session = Session::open(database);
  if (!session) return tl::unexpected{session.error()};
  auto done = sql::execute_or_explain(
      (*session)->db(),
      sql::with_prefix("DELETE FROM {p}limits_cluster; DELETE FROM {p}limits_cluster_past; "
                       "DROP TABLE IF EXISTS {p}limits_cluster_resets",
                       database.table_prefix));
  if (done) done = (*session)->commit();
  return done;
}

}  // namespace policyd
