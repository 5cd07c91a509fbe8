// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/count/cluster_counters.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "daemon/base/printable.hpp"
#include "daemon/cluster/count/without_engine.hpp"

namespace policyd {

namespace {

constexpr std::size_t kMaxShown = 200;  // bytes of an error or a key in the log

std::chrono::microseconds micros(std::chrono::nanoseconds span) {
  return std::chrono::floor<std::chrono::microseconds>(span);
}

}  // namespace

ClusterCounters::ClusterCounters(EventLoop& loop, Redis& redis, OwnCounters& own, Maillog& log,
                                 Settings settings, EngineClock::Sources clock)
    : loop_(loop),
      redis_(redis),
      without_(settings.without),
      timeout_(settings.timeout),
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
  if (!rejoin_.sharing()) answer_alone(waiting_.take_all());
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

// Valid until the next call.
std::string_view ClusterCounters::name_of(std::int64_t limit_id, std::string_view track_key) {
  name_.clear();
  append_counter_name(name_, limit_id, track_key);
  return name_;
}

const Window* ClusterCounters::known_full(std::int64_t limit_id, std::string_view track_key) {
  if (known_full_.size() == 0) return nullptr;
  // While hosts share a limit without the engine, what is full still is.
  if (!is_well() && without_ != Without::share) return nullptr;
  return known_full_.find(name_of(limit_id, track_key), now());
}

void ClusterCounters::ask(std::vector<Wanted> wanted, Done done) {
  ++counts_.questions;
  AskedQuestion asked;
  asked.done = std::move(done);
  for (const Wanted& one : wanted) {
    ActiveCounter& counter = active_.open(name_of(one.limit_id, one.track_key));
    counter.own = one.own;
    counter.period = one.period;
    counter.limit = one.limit;
    ++counter.questions;
    asked.counters.push_back(&counter);
  }
  asked.wanted = std::move(wanted);
  const std::size_t count = asked.counters.size();
  if (QuestionQueue::fits(count)) return waiting_.add(std::move(asked));
  trouble_.odd(SharingTrouble::Odd::question,
               fmt::format("a message has {} counters, which is too many to share", count),
               clock_.steady());
  std::vector<AskedQuestion> too_large;
  too_large.push_back(std::move(asked));
  answer_alone(std::move(too_large));
}

void ClusterCounters::flush() {
  waiting_.set_deadline(clock_.steady() + timeout_);
  arm();
  send();
}

void ClusterCounters::settle(std::int64_t limit_id, std::string_view track_key, const Window& own,
                             std::uint64_t units, bool counted) {
  ActiveCounter* counter = active_.find(name_of(limit_id, track_key));
  if (counter == nullptr) return;  // after kSettled
  counter->own = own;
  counter->allowed -= std::min(counter->allowed, units);
  // A slice that was read from the database before this is stored may be written after it.
  if (!counted || !rejoin_.sharing()) return write_soon(*counter);
  active_.release(*counter);
}

void ClusterCounters::changed(std::int64_t limit_id, std::string_view track_key, const Window& own,
                              Millis period) {
  ActiveCounter& counter = active_.open(name_of(limit_id, track_key));
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

void ClusterCounters::write_now() {
  writes_due_ = true;
  send();
}

bool ClusterCounters::is_written(std::int64_t limit_id, std::string_view track_key) const {
  const ActiveCounter* counter = active_.find(counter_name(limit_id, track_key));
  return counter == nullptr || !counter->unwritten;
}

// Sends as much as may be under way.
void ClusterCounters::send() {
  if (!rejoin_.check_connection() || !rejoin_.sharing() || is_late_)
    return answer_alone(waiting_.take_all());
  while (flights_.size() < kMaxCalls) {
    const auto flight = std::make_shared<Flight>();
    flight->number = ++call_number_;
    waiting_.take(*flight, now());
    if (!flight->questions.empty() || writes_due_) take_writes(*flight);
    if (flight->counters.empty()) return;
    send_call(flight);
  }
}

void ClusterCounters::take_writes(Flight& flight) {
  for (std::size_t i = 0; i < kMaxWrites; ++i) {
    ActiveCounter* counter = active_.take_unwritten();
    if (counter == nullptr) {
      writes_due_ = false;
      return;
    }
    flight.add(*counter, now());
    flight.call.counters.back().limit = 0;
  }
}

void ClusterCounters::send_call(const FlightPtr& flight) {
  ++counts_.calls;
  flight->sent = clock_.steady();
  flights_.push_back(flight);
  run_count_script(
      redis_, guard_, rejoin_.script(), names_, {flight, &flight->call},
      guard_.wrap([this, flight](const Result<RedisReply>& reply) { replied(flight, reply); }));
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
  answer_alone(std::exchange(flight->questions, {}));
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
  const Steady now = clock_.steady();
  std::vector<std::pair<Done, Granted>> answers;
  answers.reserve(flight->questions.size());
  for (std::size_t i = 0; i < flight->questions.size(); ++i) {
    AskedQuestion& asked = flight->questions[i];
    if (reply.verdicts[i] == CountReply::kAllowed) {
      for (std::size_t part = 0; part < asked.counters.size(); ++part) {
        asked.counters[part]->allowed += asked.wanted[part].units;
        asked.counters[part]->allowed_at = now;
      }
    }
    answers.emplace_back(std::move(asked.done), granted(*flight, i, others, reply));
  }
  const std::vector<AskedQuestion> questions = std::move(flight->questions);
  for (const AskedQuestion& asked : questions) {
    for (ActiveCounter* counter : asked.counters) --counter->questions;
  }
  for (ActiveCounter* counter : flight->counters) active_.release(*counter);
  for (auto& [done, answer] : answers) done(std::move(answer));
}

// Of a question that is not needed any more.
Granted ClusterCounters::granted(Flight& flight, std::size_t question,
                                 const std::vector<Window>& others, const CountReply& reply) {
  std::vector<Wanted>& wanted = flight.questions[question].wanted;
  if (reply.verdicts[question] == CountReply::kNoCounter) {
    ++counts_.alone;
    return granted_without_engine(without_, nodes_.hosts(), std::move(wanted));
  }
  Granted granted;
  granted.wanted = std::move(wanted);
  granted.exceeded = reply.verdicts[question];
  const auto& parts = flight.call.questions[question].parts;
  granted.others.reserve(parts.size());
  for (const CalledQuestion::Part& part : parts) {
    granted.others.push_back(others[part.counter]);
  }
  return granted;
}

// What the others have counted in each counter of the call.
std::vector<Window> ClusterCounters::learn(const Flight& flight, const CountReply& reply) {
  std::vector<Window> others;
  const auto& counters = flight.call.counters;
  others.reserve(counters.size());
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
  Steady next = waiting_.next_deadline().value_or(Steady::max());
  for (const FlightPtr& flight : flights_) {
    if (flight->late) continue;
    for (const AskedQuestion& asked : flight->questions) next = std::min(next, asked.deadline);
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
    const bool is_over =
        std::any_of(flight->questions.begin(), flight->questions.end(),
                    [&](const AskedQuestion& asked) { return asked.deadline <= now; });
    if (!flight->late && is_over) late.push_back(flight);
  }
  for (const FlightPtr& flight : late) {
    flight->late = is_late_ = true;
    ++counts_.late;
    trouble(fmt::format("no answer within {} ms", timeout_.count()));
    answer_alone(std::exchange(flight->questions, {}));
  }
  std::vector<AskedQuestion> over = is_late_ ? waiting_.take_all() : waiting_.take_overdue(now);
  if (!is_late_ && !over.empty()) {
    trouble(
        fmt::format("too many questions for the engine to answer within {} ms", timeout_.count()));
  }
  answer_alone(std::move(over));
  arm();
}

// Calls back on the loop, since this may be called by who asks.
void ClusterCounters::answer_alone(std::vector<AskedQuestion> questions) {
  for (AskedQuestion& asked : questions) {
    for (ActiveCounter* counter : asked.counters) {
      --counter->questions;
      active_.release(*counter);
    }
    ++counts_.alone;
    loop_.post(guard_.wrap([done = std::move(asked.done),
                            answer = granted_without_engine(without_, nodes_.hosts(),
                                                            std::move(asked.wanted))]() mutable {
      done(std::move(answer));
    }));
  }
}

void ClusterCounters::trouble(std::string why) {
  trouble_.begin(std::move(why), say_without_engine(without_, nodes_.hosts()), clock_.steady());
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
  auto answered = [this, shared, done = std::move(done)](const Result<RedisReply>& reply) {
    if (!reply) {
      return done(failure(
          fmt::format("the engine answers: {}", printable(reply.error().message, kMaxShown))));
    }
    const auto read = read_count_reply(*reply, names_, *shared);
    if (!read) return done(failure(read.error().message));
    if (read->other_epoch) return done(failure("the engine has lost its data"));
    done({});
  };
  run_count_script(redis_, guard_, rejoin_.script(), names_, shared,
                   guard_.wrap(std::move(answered)));
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
