// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/web/site.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>

namespace limits {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using std::chrono::minutes;

class SiteTest : public testing::Test {
 protected:
  SiteTest() { fs::remove_all(folder_); }
  ~SiteTest() override { fs::remove_all(folder_); }

  SiteReply ask(std::string_view method, std::string_view target, std::string_view body = {},
                std::string_view type = "application/json") {
    SiteReply out;
    SiteRequest request{{method, target, type, body}, host_, origin_, cookies_, token_, gone_};
    site_.answer(request, [&](SiteReply reply) { out = std::move(reply); });
    return out;
  }

  // As a browser that follows a link.
  void sign_in(bool write) {
    const auto token = make_link(folder_, "root on pts/0", write, now_);
    ASSERT_TRUE(token);
    const SiteReply reply = ask("GET", "/sign-in?token=" + *token);
    ASSERT_EQ(reply.status, 200U);
    ASSERT_EQ(reply.headers.size(), 1U);
    const std::string& cookie = reply.headers[0].second;
    EXPECT_NE(cookie.find("; HttpOnly; SameSite=Strict; Path=/; Max-Age=28800"), std::string::npos);
    cookies_ = cookie.substr(0, cookie.find(';'));
    const std::string page = ask("GET", "/").body;
    constexpr std::string_view kMark = "data-change=\"";
    const auto at = page.find(kMark);
    ASSERT_NE(at, std::string::npos) << page;
    token_ = page.substr(at + kMark.size(), page.find('"', at + kMark.size()) - at - kMark.size());
    now_ += std::chrono::seconds{2};  // what the page showed is out of date
  }

  const fs::path folder_ = fs::path{testing::TempDir()} / "site-test-links";
  policyd::TimePoint now_{hours{500'000}};
  std::string host_ = "localhost:10032";
  std::string origin_ = "http://localhost:10032";
  std::string cookies_;
  std::string token_;
  std::vector<std::pair<std::vector<std::string>, std::string>> ran_;
  std::optional<std::string> input_;  // of the last one
  Ran next_{0, R"({"refused": [], "warnings": []})", ""};
  bool busy_ = false;
  Lane lane_ = Lane::quick;          // of the last one
  std::function<void()> meanwhile_;  // what happens while it runs
  std::vector<bool> given_up_;       // what it was told then
  const std::shared_ptr<std::atomic<bool>> gone_ = std::make_shared<std::atomic<bool>>(false);
  Site site_{
      {"mta1.example.org", {"localhost"}, {"limits.example.org"}, folder_, "Europe/Rome"},
      [this](const Site::Job& job) {
        ran_.emplace_back(job.words, job.who);
        input_ = job.input;
        if (job.given_up) {
          given_up_.push_back(job.given_up());
          if (meanwhile_) meanwhile_();
          given_up_.push_back(job.given_up());
        }
        return next_;
      },
      [this](Lane lane, const std::function<void()>& work, const std::function<void()>& then) {
        if (busy_) return false;
        lane_ = lane;
        work();
        then();
        return true;
      },
      [this] { return now_; }};
};

TEST_F(SiteTest, NobodyIsSignedInAtFirst) {
  for (const char* target : {"/", "/api/usage", "/api/export"}) {
    EXPECT_EQ(ask("GET", target).status, 401U) << target;
  }
  EXPECT_EQ(ask("POST", "/api/reset", R"({"word": "a"})").status, 401U);
  EXPECT_TRUE(ran_.empty());
  EXPECT_EQ(ask("GET", "/page.js").type, "text/javascript; charset=utf-8");
}

TEST_F(SiteTest, ALinkWorksOnce) {
  const auto token = make_link(folder_, "root", false, now_);
  ASSERT_TRUE(token);
  EXPECT_EQ(ask("GET", "/sign-in?token=" + *token).status, 200U);
  EXPECT_EQ(ask("GET", "/sign-in?token=" + *token).status, 403U);
}

TEST_F(SiteTest, ALinkEndsAfterTenMinutes) {
  const auto token = make_link(folder_, "root", false, now_);
  now_ += minutes{10};
  EXPECT_EQ(ask("GET", "/sign-in?token=" + *token).status, 403U);
  const auto other = make_link(folder_, "root", false, now_);
  now_ -= minutes{1};  // a clock that was set back
  EXPECT_EQ(ask("GET", "/sign-in?token=" + *other).status, 403U);
}

TEST_F(SiteTest, WhatIsNoLinkOpensNothing) {
  const auto token = make_link(folder_, "root", false, now_);
  std::string wrong = *token;
  wrong.back() = wrong.back() == '0' ? '1' : '0';
  for (const std::string& text :
       {wrong, std::string{}, std::string{"../../etc/passwd"}, std::string(64, 'g'), *token + "0",
        std::string(100'000, '0').substr(0, 4'000)}) {
    EXPECT_EQ(ask("GET", "/sign-in?token=" + text).status / 100, 4U) << text;
  }
  std::ofstream{folder_ / std::string(16, 'a')} << "{\"who\": 1}";
  EXPECT_EQ(ask("GET", "/sign-in?token=" + std::string(64, 'a')).status, 403U);
  EXPECT_EQ(ask("GET", "/sign-in?token=" + *token).status, 200U) << "the right one was used up";
}

TEST_F(SiteTest, LinksAreForTheirOwner) {
  ASSERT_TRUE(make_link(folder_, "root", false, now_));
  EXPECT_EQ(fs::status(folder_).permissions(), fs::perms::owner_all);
  for (const auto& file : fs::directory_iterator{folder_}) {
    EXPECT_EQ(file.status().permissions(), fs::perms::owner_read | fs::perms::owner_write);
  }
  now_ += hours{1};
  ASSERT_TRUE(make_link(folder_, "root", false, now_));
  EXPECT_EQ(std::distance(fs::directory_iterator{folder_}, fs::directory_iterator{}), 1);
}

TEST_F(SiteTest, ASessionEnds) {
  sign_in(false);
  now_ += hours{8} - minutes{1};
  EXPECT_EQ(ask("GET", "/").status, 200U);
  now_ += minutes{1};
  EXPECT_EQ(ask("GET", "/").status, 401U);
}

TEST_F(SiteTest, ReadsAsTheSubcommandPrints) {
  sign_in(false);
  next_ = {0, "{\"usage\": 1}\n", ""};
  const SiteReply reply = ask("GET", "/api/usage?top=3");
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(reply.body, "{\"usage\": 1}\n");
  EXPECT_EQ(reply.type, "application/json");
  EXPECT_EQ(ran_.back().first, (std::vector<std::string>{"usage", "--json", "--top=3"}));
  EXPECT_EQ(ran_.back().second, "the page, signed in as root on pts/0");
}

TEST_F(SiteTest, FailuresSayWhy) {
  sign_in(true);
  next_ = {1, "", "carbonio-limits: not a valid --top: 'x'; give a number\n"};
  EXPECT_EQ(ask("GET", "/api/usage?top=x").status, 400U);
  next_ = {2, "", "carbonio-limits: cannot open the database\n"};
  const SiteReply reply = ask("POST", "/api/on", R"({"word": "3"})");
  EXPECT_EQ(reply.status, 409U);
  EXPECT_EQ(reply.body, "{\"error\":\"cannot open the database\"}\n");
  next_ = {2, "", "carbonio-limits: there is no limit 9; 'carbonio-limits list' shows them\n"};
  EXPECT_EQ(ask("GET", "/api/limit?word=9").status, 404U);
  EXPECT_EQ(ask("POST", "/api/on", R"({"word": "9"})").status, 409U);
  next_.err = "carbonio-limits: cannot open the database\n";
  EXPECT_EQ(ask("GET", "/api/limit?word=9").status, 409U);
  next_ = {3, "{\"wrong\": 1}", ""};
  EXPECT_EQ(ask("GET", "/api/doctor").status, 200U) << "problems that it found are no failure";
}

TEST_F(SiteTest, HeadReads) {
  EXPECT_EQ(ask("HEAD", "/").status, 401U);
  sign_in(false);
  origin_.clear();  // as with GET
  EXPECT_EQ(ask("HEAD", "/").status, 200U);
  EXPECT_EQ(ask("HEAD", "/api/usage").status, 200U);
  const auto token = make_link(folder_, "root", false, now_);
  EXPECT_EQ(ask("HEAD", "/sign-in?token=" + *token).status, 405U);
  EXPECT_EQ(ask("GET", "/sign-in?token=" + *token).status, 200U) << "HEAD used the link up";
}

TEST_F(SiteTest, SaysWhichMethodsItTakes) {
  using Headers = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(ask("POST", "/api/usage").headers, (Headers{{"Allow", "GET, HEAD"}}));
  EXPECT_EQ(ask("GET", "/api/off").headers, (Headers{{"Allow", "POST"}}));
  EXPECT_TRUE(ask("GET", "/nothing").headers.empty());
}

TEST_F(SiteTest, OnAPageAnErrorIsASentence) {
  const auto page = [&](const char* target) { return ask("GET", target).body; };
  EXPECT_NE(page("/").find("<p>You are not signed in; on the server "), std::string::npos);
  EXPECT_NE(page("/").find(" prints a link that signs you in.</p>"), std::string::npos);
  EXPECT_NE(page("/nothing").find("<p>There is no such page.</p>"), std::string::npos);
  EXPECT_NE(page("/sign-in").find("<p>The link is incomplete.</p>"), std::string::npos);
  EXPECT_EQ(page("/api/nothing"), "{\"error\":\"there is no such page\"}\n");
  EXPECT_NE(ask("POST", "/").body.find("<p>/ needs GET.</p>"), std::string::npos);
}

TEST_F(SiteTest, ErrorsOfTheApiAreJson) {
  for (const char* type : {"", "text/plain", "application/x-www-form-urlencoded", "text/html"}) {
    for (const char* path : {"/api/off", "/api/nothing", "/api/usage"}) {
      const SiteReply reply = ask("POST", path, "x", type);
      EXPECT_EQ(reply.status / 100, 4U) << type;
      EXPECT_EQ(reply.type, "application/json") << type << path;
      EXPECT_TRUE(reply.body.starts_with("{\"error\":\"")) << reply.body;
    }
  }
  EXPECT_EQ(ask("GET", "/nothing").type, "text/html; charset=utf-8");
}

TEST_F(SiteTest, AReaderChangesNothing) {
  sign_in(false);
  EXPECT_TRUE(token_.empty());
  ran_.clear();
  EXPECT_EQ(ask("POST", "/api/remove", R"({"word": "3"})").status, 403U);
  EXPECT_TRUE(ran_.empty());
}

TEST_F(SiteTest, AChangeNeedsOriginAndToken) {
  sign_in(true);
  const std::string body = R"({"word": "3"})";
  EXPECT_EQ(ask("POST", "/api/off", body).status, 200U);
  ran_.clear();
  const std::string token = token_;
  for (const char* wrong : {"", "x"}) {
    token_ = wrong;
    EXPECT_EQ(ask("POST", "/api/off", body).status, 403U) << wrong;
  }
  token_ = token;
  for (const char* wrong : {"", "null", "http://evil.example", "http://localhost:10033",
                            "http://localhost:10032.evil.example", "localhost:10032"}) {
    origin_ = wrong;
    EXPECT_EQ(ask("POST", "/api/off", body).status, 403U) << wrong;
    EXPECT_EQ(ask("POST", "/sign-out").status, 403U) << wrong;
  }
  EXPECT_TRUE(ran_.empty());
}

TEST_F(SiteTest, AnswersForItsHostsOnly) {
  sign_in(true);
  host_ = "evil.example";
  origin_ = "http://evil.example";
  for (const char* target : {"/", "/page.js", "/api/usage"}) {
    EXPECT_EQ(ask("GET", target).status, 421U) << target;
  }
}

TEST_F(SiteTest, SaysThatTheHostIsMissing) {
  sign_in(true);
  host_.clear();
  const SiteReply reply = ask("GET", "/api/usage");
  EXPECT_EQ(reply.status, 400U);
  EXPECT_EQ(reply.body, "{\"error\":\"the Host header is missing\"}\n");
  EXPECT_EQ(ask("GET", "/page.js").status, 400U);
}

// Only a proxy is reached by that name, and it speaks HTTPS with the browser.
TEST_F(SiteTest, AProxysNameMeansHttps) {
  host_ = "limits.example.org:8443";
  const auto token = make_link(folder_, "root", true, now_);
  const SiteReply reply = ask("GET", "/sign-in?token=" + *token);
  ASSERT_EQ(reply.headers.size(), 1U);
  EXPECT_TRUE(reply.headers[0].second.ends_with("; Secure")) << reply.headers[0].second;
  sign_in(true);
  const std::string body = R"({"word": "3"})";
  for (const char* wrong : {"http://limits.example.org:8443", "https://limits.example.org",
                            "https://localhost:8443", "https://limits.example.org:8443.example"}) {
    origin_ = wrong;
    EXPECT_EQ(ask("POST", "/api/off", body).status, 403U) << wrong;
  }
  origin_ = "https://limits.example.org:8443";
  EXPECT_EQ(ask("POST", "/api/off", body).status, 200U);
  host_ = "localhost:10032";
  origin_ = "https://localhost:10032";
  EXPECT_EQ(ask("POST", "/api/off", body).status, 403U) << "there is no HTTPS here";
}

TEST_F(SiteTest, AnImportReadsWhatWasSent) {
  sign_in(true);
  EXPECT_EQ(ask("POST", "/api/import", R"({"text": "send 1/h --anyone\n"})").status, 200U);
  EXPECT_EQ(ran_.back().first, (std::vector<std::string>{"import", "-"}));
  EXPECT_EQ(input_, "send 1/h --anyone\n");
}

// Whose free time is over is no longer refused, and has no button.
TEST_F(SiteTest, TheFirstPageTellsNowFromBefore) {
  sign_in(true);
  next_.out = R"({"refused": [
      {"who": "now@example.org", "id": 3, "times": 5, "first": 1, "last": 2, "free_at": 1800003602.0},
      {"who": "over@example.org", "id": 3, "times": 5, "first": 1, "last": 2, "free_at": 1799999999.0},
      {"who": "other@example.org", "id": null, "module": "CheckSPF", "times": 1, "first": 1, "last": 2,
       "free_at": null}], "warnings": ["Limits are paused."]})";
  const std::string page = ask("GET", "/").body;
  const auto before = page.find("<h3>Refused in the last hour</h3>");
  ASSERT_NE(before, std::string::npos);
  EXPECT_LT(page.find("now@example.org"), before);
  EXPECT_GT(page.find("over@example.org"), before);
  EXPECT_GT(page.find("other@example.org"), before);
  EXPECT_EQ(page.find("Allow again", before), std::string::npos);
  EXPECT_NE(page.find("in 1 h 0 min"), std::string::npos) << page;
  EXPECT_NE(page.find("<p class=\"banner\">Limits are paused.</p>"), std::string::npos);
  EXPECT_NE(page.find("data-zone=\"Europe/Rome\""), std::string::npos);
}

// Reading it takes a while where there are many limits.
TEST_F(SiteTest, WhatTheFirstPageShowedServesForAMoment) {
  sign_in(true);
  next_.out = R"({"refused": [{"who": "first@example.org"}], "warnings": []})";
  ask("GET", "/");
  next_.out = R"({"refused": [{"who": "second@example.org"}], "warnings": []})";
  now_ += std::chrono::milliseconds{1999};
  EXPECT_NE(ask("GET", "/").body.find("first@example.org"), std::string::npos);
  now_ += std::chrono::milliseconds{1};
  EXPECT_NE(ask("GET", "/").body.find("second@example.org"), std::string::npos);
  const std::string third = R"({"refused": [{"who": "third@example.org"}], "warnings": []})";
  next_.out = third;
  EXPECT_EQ(ask("POST", "/api/off", R"({"word": "3"})").status, 200U);
  EXPECT_NE(ask("GET", "/").body.find("third@example.org"), std::string::npos) << "after a change";
}

TEST_F(SiteTest, AnotherCookieOpensNothing) {
  sign_in(true);
  cookies_.back() = cookies_.back() == '0' ? '1' : '0';
  EXPECT_EQ(ask("GET", "/").status, 401U);
}

TEST_F(SiteTest, SignsOut) {
  sign_in(true);
  EXPECT_EQ(ask("POST", "/sign-out", "", "application/x-www-form-urlencoded").status, 200U);
  EXPECT_EQ(ask("GET", "/").status, 401U);
}

TEST_F(SiteTest, AFormShowsWhatItDidOnce) {
  sign_in(true);
  next_ = {0, "Cleared 1 counter of <b>anna</b>.\nMore\n", ""};
  const SiteReply reply = ask("POST", "/api/reset", "word=anna&limit=3&token=" + token_,
                              "application/x-www-form-urlencoded");
  EXPECT_EQ(reply.status, 303U);
  next_ = {0, R"({"refused": [], "warnings": []})", ""};
  EXPECT_NE(ask("GET", "/").body.find("Cleared 1 counter of &lt;b&gt;anna&lt;/b&gt;."),
            std::string::npos);
  EXPECT_EQ(ask("GET", "/").body.find("Cleared 1 counter"), std::string::npos);
}

TEST_F(SiteTest, NamesOfStrangersAreText) {
  sign_in(true);
  next_.out = R"({"refused": [{"who": "<script>x</script>\"'&@example.org", "client": "\u001b[31m",
      "id": 3, "times": 5, "first": 1, "last": 2, "free_at": 1800003600.0, "module": "Quotas"}],
      "warnings": ["<i>"]})";
  const std::string page = ask("GET", "/").body;
  EXPECT_EQ(page.find("<script>x"), std::string::npos);
  EXPECT_EQ(page.find('\x1b'), std::string::npos);
  EXPECT_EQ(page.find("<i>"), std::string::npos);
  EXPECT_NE(page.find("&lt;script&gt;x&lt;/script&gt;&quot;&#39;&amp;@example.org"),
            std::string::npos)
      << page;
}

TEST_F(SiteTest, WhatReadsTheMailLogEndsAfterAMinute) {
  sign_in(false);
  next_ = {0, "{\"limits\": []}\n", ""};
  meanwhile_ = [this] { now_ += Site::kLogWithin - std::chrono::milliseconds{1}; };
  EXPECT_EQ(ask("GET", "/api/simulate?word=1/h").body, "{\"limits\": []}\n");
  EXPECT_EQ(lane_, Lane::log);
  EXPECT_EQ(given_up_, (std::vector<bool>{false, false}));
  meanwhile_ = [this] { now_ += Site::kLogWithin; };
  const SiteReply reply = ask("GET", "/api/simulate?word=1/h");
  EXPECT_EQ(reply.status, 504U);
  EXPECT_NE(reply.body.find("on the server 'carbonio-limits simulate'"), std::string::npos);
  EXPECT_TRUE(given_up_.back());
  given_up_.clear();
  ask("GET", "/api/doctor");
  EXPECT_TRUE(given_up_.empty()) << "others have limits of their own";
}

TEST_F(SiteTest, WhatReadsTheMailLogEndsWhereNobodyWaits) {
  sign_in(false);
  meanwhile_ = [this] { *gone_ = true; };
  ask("GET", "/api/simulate?word=1/h");
  EXPECT_EQ(given_up_, (std::vector<bool>{false, true}));
  ran_.clear();
  ask("GET", "/api/simulate?word=1/h");
  EXPECT_TRUE(ran_.empty()) << "who has gone while it waited";
  *gone_ = false;
  meanwhile_ = [this] { site_.end(); };
  ask("GET", "/api/simulate?word=1/h");
  EXPECT_TRUE(given_up_.back());
}

TEST_F(SiteTest, WhatWaitedRunsOnlyForWhomIsThere) {
  sign_in(true);
  ran_.clear();
  *gone_ = true;
  for (const char* path : {"usage", "history", "doctor"}) ask("GET", fmt::format("/api/{}", path));
  EXPECT_TRUE(ran_.empty());
  ask("POST", "/api/off", R"({"word": "3"})");
  EXPECT_EQ(ran_.size(), 1U) << "a change is made";
}

TEST_F(SiteTest, NothingBeginsAtTheEnd) {
  sign_in(true);
  now_ += minutes{1};  // doctor is due
  ran_.clear();
  site_.end();
  for (const char* target : {"/", "/api/usage", "/api/history"}) ask("GET", target);
  ask("POST", "/api/off", R"({"word": "3"})");
  EXPECT_TRUE(ran_.empty());
}

// run_program() is for one thread.
TEST_F(SiteTest, WhatRunsProgramsWaitsForNoReport) {
  sign_in(true);
  for (const char* path : {"history", "signals"}) {
    ask("GET", fmt::format("/api/{}", path));
    EXPECT_EQ(lane_, Lane::reports) << path;
  }
  for (const char* path : {"doctor", "status", "cluster"}) {
    ask("GET", fmt::format("/api/{}", path));
    EXPECT_EQ(lane_, Lane::slow) << path;
  }
}

TEST_F(SiteTest, ABlockIsAChange) {
  sign_in(false);
  ran_.clear();
  for (const char* path : {"/api/block", "/api/unblock"}) {
    EXPECT_EQ(ask("POST", path, R"({"word": "anna", "dry-run": true})").status, 403U) << path;
  }
  EXPECT_TRUE(ran_.empty());
  EXPECT_EQ(ask("GET", "/api/blocked").status, 200U);
  sign_in(true);
  EXPECT_EQ(ask("POST", "/api/block", R"({"word": "anna", "for": "1h", "account": true})").status,
            200U);
  EXPECT_EQ(ran_.back().first,
            (std::vector<std::string>{"block", "--account", "--for=1h", "--", "anna"}));
  EXPECT_EQ(lane_, Lane::slow);
}

TEST_F(SiteTest, SaysThatTooManyAsk) {
  sign_in(true);
  busy_ = true;
  EXPECT_EQ(ask("GET", "/").status, 503U);
  EXPECT_EQ(ask("GET", "/api/usage").status, 503U);
}

TEST(Sessions, AreBounded) {
  Sessions sessions;
  const policyd::TimePoint now{hours{500'000}};
  const std::string first = sessions.open({"a", false, {}}, now).cookie;
  for (std::size_t i = 1; i < Sessions::kMax; ++i) sessions.open({"a", false, {}}, now);
  EXPECT_NE(sessions.find(first, now), nullptr);
  sessions.open({"a", false, {}}, now);
  EXPECT_EQ(sessions.find(first, now), nullptr);
}

}  // namespace
}  // namespace limits
