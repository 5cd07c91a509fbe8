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

constexpr std::chrono::minutes kSayAgainAfter{1};
constexpr std::array kHeloTypes = {DnsType::a, DnsType::aaaa, DnsType::mx};

// The three answers about one HELO name, as they come.
struct HeloAnswers {
  std::vector<DnsAnswer> answers;
  bool found = false;

  [[nodiscard]] bool any(DnsStatus status) const {
    return std::any_of(answers.begin(), answers.end(),
                       [status](const DnsAnswer& answer) { return answer.status == status; });
  }

  // Where none of them holds a record: what is least certain counts.
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

// A question and what is found out about it; the resolver's thread's, then the loop's.
struct DnsLookups::Waiting {
  DnsLookups& owner;
  Done done;
  int missing = 0;  // lookups
  Lookups found;
  // shared_ptr: as in the owner.
  std::shared_ptr<bool> alive;

  static void finished(const std::shared_ptr<Waiting>& self) {
    if (--self->missing > 0) return;
    self->owner.loop_.post([self] {
      if (!*self->alive) return;
      --self->owner.under_way_;
      self->done(std::move(self->found));
    });
  }
};

DnsLookups::DnsLookups(EventLoop& loop, Maillog& log, DnsLookupSettings settings)
    : loop_(loop),
      log_(log),
      settings_(std::move(settings)),
      resolver_(log, ResolverSettings{settings_.name_servers}) {}

DnsLookups::~DnsLookups() { *alive_ = false; }

void DnsLookups::look_up(LookupQuestion question, Done done) {
  if (under_way_ >= settings_.most_questions) {
    ++skipped_;
    complain();
    return loop_.post([done = std::move(done)] { done({}); });
  }
  ++under_way_;
  // shared_ptr: the lookups of one question end in any order.
  auto waiting = std::make_shared<Waiting>(Waiting{*this, std::move(done), 0, {}, alive_});
  waiting->missing = (question.wishes.helo ? 1 : 0) + (question.wishes.spf ? 1 : 0);
  if (question.wishes.helo) look_up_helo(waiting, question.helo_name);
  if (question.wishes.spf) look_up_spf(waiting, std::move(question));
}

void DnsLookups::look_up_helo(const std::shared_ptr<Waiting>& waiting,
                              const std::string& helo_name) {
  // shared_ptr: of the three that are under way.
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

void DnsLookups::complain() {
  if (Steady::now() - complained_ < kSayAgainAfter) return;
  complained_ = Steady::now();
  log_.warning(fmt::format("{} questions wait for the DNS: lookups for {} others were skipped",
                           settings_.most_questions, std::exchange(skipped_, 0)));
}

}  // namespace policyd
