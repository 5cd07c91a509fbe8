// SPDX-License-Identifier: AGPL-3.0-only
// Greylisting on an MTA of a cluster, through the engine and a real database; the other MTAs are
// played here.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/daemon/modules/greylisting_fixture.hpp"

namespace policyd {

// Answers when it is told to, and remembers what it was told.
class MtasWithTriplets final : public SharedGreylisting {
 public:
  void ask(TripletQuestion question, Done done) override {
    waiting.emplace_back(std::move(question), std::move(done));
  }
  void tell(const TripletNames& names, TripletState state, GreylistingTables::Time first_seen,
            seconds keep_for, seconds count_for) override {
    const char* word = state == TripletState::passed     ? "passed"
                       : state == TripletState::deferred ? "deferred"
                                                         : "new";
    told.push_back(fmt::format("{} {} {} {} {} keep={} count={}", word, names.track_key,
                               names.sender, names.recipient, since_noon(first_seen),
                               keep_for.count(), count_for.count()));
  }
  void tell_whitelisted(std::string_view track_key, GreylistingTables::Time seen,
                        seconds keep_for) override {
    told.push_back(
        fmt::format("white {} {} keep={}", track_key, since_noon(seen), keep_for.count()));
  }
  void tell_blacklisted(std::string_view track_key, GreylistingTables::Time added,
                        seconds keep_for) override {
    told.push_back(
        fmt::format("black {} {} keep={}", track_key, since_noon(added), keep_for.count()));
  }

  // All that wait get the same answer.
  void answer(const TripletAnswer& known) {
    for (auto& [question, done] : std::exchange(waiting, {})) {
      TripletAnswer answer = known;
      answer.answered = true;
      answer.track_key = question.track_key;
      done(answer);
    }
  }
  void answer_nothing() {
    for (auto& [question, done] : std::exchange(waiting, {})) done({});
  }
  std::vector<std::string> take_told() { return std::exchange(told, {}); }

  std::vector<std::pair<TripletQuestion, Done>> waiting;
  std::vector<std::string> told;

 private:
  static std::int64_t since_noon(GreylistingTables::Time time) {
    return (time - std::chrono::floor<seconds>(kNoon)).count();
  }
};

class SharedGreylistingTest : public GreylistingTest {
 protected:
  void SetUp() override {
    GreylistingTest::SetUp();
    greylisting_ = &mtas_;
    restart_engine();
    admin("UPDATE greylisting SET GreylistAuthValidity = 8000, GreylistUnAuthValidity = 1000");
  }

  std::shared_ptr<Asker> ask(std::string_view sender, std::string_view instance = {}) {
    instances_.push_back(instance.empty() ? fmt::format("1.{}", ++mails_) : std::string{instance});
    Request request = rcpt(instances_.back());
    request.sender = sender;
    const auto asker = std::make_shared<Asker>(request);
    engine_->ask(asker);
    loop_.run_posted();
    return asker;
  }
  static std::string answered(const Asker& asker) {
    if (asker.answers != 1) return std::to_string(asker.answers) + " answers";
    std::string text;
    append_action(text, asker.received);
    return text.substr(7, text.size() - 9);
  }
  // The answer to a mail whose question waits for the others.
  std::string answer_to(std::string_view sender, const TripletAnswer& known) {
    const auto asker = ask(sender);
    EXPECT_EQ(answered(*asker), "0 answers");
    mtas_.answer(known);
    loop_.run_posted();
    return answered(*asker);
  }
  std::string answer_alone(std::string_view sender) {
    const auto asker = ask(sender);
    EXPECT_EQ(answered(*asker), "0 answers");
    mtas_.answer_nothing();
    loop_.run_posted();
    return answered(*asker);
  }
  // To one whose question does not wait.
  std::string answer_here(std::string_view sender) {
    const std::string text = answered(*ask(sender));
    EXPECT_TRUE(mtas_.waiting.empty());
    return text;
  }
  using Time = GreylistingTables::Time;
  [[nodiscard]] Time ago(std::int64_t count) const {
    return std::chrono::floor<seconds>(now_) - seconds{count};
  }
  static TripletAnswer seen(Time time) {
    TripletAnswer known;
    known.first_seen = time;
    return known;
  }
  void let_pass(std::string_view sender) {
    EXPECT_EQ(answer_to(sender, seen(ago(240))), "DUNNO");
    mtas_.told.clear();
  }

  using Told = std::vector<std::string>;
  const std::string kTriplet = std::string{kKey} + " a@x bob@example.com";
  MtasWithTriplets mtas_;
  std::deque<std::string> instances_;
};

}  // namespace policyd
