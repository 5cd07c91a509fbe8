// SPDX-License-Identifier: AGPL-3.0-only
// Lines as Postfix 3.7 and amavis write them.
#include "plugin/maillog/mail_reader.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/printable.hpp"

namespace limits {
namespace {

using policyd::TimePoint;

constexpr std::string_view kRefused =
    ": 450 4.7.1 <anna@example.org>: Sender address rejected: Too many messages sent: the limit is "
    "10 per minute. Please try again in 1 minute.; from=<anna@example.org> to=<bob@example.com> "
    "proto=ESMTP helo=<pc>";

class LinesWithoutEnd : public LogBytes {
 public:
  Result<std::size_t> read(std::span<char> into) override {
    constexpr std::string_view kLine = "2026-11-25T10:01:10+01:00 mail postfix/qmgr[1]: x\n";
    std::size_t size = 0;
    while (size + kLine.size() <= into.size()) size += kLine.copy(into.data() + size, kLine.size());
    read_ += size;
    return size;
  }
  [[nodiscard]] std::uint64_t position() const override { return read_; }

 private:
  std::uint64_t read_ = 0;
};

class Log {
 public:
  explicit Log(TimePoint since = {}) : reader_(since, RefusalTexts{}) {}

  Log& line(std::string_view program, const std::string& text, std::string_view host = "mail") {
    return raw("2026-11-25T10:01:" + std::to_string(10 + (second_++ / 10) % 50) + ".000+01:00 " +
               std::string{host} + " " + std::string{program} + "[123]: " + text);
  }
  Log& raw(const std::string& text) {
    reader_.read_line(text, stamps_);
    return *this;
  }
  // One that is delivered.
  Log& mail(const std::string& id, const std::string& client, const std::string& message_id,
            const std::string& to, const std::string& relay = "mx.example.com[192.0.2.25]:25",
            const std::string& result = "sent (250 2.0.0 Ok)", std::string_view host = "mail") {
    begin(id, client, message_id, host);
    line("postfix/smtp",
         id + ": to=<" + to + ">, relay=" + relay +
             ", delay=0.1, delays=0.02/0/0/0, dsn=2.0.0, status=" + result,
         host);
    return line("postfix/qmgr", id + ": removed", host);
  }
  Log& begin(const std::string& id, const std::string& client, const std::string& message_id,
             std::string_view host = "mail", const std::string& sender = "anna@example.org") {
    line("postfix/submission/smtpd", id + ": client=" + client, host);
    line("postfix/cleanup", id + ": message-id=" + message_id, host);
    return line("postfix/qmgr", id + ": from=<" + sender + ">, size=648, nrcpt=1 (queue active)",
                host);
  }
  // "anna@example.org>bob@example.com,carl@example.com! login client size status"; "!": refused.
  std::vector<std::string> mails() {
    std::vector<std::string> out;
    const Mails mails = reader_.take();
    for (const LoggedMail& mail : mails.all) {
      std::string text{mails.names.text(mail.sender)};
      text += '>';
      mails.each_recipient(mail, [&](Names::Number name, bool refused) {
        text += (text.back() == '>' ? "" : ",") + std::string{mails.names.text(name)};
        if (refused) text += '!';
      });
      text += " " + std::string{mails.names.text(mail.login)} + " " +
              std::string{mails.names.text(mail.client)} + " " + std::to_string(mail.size) + " " +
              std::to_string(static_cast<int>(mail.status));
      out.push_back(text);
    }
    return out;
  }
  [[nodiscard]] const MailReader::Counts& counts() const { return reader_.counts(); }
  // "login client sender recipient" of each from now on.
  Log& tell_bounces() {
    reader_.on_bounce([this](const Bounce& bounce) {
      std::string text{bounce.login};
      for (const std::string_view each : {bounce.client, bounce.sender, bounce.recipient}) {
        text += ' ';
        text += each;
      }
      bounces_.push_back(text);
    });
    return *this;
  }
  [[nodiscard]] const std::vector<std::string>& bounces() const { return bounces_; }
  MailReader& reader() { return reader_; }

 private:
  std::vector<std::string> bounces_;
  MailReader reader_;
  LogStamps stamps_{TimePoint{std::chrono::sys_days{std::chrono::year{2026} / 11 / 26}}};
  int second_ = 0;
};

using Lines = std::vector<std::string>;
const std::string kSent = "1";

void deliver(Log& log, const std::string& id, const std::string& to, const std::string& status) {
  log.line("postfix/smtp", id + ": to=<" + to +
                               ">, relay=mx[192.0.2.25]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, "
                               "status=" +
                               status);
}

TEST(MailReader, EndsWhereNobodyWaits) {
  MailReader reader{{}, RefusalTexts{}};
  LogLines lines{std::make_unique<LinesWithoutEnd>()};
  int asked = 0;
  reader.read(lines, LogStamps{TimePoint{std::chrono::hours{500'000}}},
              [&] { return ++asked < 3; });
  EXPECT_EQ(asked, 3);
}

TEST(MailReader, JoinsTheLinesOfAMail) {
  Log log;
  log.mail("6EB1CAD0002", "unknown[192.0.2.7], sasl_method=PLAIN, sasl_username=Anna@Example.org",
           "<1@x>", "Bob@Example.com");
  EXPECT_EQ(log.mails(),
            (Lines{"anna@example.org>bob@example.com anna@example.org 192.0.2.7 648 1"}));
  EXPECT_EQ(log.counts().lines, 5U);
  EXPECT_EQ(log.counts().postfix, 5U);
}

TEST(MailReader, TakesEachRecipientOnce) {
  Log log;
  log.begin("6EB1CAD0002", "unknown[2001:db8::7]", "<1@x>");
  for (const char* to : {"a@example.com>, relay=none", "b@example.com>, relay=none",
                         "a@example.com>, relay=mx[192.0.2.1]:25",
                         "x@example.net>, orig_to=<list@example.org>, relay=none",
                         "y@example.net>, orig_to=<list@example.org>, relay=none"}) {
    log.line("postfix/smtp", std::string{"6EB1CAD0002: to=<"} + to +
                                 ", delay=1, dsn=4.0.0, status=deferred (no answer)");
  }
  EXPECT_EQ(
      log.mails(),
      (Lines{"anna@example.org>a@example.com,b@example.com,list@example.org  2001:db8::7 648 2"}));
}

// As Carbonio's content filter does it: 10024 and 10025.
TEST(MailReader, CountsMailOfAContentFilterOnce) {
  Log log;
  log.begin("AAAAA1", "pc[192.0.2.7], sasl_method=PLAIN, sasl_username=anna", "<1@x>");
  log.begin("BBBBB1", "localhost[127.0.0.1]", "<1@x>");
  log.line(
      "postfix/smtp",
      "AAAAA1: to=<bob@example.com>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, delays=0/0/0/1, "
      "dsn=2.0.0, status=sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: "
      "queued as BBBBB1)");
  log.line("postfix/qmgr", "AAAAA1: removed");
  log.line("postfix/smtp",
           "BBBBB1: to=<bob@example.com>, relay=mx[192.0.2.25]:25, delay=1, "
           "delays=0/0/0/1, dsn=5.0.0, status=bounced (550 no such user)");
  log.line("postfix/qmgr", "BBBBB1: removed");
  EXPECT_EQ(log.mails(), (Lines{"anna@example.org>bob@example.com anna 192.0.2.7 648 3"}));
  EXPECT_EQ(log.counts().reinjected, 1U);
}

TEST(MailReader, KnowsAFiltersMailWithoutMessageId) {
  Log log;
  log.begin("AAAAA1", "pc[192.0.2.7]", "<>").begin("BBBBB1", "localhost[127.0.0.1]", "<>");
  log.line("postfix/smtp",
           "AAAAA1: to=<bob@example.com>, relay=127.0.0.1[127.0.0.1]:10024, "
           "delay=1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as BBBBB1)");
  log.line("postfix/smtp", "BBBBB1: to=<bob@example.com>, relay=none, dsn=2.0.0, status=sent (ok)");
  EXPECT_EQ(log.mails().size(), 1U);
}

void hand_over(Log& log, const std::string& id, const std::string& to, const std::string& as) {
  log.line("postfix/smtp", id + ": to=<" + to +
                               ">, relay=127.0.0.1[127.0.0.1]:10024, delay=1, dsn=2.0.0, "
                               "status=sent (250 2.0.0 Ok: queued as " +
                               as + ")");
}

// A client may send the header twice; cleanup logs both.
TEST(MailReader, JoinsMailWithTwoMessageIds) {
  for (const char* second : {"<1@x>", "<2@x>"}) {
    Log log;
    log.begin("AAAAA1", "pc[192.0.2.7]", "<1@x>");
    log.line("postfix/cleanup", std::string{"AAAAA1: message-id="} + second);
    log.begin("BBBBB1", "localhost[127.0.0.1]", "<1@x>");
    log.line("postfix/cleanup", std::string{"BBBBB1: message-id="} + second);
    hand_over(log, "AAAAA1", "bob@example.com", "BBBBB1");
    deliver(log, "BBBBB1", "bob@example.com", "sent (250 Ok)");
    EXPECT_EQ(log.mails(), (Lines{"anna@example.org>bob@example.com  192.0.2.7 648 1"}));
  }
}

// The filter has given the mail a Message-ID, and hands it back in two parts.
TEST(MailReader, JoinsEachPartThatAFilterHandsBack) {
  for (const bool told_between : {false, true}) {
    Log log;
    log.begin("AAAAA1", "pc[192.0.2.7]", "<>").begin("BBBBB1", "localhost[127.0.0.1]", "<new@x>");
    if (told_between) {
      hand_over(log, "AAAAA1", "bob@example.com", "BBBBB1");
    }
    log.begin("CCCCC1", "localhost[127.0.0.1]", "<new@x>");
    if (!told_between) {
      hand_over(log, "AAAAA1", "bob@example.com", "BBBBB1");
    }
    hand_over(log, "AAAAA1", "carl@example.com", "CCCCC1");
    log.begin("DDDDD1", "pc[192.0.2.8]", "<eve@x>");
    deliver(log, "CCCCC1", "carl@example.com", "bounced (550)");
    deliver(log, "DDDDD1", "eve@example.com", "sent (250 Ok)");
    EXPECT_EQ(log.mails(),
              (Lines{"anna@example.org>bob@example.com,carl@example.com  192.0.2.7 648 3",
                     "anna@example.org>eve@example.com  192.0.2.8 648 1"}))
        << told_between;
  }
}

TEST(MailReader, CountsTheSameMessageIdFromElsewhere) {
  Log log;
  log.begin("AAAAA1", "pc[192.0.2.7]", "<1@x>");
  log.mail("BBBBB1", "list.example.net[198.51.100.1]", "<1@x>", "bob@example.com");
  log.line("postfix/smtp", "AAAAA1: to=<list@example.net>, relay=none, status=sent (ok)");
  log.line("postfix/qmgr", "AAAAA1: removed");
  log.mail("CCCCC1", "localhost[127.0.0.1]", "<1@x>", "carl@example.com");  // long after it
  EXPECT_EQ(log.mails().size(), 3U);
}

// Whoever sends from this host may write the Message-ID of a mail that waits in the queue.
TEST(MailReader, CountsAndBlamesOnlyItsOwnSender) {
  Log log;
  log.tell_bounces();
  log.begin("AAAAA1", "pc[192.0.2.7], sasl_method=PLAIN, sasl_username=anna", "<1@x>");
  deliver(log, "AAAAA1", "slow@example.com", "deferred (timed out)");
  for (const char* id : {"BBBBB1", "BBBBB2"}) {
    log.begin(id, "localhost[127.0.0.1]", "<1@x>", "mail", "mallory@example.org");
    deliver(log, id, "no@example.com", "bounced (550)");
    log.line("postfix/qmgr", std::string{id} + ": removed");
  }
  EXPECT_EQ(log.bounces(), (Lines{" 127.0.0.1 mallory@example.org no@example.com",
                                  " 127.0.0.1 mallory@example.org no@example.com"}));
  EXPECT_EQ(log.mails().size(), 3U);
  EXPECT_EQ(log.counts().reinjected, 0U);
}

// A list's program sends one mail in parts, with one Message-ID; the filter's is known by its ID.
TEST(MailReader, CountsThePartsThatAListSends) {
  Log log;
  for (const char* id : {"AAAAA1", "AAAAA2", "AAAAA3"}) {
    log.begin(id, "localhost[127.0.0.1]", "<1@x>", "mail", "list@example.org");
  }
  log.begin("BBBBB1", "localhost[127.0.0.1]", "<1@x>", "mail", "list@example.org");
  hand_over(log, "AAAAA2", "b@example.com", "BBBBB1");
  deliver(log, "AAAAA1", "a@example.com", "sent (250 Ok)");
  deliver(log, "BBBBB1", "b@example.com", "sent (250 Ok)");
  deliver(log, "AAAAA3", "c@example.com", "sent (250 Ok)");
  EXPECT_EQ(log.mails(), (Lines{"list@example.org>a@example.com  127.0.0.1 648 1",
                                "list@example.org>b@example.com  127.0.0.1 648 1",
                                "list@example.org>c@example.com  127.0.0.1 648 1"}));
  EXPECT_EQ(log.counts().reinjected, 1U);
}

TEST(MailReader, LeavesOutWhatTheDaemonIsNotAskedAbout) {
  Log log;
  log.line("postfix/pickup", "AAAAA1: uid=0 from=<root>");
  log.line("postfix/cleanup", "AAAAA1: message-id=<1@x>");
  log.line("postfix/qmgr", "AAAAA1: from=<root@x>, size=300, nrcpt=1 (queue active)");
  log.mail("BBBBB1", "localhost[127.0.0.1]", "<1@x>", "bob@example.com");  // from the filter
  log.line("postfix/cleanup", "CCCCC1: message-id=<2@x>");                 // a bounce
  log.line("postfix/qmgr", "CCCCC1: from=<>, size=300, nrcpt=1 (queue active)");
  log.line("postfix/smtp", "CCCCC1: to=<a@example.com>, relay=none, status=sent (ok)");
  log.line("postfix/smtpd", "connect from pc[192.0.2.7]");
  log.line("postfix/smtpd",
           "NOQUEUE: reject: RCPT from a[192.0.2.9]: 554 5.7.1 Service unavailable; "
           "blocked; from=<a@x> to=<b@y> proto=ESMTP helo=<h>");
  log.line("amavis", "(1) Passed CLEAN");
  log.begin("DDDDD1", "pc[192.0.2.7]", "<3@x>");  // in the queue when the log ends
  EXPECT_EQ(log.mails(), Lines{});
  EXPECT_EQ(log.counts().incomplete, 1U);
}

TEST(MailReader, TakesOurRefusalsForWantedMail) {
  Log log;
  log.mail("AAAAA1", "pc[192.0.2.7], sasl_method=PLAIN, sasl_username=anna", "<1@x>",
           "z@example.com");
  log.line("postfix/smtpd", "NOQUEUE: reject: RCPT from pc[192.0.2.7]" + std::string{kRefused});
  log.line("postfix/smtpd", "NOQUEUE: reject: RCPT from pc[192.0.2.8]" + std::string{kRefused} +
                                " sasl_method=PLAIN sasl_username=eve");
  log.line("postfix/smtpd", "NOQUEUE: reject: RCPT from pc[192.0.2.9]" + std::string{kRefused} +
                                " sasl_username=eve> sasl_username=mallory");
  EXPECT_EQ(log.mails(), (Lines{"anna@example.org>z@example.com anna 192.0.2.7 648 1",
                                "anna@example.org>bob@example.com! anna 192.0.2.7 0 4",
                                "anna@example.org>bob@example.com! eve 192.0.2.8 0 4"}));
  EXPECT_EQ(log.counts().refused, 2U);  // Postfix does not write the last one
}

TEST(MailReader, BelievesNoFieldsWithinAnAddress) {
  const std::string victim = "from=<victim@example.org> to=<x@y.z> proto=smtp helo=<h>";
  const struct {
    std::string name;  // in the text
    std::string sender;
    std::string recipient;
    std::string mail;  // empty: the line is left out
  } lines[] = {
      {"b@c.d", "\"; " + victim + " z\"@evil.example", "b@c.d",
       "\"; " + victim + " z\"@evil.example>b@c.d!"},
      {"b@c.d", "\"\\\"; " + victim + " \\\"\"@evil.example", "b@c.d",
       "\"\\\"; " + victim + " \\\"\"@evil.example>b@c.d!"},
      {"b@c.d", "eve@evil.example", "\"; " + victim + "\"@c.d",
       "eve@evil.example>\"; " + victim + "\"@c.d!"},
      {"; " + victim + "@c.d", "eve@evil.example", "b@c.d", "eve@evil.example>b@c.d!"},
      // A quotation that begins in the text and ends within an address.
      {"\"; from=<victim@example.org> to=<\"@c.d", "eve@evil.example",
       "\"\\\"; from=<victim@example.org> to=<\\\"\"@c.d",
       "eve@evil.example>\"\\\"; from=<victim@example.org> to=<\\\"\"@c.d!"},
      {"b@c.d", "\"; " + victim, "b@c.d", ""},  // without its end
      {"b@c.d", "; " + victim + " z@evil.example", "b@c.d", ""},
      {"b@c.d", "", "b@c.d", ">b@c.d!"},
      {"b@c.d", "\"two words\"@example.org", "b@c.d", "\"two words\"@example.org>b@c.d!"},
  };
  for (const auto& line : lines) {
    Log log;
    log.line("postfix/smtpd",
             "NOQUEUE: reject: RCPT from evil[203.0.113.66]: 450 4.7.1 <" + line.name +
                 ">: Recipient address rejected: Too many messages sent: later.; "
                 "from=<" +
                 line.sender + "> to=<" + line.recipient + "> proto=ESMTP helo=<pc>");
    Lines wanted;
    if (!line.mail.empty()) wanted.push_back(line.mail + "  203.0.113.66 0 4");
    EXPECT_EQ(log.mails(), wanted) << line.name << ' ' << line.sender << ' ' << line.recipient;
  }
}

TEST(MailReader, TakesTheLoginOfRefusedMail) {
  const struct {
    std::string end;
    std::string login;  // "-" if the line is left out
  } lines[] = {
      {"", ""},
      {" sasl_method=XCLIENT sasl_username=anna@example.org", "anna@example.org"},
      {" sasl_username=anna", "anna"},
      {" sasl_username=<anna>", "anna"},
      {" sasl_method=PLAIN sasl_username=max m \"x\"", "max m \"x\""},
      {" sasl_method=PLAIN sasl_username=anna sasl_sender=bob@example.org", "anna"},
      {" sasl_method=PLAIN sasl_username=anna sasl_sender=<>", "anna"},
      {" sasl_method=PLAIN sasl_username=", ""},
      {" sasl_method=PLAIN", "-"},
      {" sasl_username=an<na", "-"},
      {" sasl_username=<anna", "-"},
      {" sasl_username=<", "-"},
      {" more=anna", "-"},
  };
  for (const auto& line : lines) {
    Log log;
    log.line("postfix/smtpd",
             "NOQUEUE: reject: RCPT from pc[192.0.2.7]" + std::string{kRefused} + line.end);
    Lines wanted;
    if (line.login != "-") {
      wanted.push_back("anna@example.org>bob@example.com! " + line.login + " 192.0.2.7 0 4");
    }
    EXPECT_EQ(log.mails(), wanted) << line.end;
  }
}

TEST(MailReader, BelievesNoLoginThatAClientWrote) {
  const std::string fake =
      "; from=<victim@example.org> to=<x@y.z> proto=smtp helo=<h>"
      " sasl_method=PLAIN sasl_username=victim";
  const struct {
    std::string name;  // in the text
    std::string end;
    bool read;
  } lines[] = {
      {fake, "", true},
      {"\"" + fake + " z\"@evil.example", "", true},
      {"\"" + fake + " sasl_sender=z\"@evil.example", "", false},
      {"b@c.d", " sasl_sender=" + fake, false},
      {"b@c.d", " sasl_sender=z" + fake + " sasl_sender=<>", false},
  };
  for (const auto& line : lines) {
    Log log;
    log.line("postfix/smtpd",
             "NOQUEUE: reject: RCPT from evil[203.0.113.66]: 450 4.7.1 <" + line.name +
                 ">: Recipient address rejected: Too many messages sent: later.; from=<eve@x.y> "
                 "to=<b@c.d> proto=ESMTP helo=<pc> sasl_method=PLAIN sasl_username=eve" +
                 line.end);
    Lines wanted;
    if (line.read) wanted.push_back("eve@x.y>b@c.d! eve 203.0.113.66 0 4");
    EXPECT_EQ(log.mails(), wanted) << line.name << ' ' << line.end;
  }
}

TEST(MailReader, TakesRefusalsWithTheClientsPort) {
  Log log;
  for (const char* client : {"pc[192.0.2.10]:5555", "pc[2001:db8::7]:5555",
                             "pc[192.0.2.11]:", "pc[192.0.2.12]:x", "pc[192.0.2.13", "pc"}) {
    log.line("postfix/smtpd",
             std::string{"NOQUEUE: reject: RCPT from "} + client + std::string{kRefused});
  }
  EXPECT_EQ(log.mails(), (Lines{"anna@example.org>bob@example.com!  192.0.2.10 0 4",
                                "anna@example.org>bob@example.com!  2001:db8::7 0 4"}));
}

TEST(MailReader, AddsARefusedRecipientToItsMail) {
  Log log;
  log.line("postfix/smtpd", "AAAAA1: client=pc[192.0.2.7]");
  log.line("postfix/smtpd", "AAAAA1: reject: RCPT from pc[192.0.2.7]" + std::string{kRefused});
  log.line("postfix/cleanup", "AAAAA1: message-id=<1@x>");
  log.line("postfix/qmgr", "AAAAA1: from=<anna@example.org>, size=649, nrcpt=1 (queue active)");
  log.line("postfix/smtp", "AAAAA1: to=<carl@example.com>, relay=none, status=sent (ok)");
  const Lines mails = log.mails();
  ASSERT_EQ(mails.size(), 1U);
  EXPECT_TRUE(
      mails[0].starts_with("anna@example.org>bob@example.com!,carl@example.com  192.0.2.7"));
}

TEST(MailReader, KeepsHostsApart) {
  Log log;
  log.begin("AAAAA1", "pc[192.0.2.7]", "<1@x>", "mta1");
  log.begin("AAAAA1", "pc[192.0.2.8]", "<2@x>", "mta2");
  log.line("postfix/smtp", "AAAAA1: to=<a@example.com>, relay=none, status=sent (ok)", "mta1");
  log.line("postfix/smtp", "AAAAA1: to=<b@example.com>, relay=none, status=sent (ok)", "mta2");
  EXPECT_EQ(log.mails(), (Lines{"anna@example.org>a@example.com  192.0.2.7 648 1",
                                "anna@example.org>b@example.com  192.0.2.8 648 1"}));
}

TEST(MailReader, CountsLinesThatItCannotRead) {
  Log log;
  log.raw("rubbish \x01 one").raw("").raw("two").raw("2026-11-25T10:01:02+01:00 mail");
  EXPECT_EQ(log.counts().lines, 3U);
  EXPECT_EQ(log.counts().unreadable, 3U);
  EXPECT_EQ(log.counts().unreadable_line, "rubbish \x01 one");
  log.raw(std::string(10'000, 'x'));
  EXPECT_LE(log.counts().unreadable_line.size(), MailReader::kMaxShown);
}

TEST(MailReader, ForgetsQueueIdsThatNeverEnd) {
  Log log;
  const std::size_t more = 10;
  for (std::size_t i = 0; i < MailReader::kMaxOpen + more; ++i) {
    log.line("postfix/smtpd", std::to_string(10'000'000 + i) + ": client=pc[192.0.2.7]");
  }
  EXPECT_EQ(log.counts().forgotten, more);
}

TEST(MailReader, ForgetsQueueIdsThatEnded) {
  Log log;
  for (std::size_t i = 0; i < MailReader::kMaxOpen + 10; ++i) {
    const std::string id = std::to_string(10'000'000 + i);
    log.line("postfix/smtpd", id + ": client=pc[192.0.2.7]");
    log.line("postfix/qmgr", id + ": removed");
  }
  EXPECT_EQ(log.counts().forgotten, 0U);
}

TEST(MailReader, LeavesOutWhatIsOlderThanSince) {
  Log log{TimePoint{std::chrono::sys_days{std::chrono::year{2026} / 11 / 25}} +
          std::chrono::hours{20}};
  log.mail("AAAAA1", "pc[192.0.2.7]", "<1@x>", "bob@example.com");
  EXPECT_EQ(log.mails(), Lines{});
  EXPECT_EQ(log.counts().incomplete, 0U);
}

TEST(MailReader, NotesGapsAndTimesThatGoBack) {
  const auto counts_of = [](const std::vector<std::string>& times) {
    Log log;
    for (const std::string& time : times) {
      log.raw("2026-11-" + time + " mail postfix/smtpd[1]: connect from x[192.0.2.1]");
    }
    log.mails();
    return log.counts();
  };
  const auto at = [](int day, int hour, int second) {
    return TimePoint{std::chrono::sys_days{std::chrono::year{2026} / 11 / day} +
                     std::chrono::hours{hour} + std::chrono::seconds{second}};
  };
  const auto one =
      counts_of({"20T10:00:00Z", "20T10:00:30Z", "22T10:00:30Z", "22T09:00:00Z", "22T09:00:01Z"});
  EXPECT_EQ(one.longest_gap, std::chrono::hours{47} - std::chrono::seconds{30});
  EXPECT_EQ(one.gap_begin, at(20, 10, 30));
  EXPECT_EQ(one.backwards, 1U);
  EXPECT_EQ(one.first, at(20, 10, 0));
  EXPECT_EQ(one.last, at(22, 10, 30));
  // The log of another host, which has lines where the first has none.
  const auto two = counts_of({"20T10:00:00Z", "22T10:00:30Z", "21T10:00:00Z", "21T23:00:00Z"});
  EXPECT_EQ(two.longest_gap, std::chrono::hours{24});
  EXPECT_EQ(two.gap_begin, at(20, 10, 0));
  EXPECT_EQ(two.backwards, 1U);
  EXPECT_EQ(two.last, at(22, 10, 30));
}

TEST(MailReader, CountsOnceWhatTwoFilesTell) {
  Log log;
  const auto tell = [&](const char* minute, const std::string& text) {
    log.raw(std::string{"2026-11-20T10:"} + minute + ":07Z mail " + text);
  };
  const auto begin = [&](const char* minute) {
    tell(minute, "postfix/smtpd[1]: AAAAA1: client=pc[192.0.2.7]");
    tell(minute,
         "postfix/qmgr[1]: AAAAA1: from=<anna@example.org>, size=648, nrcpt=1 (queue active)");
  };
  const auto refuse = [&](const char* to) {
    tell("05", std::string{"postfix/smtpd[1]: NOQUEUE: reject: RCPT from pc[192.0.2.7]: 450 4.7.1 "
                           "<bob@example.com>: Recipient address rejected: Too many messages "
                           "sent: x; from=<anna@example.org> to=<"} +
                   to + "> proto=ESMTP helo=<pc>");
  };
  const auto deliver_at = [&](const char* minute) {
    tell(minute,
         "postfix/smtp[1]: AAAAA1: to=<bob@example.com>, relay=mx[192.0.2.25]:25, delay=1, "
         "delays=0/0/0/1, dsn=2.0.0, status=sent (ok)");
    tell(minute, "postfix/qmgr[1]: AAAAA1: removed");
  };
  begin("00");  // a copy that ends before the rest
  refuse("bob@example.com");
  refuse("carl@example.com");
  begin("00");
  deliver_at("01");
  refuse("bob@example.com");
  refuse("carl@example.com");
  begin("20");  // the queue ID is given again
  deliver_at("21");
  EXPECT_EQ(log.mails().size(), 4U);
  EXPECT_EQ(log.counts().repeated, 3U);
  EXPECT_EQ(log.counts().incomplete, 0U);
}

void refuse_recipient(Log& log, const std::string& to, const std::string& why,
                      const std::string& login = {}) {
  log.line("postfix/smtpd", "NOQUEUE: reject: RCPT from pc[192.0.2.7]: " + why + "; from=<Anna@" +
                                "example.org> to=<" + to + "> proto=ESMTP helo=<pc>" +
                                (login.empty() ? "" : " sasl_method=PLAIN sasl_username=" + login));
}

TEST(MailReader, TellsOfRecipientsThatMailDidNotReach) {
  Log log;
  log.tell_bounces().begin("AAAAA1", "pc[192.0.2.7], sasl_method=PLAIN, sasl_username=Anna",
                           "<1@x>");
  deliver(log, "AAAAA1", "A@example.com", "bounced (host mx said: 550 5.1.1 unknown)");
  deliver(log, "AAAAA1", "b@example.com", "sent (250 Ok)");
  deliver(log, "AAAAA1", "c@example.com", "deferred (450 later)");
  deliver(log, "AAAAA1", "d@example.com", "expired (too long)");
  deliver(log, "ZZZZZ9", "e@example.com", "bounced (of a mail that began before the log)");
  EXPECT_EQ(log.bounces(), (Lines{"anna 192.0.2.7 anna@example.org a@example.com",
                                  "anna 192.0.2.7 anna@example.org d@example.com"}));
}

TEST(MailReader, TellsOfBouncesBehindAContentFilter) {
  Log log;
  log.tell_bounces().begin("AAAAA1", "pc[192.0.2.7], sasl_method=PLAIN, sasl_username=anna",
                           "<1@x>");
  log.begin("BBBBB1", "localhost[127.0.0.1]", "<1@x>");
  log.line("postfix/qmgr", "AAAAA1: removed");
  deliver(log, "BBBBB1", "a@example.com", "bounced (550)");
  EXPECT_EQ(log.bounces(), (Lines{"anna 192.0.2.7 anna@example.org a@example.com"}));
}

TEST(MailReader, TellsOfRecipientsThatDoNotExist) {
  const std::string unknown = "550 5.1.1 <x@y>: Recipient address rejected: User unknown in table";
  Log log;
  log.tell_bounces();
  refuse_recipient(log, "X@example.com", unknown, "Carl");
  refuse_recipient(log, "x@example.com", unknown);  // no login is known
  refuse_recipient(log, "x@example.com",
                   "450 4.1.1 <x@y>: Recipient address rejected: unverified address: later");
  refuse_recipient(log, "x@example.com", "554 5.7.1 <x@y>: Relay access denied");
  refuse_recipient(log, "x@example.com",
                   "550 5.1.8 <a@b>: Sender address rejected: Domain not found");
  log.begin("AAAAA1", "pc[192.0.2.7], sasl_method=PLAIN, sasl_username=anna", "<1@x>");
  refuse_recipient(log, "z@example.com", unknown);  // that of the last mail from there
  EXPECT_EQ(log.bounces(), (Lines{"carl 192.0.2.7 anna@example.org x@example.com",
                                  " 192.0.2.7 anna@example.org x@example.com",
                                  "anna 192.0.2.7 anna@example.org z@example.com"}));
}

TEST(MailReader, IsResumedByAnother) {
  Log first;
  first.begin("AAAAA1", "pc[192.0.2.7], sasl_method=PLAIN, sasl_username=anna", "<1@x>");
  first.mail("BBBBB1", "pc[192.0.2.8]", "<2@x>", "b@example.com");
  first.begin("CCCCC1", "pc[192.0.2.9]", "<3@x>");
  const auto waiting = first.reader().waiting(10);
  ASSERT_EQ(waiting.size(), 2U);
  EXPECT_EQ(waiting[0].login, "anna");
  EXPECT_EQ(waiting[1].client, "192.0.2.9");
  EXPECT_EQ(first.reader().waiting(1).size(), 1U);

  Log next;
  next.tell_bounces().reader().resume(waiting);
  EXPECT_EQ(next.reader().waiting(10), waiting);
  next.begin("DDDDD1", "localhost[127.0.0.1]", "<1@x>");  // from the filter
  next.line("postfix/qmgr", "AAAAA1: removed");
  deliver(next, "DDDDD1", "a@example.com", "bounced (550)");
  deliver(next, "BBBBB1", "b@example.com", "bounced (550)");
  EXPECT_EQ(next.bounces(), (Lines{"anna 192.0.2.7 anna@example.org a@example.com"}));
  EXPECT_EQ(next.mails(), Lines{});  // they count where they began
}

TEST(RefusalTexts, KnowsThoseOfTheDatabase) {
  RefusalTexts texts;
  const auto refusal = [](std::string_view text) {
    return "450 4.7.1 <a: b@x>: Recipient address rejected: " + std::string{text};
  };
  EXPECT_TRUE(texts.are_ours(refusal("Deferring: Too many messages sent in last 60 seconds")));
  EXPECT_TRUE(texts.are_ours(refusal("Policy rejection; Message count quota exceeded")));
  EXPECT_FALSE(texts.are_ours(refusal("Enough for today, 7 mails")));
  texts.add("Enough for today, {used} mails");
  texts.add("{used}");  // could be any answer
  EXPECT_TRUE(texts.are_ours(refusal("Enough for today, 7 mails")));
  EXPECT_FALSE(texts.are_ours(refusal("Relay access denied")));
}

}  // namespace
}  // namespace limits
