// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/names/name_form.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace policyd {
namespace {

struct Form {
  const char* name;
  const char* text;
  const char* form;
};

std::string name_of_row(const testing::TestParamInfo<Form>& row) { return row.param.name; }

class Address : public testing::TestWithParam<Form> {};
TEST_P(Address, HasOneForm) {
  EXPECT_EQ(address_form(GetParam().text), GetParam().form);
  EXPECT_EQ(address_form(GetParam().form), GetParam().form);
}
INSTANTIATE_TEST_SUITE_P(
    NameForm, Address,
    testing::Values(Form{"Ascii", "Bob+Tag@Example.ORG", "bob+tag@example.org"},
                    Form{"AceStays", "p@XN--exmple-CUA.org", "p@xn--exmple-cua.org"},
                    Form{"Domain", "p@exämple.org", "p@xn--exmple-cua.org"},
                    Form{"DomainInCapitals", "p@EXÄMPLE.ORG", "p@xn--exmple-cua.org"},
                    Form{"DomainDecomposed", "p@exa\u0308mple.org", "p@xn--exmple-cua.org"},
                    Form{"DomainWide", "p@ｅｘａｍｐｌｅ．ｏｒｇ", "p@example.org"},
                    Form{"DomainWithIdeographicStop", "p@exämple。org", "p@xn--exmple-cua.org"},
                    Form{"DomainWithSoftHyphen", "p@ex\u00ADample.org", "p@example.org"},
                    Form{"DomainOfSubdomain", "p@a.ä.B", "p@a.xn--4ca.b"},
                    Form{"DomainKeepsSharpS", "p@straße.de", "p@xn--strae-oqa.de"},
                    Form{"DomainEmoji", "p@💩.la", "p@xn--ls8h.la"},
                    Form{"DomainWithHyphenInFront", "p@-ä.org", "p@xn----0fa.org"},
                    Form{"DomainBothDirections", "p@אa.org", "p@xn--a-zhc.org"},
                    Form{"DomainWithAWideAtSign", "p@x＠own.example", "p@xn--xown-bc0y.example"},
                    Form{"DomainEndsInDot", "p@exämple.org.", "p@xn--exmple-cua.org"},
                    Form{"AsciiDomainEndsInDot", "P@Example.ORG.", "p@example.org"},
                    Form{"DomainOnlyEndsInDot", "@example.org.", "@example.org"},
                    Form{"DomainEndsInIdeographicStop", "p@exämple。", "p@xn--exmple-cua"},
                    Form{"DomainEndsInTwoDots", "p@example.org..", "p@example.org.."},
                    Form{"DomainIsADot", "p@.", "p@."},
                    Form{"LocalPartEndsInDot", "anna.", "anna."},
                    Form{"LocalPart", "JÜRGEN@example.org", "jürgen@example.org"},
                    Form{"LocalPartDecomposed", "Ju\u0308rgen@example.org", "jürgen@example.org"},
                    Form{"LocalPartGreek", "ΣΊΣΥΦΟΣ@example.org", "σίσυφοσ@example.org"},
                    Form{"LocalPartOtherOrderOfMarks", "a\u0307\u0323@x", "\u1ea1\u0307@x"},
                    Form{"LocalPartSharpS", "Strauß@x", "strauss@x"},
                    Form{"NoDomain", "Änna", "änna"},
                    Form{"DomainOnly", "@EXÄMPLE.org", "@xn--exmple-cua.org"},
                    Form{"AnyOfADomain", "*@EXÄMPLE.org", "*@xn--exmple-cua.org"},
                    Form{"AnySubdomain", "@*.EXÄMPLE.org", "@*.xn--exmple-cua.org"},
                    Form{"StarInALabel", "@*ÄMPLE.org", "@*ämple.org"},
                    Form{"NotUtf8", "J\xdcRGEN@X.org", "j\xdcrgen@x.org"},
                    Form{"NotUtf8InTheDomain", "p@EX\xc4MPLE.org", "p@ex\xc4mple.org"},
                    Form{"Nothing", "", ""}),
    name_of_row);

class Login : public testing::TestWithParam<Form> {};
TEST_P(Login, HasOneForm) {
  EXPECT_EQ(login_form(GetParam().text), GetParam().form);
  EXPECT_EQ(login_form(GetParam().form), GetParam().form);
}
INSTANTIATE_TEST_SUITE_P(
    NameForm, Login,
    testing::Values(Form{"Ascii", " Anna\t", "anna"}, Form{"Umlaut", "Änna", "änna"},
                    Form{"Decomposed", "a\u0308nna ", "änna"},
                    Form{"OtherBlanks", "\u00A0\u3000änna \u2003", "änna"},
                    Form{"OnlyOtherBlanks", "\u00A0\u3000", ""},
                    Form{"WithADomain", "Änna@EXÄMPLE.org", "änna@xn--exmple-cua.org"},
                    Form{"DomainEndsInDot", "Anna@Example.ORG. ", "anna@example.org"},
                    Form{"NotUtf8", "\x80", "\x80"}),
    name_of_row);

TEST(NameForm, OfADomainIsWithoutTheDotAtItsEnd) {
  EXPECT_EQ(domain_form("Example.ORG."), "example.org");
  EXPECT_EQ(domain_form("EXÄMPLE.org."), "xn--exmple-cua.org");
  EXPECT_EQ(domain_form("ex\xc4mple.org."), "ex\xc4mple.org");
  EXPECT_EQ(domain_form("example.org.."), "example.org..");
  EXPECT_EQ(domain_form("."), ".");
}

TEST(NameForm, PatternsMatchTheLettersOfADomain) {
  EXPECT_TRUE(domain_match("*.example.org", "a.example.org"));
  EXPECT_TRUE(domain_match("*ämple.org", "xn--exmple-cua.org"));
  EXPECT_TRUE(domain_match("*ämple.xn--exmple-cua.org", "xn--exmple-cua.xn--exmple-cua.org"));
  EXPECT_FALSE(domain_match("*ample.org", "xn--exmple-cua.org"));
  EXPECT_FALSE(domain_match("*ümple.org", "xn--exmple-cua.org"));
  EXPECT_FALSE(domain_match("*ä.org", "xn--.org"));
}

TEST(NameForm, KnowsAscii) {
  for (std::size_t size = 0; size < 40; ++size) {
    std::string text(size, 'a');
    EXPECT_TRUE(is_ascii(text));
    for (char& c : text) {
      c = '\x80';
      EXPECT_FALSE(is_ascii(text));
      c = '\x7f';
    }
  }
}

// A form that had another form would let a counter be missed by the command that resets it.
TEST(NameForm, OfAnyTextIsItsOwnForm) {
  std::mt19937 random{7};
  const std::vector<std::string> pieces = {
      "a",    "Z",  "@",      ".",      "*",      "-",      "ä",      "Ä",    "ß",
      "ẞ",    "İ",  "ı",      "\u0308", "\u0323", "\u0345", "\u3002", "ﬁ",    "Ω",
      "ς",    "ａ", "＠",     "💩",      "א",      "\u200d", "\u00a0", "\xff", "\xc3",
      "xn--", "한", "\u1100", "\u00ad", "ǅ",      "ᾳ",      "1",      " "};
  for (int round = 0; round < 30'000; ++round) {
    std::string text;
    for (auto left = random() % 9; left > 0; --left) text += pieces[random() % pieces.size()];
    for (const auto form : {&address_form, &domain_form, &login_form}) {
      const std::string once = form(text);
      ASSERT_EQ(form(once), once) << text;
    }
  }
}

TEST(NameForm, TakesLittleTimeForAnyLength) {
  std::string many;
  for (int i = 0; i < 8'000; ++i) many += "ä.";
  EXPECT_FALSE(address_form("x@" + many).empty());
  std::string marks = "a";
  for (int i = 0; i < 8'000; ++i) marks += i % 2 == 0 ? "\u0308" : "\u0323";
  EXPECT_FALSE(address_form(marks + "@example.org").empty());
}

}  // namespace
}  // namespace policyd
