// SPDX-License-Identifier: AGPL-3.0-only
// An engine on a real database, with a clock that the test turns, for tests of one module: what is
// asked, what is answered, what is stored and what is logged.
#pragma once

#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/ip_address.hpp"
#include "daemon/engine/engine.hpp"
#include "daemon/events/event_queue.hpp"
#include "daemon/protocol/policy_protocol.hpp"
#include "tests/unit/daemon/engine/asker.hpp"
#include "tests/unit/daemon/store/sqlite/store_fixture.hpp"

namespace policyd {

class EngineFixture : public StoreTest {
 protected:
  EngineFixture() {
    LogSettings log;
    log.file = folder_ / "log";
    log.level = LogLevel::info;
    log_ = std::move(*Maillog::open(log));
  }
  ~EngineFixture() override { engine_.reset(); }

  // Without any policies: the test makes its own, from ID 1 on.
  void start() {
    ASSERT_TRUE(create_database(file_));
    connect_admin();
    admin(
        "DELETE FROM quotas_limits; DELETE FROM quotas; DELETE FROM policy_members;"
        "DELETE FROM policies; DELETE FROM sqlite_sequence;");
    open_store();
    restart_engine();
  }

  void restart_engine() {
    engine_ = std::make_unique<Engine>(
        loop_, *store_, *log_, config_, [this] { return now_; }, nullptr, &events_, shared_,
        greylisting_);
  }

  // The next policy, for everybody.
  void add_policy(int priority = 0) {
    admin("INSERT INTO policies (Name, Priority) VALUES ('p', " + std::to_string(priority) + ");" +
          "INSERT INTO policy_members (PolicyID, Source, Destination)"
          " VALUES ((SELECT max(ID) FROM policies), 'any', 'any');");
  }

  // "REJECT text", "DUNNO": what Postfix reads.
  std::string answer(const Request& request) {
    auto asker = std::make_shared<Asker>(request);
    engine_->ask(asker);
    loop_.run_posted();
    std::string received;
    append_action(received, asker->received);
    EXPECT_TRUE(received.starts_with("action=") && received.ends_with("\n\n")) << received;
    return received.size() < 9 ? received : received.substr(7, received.size() - 9);
  }

  // What was remembered since the last call: "refused Quotas 1 Sender:a@x defer".
  std::vector<std::string> events() {
    std::vector<std::string> out;
    const auto batch = events_.take();
    if (!batch) return out;
    while (batch->size() > 0) {
      const Event event = batch->take_oldest();
      out.push_back(std::string{name_of(event.kind)} + " " + event.module + " " +
                    std::to_string(event.row_id) + " " + event.track_key + " " + event.verdict +
                    (event.times > 1 ? " x" + std::to_string(event.times) : ""));
    }
    return out;
  }

  // The log so far, each line without what stands in front of "module=".
  std::string log_text() {
    log_->flush();
    std::ifstream file{folder_ / "log"};
    std::string out;
    for (std::string line; std::getline(file, line);) {
      const std::size_t module = line.find("module=");
      if (module != std::string::npos) out += line.substr(module) + "\n";
    }
    return out;
  }

  Config config_;
  TimePoint now_ = kNoon;
  SharedCounters* shared_ = nullptr;
  SharedGreylisting* greylisting_ = nullptr;
  EventQueue events_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace policyd
