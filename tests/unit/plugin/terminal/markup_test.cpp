// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/terminal/markup.hpp"

#include <gtest/gtest.h>

#include <string>

namespace limits {
namespace {

TEST(Markup, TextIsNeverMarkup) {
  EXPECT_EQ(in_markup("<a href=\"x\">'&'</a>"),
            "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
  EXPECT_EQ(in_markup("anna@example.org, Zoë"), "anna@example.org, Zoë");
  for (const char* text : {"\x1b[31m", "\xe2\x80\xae", "\r\n", "\xff"}) {
    const std::string out = in_markup(text);
    EXPECT_EQ(out.find_first_of("\x1b\r\n\xff"), std::string::npos) << out;
    EXPECT_EQ(out.find("\xe2\x80\xae"), std::string::npos) << out;
  }
}

// A picture that has one is no XML.
TEST(Markup, ReplacesWhatXmlDoesNotHave) {
  EXPECT_EQ(in_markup("a\xef\xbf\xbe\xef\xbf\xbfz"), "a\xef\xbf\xbd\xef\xbf\xbdz");
  EXPECT_EQ(in_markup("\xef\xbf\xbc\xef\xbb\xbf"), "\xef\xbf\xbc\xef\xbb\xbf");
}

}  // namespace
}  // namespace limits
