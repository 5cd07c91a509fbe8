// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/dns/dns_lookups.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

#include "daemon/dns/spf_check.hpp"

namespace policyd {

namespace {

using Steady = std::chrono::steady_clock;

constexpr std::chrono::minutes kLogAgainAfter{1};
constexpr std::array kHeloTypes = {DnsType::a, DnsType::aaaa, DnsType::mx};

// The answers for one HELO name received so far.
struct HeloAnswers {
  std::vector<DnsAnswer> answers;
  bool found = false;

  [[nodiscard]] bool any(DnsStatus status) const {
    return std::any_of(answers.begin(), answers.end(),
                       [status](const DnsAnswer& answer) { return answer.status == status; });
  }

  // The result if none of them has a record: the least certain answer decides.
  [[nodiscard]] HeloFound nothing_found() const {
    if (any(DnsStatus::timed_out) || any(DnsStatus::no_answer)) return HeloFound::no_answer;
    if (any(DnsStatus::server_failure)) return HeloFound::server_failure;
    if (!any(DnsStatus::ok)) return HeloFound::no_such_domain;
    const bool answered = std::any_of(answers.begin(), answers.end(),
                                      [](const DnsAnswer& answer) { return answer.answered; });
    return answered ? HeloFound::other_records : HeloFound::no_records;
  }
};

}  // namespace

// A question and its results: used on the resolver's thread, then on the loop.
struct DnsLookups::Waiting {
  DnsLookups& owner;
  Done done;
  int open_lookups = 0;
  Lookups found;

  static void finished(const std::shared_ptr<Waiting>& self) {
    if (--self->open_lookups > 0) return;
    self->owner.loop_.post(self->owner.guard_.wrap([self] {
      --self->owner.waiting_;
      self->done(std::move(self->found));
    }));
  }
};

DnsLookups::DnsLookups(EventLoop& loop, Maillog& log, DnsLookupSettings settings)
    : loop_(loop),
      log_(log),
      settings_(std::move(settings)),
      resolver_(log, settings_.name_servers) {}

void DnsLookups::look_up(LookupQuestion question, Done done) {
  if (waiting_ >= settings_.max_questions) {
    ++skipped_;
    log_skipped();
    return loop_.post([done = std::move(done)] { done({}); });
  }
  ++waiting_;
  // shared_ptr: held by the lookups of one question, which end in any order.
  auto waiting = std::make_shared<Waiting>(Waiting{*this, std::move(done), 0, {}});
  waiting->open_lookups = (question.needed.helo ? 1 : 0) + (question.needed.spf ? 1 : 0);
  if (question.needed.helo) look_up_helo(waiting, question.helo_name);
  if (question.needed.spf) look_up_spf(waiting, std::move(question));
}

void DnsLookups::look_up_helo(const std::shared_ptr<Waiting>& waiting,
                              const std::string& helo_name) {
  // shared_ptr: held by all three queries.
  auto answers = std::make_shared<HeloAnswers>();
  const auto deadline = Steady::now() + settings_.helo_deadline;
  for (const DnsType type : kHeloTypes) {
    resolver_.query(helo_name, type, deadline, [waiting, answers](DnsAnswer answer) {
      if (answers->found) return;
      answers->found = !answer.records.empty();
      answers->answers.push_back(std::move(answer));
      if (!answers->found && answers->answers.size() < kHeloTypes.size()) return;
      waiting->found.helo = answers->found ? HeloFound::address : answers->nothing_found();
      Waiting::finished(waiting);
    });
  }
}

void DnsLookups::look_up_spf(const std::shared_ptr<Waiting>& waiting, LookupQuestion question) {
  check_spf(resolver_,
            {question.client_address, std::move(question.sender), std::move(question.helo_name)},
            Steady::now() + settings_.spf_deadline, [waiting](std::optional<SpfFound> found) {
              waiting->found.spf = std::move(found);
              Waiting::finished(waiting);
            });
}

void DnsLookups::log_skipped() {
  if (Steady::now() - logged_ < kLogAgainAfter) return;
  logged_ = Steady::now();
  log_.warning(fmt::format("{} requests are waiting for the DNS; skipped the lookups of {} others",
                           settings_.max_questions, std::exchange(skipped_, 0)));
}

}  // namespace policyd
