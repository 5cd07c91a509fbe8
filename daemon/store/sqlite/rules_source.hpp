// SPDX-License-Identifier: AGPL-3.0-only
// The rules in force, and their reload when the rules version changed: a few rows at once, within
// the batch; many on a thread with a connection of its own, so that no answer waits for them. Old
// snapshots are freed on that thread too.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "daemon/base/worker_thread.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/loop/event_loop.hpp"
#include "daemon/rules/rules.hpp"
#include "daemon/rules/rules_loader.hpp"

namespace policyd {

class RulesSource {
 public:
  // More rows of rules than this are loaded on the thread.
  static constexpr std::size_t kMaxRowsOnLoop = 1000;

  RulesSource(EventLoop& loop, Maillog& log, std::filesystem::path file, std::string table_prefix);

  [[nodiscard]] const std::shared_ptr<const Rules>& current() const { return current_; }

  // At the start: on the caller's thread, whatever their number.
  Result<void> load_first(sqlite3* db);
  // The same for a database that cannot be written, and may lack tables or columns.
  Result<void> load_first_unwritable();
  // Reads such a one again on the thread: it has changed.
  void reload_unwritable();
  // The next refresh reloads them whatever their version, since the database is now another file.
  void force_reload() { force_reload_ = true; }
  // The connection is about to close.
  void detach(const sqlite3* db);
  // In a transaction that has seen another connection's commit. The loop's thread.
  void refresh(sqlite3* db);

 private:
  using Loaded = tl::expected<std::shared_ptr<const Rules>, RulesFailure>;

  void adopt(std::shared_ptr<const Rules> rules);
  void log_problems(const Rules& rules);
  void log_failure(const std::string& message);
  enum class From : std::uint8_t { database, unwritable };
  void request(std::int64_t version, From from);
  void work();                    // the thread
  void load_and_post(From from);  // the thread
  [[nodiscard]] Loaded load(From from) const;
  void loaded(const Loaded& rules);

  EventLoop& loop_;
  Maillog& log_;
  std::filesystem::path file_;
  std::string table_prefix_;
  std::shared_ptr<const Rules> current_;
  sql::Statement version_;
  sqlite3* version_db_ = nullptr;
  std::int64_t requested_ = 0;  // version of the load in progress
  bool force_reload_ = false;
  std::unordered_set<std::string> known_problems_;
  std::string logged_failure_;  // since the last success

  // Shared with the thread.
  std::optional<From> load_;
  std::vector<std::shared_ptr<const Rules>> to_free_;

  EventLoop::Guard guard_;
  WorkerThread thread_;
};

}  // namespace policyd
