// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/engine/engine.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "daemon/engine/ask_module.hpp"
#include "daemon/modules/access_control.hpp"
#include "daemon/modules/make_modules.hpp"

namespace policyd {

namespace {

constexpr std::size_t kCheckClockEvery = 16;  // questions

// The answer to a question that has been answered before.
Verdict repeated(const Verdict& first) {
  // Postfix would add the header twice.
  return first.action == Action::prepend ? Verdict{} : first;
}

}  // namespace

Engine::Engine(EventLoop& loop, Store& store, Maillog& log, const Config& config, Clock clock,
               LookupService* lookups, EventQueue* events, SharedCounters* shared,
               SharedGreylisting* greylisting)
    : loop_(loop),
      store_(store),
      log_(log),
      clock_(std::move(clock)),
      lookups_(lookups),
      events_(events),
      refusals_(events),
      shared_(shared),
      greylisting_(greylisting),
      sessions_(config.max_sessions) {
  configure(config);
}

void Engine::configure(const Config& config) {
  bypass_mode_ = config.bypass_mode;
  recipient_delimiter_ = config.recipient_delimiter;
  sessions_.set_capacity(config.max_sessions);
  track_sessions_ = config.quotas || config.accounting;
  trace_modules_ = config.log_modules;
  modules_ = make_modules(config);
  const bool tables = std::any_of(modules_.begin(), modules_.end(),
                                  [](const auto& module) { return module->uses_tables(); });
  uses_ = tables ? Store::Uses::everything : Store::Uses::counters;
}

void Engine::ask(std::shared_ptr<Pending> pending) {
  enqueue({std::move(pending), {}, {}, {}, {}});
}

void Engine::in_batch(Store::Decide work, Store::Done done) {
  works_.push_back({std::move(work), std::move(done)});
  enqueue({});
}

void Engine::enqueue(Item item) {
  if (waiting_.empty()) batch_began_ = std::chrono::steady_clock::now();
  if (!item.was_parked()) item.arrived = batch_began_;
  waiting_.push_back(std::move(item));
  if (!batch_.empty()) return;  // the next batch begins when this one is answered
  const bool check_clock = waiting_.size() % kCheckClockEvery == 0;
  if (waiting_.size() >= kMaxBatch ||
      (check_clock && std::chrono::steady_clock::now() - batch_began_ >= kMaxBatchTime)) {
    begin_batch();
  } else if (!std::exchange(flush_posted_, true)) {
    loop_.post(guard_.wrap([this] { flush(); }));
  }
}

void Engine::flush() {
  flush_posted_ = false;
  begin_batch();
}

void Engine::finish() { begin_batch(); }

void Engine::save_open_sessions() {
  if (!track_sessions_ || !batch_.empty()) return;
  const auto save = [this](Transaction& store) {
    if (store.rules() == nullptr) return;
    for (SessionRow& row : open_rows(sessions_, *store.rules(), store.now())) {
      store.put_session(std::move(row));
    }
  };
  store_.commit(clock_(), Store::Uses::counters, save, [](Store::Outcome) {});
}

void Engine::begin_batch() {
  if (!batch_.empty() || waiting_.empty()) return;
  if (waiting_.size() <= kMaxBatch) {
    std::swap(batch_, waiting_);
  } else {
    const auto end = waiting_.begin() + kMaxBatch;
    batch_.assign(std::move_iterator{waiting_.begin()}, std::move_iterator{end});
    waiting_.erase(waiting_.begin(), end);
  }
  store_.commit(
      clock_(), uses_of_batch(), [this](Transaction& store) { decide(store); },
      [this](Store::Outcome outcome) { answer_all(outcome); });
}

// Questions that nobody has answered yet count nothing where limits are shared: they ask.
Store::Uses Engine::uses_of_batch() const {
  if (shared_ == nullptr || uses_ == Store::Uses::everything || !works_.empty()) return uses_;
  const auto is_parked = [](const Item& item) { return item.was_parked(); };
  return std::any_of(batch_.begin(), batch_.end(), is_parked) ? uses_
                                                              : Store::Uses::counters_to_read;
}

void Engine::decide(Transaction& store) {
  paused_ = pause_.in_force(store.now());
  done_ = std::exchange(works_, {});
  for (const Work& work : done_) work.run(store);
  for (Item& item : batch_) {
    if (!item.pending) continue;  // stands for work
    auto verdict = decide_one(item, store);
    if (!verdict) continue;
    if (item.granted) settle(*item.granted, store);
    if (!paused_) item.verdict = std::move(*verdict);
    const std::uint64_t requests = 1 + item.repeats.size();
    statistics_.requests += requests;
    if (item.verdict.refuses()) statistics_.refused += requests;
  }
  ++statistics_.batches;
  if (shared_ != nullptr) shared_->flush();
}

std::vector<std::string> Engine::module_names() const {
  std::vector<std::string> names;
  for (const auto& module : modules_) names.emplace_back(module->name());
  return names;
}

Engine::Statistics Engine::statistics() const {
  Statistics now = statistics_;
  now.sessions = sessions_.size();
  return now;
}

void Engine::answer_all(Store::Outcome outcome) {
  const Steady now = std::chrono::steady_clock::now();
  // A connection may ask its next question at once; it waits for the next batch.
  for (Item& item : batch_) {
    if (!item.pending) continue;  // parked, or work
    statistics_.times.add(now - item.arrived, 1 + item.repeats.size());
    item.pending->answer(item.verdict);
    for (const auto& repeat : item.repeats) repeat->answer(repeated(item.verdict));
  }
  batch_.clear();
  for (const Work& work : std::exchange(done_, {})) work.done(outcome);
  if (waiting_.empty() || std::exchange(flush_posted_, true)) return;
  loop_.post(guard_.wrap([this] { flush(); }));
}

std::optional<Verdict> Engine::decide_one(Item& item, Transaction& store) {
  const Request& request = item.pending->request();
  if (item.was_parked()) {
    auto first = parked_.extract(key_of(request));
    if (first) item.repeats = std::move(first.mapped().repeats);
  }
  if (request.state == ProtocolState::other) return Verdict{};
  // Blocks hold without any module.
  const bool rcpt = request.state == ProtocolState::rcpt;
  if (modules_.empty() && (!rcpt || store.rules() == nullptr)) return Verdict{};
  if (store.rules() == nullptr) return paused_ ? Verdict{} : bypass(request);
  if (rcpt) return decide_rcpt(item, store);
  return decide_message(item, store);
}

// No rules could be read so far: the only case in which database trouble affects the mail.
Verdict Engine::bypass(const Request& request) {
  const bool pass = bypass_mode_ == Bypass::pass;
  if (log_.mail_enabled()) {
    log_.mail(fmt::format(
        "module=Core, action={}, host={}, helo={}, from={}, to={}, reason=db_failure_bypass",
        pass ? "pass" : "tempfail", request.client_address.to_short_string(), request.helo_name,
        request.sender, request.recipient));
  }
  if (pass) return {};
  return {Action::defer, "Mail limits cannot be read at the moment; please try again later"};
}

// A message that another process began. Null if it has ended or is unknown.
Session* Engine::resume_session(const Request& request, Transaction& store) {
  const auto row = track_sessions_ ? store.session(request.instance) : std::nullopt;
  auto session = row ? resume(*row) : std::nullopt;
  return session ? &sessions_.add(std::move(*session)) : nullptr;
}

std::optional<Verdict> Engine::decide_rcpt(Item& item, Transaction& store) {
  const Request& request = item.pending->request();
  if (waits_for_first(item)) return std::nullopt;
  if (store.was_under_way(request.instance) && sessions_.find(request.instance) == nullptr) {
    resume_session(request, store);
  }
  Session& session = sessions_.open(request);
  session.last_rcpt = store.now();
  const Rules& rules = *store.rules();
  if (session.first_rcpt == TimePoint{}) {
    session.first_rcpt = store.now();
    session.rules_version = rules.version;
  }
  const auto known = session.find(request.recipient);
  if (known && !paused_) return repeated(known->answer.verdict());
  const Extensions extensions{recipient_delimiter_, rules.own_domains};
  const auto policies = matcher_.match(*rules.index, request, extensions);
  const AccessControlRow* block = block_in_force(rules, policies, store.now());
  if (known && block == nullptr) return repeated(known->answer.verdict());
  session.end_of_message.reset();
  const std::uint64_t hash = question_hash(request);
  RcptQuestion question{
      {request, rules, store, log_, store.begin_question(hash), {}}, policies, {}};
  prepare(question, item);
  question.session = &session;
  if (block != nullptr) {
    refuse_blocked(question, *block);
    if (events_ != nullptr) refusals_.note(AccessControl{}, question);
    item.verdict = question.verdict;  // also in a pause
  } else {
    if (look_up(item, question)) return std::nullopt;
    if (item.lookups) question.lookups = std::move(*item.lookups);
    if (!ask_modules(question)) return ask_others(item, question);
  }
  if (!question.verdict.refuses()) store.end_question(hash);
  // Postfix's own limit is a thousand; beyond ours a repeated question counts again.
  if (known || session.recipients() >= Session::kMaxRecipients) return std::move(question.verdict);
  policy_ids_.clear();
  for (const std::uint32_t index : policies) policy_ids_.push_back(rules.policies[index].id);
  session.add_recipient(request.recipient, policy_ids_, sessions_.remember(question.verdict),
                        question.reached_quotas, question.counted);
  return std::move(question.verdict);
}

// Of both kinds of questions.
void Engine::prepare(Question& question, Item& item) {
  question.paused = paused_;
  question.extensions = {recipient_delimiter_, question.rules.own_domains};
  question.shared = shared_;
  question.greylisting = greylisting_;
  question.events = events_;
  if (item.granted) question.granted = &*item.granted;
  if (item.known) question.known = &*item.known;
  if (item.granted || item.known) question.verdict = std::exchange(item.verdict, {});
}

// A repeat of a question that waits waits with it.
bool Engine::waits_for_first(Item& item) {
  if (item.was_parked() || parked_.empty()) return false;
  const auto first = parked_.find(key_of(item.pending->request()));
  if (first == parked_.end()) return false;
  first->second.repeats.push_back(std::move(item.pending));
  return true;
}

// Whether the question has to wait for the DNS first. It waits once: the result is used even if the
// rules need more lookups by then.
bool Engine::look_up(Item& item, const RcptQuestion& question) {
  if (item.was_parked() || lookups_ == nullptr || paused_) return false;
  NeededLookups needed;
  for (const auto& module : modules_) {
    const NeededLookups more = module->needed_lookups(question);
    needed = {needed.helo || more.helo, needed.spf || more.spf};
  }
  if (!needed.any()) return false;
  const Request& request = question.request;
  LookupQuestion lookup{needed, std::string{request.helo_name}, std::string{request.sender},
                        request.client_address};
  lookups_->look_up(std::move(lookup), guard_.wrap([this, key = park(item)](Lookups found) {
    unpark(key, std::move(found), {});
  }));
  return true;
}

// The question would count in limits that other MTAs share, or they may know its triplet.
std::nullopt_t Engine::ask_others(Item& item, Question& question) {
  item.verdict = std::move(question.verdict);
  if (question.asked) {
    ask_about_triplet(item, std::move(*question.asked));
    return std::nullopt;
  }
  shared_->ask(std::move(question.wanted), guard_.wrap([this, key = park(item)](Granted granted) {
    unpark(key, {}, std::move(granted));
  }));
  return std::nullopt;
}

void Engine::ask_about_triplet(Item& item, TripletQuestion asked) {
  greylisting_->ask(std::move(asked),
                    guard_.wrap([this, key = park(item)](const TripletAnswer& known) {
                      unpark(key, {}, {}, known);
                    }));
}

// What the others have allowed was counted here, or will not be.
void Engine::settle(const Granted& granted, Transaction& store) {
  if (granted.exceeded >= 0 || !granted.own_limits.empty()) return;
  for (const Wanted& wanted : granted.wanted) {
    const Counter& counter = store.counter(wanted.limit_id, wanted.track_key);
    shared_->settle(wanted.limit_id, wanted.track_key, counter.window, wanted.units,
                    granted.counted);
  }
}

// Of a question that waits. No instance contains a line feed. Valid until the next call.
const std::string& Engine::key_of(const Request& request) {
  key_.assign(request.instance);
  key_ += request.state == ProtocolState::rcpt ? "\nRCPT\n" : "\n\n";
  return key_ += request.recipient;
}

// The key under which unpark() finds it.
std::string Engine::park(Item& item) {
  const std::string& key = key_of(item.pending->request());
  parked_.insert_or_assign(key, std::move(item));
  return key;
}

void Engine::unpark(const std::string& key, std::optional<Lookups> found,
                    std::optional<Granted> granted, std::optional<TripletAnswer> known) {
  const auto first = parked_.find(key);
  if (first == parked_.end()) return;
  // The entry stays for repeats until the question is decided.
  Item& item = first->second;
  enqueue({item.pending,
           std::move(item.verdict),
           std::move(found),
           std::move(granted),
           std::move(known),
           {},
           item.arrived});
}

std::optional<Verdict> Engine::decide_message(Item& item, Transaction& store) {
  const Request& request = item.pending->request();
  if (waits_for_first(item)) return std::nullopt;
  Session* session = sessions_.find(request.instance);
  if (session == nullptr) session = resume_session(request, store);
  if (session == nullptr) return Verdict{};
  if (session->end_of_message) return repeated(session->end_of_message->verdict());

  const std::uint64_t hash = question_hash(request);
  MessageQuestion question{{request, *store.rules(), store, log_, store.begin_question(hash), {}},
                           *session};
  prepare(question, item);
  if (!ask_modules(question)) return ask_others(item, question);

  if (!question.verdict.refuses()) store.end_question(hash);
  if (track_sessions_) {
    store.put_session(ended_row(request, *session, question.rules));
  }
  session->end_of_message = sessions_.remember(question.verdict);
  session->forget_recipients();
  return std::move(question.verdict);
}

// With `log_detail=modules` and level 4 also logs which were asked, and the answer after each:
// "state=RCPT, instance=1.2.3, from=a@x, to=b@y: CheckHelo dunno, Quotas defer (final)"
template <typename AnyQuestion>
bool Engine::ask_modules(AnyQuestion& question) {
  bool resumes = question.granted != nullptr || question.known != nullptr;
  const bool traced = trace_modules_ && log_.enabled(LogLevel::debug);
  std::string trace;
  for (const auto& module : modules_) {
    if (resumes && !module->has_waited(question)) continue;
    resumes = false;
    if (paused_ && (!pause_.counted || !module->decides_what_counts())) continue;
    const Next next = ask_module(*module, question);
    if (next == Next::wait) return false;
    if (traced) {
      fmt::format_to(std::back_inserter(trace), "{}{} {}{}", trace.empty() ? "" : ", ",
                     module->name(), name_of(question.verdict.action),
                     next == Next::stop ? " (final)" : "");
    }
    if (next == Next::stop) {
      if (events_ != nullptr) refusals_.note(*module, question);
      break;
    }
  }
  if (paused_) question.verdict = {};
  if (!traced) return true;
  const Request& request = question.request;
  log_.write(LogLevel::debug,
             fmt::format("state={}, instance={}, from={}, to={}: {}",
                         request.state == ProtocolState::rcpt ? "RCPT" : "END-OF-MESSAGE",
                         request.instance, request.sender, request.recipient,
                         trace.empty() ? "no module asked" : trace));
  return true;
}

}  // namespace policyd
