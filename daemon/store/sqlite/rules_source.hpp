// SPDX-License-Identifier: AGPL-3.0-only
// The rules in force, and their reload when the rules version moved: at once, inside the batch,
// while they are few; on a thread with a connection of its own where they are many, so that no
// answer waits for them. Old snapshots are freed on that thread too.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "daemon/log/maillog.hpp"
#include "daemon/loop/event_loop.hpp"
#include "daemon/rules/rules.hpp"
#include "daemon/rules/rules_loader.hpp"

namespace policyd {

class RulesSource {
 public:
  // More rows of rules than this are loaded on the thread.
  static constexpr std::size_t kFewRows = 1000;

  RulesSource(EventLoop& loop, Maillog& log, std::filesystem::path file, std::string table_prefix);
  ~RulesSource();
  RulesSource(const RulesSource&) = delete;
  RulesSource& operator=(const RulesSource&) = delete;

  [[nodiscard]] const std::shared_ptr<const Rules>& current() const { return current_; }

  // At the start: on the caller's thread, whatever their number.
  Result<void> load_first(sqlite3* db);
  // The next refresh reads them whatever their version: another file is the database now.
  void read_again() { read_again_ = true; }
  // This connection closes.
  void forget(const sqlite3* db);
  // Inside a transaction in which somebody else's commit was seen. The loop's thread.
  void refresh(sqlite3* db);

 private:
  using Loaded = tl::expected<std::shared_ptr<const Rules>, RulesFailure>;

  void adopt(std::shared_ptr<const Rules> rules);
  void log_problems(const Rules& rules);
  void request(std::int64_t version);
  void work();           // the thread
  void load_and_post();  // the thread
  void loaded(const Loaded& rules);

  EventLoop& loop_;
  Maillog& log_;
  std::filesystem::path file_;
  std::string table_prefix_;
  std::shared_ptr<const Rules> current_;
  sql::Statement version_;
  sqlite3* version_db_ = nullptr;
  std::int64_t requested_ = 0;  // version, of the load under way
  bool read_again_ = false;
  std::unordered_set<std::string> known_problems_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool load_ = false;
  bool stop_ = false;
  std::vector<std::shared_ptr<const Rules>> to_free_;
  // shared_ptr: a snapshot posted to the loop may arrive after this object is gone.
  std::shared_ptr<RulesSource*> self_ = std::make_shared<RulesSource*>(this);
  std::thread thread_;
};

}  // namespace policyd
