// SPDX-License-Identifier: AGPL-3.0-only
#include "world.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "daemon/base/ip_address.hpp"
#include "daemon/counting/counters.hpp"
#include "daemon/protocol/policy_protocol.hpp"

namespace differential {

using namespace policyd;

namespace {

// Later than any clock that runs this, so that rows of open messages are never too old.
constexpr TimePoint kStart{std::chrono::seconds{4'000'000'000}};
constexpr std::size_t kMaxOpen = 40;
constexpr std::uint64_t kMaxBytes = 400'000;

Millis pause(Random& random) {
  const std::size_t kind = random.below(100);
  const std::int64_t most_ms = kind < 40   ? 200
                               : kind < 80 ? 10'000
                               : kind < 97 ? 120'000
                                           : 7'200'000;
  return Millis{random.between(0, most_ms)};
}

}  // namespace

class World::Asker final : public Pending {
 public:
  Asker(const Asked& asked, const Engine& engine)
      : engine_(engine), sender_(asked.sender()), recipient_(asked.recipient()) {
    request_.state = asked.end_of_message ? ProtocolState::end_of_message : ProtocolState::rcpt;
    request_.instance = asked.instance;
    request_.sender = sender_;
    request_.recipient = recipient_;
    if (asked.sasl) request_.sasl_username = *asked.sasl;
    request_.client_address = IpAddress::parse(asked.client->text).value();
    request_.reverse_client_name = asked.host;
    request_.size_bytes = asked.bytes;
  }
  [[nodiscard]] const Request& request() const override { return request_; }
  void answer(const Verdict& verdict) override {
    std::string line;
    append_action(line, verdict);
    answer_ = line.substr(7, line.size() - 9);  // of "action=...\n\n"
    batch_ = engine_.statistics().batches;
  }

  std::string answer_ = "nothing";
  std::uint64_t batch_ = 0;

 private:
  const Engine& engine_;
  std::string sender_, recipient_;
  Request request_;
};

World::World(const std::filesystem::path& folder, std::uint64_t seed)
    : random_(seed),
      rules_(random_rules(random_)),
      algorithm_(random_.percent(70) ? Model::Algorithm::window : Model::Algorithm::decay),
      model_(rules_, algorithm_),
      file_(folder / "world.sqlitedb"),
      now_(kStart) {
  LogSettings log;
  log.file = "/dev/null";
  log.level = LogLevel::error;
  log_ = std::move(Maillog::open(log).value());
  if (const auto made = create_database(file_); !made)
    throw std::runtime_error(made.error().message);
  admin_ = std::move(open_database(file_, OpenMode::read_write, std::chrono::seconds{5}).value());
  admin(
      "DELETE FROM quotas_limits; DELETE FROM quotas; DELETE FROM policy_members;"
      "DELETE FROM policies; DELETE FROM policy_group_members; DELETE FROM policy_groups;" +
      to_sql(rules_));
  start();
}

World::~World() {
  engine_.reset();
  store_.reset();
}

void World::admin(const std::string& sql) {
  const auto done = sql::execute_or_explain(admin_.get(), sql);
  if (!done) throw std::runtime_error(done.error().message + " in " + sql);
}

void World::start() {
  loop_ = std::make_unique<ManualLoop>();
  SqliteStoreSettings settings;
  settings.file = file_;
  store_ = std::make_unique<SqliteStore>(*loop_, *log_, settings);
  store_->open();
  Config config;
  config.quotas = true;
  config.quotas_algorithm = algorithm_ == Model::Algorithm::window ? policyd::Algorithm::window
                                                                   : policyd::Algorithm::decay;
  engine_ = std::make_unique<Engine>(*loop_, *store_, *log_, config, [this] { return now_; });
}

// Unless clean, everything in memory is lost, as after kill -9.
void World::restart(bool clean) {
  if (clean) {
    engine_->save_open_sessions();
    store_->close(std::chrono::seconds{5});
  }
  engine_.reset();
  store_.reset();
  model_.restart(clean, now_.time_since_epoch() / Millis{1});
  ++(clean ? figures_->restarts : figures_->crashes);
  start();
}

// An admin's change with sqlite3, in force by the next question.
void World::change_something() {
  ++figures_->changes;
  Policy& policy = rules_.policies[random_.below(rules_.policies.size())];
  const std::string of_policy = " WHERE ID = " + std::to_string(policy.id);
  const auto toggle = [this](bool& disabled, const std::string& table, const std::string& where) {
    disabled = !disabled;
    model_.rules_changed();
    admin("UPDATE " + table + " SET Disabled = " + (disabled ? "1" : "0") + where);
  };
  const std::size_t what = random_.below(5);
  if (what == 0) return toggle(policy.disabled, "policies", of_policy);
  if (what <= 2 && !policy.quotas.empty()) {
    Quota& quota = policy.quotas[random_.below(policy.quotas.size())];
    const std::string of_quota = " WHERE ID = " + std::to_string(quota.id);
    if (what == 1) return toggle(quota.disabled, "quotas", of_quota);
    Limit& limit = quota.limits[random_.below(quota.limits.size())];
    limit.most = static_cast<double>(random_.between(1, 40));
    model_.rules_changed();
    admin("UPDATE quotas_limits SET CounterLimit = " + std::to_string(limit.most) +
          " WHERE ID = " + std::to_string(limit.id));
    return;
  }
  if (model_.counts().empty()) return;
  const auto row =
      std::next(model_.counts().begin(), static_cast<long>(random_.below(model_.counts().size())));
  const Model::Key key = row->first;
  const std::string of_row = " WHERE QuotasLimitsID = " + std::to_string(key.first) +
                             " AND TrackKey = '" + key.second + "'";
  if (what == 3) {
    model_.remove(key);
    admin("DELETE FROM quotas_tracking" + of_row);
    return;
  }
  // A number that no row has, so that the row really changes.
  const std::int64_t counter = random_.percent(50) ? 0 : 1'000'000 + random_.between(0, 1'000'000);
  auto same =
      sql::Statement::prepare(admin_.get(), "SELECT 1 FROM quotas_tracking" + of_row +
                                                " AND Counter = " + std::to_string(counter));
  if (same && same->step() == SQLITE_ROW) return;
  model_.edit(key, static_cast<double>(counter), now_.time_since_epoch() / Millis{1});
  admin("UPDATE quotas_tracking SET Counter = " + std::to_string(counter) + of_row);
}

Asked World::next_question() {
  const std::size_t what = random_.below(100);
  if (open_.empty() || (what < 35 && open_.size() < kMaxOpen)) {
    Message message;
    message.last = random_sender(random_);
    message.last.instance = "m" + std::to_string(++messages_);
    open_.push_back(std::move(message));
  }
  const std::size_t place = what < 35 ? open_.size() - 1 : random_.below(open_.size());
  Message& message = open_[place];
  Asked asked = message.last;
  asked.bytes = random_.percent(40) ? 0 : random_.below(kMaxBytes);
  if (what >= 75 && !asked.recipient_user.empty()) {
    if (what < 85) return asked;  // Postfix asks twice
    asked.end_of_message = true;
    asked.recipient_user.clear();
    if (what < 97) open_.erase(open_.begin() + static_cast<long>(place));
    return asked;
  }
  random_recipient(random_, asked);
  message.last = asked;
  return asked;
}

std::string World::about(const Asked& asked) const {
  return std::string{asked.end_of_message ? "END " : "RCPT "} + asked.instance + " <" +
         asked.sender() + "> to <" + asked.recipient() + "> from " +
         std::string{asked.client->text} + " " + asked.host + " sasl " +
         asked.sasl.value_or("(none)") + ", " + std::to_string(asked.bytes) + " bytes at " +
         std::to_string(now_.time_since_epoch() / Millis{1}) +
         (algorithm_ == Model::Algorithm::window ? ", window" : ", decay");
}

// One turn of the loop, which may be several batches.
std::optional<std::string> World::ask(const std::vector<Asked>& questions) {
  std::vector<std::shared_ptr<Asker>> askers;
  for (const Asked& question : questions) {
    askers.push_back(std::make_shared<Asker>(question, *engine_));
    engine_->ask(askers.back());
  }
  loop_->run_posted();
  last_batch_.clear();
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const Asker& asker = *askers[i];
    ++figures_->requests;
    if (i > 0 && asker.batch_ != askers[i - 1]->batch_) last_batch_.clear();
    last_batch_.push_back(questions[i]);
    const auto right = model_.objection(questions[i], asker.answer_,
                                        now_.time_since_epoch() / Millis{1}, asker.batch_);
    if (!right) continue;
    return about(questions[i]) + ": the daemon says '" + asker.answer_ + "', the model '" + *right +
           "'\n" + to_sql(rules_);
  }
  return std::nullopt;
}

std::optional<std::string> World::compare_rows() {
  auto rows = sql::Statement::prepare(
      admin_.get(), "SELECT QuotasLimitsID, TrackKey, Counter, LastUpdate FROM quotas_tracking");
  std::size_t count = 0;
  while (rows->step() == SQLITE_ROW) {
    ++count;
    const Model::Key key{rows->integer(0), std::string{rows->text(1)}};
    const auto right = model_.objection_to_row(key, rows->real(2), rows->real(3));
    if (!right) continue;
    return "limit " + std::to_string(key.first) + " of " + key.second + ": the row says " +
           std::to_string(rows->real(2)) + " as of " + std::to_string(rows->real(3)) +
           ", the model " + *right + "\n" + to_sql(rules_);
  }
  figures_->rows += count;
  if (count == model_.counts().size()) return std::nullopt;
  return std::to_string(count) + " rows, and the model has " +
         std::to_string(model_.counts().size());
}

std::optional<std::string> World::play(std::uint64_t requests, Figures& figures) {
  figures_ = &figures;
  const std::uint64_t until = figures.requests + requests;
  std::optional<std::string> differs;
  while (!differs && figures.requests < until) {
    now_ += pause(random_);
    std::vector<Asked> questions;
    if (random_.percent(1)) {
      restart(random_.percent(50));
      differs = compare_rows();
      // Postfix repeats questions that were not answered.
      if (random_.percent(50)) questions = last_batch_;
    }
    if (random_.percent(3)) change_something();
    const std::size_t more = 1 + random_.below(random_.percent(20) ? 40 : 6);
    for (std::size_t i = 0; i < more; ++i) questions.push_back(next_question());
    if (!differs) differs = ask(questions);
  }
  if (!differs) differs = compare_rows();
  figures.refused += model_.refused();
  figures.ambiguous += model_.ambiguous();
  return differs;
}

}  // namespace differential
