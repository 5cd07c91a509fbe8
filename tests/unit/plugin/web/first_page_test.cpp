// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/web/first_page.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

namespace limits {
namespace {

TEST(TimeUntil, IsRoundedUpToWhatMatters) {
  struct Row {
    double seconds;
    const char* text;
  };
  for (const Row& row :
       {Row{-1, ""}, Row{0, ""}, Row{0.1, "1 s"}, Row{59, "59 s"}, Row{60, "1 min"},
        Row{61, "2 min"}, Row{3599, "60 min"}, Row{3600, "1 h 0 min"}, Row{3661, "1 h 2 min"},
        Row{86'399, "24 h 0 min"}, Row{86'400, "1 day"}, Row{86'401, "2 days"}}) {
    EXPECT_EQ(time_until(1000 + row.seconds, 1000), row.text) << row.seconds;
  }
  EXPECT_EQ(time_until(std::numeric_limits<double>::quiet_NaN(), 0), "");
}

// Whatever a subcommand prints, it is a page.
TEST(FirstPage, TakesAnyJson) {
  for (const char* text :
       {"{}", R"({"refused": [], "warnings": []})", R"({"refused": [{}]})",
        R"({"refused": [{"who": 5, "times": "x", "id": "y", "free_at": null, "first": -1}]})"}) {
    const auto refused = nlohmann::json::parse(text);
    const std::string page = first_page({"mta1", "", "", "root", "", refused, nullptr}, {});
    EXPECT_NE(page.find("</html>"), std::string::npos) << text;
    EXPECT_NE(page.find("No sender is refused now."), std::string::npos) << text;
  }
}

// The form must name the sender to the letter, or it frees another.
TEST(FirstPage, AButtonIsOfTheSenderItself) {
  const auto refused =
      nlohmann::json::parse(R"({"refused": [{"who": "\\x1b\\x0d\\xe2\\x80\\xae<a>\"'&@b.example",
      "reset": "\u001b\r\u202e<a>\"'&@b.example", "id": 3, "free_at": 60.0}], "warnings": []})");
  const std::string page = first_page({"mta1", "", "token", "root", "", refused, nullptr}, {});
  EXPECT_NE(page.find("value=\"&#27;&#13;\u202e&#60;a&#62;&#34;&#39;&#38;@b.example\""),
            std::string::npos)
      << page;
  EXPECT_NE(page.find("aria-label=\"Allow again: \\x1b"), std::string::npos) << page;
  EXPECT_EQ(page.find('\x1b'), std::string::npos);
}

// Of a counter that everybody shares the limit is cleared; what has no name cannot be.
TEST(FirstPage, AButtonMayHaveNoName) {
  const auto page = [](const char* reset) {
    auto refused = nlohmann::json::parse(
        R"({"refused": [{"who": "all together", "id": 4, "free_at": 60.0}], "warnings": []})");
    refused["refused"][0]["reset"] = nlohmann::json::parse(reset);
    return first_page({"mta1", "", "token", "root", "", refused, nullptr}, {});
  };
  const std::string shared = page(R"("")");
  EXPECT_NE(shared.find("name=\"limit\" value=\"4\""), std::string::npos);
  EXPECT_EQ(shared.find("name=\"word\""), std::string::npos);
  EXPECT_EQ(page("null").find("Allow again"), std::string::npos);
}

// A narrow window shows the cells below each other, which is no table to a browser.
TEST(FirstPage, SaysTheRolesOfItsTable) {
  const auto refused = nlohmann::json::parse(
      R"({"refused": [{"who": "a@b.example", "reset": "a@b.example", "id": 3, "free_at": 60.0}],
      "warnings": []})");
  const std::string page = first_page({"mta1", "", "token", "root", "", refused, nullptr}, {});
  for (const char* tag : {"<table", "<thead", "<tbody", "<tr", "<th", "<td"}) {
    for (auto at = page.find(tag); at != std::string::npos; at = page.find(tag, at + 1)) {
      const std::string whole = page.substr(at, page.find('>', at) - at);
      EXPECT_NE(whole.find(" role="), std::string::npos) << whole;
    }
  }
}

TEST(FirstPage, SaysWhetherAllIsWell) {
  const auto refused = nlohmann::json::parse(R"({"refused": [], "warnings": []})");
  const auto page = [&](std::string_view doctor) {
    const auto json = nlohmann::json::parse(doctor);
    return first_page({"mta1", "", "", "root", "", refused, &json}, {});
  };
  EXPECT_NE(page(R"({"wrong": 0, "findings": []})").find("All is well."), std::string::npos);
  const std::string wrong = page(R"({"wrong": 1, "findings": [{"state": "ok", "what": "fine"},
      {"state": "wrong", "what": "<Postfix> asks no daemon"}]})");
  EXPECT_NE(wrong.find("1 problem:"), std::string::npos);
  EXPECT_NE(wrong.find("<li>&lt;Postfix&gt; asks no daemon</li>"), std::string::npos);
  EXPECT_EQ(wrong.find("fine"), std::string::npos);
  EXPECT_EQ(wrong.find("more:"), std::string::npos);
}

TEST(FirstPage, NamesTenProblemsAtMost) {
  const auto refused = nlohmann::json::parse(R"({"refused": [], "warnings": []})");
  nlohmann::json doctor = {{"wrong", 12}, {"findings", nlohmann::json::array()}};
  for (int i = 1; i <= 12; ++i) {
    doctor["findings"].push_back({{"state", "wrong"}, {"what", fmt::format("problem {}.", i)}});
  }
  const std::string page = first_page({"mta1", "", "", "root", "", refused, &doctor}, {});
  EXPECT_NE(page.find("12 problems:"), std::string::npos);
  EXPECT_NE(page.find("problem 10."), std::string::npos);
  EXPECT_EQ(page.find("problem 11."), std::string::npos);
  EXPECT_NE(page.find("<p>2 more: <code>carbonio-limits doctor</code></p>"), std::string::npos);
}

}  // namespace
}  // namespace limits
