// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/reset/reset_sync.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <unordered_map>

#include "daemon/base/printable.hpp"
#include "daemon/cluster/count/counter_name.hpp"
#include "daemon/cluster/reset/reset_events.hpp"

namespace policyd {
namespace {

constexpr Millis kCheckWritten{2};
constexpr Millis kRemindStrange = std::chrono::minutes{1};
// Longer than any period: what arrived this long ago has left.
constexpr Millis kLongest = std::chrono::hours{24 * 365 * 200};

// Drops what had arrived by then; whether there was something.
bool drop_arrived(policyd::Counter& counter, TimePoint until) {
  const std::uint64_t before = counter.window.use();
  counter.window.advance(until + kLongest, kLongest);
  const std::uint64_t left = counter.window.use();
  if (!counter.exists || left == before) return false;
  if (counter.windowed || left == 0) counter.value = static_cast<double>(left);
  return true;
}

std::unordered_map<std::int64_t, Millis> periods_of(const std::shared_ptr<const Rules>& rules) {
  std::unordered_map<std::int64_t, Millis> periods;
  if (!rules) return periods;
  for (const Policy& policy : rules->policies) {
    for (const Quota& quota : policy.quotas) {
      for (const QuotaLimit& limit : quota.limits) {
        periods[limit.id] = std::chrono::seconds{quota.period_s};
      }
    }
  }
  return periods;
}

}  // namespace

ResetSync::ResetSync(With with, Settings settings, Ask ask)
    : with_(with),
      settings_(std::move(settings)),
      ask_(std::move(ask)),
      thread_("resets", [this] { work(); }) {
  look_again();
}

void ResetSync::on_thread(Job job) {
  thread_.change([&] { jobs_.push_back(std::move(job)); });
}

void ResetSync::work() {
  auto lock = thread_.lock();
  while (thread_.wait(lock, [this] { return !jobs_.empty(); })) {
    const Job job = std::move(jobs_.front());
    jobs_.erase(jobs_.begin());
    lock.unlock();
    with_.loop.post(guard_.wrap(job()));
    lock.lock();
  }
}

void ResetSync::look_again() {
  with_.loop.after(kLookEvery, guard_.wrap([this] { look_again(); }));
  look();
}

void ResetSync::look() {
  if (busy_ || !with_.redis.ready() || !ask_.rules_agree()) return;
  busy_ = true;
  if (!knows_record_) return read_record();
  if (connection_ != with_.redis.connections()) return compare_list();
  if (!tasks_.empty()) return next_task();
  read_list();
}

void ResetSync::read_record() {
  on_thread([this, database = settings_.database]() -> Then {
    return [this, last = last_reset_done(database)] {
      if (!last) return give_up_for_now();
      knows_record_ = true;
      read_ = remembered_ = *last;
      compare_list();
    };
  });
}

void ResetSync::compare_list() {
  const std::uint64_t connection = with_.redis.connections();
  auto compare = [this, connection](const Result<RedisReply>& reply) {
    if (!reply && !with_.redis.ready()) return give_up_for_now();
    connection_ = connection;
    const auto newest = reply ? resets_of(*reply) : failure(reply.error().message);
    if (!newest) return strange_list(newest.error().message);
    if (newest->last < read_) list_was_lost(newest->last);
    read_list();
  };
  with_.redis.command({"XREVRANGE", resets_key(settings_.prefix), "+", "-", "COUNT", "1"},
                      guard_.wrap(std::move(compare)));
}

// Its last entry is older than what was done here: it is another one, or an old one. What is asked
// from now on is newer than what it has.
void ResetSync::list_was_lost(const ResetId& last) {
  const bool was_away = looked_ == Steady{} || std::chrono::steady_clock::now() - looked_ >= kAway;
  if (was_away) {
    with_.log.warning(
        "cluster: the engine has lost its list of resets; those that were typed on other hosts "
        "while this one was away are not done here");
  }
  read_ = last;
}

void ResetSync::read_list() {
  auto listed = [this](const Result<RedisReply>& reply) {
    if (!reply && !with_.redis.ready()) return give_up_for_now();
    auto read = reply ? resets_of(*reply) : failure(reply.error().message);
    if (!read) return strange_list(read.error().message);
    if (read->strange > 0) warn_strange("it has entries of another kind");
    looked_ = std::chrono::steady_clock::now();
    read_ = std::max(read_, read->last);
    for (ResetEntry& entry : read->entries) tasks_.push_back({std::move(entry), {}});
    if (read->last == ResetId{} && tasks_.empty()) return settle();
    next_task();
  };
  with_.redis.command(words_to_read(settings_.prefix, read_), guard_.wrap(std::move(listed)));
}

// It keeps no host from sharing.
void ResetSync::strange_list(const std::string& why) {
  caught_up_ = connection_;
  busy_ = false;
  warn_strange(why);
}

void ResetSync::warn_strange(const std::string& why) {
  const auto now = std::chrono::steady_clock::now();
  if (strange_at_ && now - *strange_at_ < kRemindStrange) return;
  strange_at_ = now;
  with_.log.warning(fmt::format("cluster: resets cannot be read: {}; the key {} should be deleted",
                                printable(why, 200), in_quotes(resets_key(settings_.prefix), 200)));
}

void ResetSync::next_task() {
  if (tasks_.empty()) return read_list();
  const ResetRequest& request = tasks_.front().entry.request;
  if (request.kind == ResetRequest::Kind::forget) return finish_task();
  if (!request.keys.empty()) return clear_named(0);
  clear_stored(0);
}

void ResetSync::clear_named(std::size_t from) {
  const ResetRequest& request = tasks_.front().entry.request;
  const std::size_t count = request.limit_ids.size() * request.keys.size();
  if (from >= count) return finish_task();
  const std::size_t to = std::min(count, from + kSlice);
  Counters counters;
  for (std::size_t i = from; i < to; ++i) {
    counters.push_back(
        {request.limit_ids[i / request.keys.size()], request.keys[i % request.keys.size()]});
  }
  clear_gone(counters, [this, counters, to] { clear(counters, [this, to] { clear_named(to); }); });
}

// All counters of the limits: first those of the database.
void ResetSync::clear_stored(std::int64_t rowid) {
  on_thread([this, rowid, database = settings_.database,
             ids = tasks_.front().entry.request.limit_ids]() -> Then {
    return [this, found = counters_of_limits(database, ids, rowid, kSlice)] {
      if (!found) tasks_.front().stored = false;
      if (!found || found->counters.empty()) return clear_in_engine(0, "0");
      Counters counters;
      for (const auto& one : found->counters) counters.push_back({one.limit_id, one.key});
      clear(std::move(counters), [this, last = found->last_rowid] { clear_stored(last); });
    };
  });
}

// ... then those whose fields the engine has, though the database no longer has a row.
void ResetSync::clear_in_engine(std::size_t limit, const std::string& cursor) {
  const std::vector<std::int64_t>& ids = tasks_.front().entry.request.limit_ids;
  if (limit >= ids.size()) return finish_task();
  auto scanned = [this, limit](const Result<RedisReply>& reply) {
    if (!reply && !with_.redis.ready()) return give_up_for_now();  // later, from the start
    if (!reply || reply->list.size() != 2) {
      warn_strange("the engine does not list its keys");
      return finish_task();
    }
    clear_scanned(limit, reply->list[0].text, reply->list[1]);
  };
  with_.redis.command({"SCAN", cursor, "MATCH", counters_pattern(settings_.prefix, ids[limit]),
                       "COUNT", std::string{kScan}},
                      guard_.wrap(std::move(scanned)));
}

void ResetSync::clear_scanned(std::size_t limit, const std::string& cursor,
                              const RedisReply& keys) {
  const std::int64_t id = tasks_.front().entry.request.limit_ids[limit];
  const std::string begin = fmt::format("{}c:{}:", settings_.prefix, id);
  Counters counters;
  for (const RedisReply& key : keys.list) {
    if (key.text.starts_with(begin)) counters.push_back({id, key.text.substr(begin.size())});
  }
  const bool at_end = cursor == "0" || cursor.empty();
  const Then then = [this, limit, cursor, at_end] {
    clear_in_engine(at_end ? limit + 1 : limit, at_end ? "0" : cursor);
  };
  if (counters.empty()) return then();
  clear_gone(counters, [this, begin, counters, then] { clear_own_fields(begin, counters, then); });
}

// The parts of hosts that have left the cluster, or had another name.
void ResetSync::clear_gone(const Counters& counters, Then then) {
  std::vector<std::string> names;
  for (const Counter& one : counters) names.push_back(counter_name(one.limit_id, one.key));
  auto cleared = [this, then = std::move(then)](const Result<RedisReply>& reply) {
    if (!reply && !with_.redis.ready()) return give_up_for_now();
    if (reply && reply->number > 0) {
      tasks_.front().cleared += static_cast<std::uint64_t>(reply->number);
    }
    then();
  };
  with_.redis.command(words_to_clear_gone(settings_.prefix, settings_.node, names),
                      guard_.wrap(std::move(cleared)));
}

// Those of the counters in which the engine has a field of this host.
void ResetSync::clear_own_fields(const std::string& begin, Counters counters, const Then& then) {
  struct Found {
    Counters own;
    std::size_t replies = 0;
  };
  const auto found = std::make_shared<Found>();  // of all callbacks
  const std::size_t count = counters.size();
  for (Counter& one : counters) {
    std::string key = begin + one.key;
    auto exists = [this, found, count, one = std::move(one),
                   then](const Result<RedisReply>& reply) {
      if (reply && reply->number == 1) found->own.push_back(one);
      if (++found->replies < count) return;
      if (!with_.redis.ready()) return give_up_for_now();
      if (found->own.empty()) return then();
      clear(std::move(found->own), then);
    };
    with_.redis.command({"HEXISTS", std::move(key), settings_.node},
                        guard_.wrap(std::move(exists)));
  }
}

void ResetSync::clear(Counters counters, Then then) {
  // shared_ptr: of both functions.
  const auto shared = std::make_shared<Counters>(std::move(counters));
  ask_.in_batch(guard_.wrap([this, shared](Transaction& store) { clear_in_batch(store, *shared); }),
                guard_.wrap([this, shared, then = std::move(then)](Store::Outcome outcome) {
                  if (outcome != Store::Outcome::stored) tasks_.front().stored = false;
                  with_.counters.write_now();
                  wait_until_written(std::move(*shared), then);
                }));
}

void ResetSync::clear_in_batch(Transaction& store, const Counters& counters) {
  Task& task = tasks_.front();
  if (!task.began) task.began = store.now();
  const auto periods = periods_of(store.rules());
  for (const Counter& one : counters) {
    const auto found = periods.find(one.limit_id);
    const Millis period = found == periods.end() ? Millis{0} : found->second;
    // A pair holds what arrived within a sixtieth of the period.
    const TimePoint until =
        std::min(*task.began, task.entry.id.time() + kGrace + period / Window::kJoinParts);
    policyd::Counter& counter = store.counter(one.limit_id, one.key);
    if (period > Millis{0}) counter.window.advance(store.now(), period);
    if (drop_arrived(counter, until)) {
      store.changed(counter, 0);
      ++task.cleared;
    }
    const bool shares = counter.windowed && period > Millis{0};
    with_.counters.changed(one.limit_id, one.key, shares ? counter.window : Window{}, period);
  }
}

void ResetSync::wait_until_written(Counters counters, Then then) {
  if (!with_.counters.status().sharing) {
    tasks_.front().written = false;  // once it shares again
    return then();
  }
  const bool all = std::all_of(counters.begin(), counters.end(), [this](const Counter& one) {
    return with_.counters.is_written(one.limit_id, one.key);
  });
  if (all) return then();
  with_.loop.after(kCheckWritten,
                   guard_.wrap([this, counters = std::move(counters), then = std::move(then)] {
                     wait_until_written(counters, then);
                   }));
}

void ResetSync::finish_task() {
  Task task = std::move(tasks_.front());
  tasks_.pop_front();
  with_.counters.forget_all();
  if (task.entry.request.kind == ResetRequest::Kind::clear && task.cleared > 0) {
    with_.log.notice(fmt::format("cluster: cleared {} {}, as was asked of all hosts", task.cleared,
                                 task.cleared == 1 ? "counter" : "counters"));
  }
  if (!task.stored) {
    if (!std::exchange(task.warned, true)) {
      with_.log.warning(
          "cluster: counters that were reset for all hosts are cleared in memory alone, until the "
          "database can be written");
    }
    retry_ = std::chrono::steady_clock::now() + kRetry;
    unstored_.push_back(std::move(task));
  } else {
    if (task.entry.request.kind == ResetRequest::Kind::clear) announce(task.entry);
    const bool late = with_.counters.now() - task.entry.id.time() >= kLate &&
                      task.entry.request.kind == ResetRequest::Kind::clear;
    done_.push_back({task.entry.id, task.cleared, task.written, late});
  }
  next_task();
}

// Once the refusals of before are in the database.
void ResetSync::announce(const ResetEntry& entry) {
  const TimePoint at = std::min(with_.counters.now(), entry.id.time() + kGrace);
  with_.loop.after(kEventsWritten, guard_.wrap([this, at, request = entry.request] {
    on_thread([at, request, database = settings_.database]() -> Then {
      // What was cleared counts, not that it is remembered.
      static_cast<void>(announce_reset(database, request, at));
      return [] {};
    });
  }));
}

// All that were asked are in force.
void ResetSync::settle() {
  caught_up_ = connection_;
  if (!unstored_.empty() && std::chrono::steady_clock::now() >= retry_) {
    for (Task& task : std::exchange(unstored_, {})) {
      task.stored = task.written = true;
      tasks_.push_back(std::move(task));
    }
    return next_task();
  }
  if (!unstored_.empty() || remembered_ == read_) return say_done();
  on_thread([this, id = read_, database = settings_.database]() -> Then {
    return [this, id, done = remember_reset_done(database, id)] {
      if (done) remembered_ = id;
      say_done();
    };
  });
}

// What this host says comes after what it has written: one connection keeps the order.
void ResetSync::say_done() {
  busy_ = false;
  if (done_.empty() || !unstored_.empty() || remembered_ != read_) return;
  const ClusterCounters::Status status = with_.counters.status();
  const auto ignore = [](const Result<RedisReply>&) {};
  bool late = false;
  std::erase_if(done_, [&](const Done& one) {
    if (!one.written && !(status.sharing && status.unwritten == 0)) return false;
    const std::string key = resets_done_key(settings_.prefix, one.id);
    with_.redis.command({"HSET", key, settings_.node, std::to_string(one.cleared)}, ignore);
    with_.redis.command({"EXPIRE", key, std::string{kDoneSeconds}}, ignore);
    late = late || one.late;
    return true;
  });
  if (!late) return;
  with_.redis.command(words_to_add(settings_.prefix, {ResetRequest::Kind::forget, {}, {}}), ignore);
}

}  // namespace policyd
