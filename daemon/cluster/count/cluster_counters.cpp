// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/count/cluster_counters.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "count_lua.hpp"
#include "daemon/base/printable.hpp"

namespace policyd {

namespace {

constexpr std::size_t kMaxShown = 200;  // bytes of an error or a key in the log

std::size_t numbers_of(std::size_t counters, std::size_t parts) {
  return 3 * counters + 1 + 3 * parts;
}

std::chrono::microseconds micros(std::chrono::nanoseconds span) {
  return std::chrono::floor<std::chrono::microseconds>(span);
}

}  // namespace

ClusterCounters::ClusterCounters(EventLoop& loop, Redis& redis, OwnCounters& own, Maillog& log,
                                 Settings settings, EngineClock::Sources clock)
    : loop_(loop),
      redis_(redis),
      without_(settings.without),
      names_{std::move(settings.prefix), settings.node, {}},
      clock_(std::move(clock)),
      nodes_(std::move(settings.node), settings.hosts),
      trouble_(log, settings.remind_every),
      rejoin_({redis, clock_, names_, nodes_, self_, own},
              {[this](std::string why) { trouble(std::move(why)); }, [this] { well(); },
               [this](std::vector<OwnCounters::Counter> slice, Rejoin::Written done) {
                 write_slice(std::move(slice), std::move(done));
               }}) {
  self_.id = std::move(settings.id);
  self_.host = std::move(settings.host);
  self_.version = std::move(settings.version);
  loop_.post(guard_.wrap([this] { tick(); }));
}

void ClusterCounters::tick() {
  const Steady now = clock_.steady();
  if (now - swept_ >= Rejoin::kHeartbeat) {
    swept_ = now;
    active_.drop_unsettled(now);
  }
  if (active_.take_overflow()) rejoin_.write_all();
  rejoin_.tick();
  if (!rejoin_.sharing()) answer_waiting_alone();
  trouble_.remind(now);
  loop_.after(Rejoin::kTick, guard_.wrap([this] { tick(); }));
}

void ClusterCounters::well() {
  if (!is_well()) return;
  trouble_.end(clock_.steady());
  if (active_.unwritten() == 0) return;
  writes_due_ = true;
  send();
}

const Window* ClusterCounters::known_full(std::int64_t limit_id, std::string_view track_key) {
  if (known_full_.size() == 0) return nullptr;
  // While hosts share a limit without the engine, what is full still is.
  if (!is_well() && without_ != Without::share) return nullptr;
  return known_full_.find(counter_name(limit_id, track_key), now());
}

void ClusterCounters::forget(std::int64_t limit_id, std::string_view track_key) {
  known_full_.forget(counter_name(limit_id, track_key));
}

void ClusterCounters::ask(std::vector<Wanted> wanted, Done done) {
  ++counts_.questions;
  Asked& asked = waiting_.emplace_back();
  asked.done = std::move(done);
  for (const Wanted& one : wanted) {
    ActiveCounter& counter = active_.open(one.limit_id, one.track_key);
    counter.own = one.own;
    counter.period = one.period;
    counter.limit = one.limit;
    ++counter.questions;
    asked.counters.push_back(&counter);
  }
  asked.wanted = std::move(wanted);
  if (numbers_of(asked.counters.size(), asked.counters.size()) < kMaxNumbers) return;
  trouble_.odd(
      SharingTrouble::Odd::question,
      fmt::format("a message has {} counters, which is too many to share", asked.counters.size()),
      clock_.steady());
  std::vector<Asked> too_large;
  too_large.push_back(std::move(asked));
  waiting_.pop_back();
  answer_alone(too_large);
}

void ClusterCounters::flush() {
  const Steady deadline = clock_.steady() + kDeadline;
  for (auto asked = waiting_.rbegin(); asked != waiting_.rend() && asked->deadline == Steady{};
       ++asked) {
    asked->deadline = deadline;
  }
  if (!waiting_.empty()) arm();
  send();
}

void ClusterCounters::settle(std::int64_t limit_id, std::string_view track_key, const Window& own,
                             std::uint64_t units, bool counted) {
  ActiveCounter* counter = active_.find(counter_name(limit_id, track_key));
  if (counter == nullptr) return;  // after kSettled
  counter->own = own;
  counter->allowed -= std::min(counter->allowed, units);
  // A slice that was read from the database before this is stored may be written after it.
  if (!counted || !rejoin_.sharing()) return write_soon(*counter);
  active_.release(*counter);
}

void ClusterCounters::changed(std::int64_t limit_id, std::string_view track_key, const Window& own,
                              Millis period) {
  ActiveCounter& counter = active_.open(limit_id, track_key);
  counter.own = own;
  counter.period = period;
  write_soon(counter);
}

void ClusterCounters::write_soon(ActiveCounter& counter) {
  active_.set_unwritten(counter);
  active_.release(counter);
  time_writes();
}

void ClusterCounters::time_writes() {
  if (std::exchange(writes_timed_, true)) return;
  loop_.after(kWriteWithin, guard_.wrap([this] {
    writes_timed_ = false;
    writes_due_ = true;
    send();
  }));
}

// Sends as much as may be under way.
void ClusterCounters::send() {
  if (!rejoin_.check_connection() || !rejoin_.sharing() || is_late_) return answer_waiting_alone();
  while (flights_.size() < kMaxCalls) {
    const auto flight = std::make_shared<Flight>();
    ++call_number_;
    take_questions(*flight);
    if (!flight->questions.empty() || writes_due_) take_writes(*flight);
    if (flight->counters.empty()) return;
    send_call(flight);
  }
}

bool ClusterCounters::must_wait(const Asked& asked) const {
  return std::any_of(asked.counters.begin(), asked.counters.end(), [&](const auto* counter) {
    return (counter->call != 0 && counter->call != call_number_) ||
           counter->passed_over == call_number_;
  });
}

// In order; one that has a counter of a call under way waits, and so do all after it that have a
// counter in common with it.
void ClusterCounters::take_questions(Flight& flight) {
  std::deque<Asked> left;
  std::size_t parts = 0;
  auto asked = waiting_.begin();
  for (; asked != waiting_.end() && flight.questions.size() < kMaxQuestions; ++asked) {
    const std::size_t more = asked->counters.size();
    if (asked->deadline == Steady{} ||
        numbers_of(flight.counters.size() + more, parts + more) + flight.questions.size() >
            kMaxNumbers) {
      break;
    }
    if (must_wait(*asked)) {
      for (ActiveCounter* counter : asked->counters) counter->passed_over = call_number_;
      left.push_back(std::move(*asked));
      continue;
    }
    CalledQuestion& question = flight.call.questions.emplace_back();
    for (std::size_t i = 0; i < more; ++i) {
      const Wanted& one = asked->wanted[i];
      question.parts.push_back({add(flight, *asked->counters[i]), one.asked, one.units, one.bites});
    }
    parts += more;
    flight.questions.push_back(std::move(*asked));
  }
  waiting_.erase(waiting_.begin(), asked);
  waiting_.insert(waiting_.begin(), std::make_move_iterator(left.begin()),
                  std::make_move_iterator(left.end()));
}

void ClusterCounters::take_writes(Flight& flight) {
  for (std::size_t i = 0; i < kMaxWrites; ++i) {
    ActiveCounter* counter = active_.take_unwritten();
    if (counter == nullptr) {
      writes_due_ = false;
      return;
    }
    add(flight, *counter);
    flight.call.counters.back().limit = 0;
  }
}

// The counter's place in the call.
std::size_t ClusterCounters::add(Flight& flight, ActiveCounter& counter) {
  if (counter.call == call_number_) return counter.place;
  counter.call = call_number_;
  counter.place = flight.counters.size();
  counter.unwritten = false;  // each call writes the parts of its counters
  flight.counters.push_back(&counter);
  flight.call.counters.push_back(
      {counter.name, counter.part(now()), counter.period, counter.limit});
  return counter.place;
}

void ClusterCounters::send_call(const FlightPtr& flight) {
  ++counts_.calls;
  flight->sent = clock_.steady();
  flights_.push_back(flight);
  run({flight, &flight->call},
      guard_.wrap([this, flight](const Result<RedisReply>& reply) { replied(flight, reply); }));
}

void ClusterCounters::run(std::shared_ptr<const CountCall> call, Replied done) {
  std::vector<std::string> words{"EVALSHA", rejoin_.script()};
  append_count_words(words, names_, *call);
  redis_.command(std::move(words),
                 guard_.wrap([this, call = std::move(call),
                              done = std::move(done)](const Result<RedisReply>& reply) {
                   const bool forgotten = !reply && reply.error().message.rfind("NOSCRIPT", 0) == 0;
                   if (!forgotten) return done(reply);
                   std::vector<std::string> whole{"EVAL", kCountLua};
                   append_count_words(whole, names_, *call);
                   redis_.command(std::move(whole), done);
                 }));
}

void ClusterCounters::replied(const FlightPtr& flight, const Result<RedisReply>& reply) {
  const auto round_trip = clock_.steady() - flight->sent;
  std::erase(flights_, flight);
  is_late_ =
      std::any_of(flights_.begin(), flights_.end(), [](const auto& one) { return one->late; });
  for (ActiveCounter* counter : flight->counters) counter->call = 0;

  Result<CountReply> read = failure("");
  if (!reply) {
    refused(flight,
            fmt::format("the engine answers: {}", printable(reply.error().message, kMaxShown)));
  } else if (!(read = read_count_reply(*reply, names_, flight->call))) {
    refused(flight, fmt::format("the engine was asked, but {}", read.error().message));
  } else if (read->other_epoch) {
    land(flight);
    if (rejoin_.sharing()) rejoin_.begin_again("the engine has lost its data");
  } else {
    counts_.last_round_trip = micros(round_trip);
    const auto change = (counts_.last_round_trip - counts_.average_round_trip) / 20;
    counts_.average_round_trip = counts_.average_round_trip.count() == 0
                                     ? counts_.last_round_trip
                                     : counts_.average_round_trip + change;
    clock_.heard(read->engine, round_trip);
    is_refused_ = false;
    apply(flight, *read);
    well();
  }
  send();
}

// Without a use for its reply: what it wrote or allowed is not known, so it is written again.
void ClusterCounters::land(const FlightPtr& flight) {
  for (ActiveCounter* counter : flight->counters) active_.set_unwritten(*counter);
  for (ActiveCounter* counter : flight->counters) {
    if (counter->questions == 0) active_.release(*counter);
  }
  answer_alone(flight->questions);
}

void ClusterCounters::refused(const FlightPtr& flight, std::string why) {
  land(flight);
  if (!rejoin_.check_connection()) return;
  is_refused_ = true;
  trouble(std::move(why));
  writes_due_ = false;
  time_writes();
}

void ClusterCounters::apply(const FlightPtr& flight, const CountReply& reply) {
  const std::vector<Window> others = learn(*flight, reply);
  // Late: these questions were answered without it, so nothing of what it allowed is counted.
  if (flight->late) return land(flight);
  std::vector<std::pair<Done, Granted>> answers;
  for (std::size_t i = 0; i < flight->questions.size(); ++i) {
    Asked& asked = flight->questions[i];
    answers.emplace_back(std::move(asked.done), granted(*flight, i, others, reply));
    if (reply.verdicts[i] != CountReply::kAllowed) continue;
    for (std::size_t part = 0; part < asked.counters.size(); ++part) {
      asked.counters[part]->allowed += asked.wanted[part].units;
      asked.counters[part]->allowed_at = clock_.steady();
    }
  }
  const std::vector<Asked> questions = std::move(flight->questions);
  for (const Asked& asked : questions) {
    for (ActiveCounter* counter : asked.counters) --counter->questions;
  }
  for (ActiveCounter* counter : flight->counters) active_.release(*counter);
  for (auto& [done, answer] : answers) done(std::move(answer));
}

Granted ClusterCounters::granted(const Flight& flight, std::size_t question,
                                 const std::vector<Window>& others, const CountReply& reply) {
  const std::vector<Wanted>& wanted = flight.questions[question].wanted;
  if (reply.verdicts[question] == CountReply::kNoCounter) {
    ++counts_.alone;
    return alone(wanted);
  }
  Granted granted;
  granted.wanted = wanted;
  granted.exceeded = reply.verdicts[question];
  for (const CalledQuestion::Part& part : flight.call.questions[question].parts) {
    granted.others.push_back(others[part.counter]);
  }
  return granted;
}

// What the others have counted in each counter of the call.
std::vector<Window> ClusterCounters::learn(const Flight& flight, const CountReply& reply) {
  std::vector<Window> others;
  const auto& counters = flight.call.counters;
  for (std::size_t i = 0; i < counters.size(); ++i) {
    if (!reply.others[i]) {
      trouble_.odd(SharingTrouble::Odd::key,
                   fmt::format("the key {} is not a counter of ours; delete it",
                               in_quotes(names_.counter_key(counters[i].name), kMaxShown)),
                   clock_.steady());
    }
    others.push_back(
        Window::of_counter(static_cast<double>(reply.others[i].value_or(0)), reply.engine));
  }
  for (const CountReply::Full& full : reply.full) {
    const CalledCounter& counter = counters[full.counter];
    others[full.counter] = full.others;
    others[full.counter].advance(reply.engine, counter.period);
    known_full_.put(counter.name, others[full.counter], counter.period, reply.engine);
    if (reply.damaged > 0) {
      trouble_.odd(SharingTrouble::Odd::field,
                   fmt::format("the key {} has a field that no host wrote; it is not counted",
                               in_quotes(names_.counter_key(counter.name), kMaxShown)),
                   clock_.steady());
    }
  }
  return others;
}

// One timer, for the next deadline.
void ClusterCounters::arm() {
  if (std::exchange(timer_armed_, true)) return;
  Steady next = Steady::max();
  if (!waiting_.empty() && waiting_.front().deadline != Steady{}) next = waiting_.front().deadline;
  for (const FlightPtr& flight : flights_) {
    if (flight->late) continue;
    for (const Asked& asked : flight->questions) next = std::min(next, asked.deadline);
  }
  if (next == Steady::max()) {
    timer_armed_ = false;
    return;
  }
  const auto left = std::chrono::ceil<Millis>(next - clock_.steady());
  loop_.after(std::max(left, Millis{0}), guard_.wrap([this] {
    timer_armed_ = false;
    expire();
  }));
}

void ClusterCounters::expire() {
  const Steady now = clock_.steady();
  std::vector<FlightPtr> late;
  for (const FlightPtr& flight : flights_) {
    const bool is_over = std::any_of(flight->questions.begin(), flight->questions.end(),
                                     [&](const Asked& asked) { return asked.deadline <= now; });
    if (!flight->late && is_over) late.push_back(flight);
  }
  for (const FlightPtr& flight : late) {
    flight->late = is_late_ = true;
    ++counts_.late;
    trouble(fmt::format("no answer within {} ms", kDeadline.count()));
    answer_alone(flight->questions);
  }
  if (is_late_) {
    answer_waiting_alone();
  } else {
    std::vector<Asked> over;
    while (!waiting_.empty() && waiting_.front().deadline != Steady{} &&
           waiting_.front().deadline <= now) {
      over.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    if (!over.empty())
      trouble(fmt::format("too many questions for the engine to answer within {} ms",
                          kDeadline.count()));
    answer_alone(over);
  }
  arm();
}

void ClusterCounters::answer_waiting_alone() {
  std::vector<Asked> questions(std::make_move_iterator(waiting_.begin()),
                               std::make_move_iterator(waiting_.end()));
  waiting_.clear();
  answer_alone(questions);
}

// Forgets the questions, and calls back on the loop, since this may be called by who asks.
void ClusterCounters::answer_alone(std::vector<Asked>& questions) {
  std::vector<Asked> answered = std::exchange(questions, {});
  for (Asked& asked : answered) {
    for (ActiveCounter* counter : asked.counters) {
      --counter->questions;
      active_.release(*counter);
    }
    ++counts_.alone;
    loop_.post(guard_.wrap(
        [done = std::move(asked.done), answer = alone(std::move(asked.wanted))]() mutable {
          done(std::move(answer));
        }));
  }
}

Granted ClusterCounters::alone(std::vector<Wanted> wanted) const {
  Granted granted;
  granted.defer = without_ == Without::defer;
  const std::uint64_t hosts = without_ == Without::share ? nodes_.hosts() : 1;
  for (const Wanted& one : wanted) {
    granted.own_limits.push_back(std::max<std::uint64_t>(1, one.limit / hosts));
  }
  granted.wanted = std::move(wanted);
  return granted;
}

void ClusterCounters::trouble(std::string why) {
  trouble_.begin(std::move(why), consequence(), clock_.steady());
}

std::string ClusterCounters::consequence() const {
  switch (without_) {
    case Without::share:
      return fmt::format("until then this host alone lets pass one part in {} of each limit",
                         nodes_.hosts());
    case Without::local:
      return "until then each limit is this host's alone";
    case Without::defer:
      break;
  }
  return "until then mail that would be counted is deferred";
}

// For Rejoin, while nothing is shared: no call has these counters.
void ClusterCounters::write_slice(std::vector<OwnCounters::Counter> slice, Rejoin::Written done) {
  CountCall call;
  for (OwnCounters::Counter& counter : slice) {
    std::string name = counter_name(counter.limit_id, counter.track_key);
    const ActiveCounter* active = active_.find(name);
    if (active != nullptr && active->unwritten) continue;  // a newer one follows
    if (active != nullptr) counter.own = active->part(now());
    call.counters.push_back({std::move(name), std::move(counter.own), counter.period, 0});
  }
  const auto shared = std::make_shared<const CountCall>(std::move(call));  // with callbacks
  run(shared, [this, shared, done = std::move(done)](const Result<RedisReply>& reply) {
    if (!reply) {
      return done(failure(
          fmt::format("the engine answers: {}", printable(reply.error().message, kMaxShown))));
    }
    const auto read = read_count_reply(*reply, names_, *shared);
    if (!read) return done(failure(read.error().message));
    if (read->other_epoch) return done(failure("the engine has lost its data"));
    done({});
  });
}

ClusterCounters::Status ClusterCounters::status() const {
  Status status = counts_;
  status.sharing = is_well();
  status.trouble = trouble_.what();
  status.hosts = nodes_.hosts();
  status.clock_ahead = clock_.ahead();
  status.unwritten = active_.unwritten();
  return status;
}

}  // namespace policyd
