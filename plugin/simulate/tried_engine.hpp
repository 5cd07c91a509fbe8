// SPDX-License-Identifier: AGPL-3.0-only
// The daemon's engine over counters in memory, asked about past mail one recipient after another.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/engine/engine.hpp"
#include "daemon/events/event_queue.hpp"
#include "plugin/simulate/counting_store.hpp"

namespace limits {

class TriedEngine {
 public:
  TriedEngine(std::shared_ptr<const policyd::Rules> rules, const policyd::Config& config,
              bool decay);

  struct Answer {
    bool hit = false;  // a limit is used up, and does not only monitor
    policyd::Verdict verdict;
    std::int64_t limit_id = 0;  // that it is about; 0: another row
    std::string key;
  };
  // `now` never goes back.
  Answer ask(const policyd::Request& request, policyd::TimePoint now);
  // Whether END-OF-MESSAGE can matter.
  [[nodiscard]] bool counts_sizes() const { return counts_sizes_; }

  [[nodiscard]] CountingStore& store() { return store_; }

 private:
  // Each question is answered before ask() returns, so nothing is ever posted.
  class NoLoop final : public policyd::EventLoop {
   public:
    void post(Task) override {}
    void after(std::chrono::milliseconds, Task) override {}
  };
  class Asked final : public policyd::Pending {
   public:
    [[nodiscard]] const policyd::Request& request() const override { return request_; }
    void answer(const policyd::Verdict& verdict) override { answered = verdict; }
    void ask(const policyd::Request& request) { request_ = request; }

    policyd::Verdict answered;

   private:
    policyd::Request request_;
  };

  NoLoop loop_;
  CountingStore store_;
  policyd::Maillog log_;
  policyd::EventQueue events_;
  policyd::TimePoint now_{};
  bool counts_sizes_ = false;
  std::shared_ptr<Asked> asked_ = std::make_shared<Asked>();
  policyd::Engine engine_;
};

}  // namespace limits
