// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/check_spf.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>

#include "daemon/base/mail_address.hpp"
#include "daemon/modules/merged_rows.hpp"
#include "daemon/modules/text/mail_line.hpp"

namespace policyd {

namespace {

constexpr std::size_t kMaxInHeader = 255;

// Nullopt if SPF is not used.
std::optional<CheckSpfRow> merged(const RcptQuestion& question) {
  using Row = CheckSpfRow;
  const auto row = merged_rows(question, &Policy::check_spf, &Row::use_spf, &Row::reject_failed,
                               &Row::add_header);
  return row && row->use_spf == 1 ? row : std::nullopt;
}

struct Words {
  std::string_view in_header;
  Reason::Kind reason;
};

// By SpfResult.
constexpr std::array<Words, 7> kWords = {{
    {"none", Reason::Kind::no_spf_record},
    {"neutral", Reason::Kind::spf_neutral},
    {"pass", Reason::Kind::spf_pass},
    {"fail", Reason::Kind::spf_fail},
    {"softfail", Reason::Kind::spf_softfail},
    {"temperror", Reason::Kind::spf_temperror},
    {"permerror", Reason::Kind::spf_permerror},
}};
static_assert(kWords.size() == static_cast<std::size_t>(SpfResult::permerror) + 1);

const Words& words_of(SpfResult result) { return kWords.at(static_cast<std::size_t>(result)); }

// A sentence for people, in answers and headers.
std::string explain(const Request& request, const SpfFound& found) {
  const std::string_view domain = domain_of(request.sender);
  const std::string client = request.client_address.to_short_string();
  switch (found.result) {
    case SpfResult::none:
      return fmt::format("{} has no SPF record", domain);
    case SpfResult::neutral:
      return fmt::format("{} does not say whether {} may send for it", domain, client);
    case SpfResult::pass:
      return fmt::format("{} lets {} send for it", domain, client);
    case SpfResult::fail:
      return fmt::format("{} does not let {} send for it", domain, client);
    case SpfResult::softfail:
      return fmt::format("{} probably does not let {} send for it", domain, client);
    case SpfResult::temperror:
      return fmt::format("the SPF record of {} cannot be looked up at present", domain);
    case SpfResult::permerror:
      break;
  }
  return fmt::format("the SPF record of {} cannot be used{}{}", domain,
                     found.why.empty() ? "" : ", ", found.why);
}

// Bounded, and without characters that would end a header, a comment or a quoted string.
std::string tame(std::string_view text) {
  std::string tame{text.substr(0, kMaxInHeader)};
  std::replace_if(
      tame.begin(), tame.end(),
      [](char c) { return c < ' ' || c > '~' || c == '"' || c == '\\' || c == '(' || c == ')'; },
      '?');
  return tame;
}

enum class Answer : std::uint8_t { none, pass, add_header, reject, defer };

// By Answer.
constexpr std::array<std::string_view, 5> kAnswers = {"none", "pass", "add_header", "reject",
                                                      "defer"};

Answer answer_to(SpfResult result, const CheckSpfRow& row) {
  const bool reject_failed = row.reject_failed == 1;
  const bool add_header = row.add_header == 1;
  switch (result) {
    case SpfResult::pass:
      return Answer::pass;  // also with AddSPFHeader
    case SpfResult::softfail:
    case SpfResult::neutral:
      return add_header ? Answer::add_header : Answer::pass;
    case SpfResult::fail:
    case SpfResult::permerror:
      if (reject_failed) return Answer::reject;
      break;
    case SpfResult::temperror:
      if (reject_failed) return Answer::defer;
      break;
    case SpfResult::none:
      break;
  }
  return add_header ? Answer::add_header : Answer::none;
}

}  // namespace

CheckSpf::CheckSpf(std::string receiver) : receiver_(std::move(receiver)) {}

std::string CheckSpf::this_host() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

NeededLookups CheckSpf::needed_lookups(const RcptQuestion& question) const {
  return {false, !question.request.sender.empty() && merged(question)};
}

Next CheckSpf::decide_rcpt(RcptQuestion& question) {
  const Request& request = question.request;
  if (request.sender.empty()) return Next::go_on;
  const auto row = merged(question);
  if (!row) return Next::go_on;
  if (!question.lookups.spf) {
    question.reason.kind = Reason::Kind::no_result;
    question.log.info(
        fmt::format("module=CheckSPF: no result in time for {}: skipped", request.sender));
    return Next::go_on;
  }
  const SpfFound& found = *question.lookups.spf;
  const Answer answer = answer_to(found.result, *row);
  question.reason.kind = words_of(found.result).reason;
  if (question.log.mail_enabled()) {
    question.log.mail(mail_line(
        "CheckSPF", fmt::format("action={}", kAnswers.at(static_cast<std::size_t>(answer))),
        request, request.recipient, word_of(question.reason.kind)));
  }
  const std::string sentence = tame(explain(request, found));
  switch (answer) {
    case Answer::none:
      return Next::go_on;
    case Answer::pass:
      question.verdict = {};
      return Next::go_on;
    case Answer::add_header:
      question.verdict = {Action::prepend, header(request, found.result, sentence)};
      return Next::go_on;
    case Answer::reject:
      question.verdict = {Action::reject, "Failed SPF check; " + sentence};
      return Next::stop;
    case Answer::defer:
      question.verdict = {Action::defer, "Failed SPF check; " + sentence};
      return Next::stop;
  }
  return Next::go_on;
}

// RFC 7208, 9.1, in the order of Mail::SPF, which CBPolicyD uses.
std::string CheckSpf::header(const Request& request, SpfResult result,
                             std::string_view reason) const {
  return fmt::format(
      "Received-SPF: {} ({}) receiver={}; identity=mailfrom; envelope-from=\"{}\"; helo=\"{}\"; "
      "client-ip={}",
      words_of(result).in_header, reason, tame(receiver_), tame(request.sender),
      tame(request.helo_name), request.client_address.to_short_string());
}

}  // namespace policyd
