// SPDX-License-Identifier: AGPL-3.0-only
// A mail log of any bytes, plain or compressed. Lines are bounded, mails have a sender's line, a
// recipient and a time since which was asked for, and every count is one of lines that there were.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "fuzz.hpp"
#include "plugin/maillog/mail_reader.hpp"

namespace {

using namespace limits;
using fuzz::check;

constexpr policyd::TimePoint kNow{std::chrono::hours{24 * 365 * 57}};
constexpr policyd::TimePoint kSince{std::chrono::hours{24 * 365 * 20}};

void check_mails(const Mails& mails) {
  policyd::TimePoint last = kSince;
  for (const LoggedMail& mail : mails.all) {
    check(mail.time >= last, "mails are in the order of their times");
    last = mail.time;
    std::size_t recipients = 0;
    mails.each_recipient(mail, [&](Names::Number name, bool) {
      ++recipients;
      check(mails.names.text(name).size() <= Names::kMaxText, "a name is bounded");
    });
    check(recipients > 0 && recipients == mail.recipients, "a mail has recipients");
    check(recipients <= Mails::kMaxRecipients, "a mail has at most so many recipients");
    check(mail.counts && mail.complete, "only mails that count");
    check(mails.names.text(mail.login).size() <= Names::kMaxText, "a login is bounded");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  policyd::UniqueFd file{::memfd_create("log", MFD_CLOEXEC)};
  const auto written = ::write(file.get(), data, size);
  check(written == static_cast<ssize_t>(size), "the input fits");
  ::lseek(file.get(), 0, SEEK_SET);
  auto bytes = LogBytes::open(std::move(file));
  check(bytes.has_value(), "any file can be opened");
  LogLines lines{std::move(*bytes)};
  MailReader reader{kSince, RefusalTexts{}};
  reader.read(lines, LogStamps{kNow});
  const Mails mails = reader.take();
  check_mails(mails);
  const MailReader::Counts& counts = reader.counts();
  check(counts.postfix + counts.unreadable <= counts.lines, "each line is of one kind");
  check(mails.all.size() + counts.reinjected + counts.incomplete <= counts.postfix,
        "each mail has a line");
  check(counts.unreadable_line.size() <= MailReader::kMaxShown, "what is shown is bounded");
  return 0;
}
