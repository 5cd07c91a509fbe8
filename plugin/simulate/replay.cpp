// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/simulate/replay.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <queue>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "daemon/base/mail_address.hpp"
#include "plugin/simulate/later_tries.hpp"
#include "plugin/simulate/tried_engine.hpp"

namespace limits {
namespace {

using policyd::Action;
using policyd::Millis;
using policyd::TimePoint;

constexpr std::uint64_t kProgressEveryMails = 4096;  // and tries

// As Postfix tries again: after as long as the mail is old, within these bounds, for five days.
constexpr std::chrono::seconds kSoonestRetry{300};
constexpr std::chrono::seconds kLatestRetry{4000};
constexpr std::chrono::hours kGivesUp{24 * 5};

class Player {
 public:
  Player(const Mails& mails, const ReplayRules& rules, const policyd::Config& config,
         ReplayWish wish)
      : mails_(mails),
        rules_(rules),
        wish_(wish),
        watching_(rules.watching, config, false),
        deciding_(rules.deciding, config, config.quotas_algorithm == policyd::Algorithm::decay) {
    for (const policyd::Policy& policy : rules.deciding->policies) {
      for (const policyd::Quota& quota : policy.quotas) {
        for (const policyd::QuotaLimit& limit : quota.limits) {
          if (policyd::is_size(limit.type)) sizes_.insert(limit.id);
          if (policyd::is_of_each_message(limit.type)) of_each_message_.insert(limit.id);
        }
      }
    }
    if (wish.quarters) {
      watching_.store().on_recipient = [this](const TriedCounter& counter) {
        const auto quarter = std::chrono::floor<QuarterHour>(now_.time_since_epoch());
        out_.quarters.push_back({counter.number, static_cast<std::uint32_t>(quarter.count())});
      };
    }
  }

  Replay play(const std::function<bool(std::uint64_t)>& progress) {
    std::uint32_t i = 0;
    const auto may_go_on = [&] { return !progress || progress(i); };
    for (; i < mails_.all.size(); ++i) {
      if (!try_again_until(mails_.all[i].time, may_go_on)) return finish();
      play_mail(i);
      if (i % kProgressEveryMails == 0 && !may_go_on()) return finish();
    }
    try_again_until(TimePoint::max(), may_go_on);
    return finish();
  }

 private:
  // Another server's mail that the tried rules deferred, though it passed in the log.
  struct Retry {
    TimePoint at{};
    std::uint32_t hit = 0;
    bool operator>(const Retry& other) const {
      return std::pair{at, hit} > std::pair{other.at, other.hit};
    }
  };

  policyd::Request request_of(const LoggedMail& mail, policyd::ProtocolState state) {
    policyd::Request request;
    request.state = state;
    request.instance = instance_;
    request.sender = mails_.names.text(mail.sender);
    if (mail.login != 0) request.sasl_username = mails_.names.text(mail.login);
    request.client_address = address_of(mail.client);
    request.size_bytes = mail.size;
    request.client_name = request.reverse_client_name = "unknown";
    request.protocol_name = "ESMTP";
    return request;
  }

  const policyd::IpAddress& address_of(Names::Number client) {
    const auto [known, fresh] = addresses_.try_emplace(client);
    if (fresh) {
      const auto parsed = policyd::IpAddress::parse(mails_.names.text(client));
      if (parsed) known->second = *parsed;
    }
    return known->second;
  }

  void next_instance() { instance_ = fmt::format("{}", ++instances_); }

  void play_mail(std::uint32_t number) {
    const LoggedMail& mail = mails_.all[number];
    now_ = std::max(now_, mail.time);
    next_instance();
    const policyd::Request end = request_of(mail, policyd::ProtocolState::end_of_message);
    policyd::Request rcpt = request_of(mail, policyd::ProtocolState::rcpt);
    std::uint64_t fresh = 0;
    passed_.clear();
    any_passed_ = false;
    // The log has refused recipients first; Postfix asked about those first that had room.
    for (const bool of_refused : {false, true}) {
      mails_.each_recipient(mail, [&](Names::Number recipient, bool refused) {
        if (refused != of_refused) return;
        rcpt.recipient = mails_.names.text(recipient);
        if (play_recipient(number, recipient, refused, rcpt)) ++fresh;
      });
    }
    if (fresh == 0) return;
    ++out_.messages;
    out_.recipients += fresh;
    if (!watching_.counts_sizes()) return;
    watching_.ask(end, now_);
    if (!wish_.decides || !any_passed_) return;
    const TriedEngine::Answer answer = deciding_.ask(end, now_);
    if (!answer.hit) return;
    // The message is refused as a whole.
    for (const Names::Number recipient : passed_) note_hit(number, recipient, answer);
  }

  // False if it is a later try of a mail that was counted before.
  bool play_recipient(std::uint32_t number, Names::Number recipient, bool refused,
                      const policyd::Request& rcpt) {
    const std::uint64_t key = key_of(mails_.all[number], recipient);
    if (LaterTries::Waiting* const again = tries_.find(key, now_)) {
      play_again(key, *again, refused, rcpt);
      return false;
    }
    watching_.ask(rcpt, now_);
    if (!wish_.decides) {
      if (refused) tries_.add(key, {now_, LaterTries::kNoHit});
      return true;
    }
    const TriedEngine::Answer answer = deciding_.ask(rcpt, now_);
    std::uint32_t hit = LaterTries::kNoHit;
    if (answer.hit) {
      hit = note_hit(number, recipient, answer);
    } else {
      passed_.push_back(recipient);
    }
    if (!answer.verdict.refuses()) any_passed_ = true;
    const bool comes_again = answer.verdict.action == Action::defer;
    if (refused) {
      tries_.add(key, {now_, comes_again ? hit : LaterTries::kNoHit});
    } else if (comes_again && hit != LaterTries::kNoHit && is_of_a_server(mails_.all[number])) {
      retry_later(hit);
    }
    return true;
  }

  void play_again(std::uint64_t key, LaterTries::Waiting& again, bool refused,
                  const policyd::Request& rcpt) {
    again.last = now_;
    const std::uint32_t number = again.hit;
    bool passes = false;
    if (number == LaterTries::kNoHit) {
      ++out_.left_out;
    } else {
      Hit& hit = out_.hits[number];
      ++hit.tries;
      passes = !deciding_.ask(rcpt, now_).verdict.refuses();
      if (passes) note_late(hit);
    }
    if (refused) {
      if (passes) again.hit = LaterTries::kNoHit;
      return;
    }
    tries_.remove(key, &again);
    // That it passed ends its tries in the log; another server would go on.
    if (number != LaterTries::kNoHit && !passes &&
        is_of_a_server(mails_.all[out_.hits[number].mail])) {
      retry_later(number);
    }
  }

  std::uint32_t note_hit(std::uint32_t mail, Names::Number recipient,
                         const TriedEngine::Answer& answer) {
    Hit hit;
    hit.mail = mail;
    hit.recipient = recipient;
    hit.time = now_;
    if (answer.limit_id != 0) {
      TriedCounter& counter = watching_.store().counter(answer.limit_id, answer.key);
      if (of_each_message_.contains(answer.limit_id)) note_message(counter, mails_.all[mail]);
      hit.counter = counter.number;
    }
    out_.hits.push_back(hit);
    return static_cast<std::uint32_t>(out_.hits.size() - 1);
  }

  void note_message(TriedCounter& counter, const LoggedMail& mail) const {
    constexpr double kKib = 1024;
    const double use =
        sizes_.contains(counter.limit_id) ? std::ceil(mail.size / kKib) : mail.recipients;
    if (use <= counter.peak) return;
    counter.peak = use;
    counter.peak_at = now_;
  }

  void note_late(Hit& hit) {
    hit.passed = now_;
    out_.longest_wait = std::max(out_.longest_wait, now_ - hit.time);
  }

  // Not of a mail program or web mail, which say at once that the mail was not sent.
  [[nodiscard]] bool is_of_a_server(const LoggedMail& mail) const {
    if (mail.login != 0) return false;
    const std::string_view domain = policyd::domain_of(mails_.names.text(mail.sender));
    return !rules_.deciding->own_domains.hold(domain);
  }

  void retry_later(std::uint32_t number) {
    const Hit& hit = out_.hits[number];
    const Millis age = now_ - hit.time;
    if (age >= kGivesUp) return;
    retries_.push({now_ + std::clamp<Millis>(age, kSoonestRetry, kLatestRetry), number});
  }

  // False if `may_go_on` says so, which is asked now and then.
  bool try_again_until(TimePoint end, const std::function<bool()>& may_go_on) {
    while (!retries_.empty() && retries_.top().at <= end) {
      if (++tries_again_ % kProgressEveryMails == 0 && !may_go_on()) return false;
      const Retry retry = retries_.top();
      retries_.pop();
      now_ = std::max(now_, retry.at);
      Hit& hit = out_.hits[retry.hit];
      const LoggedMail& mail = mails_.all[hit.mail];
      next_instance();
      policyd::Request rcpt = request_of(mail, policyd::ProtocolState::rcpt);
      rcpt.recipient = mails_.names.text(hit.recipient);
      ++hit.tries;
      bool passes = !deciding_.ask(rcpt, now_).verdict.refuses();
      if (passes && deciding_.counts_sizes()) {
        const policyd::Request last = request_of(mail, policyd::ProtocolState::end_of_message);
        passes = !deciding_.ask(last, now_).verdict.refuses();
      }
      if (passes) {
        note_late(hit);
      } else {
        retry_later(retry.hit);
      }
    }
    return true;
  }

  [[nodiscard]] static std::uint64_t key_of(const LoggedMail& mail, Names::Number recipient) {
    constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;
    const std::uint64_t who =
        mail.login != 0 ? mail.login : (std::uint64_t{1} << 32U) | mail.client;
    std::uint64_t key = (who * kOdd) ^ mail.sender;
    key = (key ^ (key >> 29U)) * kOdd ^ recipient;
    return (key ^ (key >> 32U)) * kOdd;
  }

  Replay finish() {
    const auto& counters = watching_.store().counters();
    out_.counters.reserve(counters.size());
    for (const TriedCounter& counter : counters) {
      ReplayCounter& made = out_.counters.emplace_back();
      made.limit_id = counter.limit_id;
      made.key = counter.key;
      made.peak = counter.peak;
      made.peak_at = counter.peak_at;
      made.units = counter.units;
      // One that nothing was counted in is of a row that is invalid.
      made.mails = counter.times == 0 ? 0 : counter.recipients;
    }
    for (const Hit& hit : out_.hits) {
      if (hit.counter == Hit::kNoCounter) continue;
      ReplayCounter& counter = out_.counters[hit.counter];
      if (counter.hit++ == 0) counter.first_hit = hit.time;
      if (hit.late()) ++counter.late;
    }
    return std::move(out_);
  }

  const Mails& mails_;
  const ReplayRules& rules_;
  ReplayWish wish_;
  TriedEngine watching_;
  TriedEngine deciding_;
  std::unordered_set<std::int64_t> sizes_;  // limits that count KiB
  std::unordered_set<std::int64_t> of_each_message_;
  Replay out_;
  TimePoint now_{};
  std::uint64_t instances_ = 0;
  std::uint64_t tries_again_ = 0;
  std::string instance_;
  std::unordered_map<Names::Number, policyd::IpAddress> addresses_;
  LaterTries tries_;
  std::priority_queue<Retry, std::vector<Retry>, std::greater<>> retries_;
  std::vector<Names::Number> passed_;  // recipients of the current mail that no limit hit
  bool any_passed_ = false;            // of its recipients; a hit may have a verdict such as HOLD
};

}  // namespace

Replay replay(const Mails& mails, const ReplayRules& rules, const policyd::Config& config,
              ReplayWish wish, const std::function<bool(std::uint64_t)>& progress) {
  return Player{mails, rules, config, wish}.play(progress);
}

}  // namespace limits
