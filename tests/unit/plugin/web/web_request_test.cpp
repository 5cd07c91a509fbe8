// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/web/web_request.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "plugin/commands/command_line.hpp"
#include "plugin/commands/commands.hpp"

namespace limits {
namespace {

using Words = std::vector<std::string>;

Wanted get(std::string_view target) { return wanted_of({"GET", target, "", ""}); }

Wanted post(std::string_view target, std::string_view body,
            std::string_view type = "application/json") {
  return wanted_of({"POST", target, type, body});
}

unsigned status_of(const Wanted& wanted) {
  const auto* none = std::get_if<Refused>(&wanted);
  return none == nullptr ? 0 : none->status;
}

TEST(WebRequest, RunsASubcommand) {
  const Wanted wanted = get("/api/usage?top=5&word=anna%40example.org");
  const auto& call = std::get<Call>(wanted);
  EXPECT_EQ(call.words, (Words{"usage", "--json", "--top=5", "--", "anna@example.org"}));
  EXPECT_FALSE(call.changes);
  EXPECT_TRUE(call.json);
}

TEST(WebRequest, ChangesAreJsonOrAForm) {
  const Wanted json = post("/api/send", R"({"word": ["100/h", "500/day"], "user": ["a@b.example",
      "c@d.example"], "off": true, "dry-run": false})");
  const auto& call = std::get<Call>(json);
  EXPECT_EQ(call.words, (Words{"send", "--off", "--user=a@b.example", "--user=c@d.example", "--",
                               "100/h", "500/day"}));
  EXPECT_TRUE(call.changes);
  const Wanted form = post("/api/reset", "word=a%2Bb%40c.example&limit=3&token=abc",
                           "application/x-www-form-urlencoded; charset=UTF-8");
  EXPECT_EQ(std::get<Call>(form).words, (Words{"reset", "--limit=3", "--", "a+b@c.example"}));
  EXPECT_EQ(std::get<Call>(form).form_token, "abc");
  EXPECT_EQ(status_of(post("/api/reset", "word=x", "text/plain")), 415U);
}

TEST(WebRequest, EachEndpointIsASubcommandWithTheseOptions) {
  struct Typed {
    std::string_view path, parameters;
    bool changes;
  };
  const std::vector<Typed> all = {
      {"usage", "top=1&limit=1&word=x", false},
      {"refused", "top=1&limit=1&since=1h&today=&watched=&by-hour=&word=x", false},
      {"changes", "top=1&since=1h", false},
      {"history", "top=1&since=1h&word=x", false},
      {"limits", "", false},
      {"limit", "word=1", false},
      {"explain", "from=a&to=b&client=c&sasl=d&helo=e&size=1", false},
      {"simulate",
       "everyone=&anyone=&domain=a&user=b&login=c&group=d&client=e&from=f&except=g&per=user&"
       "verdict=none&since=7day&top=5&word=send&word=1/h",
       false},
      {"blocked", "past=&since=7day", false},
      {"signals", "", false},
      {"doctor", "", false},
      {"status", "", false},
      {"cluster", "", false},
      {"export", "", false},
      {"send",
       "everyone=&anyone=&domain=a&user=b&login=c&group=d&client=e&from=f&except=g&per=user&"
       "verdict=none&message=x&name=y&off=&then=block:1h&dry-run=&word=1/h",
       true},
      {"receive",
       "everyone=&anyone=&domain=a&user=b&group=d&client=e&from=f&except=g&per=user&verdict=none&"
       "message=x&name=y&off=&dry-run=&word=1/h",
       true},
      {"set", "dry-run=&word=1&word=2/h", true},
      {"on", "dry-run=&word=1", true},
      {"off", "dry-run=&word=1", true},
      {"remove", "dry-run=&word=1", true},
      {"import", "text=send+1%2Fh&dry-run=", true},
      {"reset", "limit=1&word=x", true},
      {"block", "for=1h&account=&dry-run=&word=x", true},
      {"unblock", "dry-run=&word=x", true},
      {"pause", "uncounted=&word=1h", true},
      {"resume", "", true}};
  for (const Typed& one : all) {
    const std::string path = "/api/" + std::string{one.path};
    const Wanted wanted = one.changes
                              ? post(path, one.parameters, "application/x-www-form-urlencoded")
                              : get(path + "?" + std::string{one.parameters});
    ASSERT_TRUE(std::holds_alternative<Call>(wanted)) << one.path << status_of(wanted);
    const auto& call = std::get<Call>(wanted);
    EXPECT_EQ(call.changes, one.changes) << one.path;
    const auto line = parse_command_line(call.words);
    EXPECT_TRUE(line) << one.path << ": " << (line ? "" : line.error().message);
  }
}

TEST(WebRequest, NothingElseIsThere) {
  for (const char* target :
       {"", "/x", "/api", "/api/", "/api/enable", "/api/../usage", "//page.js", "/page.js/",
        "/../page.js", "/%2e%2e/page.js", "/api/usage/", "/api/Usage"}) {
    EXPECT_EQ(status_of(get(target)), 404U) << target;
  }
  for (const char* target :
       {"/api/usage?watch=", "/api/usage?database=x", "/api/refused?follow=",
        "/api/usage?zextras-home=/", "/api/send?print-sql=", "/api/simulate?svg=/tmp/x",
        "/api/simulate?against=/etc/passwd", "/api/simulate?html=x", "/api/signals?word=rate"}) {
    EXPECT_NE(status_of(get(target)), 0U) << target;
  }
  // As the manual page says.
  for (const char* target : {"/api/simulate?word=1/h&current=", "/api/simulate?word=1/h&mails=",
                             "/api/simulate?word=1/h&hours=x", "/api/simulate?word=1/h&csv=",
                             "/api/history?word=x&mail-log=x", "/api/signals?then=block"}) {
    EXPECT_EQ(status_of(get(target)), 400U) << target;
  }
  EXPECT_EQ(status_of(post("/api/import", R"({"text": "x", "remove-others": true})")), 400U);
  EXPECT_EQ(status_of(post("/api/send", R"({"word": "1/h", "print-sql": true})")), 400U);
  EXPECT_EQ(status_of(get("/api/reset?word=x")), 405U);
  EXPECT_EQ(status_of(post("/api/usage", "{}")), 405U);
  EXPECT_EQ(status_of(wanted_of({"PUT", "/", "", ""})), 405U);
  EXPECT_EQ(status_of(get("/sign-out")), 405U);
}

TEST(WebRequest, SaysWhichMethodsItTakes) {
  const struct {
    std::string_view method, target, text, allow;
  } cases[] = {
      {"GET", "/api/reset", "/api/reset needs POST", "POST"},
      {"HEAD", "/api/reset", "/api/reset needs POST", "POST"},
      {"POST", "/api/usage", "/api/usage needs GET", "GET, HEAD"},
      {"PUT", "/page.js", "/page.js needs GET", "GET, HEAD"},
      {"GET", "/sign-out", "/sign-out needs POST", "POST"},
      {"HEAD", "/sign-in?token=x", "/sign-in needs GET", "GET"},
  };
  for (const auto& one : cases) {
    const Wanted wanted = wanted_of({one.method, one.target, "", ""});
    ASSERT_EQ(status_of(wanted), 405U) << one.method << one.target;
    EXPECT_EQ(std::get<Refused>(wanted).text, one.text);
    EXPECT_EQ(std::get<Refused>(wanted).allow, one.allow);
  }
  EXPECT_TRUE(std::get<Refused>(get("/x")).allow.empty());
}

TEST(WebRequest, HeadIsReadAsGet) {
  const auto head = [](std::string_view target) { return wanted_of({"HEAD", target, "", ""}); };
  EXPECT_EQ(std::get<Call>(head("/api/usage?top=5")).words, (Words{"usage", "--json", "--top=5"}));
  EXPECT_TRUE(std::holds_alternative<FirstPage>(head("/")));
  EXPECT_EQ(std::get<AskedFile>(head("/page.js")).name, "page.js");
  EXPECT_EQ(status_of(head("/x")), 404U);
}

TEST(WebRequest, WhatTakesLongHasALaneOfItsOwn) {
  const auto lane_of = [](const Wanted& wanted) { return std::get<Call>(wanted).lane; };
  EXPECT_EQ(lane_of(get("/api/usage")), Lane::quick);
  EXPECT_EQ(lane_of(get("/api/doctor")), Lane::slow);
  EXPECT_EQ(lane_of(get("/api/simulate?word=1/h")), Lane::log);
  EXPECT_EQ(lane_of(post("/api/block", R"({"word": "anna"})")), Lane::slow);
  EXPECT_EQ(lane_of(post("/api/block", R"({"word": "anna", "dry-run": true})")), Lane::quick);
}

// Root's alone, or asked for on a terminal.
TEST(WebRequest, ABlockTouchesNoQueue) {
  EXPECT_EQ(status_of(post("/api/block", R"({"word": "anna", "hold": true})")), 400U);
  EXPECT_EQ(status_of(post("/api/unblock", R"({"word": "anna", "release": true})")), 400U);
  EXPECT_EQ(status_of(post("/api/unblock", R"({"word": "anna", "delete": true})")), 400U);
  EXPECT_EQ(status_of(get("/api/block?word=anna")), 405U);
}

// Nothing that a stranger chose can become an option, and all of it is a name.
TEST(WebRequest, AWordMayBeginWithADash) {
  const auto line_of = [](const Wanted& wanted) {
    const auto& call = std::get<Call>(wanted);
    auto line = parse_command_line(call.words);
    EXPECT_TRUE(line) << call.words.front();
    return line ? std::move(*line) : CommandLine{};
  };
  for (const char* word : {"-x@example.org", "--database=/x", "--print-sql", "--", "-h", "-1"}) {
    const std::string value = fmt::format(R"({{"word": "{}")", word);
    EXPECT_EQ(
        line_of(post("/api/block", value + R"(, "for": "1h", "account": true})")).arguments.words(),
        Words{word});
    const auto reset = line_of(post("/api/reset", value + R"(, "limit": "3"})"));
    EXPECT_EQ(reset.arguments.words(), Words{word});
    EXPECT_EQ(reset.arguments.value("limit"), "3");
    EXPECT_FALSE(reset.help);
    EXPECT_EQ(line_of(get(fmt::format("/api/usage?word={}&top=3", word))).arguments.words(),
              Words{word});
    // The option may be given several times, and takes several values.
    const auto send = line_of(post(
        "/api/send", fmt::format(R"({{"word": ["1/h", "{0}"], "user": ["{0}", "a"]}})", word)));
    EXPECT_EQ(send.arguments.words(), (Words{"1/h", word}));
    EXPECT_EQ(send.arguments.values("user"), (Words{word, "a"}));
    EXPECT_FALSE(send.arguments.has("print-sql"));
  }
  EXPECT_EQ(line_of(get("/api/simulate?word=set&word=-3&word=-1/h")).arguments.words(),
            (Words{"set", "-3", "-1/h"}));
  EXPECT_EQ(status_of(post("/api/send", R"({"--off": true})")), 400U);
}

// Or it would take the next word for its value, and the one after that for an option.
TEST(WebRequest, AnOptionHasItsValue) {
  for (const char* name : {"user", "domain", "except", "message", "then", "per"}) {
    EXPECT_EQ(
        status_of(post("/api/send",
                       fmt::format(R"({{"word": ["1/h", "--print-sql"], "{}": true}})", name))),
        400U)
        << name;
  }
  EXPECT_EQ(
      status_of(post("/api/reset", "limit=&word=--print-sql", "application/x-www-form-urlencoded")),
      400U);
}

TEST(WebRequest, ANulIsSaid) {
  const Wanted wanted = get("/api/usage?word=a%00b");
  ASSERT_EQ(status_of(wanted), 400U);
  EXPECT_EQ(std::get<Refused>(wanted).text, "'word' contains a NUL");
  EXPECT_EQ(status_of(get("/api/usage?top=%00")), 400U);
}

// It is read as a file, so it may be long and begin with anything.
TEST(WebRequest, TheTextOfAnImportIsNoWord) {
  const std::string text(kMaxParameterBytes + 1, '-');
  const Wanted wanted = post("/api/import", R"({"dry-run": true, "text": ")" + text + "\"}");
  const auto& call = std::get<Call>(wanted);
  EXPECT_EQ(call.words, (Words{"import", "-", "--dry-run"}));
  EXPECT_EQ(call.input, text);
  EXPECT_EQ(std::get<Call>(post("/api/import", "{}")).input, "") << "standard input is not read";
  EXPECT_EQ(std::get<Call>(post("/api/resume", "{}")).input, std::nullopt);
  EXPECT_EQ(status_of(post("/api/send", R"({"word": "1/h", "text": "x"})")), 400U);
  EXPECT_EQ(status_of(post("/api/import", R"({"text": "x", "word": "/etc/passwd"})")), 400U);
}

TEST(WebRequest, HasBounds) {
  const std::string target = "/api/usage?word=" + std::string(kMaxParameterBytes, 'x');
  EXPECT_TRUE(std::holds_alternative<Call>(get(target)));
  EXPECT_EQ(status_of(get(target + "x")), 400U);
  EXPECT_EQ(status_of(get("/" + std::string(kMaxTargetBytes, 'x'))), 414U);
  EXPECT_EQ(status_of(post("/api/resume", std::string(kMaxBodyBytes + 1, ' '))), 413U);
  std::string many;
  for (std::size_t i = 0; i < kMaxParameters; ++i) many += "today=&";
  EXPECT_TRUE(parse_query(many));
  EXPECT_FALSE(parse_query(many + "today="));
  EXPECT_EQ(status_of(get("/api/usage?word=a&word=b")), 400U);
}

TEST(WebRequest, ReadsQueries) {
  const auto query = parse_query("a=1&b=%2b+%C3%a4&a=2&c");
  ASSERT_TRUE(query);
  EXPECT_EQ(query->at("a"), (Words{"1", "2"}));
  EXPECT_EQ(query->at("b"), (Words{"+ ä"}));
  EXPECT_EQ(query->at("c"), (Words{""}));
  for (const char* text : {"a=%", "a=%1", "a=%zz", "=1", "%=1"}) {
    EXPECT_FALSE(parse_query(text)) << text;
  }
}

TEST(WebRequest, ReadsJson) {
  const std::string object = "the change is not a JSON object";
  const std::string type = "'a' has to be a string";
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"", object},
      {"[]", object},
      {"1", object},
      {"{", object},
      {std::string(30'000, '['), object},
      {R"({"a": null})", type},
      {R"({"a": 1.5})", type},
      {R"({"a": 1e2})", type},
      {R"({"a": {}})", type},
      {R"({"a": [["x"]]})", type},
      {R"({"a": [true]})", type},
      {R"({"a": ["x", null]})", type},
      {R"({"a": ""})", "'a' is empty"},
      {R"({"a": ["x", ""]})", "'a' is empty"},
      {R"({"": "x"})", "a name is empty"},
      {R"({"a": ")" + std::string(kMaxParameterBytes + 1, 'x') + R"("})",
       "'a' is longer than 1000 bytes"},
      {std::string(kMaxBodyBytes + 1, ' '), "the change is too long"},
  };
  for (const auto& [text, why] : wrong) {
    const auto parameters = parse_json_parameters(text);
    ASSERT_FALSE(parameters) << text;
    EXPECT_EQ(parameters.error().message, why) << text;
  }
  std::string many = R"({"a": ["x")";
  for (std::size_t i = 1; i < kMaxParameters; ++i) many += R"(, "x")";
  EXPECT_TRUE(parse_json_parameters(many + "]}"));
  const auto more = parse_json_parameters(many + R"(, "x"]})");
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().message, "the change has more than 50 values");
}

TEST(WebRequest, AWholeNumberIsItsText) {
  const auto read = parse_json_parameters(R"({"a": 41, "b": [3, "x", -7], "c": true, "d": false})");
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, (Parameters{{"a", {"41"}}, {"b", {"3", "x", "-7"}}, {"c", {""}}}));
  const Wanted wanted = post("/api/reset", R"({"limit": 41, "word": "anna"})");
  EXPECT_EQ(std::get<Call>(wanted).words, (Words{"reset", "--limit=41", "--", "anna"}));
}

TEST(WebRequest, SaysWhatIsWrongWithAChange) {
  const auto why = [](std::string_view path, std::string_view body) {
    const Wanted wanted = post(path, body);
    EXPECT_EQ(status_of(wanted), 400U) << body;
    const auto* none = std::get_if<Refused>(&wanted);
    return none == nullptr ? std::string{} : none->text;
  };
  EXPECT_EQ(why("/api/reset", R"({"limit": 4.5})"), "'limit' has to be a string");
  EXPECT_EQ(why("/api/import", R"({"text": ""})"), "'text' is empty");
  EXPECT_EQ(why("/api/import", "text"), "the change is not a JSON object");
}

TEST(WebRequest, FindsCookies) {
  EXPECT_EQ(cookie_of("a=1; carbonio-limits=x; b=2", "carbonio-limits"), "x");
  EXPECT_EQ(cookie_of("carbonio-limits=", "carbonio-limits"), "");
  EXPECT_EQ(cookie_of("xcarbonio-limits=y", "carbonio-limits"), "");
  EXPECT_EQ(cookie_of("", "carbonio-limits"), "");
}

TEST(WebRequest, ComparesHosts) {
  const Words allowed = {"localhost", "[::1]", "limits.example.org"};
  for (const char* host :
       {"localhost", "localhost:10032", "[::1]:10032", "[::1]", "LIMITS.example.org",
        "limits.example.org:443", "localhost:1", "localhost:65535"}) {
    EXPECT_TRUE(is_one_of_hosts(host, allowed)) << host;
  }
  for (const char* host :
       {"", "evil.example", "localhost.evil.example", "localhost:10032:1", "limits.example.org.",
        "::1", "localhost:", "localhost:0", "localhost:65536", "localhost:evil.example",
        "localhost:10032x", "localhost:-1", "localhost:+80", "localhost: 80", "[::1]:", "[::1]:x",
        "[::1]x", "[::1]:1]", "limits.example.org:x"}) {
    EXPECT_FALSE(is_one_of_hosts(host, allowed)) << host;
  }
}

}  // namespace
}  // namespace limits
