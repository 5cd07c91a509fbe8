// SPDX-License-Identifier: AGPL-3.0-only
// A store of the daemon's engine that keeps its counters in memory, for a limit that is tried on
// past mail: nothing is written, and the greatest use of each counter is remembered.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/base/hash_index.hpp"
#include "daemon/store/store.hpp"

namespace limits {

// The counter of a limit for one track key.
struct TriedCounter : policyd::Counter {
  std::int64_t limit_id = 0;
  std::string key;
  std::uint32_t number = 0;  // among all
  double peak = 0;
  policyd::TimePoint peak_at{};
  double units = 0;              // messages or KiB
  std::uint64_t times = 0;       // it grew
  std::uint64_t recipients = 0;  // that its limit was asked about
};

class CountingStore final : public policyd::Store {
 public:
  explicit CountingStore(std::shared_ptr<const policyd::Rules> rules) : counts_(std::move(rules)) {}

  // Called for each recipient that a counter's limit is asked about.
  std::function<void(const TriedCounter&)> on_recipient;
  // Whether the next question is about a recipient, and not about a whole message.
  void about_recipient(bool is) { counts_.about_recipient = is; }

  [[nodiscard]] const std::deque<TriedCounter>& counters() const { return counts_.all; }
  TriedCounter& counter(std::int64_t limit_id, std::string_view key) {
    return counts_.counter_of(limit_id, key);
  }

  void commit(policyd::TimePoint now, Uses, Decide decide, Done done) override {
    counts_.time = now;
    counts_.on_recipient = on_recipient ? &on_recipient : nullptr;
    decide(counts_);
    done(Outcome::stored);
  }
  [[nodiscard]] const std::shared_ptr<const policyd::Rules>& rules() const override {
    return counts_.in_force;
  }
  [[nodiscard]] const std::string& trouble() const override { return no_trouble_; }
  void close(std::chrono::milliseconds) override {}

 private:
  class Counts final : public policyd::Transaction {
   public:
    explicit Counts(std::shared_ptr<const policyd::Rules> rules) : in_force(std::move(rules)) {}

    std::shared_ptr<const policyd::Rules> in_force;
    policyd::TimePoint time{};
    std::deque<TriedCounter> all;  // references stay valid
    const std::function<void(const TriedCounter&)>* on_recipient = nullptr;
    bool about_recipient = false;

    TriedCounter& counter_of(std::int64_t limit_id, std::string_view key);

    [[nodiscard]] const std::shared_ptr<const policyd::Rules>& rules() const override {
      return in_force;
    }
    [[nodiscard]] policyd::TimePoint now() const override { return time; }
    // Once for each limit of a question about a recipient.
    policyd::Counter& counter(std::int64_t limit_id, std::string_view key) override {
      TriedCounter& out = counter_of(limit_id, key);
      if (!about_recipient) return out;
      ++out.recipients;
      if (on_recipient != nullptr) (*on_recipient)(out);
      return out;
    }
    void changed(policyd::Counter& counter, double units) override;
    policyd::AccountingCounter& accounting(std::int64_t, std::string_view,
                                           std::string_view) override {
      return unused_;
    }
    void changed(policyd::AccountingCounter&, const policyd::AccountingUnits&) override {}
    policyd::GreylistingTables* greylisting() override { return nullptr; }
    std::optional<policyd::SessionRow> session(std::string_view) override { return std::nullopt; }
    [[nodiscard]] bool was_under_way(std::string_view) const override { return false; }
    void put_session(policyd::SessionRow) override {}
    policyd::HeloTracking* helo_tracking() override { return nullptr; }
    [[nodiscard]] bool begin_question(std::uint64_t) override { return false; }
    void end_question(std::uint64_t) override {}

   private:
    policyd::HashIndex index_;
    policyd::AccountingCounter unused_;
  };

  Counts counts_;
  std::string no_trouble_;
};

}  // namespace limits
