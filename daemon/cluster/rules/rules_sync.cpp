// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/rules/rules_sync.hpp"

#include <fmt/core.h>

#include <charconv>
#include <utility>

#include "daemon/base/printable.hpp"
#include "daemon/cluster/rules/rule_text.hpp"

namespace policyd {
namespace {

// KEYS: the hash, the list, the list with the new rules. ARGV: the version they are based on, their
// own, digest, node, given_ids. 1 if they are published now, 0 if others came before.
constexpr std::string_view kPublish = R"(
local now = redis.call('HGET', KEYS[1], 'version') or '0'
if now ~= ARGV[1] then
  redis.call('DEL', KEYS[3])
  return 0
end
redis.call('RENAME', KEYS[3], KEYS[2])
redis.call('PERSIST', KEYS[2])
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'digest', ARGV[3], 'node', ARGV[4],
  'ids', ARGV[5])
return 1
)";

constexpr std::int64_t kMaxPieces =
    static_cast<std::int64_t>(kMaxRuleBytes / RulesSync::kPieceBytes) + 1;
constexpr std::size_t kDigestBytes = 40;
// An upload that is given up is removed by the engine.
constexpr std::string_view kUploadSeconds = "60";

std::optional<std::int64_t> version_of(std::string_view text) {
  std::int64_t version = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (code != std::errc{} || end != text.data() + text.size() || version < 1) return std::nullopt;
  return version;
}

// Of HMGET version digest ids; nullopt if it is something else.
std::optional<PublishedRules> published_of(const RedisReply& reply) {
  using Kind = RedisReply::Kind;
  if (reply.kind != Kind::list || reply.list.size() != 3) return std::nullopt;
  const RedisReply& version = reply.list[0];
  const RedisReply& digest = reply.list[1];
  if (version.kind == Kind::nothing && digest.kind == Kind::nothing) return PublishedRules{};
  const auto number = version_of(version.text);
  if (!number || digest.text.size() != kDigestBytes) return std::nullopt;
  return PublishedRules{*number, digest.text, reply.list[2].text};
}

}  // namespace

RulesSync::RulesSync(EventLoop& loop, Maillog& log, Redis& redis, Settings settings, Ask ask)
    : loop_(loop),
      log_(log),
      redis_(redis),
      settings_(std::move(settings)),
      ask_(std::move(ask)),
      thread_("shared rules", [this] { work(); }) {
  look_again();
}

std::string RulesSync::key(std::string_view name) const {
  return fmt::format("{}{}", settings_.prefix, name);
}

void RulesSync::on_thread(Job job) {
  thread_.change([&] { jobs_.push_back(std::move(job)); });
}

void RulesSync::work() {
  auto lock = thread_.lock();
  while (thread_.wait(lock, [this] { return !jobs_.empty(); })) {
    const Job job = std::move(jobs_.front());
    jobs_.erase(jobs_.begin());
    lock.unlock();
    loop_.post(guard_.wrap(job()));
    lock.lock();
  }
}

// A timer.
void RulesSync::look_again() {
  loop_.after(kLookEvery, guard_.wrap([this] { look_again(); }));
  look();
}

void RulesSync::look() {
  if (busy_ || !redis_.ready()) return;
  busy_ = true;
  looked_local_ = ask_.local_version();
  redis_.command({"HMGET", key("rules"), "version", "digest", "ids"},
                 guard_.wrap([this](const Result<RedisReply>& reply) { looked(reply); }));
}

void RulesSync::looked(const Result<RedisReply>& reply) {
  if (!reply) return could_not_look(reply.error().message);
  const auto published = published_of(*reply);
  if (!published) return strange_key();
  const bool as_before = *published == published_ && agreed_local_ == looked_local_;
  if (as_before && agrees_) return keep_hosts();
  published_ = *published;
  agreed_local_ = -1;  // whatever fails before they agree: the next look tries again
  on_thread([this, published = published_, database = settings_.database] {
    auto next = next_rule_step(database, published);
    return [this, next = std::move(next)] {
      if (!next) return fail(next.error().message);
      step(*next);
    };
  });
}

// What is wrong with the connection is reported elsewhere, and known a moment later. Otherwise it
// is an error of this command: this host cannot know whether it still has the rules of the others.
void RulesSync::could_not_look(const std::string& error) {
  loop_.post(guard_.wrap([this, error] {
    if (!redis_.ready()) return done();
    if (error.starts_with("WRONGTYPE ")) return strange_key();
    fail(fmt::format("the key {} cannot be read: {}", in_quotes(key("rules")), error));
  }));
}

void RulesSync::strange_key() {
  fail(fmt::format("the key {} holds no rules; delete it, and the hosts publish theirs again",
                   in_quotes(key("rules"))));
}

void RulesSync::keep_hosts() {
  const std::size_t hosts = ask_.hosts();
  if (hosts == kept_hosts_) return done();
  on_thread([this, hosts, database = settings_.database] {
    const bool kept = remember_hosts(database, hosts).has_value();
    return [this, hosts, kept] {
      if (kept) kept_hosts_ = hosts;
      done();
    };
  });
}

void RulesSync::step(const RuleStep& step) {
  switch (step.kind) {
    case RuleStep::Kind::agree:
      return agree();
    case RuleStep::Kind::publish:
      return publish(step.rules, {step.version, step.digest, step.ids});
    case RuleStep::Kind::take:
      redis_.command({"LLEN", key("rules:body")},
                     guard_.wrap([this](const Result<RedisReply>& reply) {
                       if (!reply) return fail(reply.error().message);
                       fetch(reply->number, {}, 0);
                     }));
      return;
    case RuleStep::Kind::choose:
      return fail(
          "this host has other rules than the cluster; to say which hold: carbonio-limits cluster "
          "join --take-theirs, or --give-ours");
  }
}

void RulesSync::publish(const std::string& rules, const PublishedRules& next) {
  const std::string upload = key(fmt::format("rules:from:{}", settings_.node));
  const auto ignore = [](const Result<RedisReply>&) {};
  redis_.command({"DEL", upload}, ignore);
  for (std::size_t at = 0; at < rules.size(); at += kPieceBytes) {
    redis_.command({"RPUSH", upload, rules.substr(at, kPieceBytes)}, ignore);
  }
  redis_.command({"EXPIRE", upload, std::string{kUploadSeconds}}, ignore);
  redis_.command(
      {"EVAL", std::string{kPublish}, "3", key("rules"), key("rules:body"), upload,
       std::to_string(published_.version), std::to_string(next.version), next.digest,
       settings_.node, next.ids},
      guard_.wrap([this, next](const Result<RedisReply>& reply) { published(next, reply); }));
}

void RulesSync::published(const PublishedRules& next, const Result<RedisReply>& reply) {
  if (!reply) return fail(reply.error().message);
  if (reply->number != 1) return done();  // the next look sees the others'
  log_.notice(
      fmt::format("published the rules of this host as version {} of the cluster's", next.version));
  published_ = next;
  on_thread([this, next, database = settings_.database] {
    auto done = remember_published(database, next);
    return [this, done = std::move(done)] {
      if (!done) return fail(done.error().message);
      agree();
    };
  });
}

void RulesSync::fetch(std::int64_t pieces, std::string so_far, std::int64_t next_piece) {
  if (pieces < 1 || pieces > kMaxPieces) return fail("the rules of the cluster are incomplete");
  if (next_piece == pieces) return take(std::move(so_far));
  redis_.command({"LINDEX", key("rules:body"), std::to_string(next_piece)},
                 guard_.wrap([this, pieces, so_far = std::move(so_far),
                              next_piece](const Result<RedisReply>& reply) mutable {
                   if (!reply) return fail(reply.error().message);
                   if (reply->kind != RedisReply::Kind::text) return done();  // replaced meanwhile
                   so_far += reply->text;
                   fetch(pieces, std::move(so_far), next_piece + 1);
                 }));
}

void RulesSync::take(std::string rules) {
  on_thread([this, rules = std::move(rules), published = published_,
             database = settings_.database]() -> std::function<void()> {
    // Changed while it was fetched: the next look fetches it again.
    if (sha1_of(rules) != published.digest) return [this] { done(); };
    auto kept = take_rules(database, rules, published, wall_clock());
    return [this, kept = std::move(kept)] { taken(kept); };
  });
}

void RulesSync::taken(const Result<std::filesystem::path>& kept) {
  if (!kept) return fail(kept.error().message);
  log_.notice(fmt::format("took over rules version {} of the cluster", published_.version));
  if (!kept->empty()) {
    log_.warning(fmt::format("the rules of this host had been changed, too; they are kept in {}",
                             kept->string()));
  }
  // The look after they are in force here agrees.
  agreed_local_ = looked_local_;
  done();
}

void RulesSync::agree() {
  trouble_.clear();
  logged_.clear();
  agreed_local_ = looked_local_;
  agreed_version_ = published_.version;
  agrees_ = true;
  ask_.changed();
  done();
}

void RulesSync::fail(const std::string& why) {
  trouble_ = why;
  if (std::exchange(logged_, why) != why) {
    log_.error(fmt::format("rules are not shared with the other MTAs: {}", printable(why, 400)));
  }
  if (std::exchange(agrees_, false)) ask_.changed();
  loop_.after(kAfterTrouble, guard_.wrap([this] { done(); }));
}

}  // namespace policyd
