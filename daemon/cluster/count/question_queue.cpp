// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/count/question_queue.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace policyd {

namespace {

// How many numbers the script reads for them.
std::size_t numbers_of(std::size_t counters, std::size_t questions, std::size_t parts) {
  return 3 * counters + questions + 3 * parts;
}

bool must_wait(const AskedQuestion& asked, std::uint64_t call) {
  return std::any_of(asked.counters.begin(), asked.counters.end(), [&](const auto* counter) {
    return (counter->call != 0 && counter->call != call) || counter->passed_over == call;
  });
}

}  // namespace

std::size_t Flight::add(ActiveCounter& counter, TimePoint now) {
  if (counter.call == number) return counter.place;
  counter.call = number;
  counter.place = counters.size();
  counter.unwritten = false;
  counters.push_back(&counter);
  call.counters.push_back(
      {std::string{counter.name}, counter.part(now), counter.period, counter.limit});
  return counter.place;
}

bool QuestionQueue::fits(std::size_t counters) {
  return numbers_of(counters, 1, counters) <= kMaxNumbers;
}

void QuestionQueue::set_deadline(Steady deadline) {
  for (auto asked = waiting_.rbegin(); asked != waiting_.rend() && asked->deadline == Steady{};
       ++asked) {
    asked->deadline = deadline;
  }
}

std::optional<QuestionQueue::Steady> QuestionQueue::next_deadline() const {
  if (waiting_.empty() || waiting_.front().deadline == Steady{}) return std::nullopt;
  return waiting_.front().deadline;
}

void QuestionQueue::take(Flight& flight, TimePoint now) {
  std::vector<AskedQuestion> passed_over;
  const std::size_t most = std::min(waiting_.size(), kMaxQuestions);
  flight.questions.reserve(most);
  flight.call.questions.reserve(most);
  flight.counters.reserve(most);
  flight.call.counters.reserve(most);
  std::size_t parts = 0;
  auto asked = waiting_.begin();
  for (; asked != waiting_.end() && flight.questions.size() < kMaxQuestions; ++asked) {
    const std::size_t more = asked->counters.size();
    const std::size_t numbers =
        numbers_of(flight.counters.size() + more, flight.questions.size() + 1, parts + more);
    if (asked->deadline == Steady{} || numbers > kMaxNumbers) break;
    if (must_wait(*asked, flight.number)) {
      for (ActiveCounter* counter : asked->counters) counter->passed_over = flight.number;
      passed_over.push_back(std::move(*asked));
      continue;
    }
    CalledQuestion& question = flight.call.questions.emplace_back();
    for (std::size_t i = 0; i < more; ++i) {
      const Wanted& one = asked->wanted[i];
      question.parts.push_back(
          {flight.add(*asked->counters[i], now), one.asked, one.units, one.bites});
    }
    parts += more;
    flight.questions.push_back(std::move(*asked));
  }
  waiting_.erase(waiting_.begin(), asked);
  waiting_.insert(waiting_.begin(), std::make_move_iterator(passed_over.begin()),
                  std::make_move_iterator(passed_over.end()));
}

std::vector<AskedQuestion> QuestionQueue::take_overdue(Steady now) {
  std::vector<AskedQuestion> overdue;
  for (auto next = next_deadline(); next && *next <= now; next = next_deadline()) {
    overdue.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return overdue;
}

std::vector<AskedQuestion> QuestionQueue::take_all() {
  std::vector<AskedQuestion> all(std::make_move_iterator(waiting_.begin()),
                                 std::make_move_iterator(waiting_.end()));
  waiting_.clear();
  return all;
}

}  // namespace policyd
