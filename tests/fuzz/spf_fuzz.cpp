// SPDX-License-Identifier: AGPL-3.0-only
// SPF: records from strangers, as spf_record lets them through and as libspf2 then evaluates them,
// in our process. The input's lines are client, HELO name, sender, and then what the DNS says to
// one question after the other: `!` no such domain, `?` a failure, `~` nothing in time, else
// records with tabs between. libspf2 gets to see nothing that it must not, asks at most so often,
// and each check ends exactly once.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "daemon/base/ip_address.hpp"
#include "daemon/dns/resolver.hpp"
#include "daemon/dns/spf_check.hpp"
#include "daemon/dns/spf_sanitiser.hpp"
#include "daemon/log/maillog.hpp"
#include "fuzz.hpp"

namespace policyd {

// In the place of the DNS: this program's resolver takes its name servers for what they say, and
// answers within the question, as the real one may where it was asked from within an answer.
class Resolver::Impl {
 public:
  std::string text;
  std::string_view unread;
  std::size_t asked = 0;
};

namespace {

using fuzz::check;

DnsAnswer answer_of(std::string_view line, DnsType type) {
  if (line == "!") return {DnsStatus::no_such_domain, false, {}};
  if (line == "?") return {DnsStatus::server_failure, false, {}};
  if (line == "~") return {DnsStatus::timed_out, false, {}};
  DnsAnswer answer{DnsStatus::ok, !line.empty(), {}};
  while (!line.empty()) {
    const std::string_view record = fuzz::take_until(line, "\t");
    if (type == DnsType::a || type == DnsType::aaaa) {
      const auto address = IpAddress::parse(record);
      if (!address || address->is_v4() != (type == DnsType::a)) continue;
      const auto* bytes = reinterpret_cast<const char*>(address->bytes().data());
      answer.records.emplace_back(bytes, type == DnsType::a ? 4 : 16);
    } else {
      answer.records.emplace_back(record);
    }
  }
  return answer;
}

void check_record(std::string_view text, const SpfIdentity& who) {
  const auto safe = safe_spf_record(text, "email.example.com", who);
  if (!safe) return;
  check(is_spf_record(text) && is_spf_record(*safe), "a record stays one");
  check(std::all_of(safe->begin(), safe->end(), [](char c) { return c >= ' ' && c <= '~'; }),
        "libspf2 sees printable characters only");
  check(safe->find('%') == std::string::npos, "libspf2 sees no macro");
  std::string_view rest = *safe;
  while (!rest.empty()) {
    check(fuzz::take_until(rest, " ").size() <= 255 + 32, "libspf2 sees short terms only");
  }
  const auto again = safe_spf_record(*safe, "email.example.com", who);
  check(!again || *again == *safe, "what is safe stays as it is");
}

// The fuzz target's log, which says nothing.
Maillog& no_log() {
  static const auto log = [] {
    LogSettings settings;
    settings.file = "/dev/null";
    return std::move(*Maillog::open(settings));
  }();
  return *log;
}

}  // namespace

Resolver::Resolver(Maillog&, std::string name_servers, std::size_t)
    : impl_(std::make_unique<Impl>()) {
  impl_->text = std::move(name_servers);
  impl_->unread = impl_->text;
}

Resolver::~Resolver() = default;

void Resolver::query(std::string, DnsType type, Deadline, Done done) {
  check(++impl_->asked <= kMaxLookups, "lookups are bounded");
  done(answer_of(fuzz::take_line(impl_->unread), type));
}

}  // namespace policyd

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace policyd;
  std::string_view rest = fuzz::text_of(data, size);
  SpfIdentity question;
  question.client = IpAddress::parse(fuzz::take_line(rest)).value_or(IpAddress{});
  question.helo_name = fuzz::take_line(rest);
  question.sender = fuzz::take_line(rest);
  for (std::string_view lines = rest; !lines.empty();) {
    check_record(fuzz::take_line(lines), question);
  }
  if (question.sender.empty()) return 0;  // is not asked about

  Resolver resolver{no_log(), std::string{rest}};
  int ended = 0;
  check_spf(resolver, question, {}, [&ended](const std::optional<SpfFound>& found) {
    ++ended;
    check(!found || std::all_of(found->why.begin(), found->why.end(),
                                [](char c) { return c >= ' ' && c <= '~'; }),
          "a reason is printable");
  });
  check(ended == 1, "a check ends once");
  return 0;
}
