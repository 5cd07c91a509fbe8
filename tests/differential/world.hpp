// SPDX-License-Identifier: AGPL-3.0-only
// One database with random rules, the daemon's engine and store on it, and the model. Traffic goes
// to both; the first answer or row that differs ends the world. The world has its own time, so that
// hours pass in a moment.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "daemon/engine/engine.hpp"
#include "daemon/sqlite/database.hpp"
#include "daemon/store/sqlite/sqlite_store.hpp"
#include "model.hpp"
#include "rules.hpp"
#include "tests/unit/daemon/loop/manual_loop.hpp"

namespace differential {

struct Figures {
  std::uint64_t requests = 0, refused = 0, ambiguous = 0, rows = 0;
  std::uint64_t restarts = 0, crashes = 0, changes = 0;
};

class World {
 public:
  World(const std::filesystem::path& folder, std::uint64_t seed);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Sends the requests; returns the difference in words, or nullopt.
  std::optional<std::string> play(std::uint64_t requests, Figures& figures);

 private:
  class Asker;
  struct Message {
    Asked last;
    std::vector<std::string> recipients;
  };

  void start();
  void restart(bool clean);
  void change_something();
  void admin(const std::string& sql);
  Asked next_question();
  std::optional<std::string> ask(const std::vector<Asked>& questions);
  std::optional<std::string> compare_rows();
  [[nodiscard]] std::string about(const Asked& asked) const;

  Random random_;
  Rules rules_;
  Model::Algorithm algorithm_;
  Model model_;
  std::filesystem::path file_;
  policyd::TimePoint now_;
  policyd::sql::Handle admin_;
  std::unique_ptr<policyd::Maillog> log_;
  std::unique_ptr<policyd::ManualLoop> loop_;
  std::unique_ptr<policyd::SqliteStore> store_;
  std::unique_ptr<policyd::Engine> engine_;
  std::vector<Message> open_;
  std::vector<Asked> last_batch_;
  std::uint64_t messages_ = 0;
  Figures* figures_ = nullptr;
};

}  // namespace differential
