// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/protocol/policy_protocol.hpp"
#include "daemon/base/ip_address.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace policyd {
namespace {

// Parsing.

enum class Outcome { ok, not_name_value, incomplete, unfinished };
struct Parsed {
  Outcome outcome;
  std::string_view what;
};

struct Question {
  Parsed parsed;
  Request request;
};

// `text` and, of a request with names beyond ASCII, `names` must outlive the result.
Question parse(std::string& text, std::string& names, std::string_view myorigin = {}) {
  Question q;
  Framing at;
  const Frame frame = find_request(text, at);
  if (frame == Frame::not_name_value) {
    q.parsed = {Outcome::not_name_value, text};
  } else if (frame != Frame::complete) {
    q.parsed = {Outcome::unfinished, {}};
  } else {
    const auto problem = parse_request({text.data(), at.scanned}, at, q.request, names, myorigin);
    q.parsed = {problem.empty() ? Outcome::ok : Outcome::incomplete, problem};
  }
  return q;
}

Question parse(std::string& text) {
  std::string names;
  const Question question = parse(text, names);
  EXPECT_EQ(names, "");
  return question;
}

std::string rcpt(const std::string& more = "") {
  return "request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=192.0.2.10\n"
         "sender=alice@example.org\nrecipient=bob@example.com\ninstance=1.1.1\n" +
         more + "\n";
}

TEST(Parse, ReadsWhatPostfixSends) {
  std::string text =
      "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
      "helo_name=Client.example.net\nqueue_id=8045F2AB23\nsender=Alice@Example.ORG\n"
      "recipient=BOB@example.com\nrecipient_count=3\nclient_address=2001:DB8::1\n"
      "client_name=C.example.net\nreverse_client_name=R.example.net\ninstance=123.456.7\n"
      "sasl_method=plain\nsasl_username=Alice@CORP\nsasl_sender=x@y\nsize=12345\n"
      "encryption_protocol=TLSv1.3\nencryption_cipher=AES\nencryption_keysize=256\n"
      "etrn_domain=\nstress=\nserver_port=25\n\n";
  const auto [parsed, request] = parse(text);
  ASSERT_EQ(parsed.outcome, Outcome::ok);
  EXPECT_EQ(request.state, ProtocolState::rcpt);
  EXPECT_EQ(request.protocol_name, "ESMTP");
  EXPECT_EQ(request.helo_name, "Client.example.net");
  EXPECT_EQ(request.queue_id, "8045F2AB23");
  EXPECT_EQ(request.sender, "alice@example.org");
  EXPECT_EQ(request.recipient, "bob@example.com");
  EXPECT_EQ(request.client_address, IpAddress::parse("2001:db8::1"));
  EXPECT_EQ(request.client_name, "C.example.net");
  EXPECT_EQ(request.reverse_client_name, "R.example.net");
  EXPECT_EQ(request.instance, "123.456.7");
  EXPECT_EQ(request.sasl_method, "plain");
  EXPECT_EQ(request.sasl_username, "alice@corp");
  EXPECT_EQ(request.sasl_sender, "x@y");
  EXPECT_EQ(request.size_bytes, 12345U);
  EXPECT_EQ(request.recipient_count, 3U);
  EXPECT_EQ(request.encryption_protocol, "TLSv1.3");
  EXPECT_EQ(request.encryption_cipher, "AES");
  EXPECT_EQ(request.encryption_keysize, "256");
}

TEST(Parse, PointsIntoTheText) {
  std::string text = rcpt();
  const auto [parsed, request] = parse(text);
  ASSERT_EQ(parsed.outcome, Outcome::ok);
  for (const std::string_view view : {request.sender, request.recipient, request.instance}) {
    EXPECT_GE(view.data(), text.data());
    EXPECT_LE(view.data() + view.size(), text.data() + text.size());
  }
}

TEST(Parse, ReadsTheSameInCrLf) {
  std::string text;
  for (const char c : rcpt("sasl_username=x\n")) {
    if (c == '\n') text += '\r';
    text += c;
  }
  const auto [parsed, request] = parse(text);
  ASSERT_EQ(parsed.outcome, Outcome::ok);
  EXPECT_EQ(request.instance, "1.1.1");
  EXPECT_EQ(request.sasl_username, "x");
}

TEST(Parse, ReadsTheSameInPieces) {
  std::string text = rcpt("sasl_username=x\r\nsender=late@example.org\n");
  Framing at;
  for (std::size_t i = 0; i < text.size(); ++i) {
    ASSERT_EQ(find_request(std::string_view{text}.substr(0, i), at), Frame::need_more);
  }
  ASSERT_EQ(find_request(text, at), Frame::complete);
  Request request;
  std::string names;
  ASSERT_EQ(parse_request({text.data(), text.size()}, at, request, names), "");
  EXPECT_EQ(names, "");
  EXPECT_EQ(request.sender, "late@example.org");
  EXPECT_EQ(request.sasl_username, "x");
  EXPECT_EQ(request.instance, "1.1.1");
}

TEST(Parse, DoesNotConfuseNames) {
  std::string text =
      rcpt("Instance=9\ninstanc=9\ninstances=9\nxnstance=9\n" + std::string(100, 'i') + "=9\n");
  const auto [parsed, request] = parse(text);
  ASSERT_EQ(parsed.outcome, Outcome::ok);
  EXPECT_EQ(request.instance, "1.1.1");
}

TEST(Parse, DistinguishesAnAbsentUserFromAnEmptyOne) {
  std::string absent = rcpt();
  std::string empty = rcpt("sasl_username=\n");
  EXPECT_EQ(parse(absent).request.sasl_username, std::nullopt);
  EXPECT_EQ(parse(empty).request.sasl_username, "");
}

// Otherwise each blank that SASL ignores would give a login a counter of its own, or none.
TEST(Parse, LeavesOutTheBlanksAroundALogin) {
  for (const char* login : {"Anna ", " anna", "\tanna \t", "anna"}) {
    std::string text = rcpt(std::string{"sasl_username="} + login + "\n");
    EXPECT_EQ(parse(text).request.sasl_username, "anna") << login;
  }
  std::string inside = rcpt("sasl_username= Max  M \n");
  EXPECT_EQ(parse(inside).request.sasl_username, "max  m");
  std::string nothing = rcpt("sasl_username=  \n");
  EXPECT_EQ(parse(nothing).request.sasl_username, "");
}

TEST(Parse, UsesTheLastValueOfANameAndSplitsAtTheFirstEquals) {
  std::string text = rcpt("instance=2=3\nsender=First@x\nsender=LAST@x=y\nhelo_name==\nx==y\n");
  const auto [parsed, request] = parse(text);
  ASSERT_EQ(parsed.outcome, Outcome::ok);
  EXPECT_EQ(request.instance, "2=3");
  EXPECT_EQ(request.sender, "last@x=y");
  EXPECT_EQ(request.helo_name, "=");
}

TEST(Parse, KeepsControlCharactersAndHighBytes) {
  std::string text = rcpt(std::string("helo_name=a\0b\x1b\x7f\xc3\x84\n", 18));
  const auto [parsed, request] = parse(text);
  ASSERT_EQ(parsed.outcome, Outcome::ok);
  EXPECT_EQ(request.helo_name, std::string_view("a\0b\x1b\x7f\xc3\x84", 7));
}

TEST(Parse, LowersOnlyAsciiOfWhatIsNotUtf8) {
  std::string text = rcpt("sasl_username=[@`{\xc4ZA\n");
  std::string names;
  EXPECT_EQ(parse(text, names).request.sasl_username, "[@`{\xc4za");
}

TEST(Parse, PutsNamesIntoOneForm) {
  std::string text = rcpt("sender=JÜRGEN@EXÄMPLE.org\nsasl_username=Änna \n");
  std::string names;
  const Question question = parse(text, names);
  EXPECT_EQ(question.request.sender, "jürgen@xn--exmple-cua.org");
  EXPECT_EQ(question.request.recipient, "bob@example.com");
  EXPECT_EQ(question.request.sasl_username, "änna");
  std::string absent = rcpt("recipient=bÖb@example.com\n");
  const Question other = parse(absent, names);
  EXPECT_EQ(other.request.recipient, "böb@example.com");
  EXPECT_EQ(other.request.sasl_username, std::nullopt);
}

// Postfix takes both spellings for one address, and has each checked as it was typed.
TEST(Parse, LeavesOutTheDotAfterADomain) {
  std::string text = rcpt(
      "sender=Alice@Example.org.\nrecipient=bob@example.com.\nsasl_username=alice@example.org. \n");
  const auto [parsed, request] = parse(text);
  ASSERT_EQ(parsed.outcome, Outcome::ok);
  EXPECT_EQ(request.sender, "alice@example.org");
  EXPECT_EQ(request.recipient, "bob@example.com");
  EXPECT_EQ(request.sasl_username, "alice@example.org");
  std::string other = rcpt("sender=alice.\nrecipient=bob@example.com..\n");
  EXPECT_EQ(parse(other).request.sender, "alice.");
  EXPECT_EQ(parse(other).request.recipient, "bob@example.com..");
}

TEST(Parse, AddsTheDomainThatPostfixAdds) {
  for (const char* sender : {"Alice", "ALICE%Example.org.x", "example.org.x!alice", "alice"}) {
    std::string text = rcpt(std::string{"sender="} + sender + "\nrecipient=Bob\n");
    std::string names;
    const Question question = parse(text, names, "example.org.x");
    EXPECT_EQ(question.request.sender, "alice@example.org.x") << sender;
    EXPECT_EQ(question.request.recipient, "bob@example.org.x");
  }
  std::string names;
  std::string bounce = rcpt("sender=\nrecipient=JÜRGEN\nsasl_username=Anna\n");
  const Question question = parse(bounce, names, "example.org");
  EXPECT_EQ(question.request.sender, "");
  EXPECT_EQ(question.request.recipient, "jürgen@example.org");
  EXPECT_EQ(question.request.sasl_username, "anna");
  std::string several = rcpt("protocol_state=END-OF-MESSAGE\nrecipient=\n");
  std::string no_names;
  EXPECT_EQ(parse(several, no_names, "example.org").request.recipient, "");
  EXPECT_EQ(no_names, "");
  std::string unset = rcpt("sender=alice\n");
  EXPECT_EQ(parse(unset).request.sender, "alice");
}

TEST(Parse, MakesMappedAddressesIPv4) {
  std::string text = rcpt("client_address=::ffff:192.0.2.1\n");
  EXPECT_EQ(parse(text).request.client_address, IpAddress::parse("192.0.2.1"));
}

TEST(Parse, KeepsThePeerAndForgetsThePreviousRequest) {
  Request request;
  request.peer_address = IpAddress::parse("127.0.0.1");
  request.helo_name = "old";
  std::string text = rcpt();
  Framing at;
  ASSERT_EQ(find_request(text, at), Frame::complete);
  std::string names;
  ASSERT_EQ(parse_request({text.data(), text.size()}, at, request, names), "");
  EXPECT_EQ(request.peer_address, IpAddress::parse("127.0.0.1"));
  EXPECT_EQ(request.helo_name, "");
}

struct Size {
  const char* text;
  std::uint64_t bytes;
};

TEST(Parse, ReadsSizes) {
  constexpr std::uint64_t kLargest = 9'223'372'036'854'775'807U;
  const std::vector<Size> sizes = {{"0", 0},
                                   {"2048", 2048},
                                   {"007", 7},
                                   {"", 0},
                                   {"x", 0},
                                   {"12x", 0},
                                   {" 12", 0},
                                   {"-1", 0},
                                   {"+1", 0},
                                   {"1.5", 0},
                                   {"9223372036854775806", kLargest - 1},
                                   {"9223372036854775807", kLargest},
                                   {"9223372036854775808", kLargest},
                                   {"18446744073709551616", kLargest},
                                   {"99999999999999999999999999", kLargest},
                                   {"99999999999999999999999999x", 0}};
  for (const auto& [size, bytes] : sizes) {
    std::string text = rcpt(std::string("size=") + size + "\n");
    const auto [parsed, request] = parse(text);
    EXPECT_EQ(parsed.outcome, Outcome::ok) << size;
    EXPECT_EQ(request.size_bytes, bytes) << size;
  }
  std::string none = rcpt();
  EXPECT_EQ(parse(none).request.size_bytes, 0U);
}

// A request with one attribute changed or, without a value, removed.
struct Changed {
  const char* name;
  const char* attribute;
  const char* value;
  Outcome outcome;
  const char* what;
};

std::string changed(const Changed& change, const std::string& state) {
  std::string text;
  for (const std::string& line :
       {"protocol_state=" + state, std::string("client_address=192.0.2.10"),
        std::string("sender=alice@example.org"), std::string("recipient=bob@example.com"),
        std::string("instance=1.1.1")}) {
    if (!line.starts_with(std::string(change.attribute) + "=")) {
      text += line + "\n";
    } else if (change.value != nullptr) {
      text += std::string(change.attribute) + "=" + change.value + "\n";
    }
  }
  return text + "\n";
}

class ParseChecks : public testing::TestWithParam<Changed> {};

TEST_P(ParseChecks, AtRcpt) {
  std::string text = changed(GetParam(), "RCPT");
  const auto [parsed, request] = parse(text);
  EXPECT_EQ(parsed.outcome, GetParam().outcome);
  EXPECT_EQ(parsed.what, GetParam().what);
}

TEST_P(ParseChecks, AllButTheRecipientInLaterAndUnknownStates) {
  for (const char* state : {"END-OF-MESSAGE", "DATA", "BDAT", "nonsense", "rcpt", "RCPT "}) {
    std::string text = changed(GetParam(), state);
    const auto [parsed, request] = parse(text);
    const bool recipient = std::string(GetParam().attribute) == "recipient";
    EXPECT_EQ(parsed.outcome, recipient ? Outcome::ok : GetParam().outcome) << state;
    if (parsed.outcome != Outcome::ok || GetParam().attribute == std::string("protocol_state")) {
      continue;
    }
    EXPECT_EQ(request.state, state == std::string("END-OF-MESSAGE") ? ProtocolState::end_of_message
                                                                    : ProtocolState::other);
  }
}

TEST_P(ParseChecks, OnlyTheStateBeforeRcpt) {
  for (const char* state : {"CONNECT", "EHLO", "HELO", "MAIL", "VRFY", "ETRN"}) {
    std::string text = changed(GetParam(), state);
    const bool of_state = std::string(GetParam().attribute) == "protocol_state";
    EXPECT_EQ(parse(text).parsed.outcome, of_state ? GetParam().outcome : Outcome::ok) << state;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Protocol, ParseChecks,
    testing::Values(
        Changed{"Nothing", "none", nullptr, Outcome::ok, ""},
        Changed{"NoState", "protocol_state", nullptr, Outcome::incomplete,
                "protocol_state is missing"},
        Changed{"EmptyState", "protocol_state", "", Outcome::ok, ""},
        Changed{"NoClient", "client_address", nullptr, Outcome::incomplete,
                "client_address is missing"},
        Changed{"EmptyClient", "client_address", "", Outcome::incomplete,
                "client_address is not a valid IP address"},
        Changed{"UnknownClient", "client_address", "unknown", Outcome::incomplete,
                "client_address is not a valid IP address"},
        Changed{"ShortClient", "client_address", "192.0.2", Outcome::incomplete,
                "client_address is not a valid IP address"},
        Changed{"NetworkAsClient", "client_address", "192.0.2.0/24", Outcome::incomplete,
                "client_address is not a valid IP address"},
        Changed{"ImpossibleClient", "client_address", "300.1.1.1", Outcome::incomplete,
                "client_address is not a valid IP address"},
        Changed{"V6Client", "client_address", "2001:db8::1", Outcome::ok, ""},
        Changed{"NoSender", "sender", nullptr, Outcome::incomplete, "sender is missing"},
        Changed{"EmptySender", "sender", "", Outcome::ok, ""},
        Changed{"SenderWithoutDomain", "sender", "root", Outcome::ok, ""},
        Changed{"SenderWithoutUser", "sender", "@example.org", Outcome::incomplete,
                "sender is not a mail address"},
        Changed{"SenderWithBlank", "sender", "a b@example.org", Outcome::ok, ""},
        Changed{"SenderWithBlankInItsDomain", "sender", "a@example .org", Outcome::incomplete,
                "sender is not a mail address"},
        Changed{"NoInstance", "instance", nullptr, Outcome::incomplete,
                "instance is missing or empty"},
        Changed{"EmptyInstance", "instance", "", Outcome::incomplete,
                "instance is missing or empty"},
        Changed{"NoRecipient", "recipient", nullptr, Outcome::incomplete, "recipient is missing"},
        Changed{"EmptyRecipient", "recipient", "", Outcome::incomplete,
                "recipient is not a mail address"},
        Changed{"RecipientWithBlankInItsDomain", "recipient", "b@example.com ", Outcome::incomplete,
                "recipient is not a mail address"},
        Changed{"RecipientWithoutDomain", "recipient", "postmaster", Outcome::ok, ""}),
    [](const auto& row) { return row.param.name; });

TEST(Parse, AnEmptyRequestIsIncomplete) {
  for (std::string text : {"\n", "\r\n"}) {
    EXPECT_EQ(parse(text).parsed.outcome, Outcome::incomplete);
  }
}

TEST(Parse, RejectsTenThousandAttributes) {
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += "attribute" + std::to_string(i) + "=x\n";
  std::string text = rcpt(many);
  Framing at;
  EXPECT_EQ(find_request(text, at), Frame::too_large);
}

// Any input gives a result, without a fault that a sanitizer would report.
TEST(Parse, SurvivesTruncatedRequestsAndArbitraryBytes) {
  std::string names;
  const std::string whole = rcpt("sasl_username=x\nsize=5\n");
  for (std::size_t i = 0; i <= whole.size(); ++i) {
    std::string text = whole.substr(0, i);
    (void)parse(text, names);
  }
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string text = whole;
      text[i] = static_cast<char>(byte);
      (void)parse(text, names);
    }
  }
}

// Answers.

struct Answer {
  const char* name;
  Action action;
  std::string text;
  std::string line;
};

class Answers : public testing::TestWithParam<Answer> {};

TEST_P(Answers, AreOneLineAndAnEmptyOne) {
  std::string out = "before";
  append_action(out, Verdict{GetParam().action, GetParam().text});
  EXPECT_EQ(out, "beforeaction=" + GetParam().line + "\n\n");
}

INSTANTIATE_TEST_SUITE_P(
    Protocol, Answers,
    testing::Values(
        Answer{"Dunno", Action::dunno, "", "DUNNO"},
        Answer{"Ok", Action::ok, "by access control", "OK by access control"},
        Answer{"PassIsDunno", Action::pass, "", "DUNNO"},
        Answer{"PassWithText", Action::pass, "554 no", "DUNNO 554 no"},
        Answer{"Reject", Action::reject, "Too many", "REJECT Too many"},
        Answer{"RejectOnly", Action::reject, "", "REJECT"},
        Answer{"RejectWithCode", Action::reject, "550 5.7.1 Blocked", "550 5.7.1 Blocked"},
        Answer{"RejectWithDeferCode", Action::reject, "451 later", "REJECT 451 later"},
        Answer{"RejectWithCodeOnly", Action::reject, "550", "REJECT 550"},
        Answer{"RejectWithCodeAndBlank", Action::reject, "550 ", "550 "},
        Answer{"RejectWithLongNumber", Action::reject, "5500 x", "REJECT 5500 x"},
        Answer{"RejectWithNoNumber", Action::reject, "5x0 x", "REJECT 5x0 x"},
        Answer{"RejectWithCodeLater", Action::reject, " 550 x", "REJECT  550 x"},
        Answer{"RejectWithCodeAndLf", Action::reject, "550\nx", "REJECT 550 x"},
        Answer{"Defer", Action::defer, "Over", "DEFER Over"},
        Answer{"DeferOnly", Action::defer, "", "DEFER"},
        Answer{"DeferWithCode", Action::defer, "451 4.7.1 later", "451 4.7.1 later"},
        Answer{"DeferWithRejectCode", Action::defer, "550 no", "DEFER 550 no"},
        Answer{"Hold", Action::hold, "550 5.7.1 Blocked", "HOLD 550 5.7.1 Blocked"},
        Answer{"Discard", Action::discard, "451 later", "DISCARD 451 later"},
        Answer{"Filter", Action::filter, "smtp:[127.0.0.1]:10025", "FILTER smtp:[127.0.0.1]:10025"},
        Answer{"FilterOnly", Action::filter, "", "FILTER"},
        Answer{"Redirect", Action::redirect, "a@b", "REDIRECT a@b"},
        Answer{"Prepend", Action::prepend, "X-A: b", "PREPEND X-A: b"},
        Answer{"NoEscapeFromTheLine", Action::reject, "a\n\naction=OK\r\n\tb\x7f\x1b",
               "REJECT a  action=OK   b  "},
        Answer{"Nul", Action::reject, std::string("a\0b", 3), "REJECT a b"},
        Answer{"Utf8", Action::reject, "Gr\xc3\xbc\xc3\x9f", "REJECT Gr\xc3\xbc\xc3\x9f"}),
    [](const auto& row) { return row.param.name; });

TEST(Answer, IsCutAtItsBound) {
  const std::size_t rest = std::string("action=REJECT \n\n").size();
  for (const std::size_t size : {kMaxAnswerText - 1, kMaxAnswerText}) {
    std::string out;
    append_action(out, Verdict{Action::reject, std::string(size, 'x')});
    EXPECT_EQ(out.size(), size + rest);
  }
  for (const std::size_t size : {kMaxAnswerText + 1, 100 * kMaxAnswerText}) {
    std::string out;
    append_action(out, Verdict{Action::reject, std::string(size, 'x')});
    EXPECT_EQ(out.size(), kMaxAnswerText + rest);
    EXPECT_TRUE(out.ends_with("xx\n\n"));
  }
}

TEST(Answer, IsNotCutWithinACharacter) {
  for (const std::string character : {"\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x99\x82"}) {
    for (std::size_t before = 0; before < character.size(); ++before) {
      std::string text(kMaxAnswerText - before, 'x');
      const std::string whole = text;
      text += character + "y";
      std::string out;
      append_action(out, Verdict{Action::hold, text});
      EXPECT_EQ(out, "action=HOLD " + whole + "\n\n");
    }
  }
}

}  // namespace
}  // namespace policyd
