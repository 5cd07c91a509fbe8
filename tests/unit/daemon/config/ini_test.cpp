// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/config/ini.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace policyd {
namespace {

// One line a section or key: "[name]@line", "key=value@line".
std::string outline(const std::vector<IniSection>& sections) {
  std::string out;
  for (const IniSection& section : sections) {
    out += "[" + section.name + "]@" + std::to_string(section.line) + "\n";
    for (const IniEntry& entry : section.entries) {
      out += entry.key + "=" + entry.value + "@" + std::to_string(entry.line) + "\n";
    }
  }
  return out;
}

struct Reads {
  const char* name;
  std::string text;
  std::string outline;
};

class IniReads : public testing::TestWithParam<Reads> {};

TEST_P(IniReads, SectionsAndKeys) {
  const auto sections = parse_ini(GetParam().text, "x.conf");
  ASSERT_TRUE(sections) << sections.error().message;
  EXPECT_EQ(outline(*sections), GetParam().outline);
}

INSTANTIATE_TEST_SUITE_P(
    Ini, IniReads,
    testing::Values(Reads{"Nothing", "", ""}, Reads{"EmptyLines", "\n\r\n   \n", ""},
                    Reads{"Key", "[a]\nb=c\n", "[a]@1\nb=c@2\n"},
                    Reads{"LastLineWithoutEnd", "[a]\nb=c", "[a]@1\nb=c@2\n"},
                    Reads{"CrLf", "[a]\r\nb=c\r\n", "[a]@1\nb=c@2\n"},
                    Reads{"WhiteSpaceAround", "  [ a ]  \n\tb  =  c d \t\n", "[a]@1\nb=c d@2\n"},
                    Reads{"CaseIsKept", "[Quotas]\nEnable=YES\n", "[Quotas]@1\nEnable=YES@2\n"},
                    Reads{"Comments", "# x\n; y=z\n  # [n]\n[a]\n#b=c\n", "[a]@4\n"},
                    Reads{"HashInsideValue", "[a]\nb=0 # Disabled by default\nc=a;b\n",
                          "[a]@1\nb=0 # Disabled by default@2\nc=a;b@3\n"},
                    Reads{"SplitsAtFirstEquals", "[a]\nDSN=DBI:SQLite:dbname=/x=y\n",
                          "[a]@1\nDSN=DBI:SQLite:dbname=/x=y@2\n"},
                    Reads{"EmptyValue", "[a]\nb=\n", "[a]@1\nb=@2\n"},
                    Reads{"RepeatedKeys", "[a]\nb=1\nB=2\nb=3\n", "[a]@1\nb=1@2\nB=2@3\nb=3@4\n"},
                    Reads{"RepeatedSections", "[a]\nb=1\n[c]\n[A]\nb=2\n",
                          "[a]@1\nb=1@2\n[c]@3\n[A]@4\nb=2@5\n"},
                    Reads{"HereDocument", "[a]\nb=<<EOT\nPostfix\nBizanga\nEOT\nc=1\n",
                          "[a]@1\nb=Postfix\nBizanga@2\nc=1@6\n"},
                    Reads{"HereDocumentOfNothing", "[a]\nb=<<EOT\nEOT\n", "[a]@1\nb=@2\n"},
                    Reads{"HereDocumentWithCrLf", "[a]\r\nb=<< END\r\nx\r\nEND\r\n",
                          "[a]@1\nb=x@2\n"},
                    Reads{"HereDocumentHoldsAnything", "[a]\nb=<<EOT\n[x]\n# y\n\nEOT2\nEOT\n",
                          "[a]@1\nb=[x]\n# y\n\nEOT2@2\n"},
                    Reads{"ByteOrderMark", "\xEF\xBB\xBF[a]\n", "[a]@1\n"},
                    Reads{"BytesAbove127", "[a]\nb=Gr\xC3\xBC\xC3\x9F\xFF\n",
                          "[a]@1\nb=Gr\xC3\xBC\xC3\x9F\xFF@2\n"}),
    [](const auto& row) { return row.param.name; });

struct Refuses {
  const char* name;
  std::string text;
  std::string message;
};

class IniRefuses : public testing::TestWithParam<Refuses> {};

TEST_P(IniRefuses, WithFileAndLine) {
  const auto sections = parse_ini(GetParam().text, "x.conf");
  ASSERT_FALSE(sections);
  EXPECT_EQ(sections.error().message, GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Ini, IniRefuses,
    testing::Values(
        Refuses{"KeyBeforeSection", "\na=1\n",
                "x.conf:2: a key before the first '[section]': 'a=1'"},
        Refuses{"LineWithoutEquals", "[a]\nhello\n",
                "x.conf:2: not a comment, a '[section]' or 'key=value': 'hello'"},
        Refuses{"EmptyKey", "[a]\n=1\n",
                "x.conf:2: not a comment, a '[section]' or 'key=value': '=1'"},
        Refuses{"OpenSection", "[a\n", "x.conf:1: not a valid '[section]': '[a'"},
        Refuses{"OneBracket", "[\n", "x.conf:1: not a valid '[section]': '['"},
        Refuses{"TextBehindSection", "[a] # b\n", "x.conf:1: not a valid '[section]': '[a] # b'"},
        Refuses{"NamelessSection", "[ ]\n", "x.conf:1: a section needs a name: '[ ]'"},
        Refuses{"HereDocumentWithoutMark", "[a]\nb=<<\n",
                "x.conf:2: '<<' without the word that ends the value: 'b=<<'"},
        Refuses{"HereDocumentWithoutEnd", "[a]\nb=<<EOT\nx\n EO\n",
                "x.conf:2: the value that begins here has no end; add a line 'EOT'"},
        Refuses{"Nul", std::string("[a]\nb=\0c\n", 9),
                "x.conf:2: contains a NUL byte, so not a configuration file"},
        Refuses{"EscapesWhatItShows", "[a]\n\x1b[2J\x7f\n",
                "x.conf:2: not a comment, a '[section]' or 'key=value': '\\x1b[2J\\x7f'"}),
    [](const auto& row) { return row.param.name; });

TEST(Ini, CutsLongLinesInMessages) {
  const auto sections = parse_ini("[a]\n" + std::string(5000, 'x'), "x.conf");
  ASSERT_FALSE(sections);
  EXPECT_LT(sections.error().message.size(), 200U);
}

TEST(Ini, AcceptsOneMebibyteAndNotAByteMore) {
  std::string text = "[a]\n#";
  text.resize(kMaxIniBytes, 'x');
  EXPECT_TRUE(parse_ini(text, "x.conf"));
  text += 'x';
  const auto sections = parse_ini(text, "x.conf");
  ASSERT_FALSE(sections);
  EXPECT_EQ(sections.error().message,
            "x.conf: larger than 1048576 bytes, so not a configuration file");
}

TEST(Ini, AcceptsAnyNumberOfSections) {
  std::string text;
  while (text.size() + 4 <= kMaxIniBytes) text += "[a]\n";
  const auto sections = parse_ini(text, "x.conf");
  ASSERT_TRUE(sections);
  EXPECT_EQ(sections->size(), kMaxIniBytes / 4);
}

// Any input gives a result, without a fault that a sanitizer would report.
TEST(Ini, SurvivesTruncatedFilesAndArbitraryBytes) {
  const std::string whole = "\xEF\xBB\xBF[server]\nmodules=<<EOT\nCore\nEOT\n# x\nport = 1\n";
  for (std::size_t i = 0; i <= whole.size(); ++i) (void)parse_ini(whole.substr(0, i), "x.conf");
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string changed = whole;
      changed[i] = static_cast<char>(byte);
      (void)parse_ini(changed, "x.conf");
    }
  }
}

TEST(Ini, ComparesIgnoringCase) {
  EXPECT_TRUE(equal_ignoring_case("Quotas", "qUOTAS"));
  EXPECT_FALSE(equal_ignoring_case("Quotas", "Quota"));
  EXPECT_FALSE(equal_ignoring_case("[", "{"));
}

}  // namespace
}  // namespace policyd
