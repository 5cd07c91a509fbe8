// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/names/extension.hpp"

#include <gtest/gtest.h>

namespace policyd {
namespace {

TEST(Extension, IsLeftOffAsPostfixDoes) {
  struct Row {
    const char* local_part;
    const char* delimiters;
    const char* user;
  };
  for (const Row& row : {
           Row{"anna+news", "+", "anna"},
           Row{"anna+a+b", "+", "anna"},
           Row{"anna+", "+", "anna"},
           Row{"anna", "+", "anna"},
           Row{"anna-news", "+", "anna-news"},
           Row{"anna-a+b", "+-", "anna"},
           Row{"anna+a-b", "+-", "anna"},
           Row{"anna+news", "", "anna+news"},
           Row{"", "+", ""},
           // There would be no user.
           Row{"+news", "+", "+news"},
           Row{"+", "+", "+"},
           Row{"++x", "+", "++x"},
           // Postfix's own names, and those of mailing lists.
           Row{"mailer-daemon", "-", "mailer-daemon"},
           Row{"double-bounce", "-", "double-bounce"},
           Row{"double-bounce", "+-", "double-bounce"},
           Row{"postmaster", "s", "postmaster"},
           Row{"owner-list", "-", "owner-list"},
           Row{"list-request", "-", "list-request"},
           Row{"owner-list", "+-", "owner-list"},
           Row{"owner-list+x", "+", "owner-list"},
           Row{"list-request", "+", "list-request"},
           Row{"-request", "-", "-request"},
           Row{"list+1-request", "+", "list"},
           // The address of another sender each time.
           Row{"srs0+ab=cd=example.net=eve", "+", "srs0+ab=cd=example.net=eve"},
           Row{"srs0=ab=cd=example.net=eve+x", "+", "srs0=ab=cd=example.net=eve+x"},
           Row{"srs1-ab=own.example==cd=eve", "-+", "srs1-ab=own.example==cd=eve"},
           Row{"srs0+", "+", "srs0+"},
           Row{"srs+x", "+", "srs"},
           Row{"srs0x+x", "+", "srs0x"},
           Row{"list-bounces+user=example.net", "+", "list-bounces"},
           Row{"\xC3\xA4nna+x", "+", "\xC3\xA4nna"},
       }) {
    EXPECT_EQ(without_extension(row.local_part, row.delimiters), row.user) << row.local_part;
  }
}

}  // namespace
}  // namespace policyd
