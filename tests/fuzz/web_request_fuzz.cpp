// SPDX-License-Identifier: AGPL-3.0-only
// What a stranger may send to the page: anything at all. What is accepted is a subcommand of the
// table with its own options, and nothing in it can become another option.
#include <algorithm>
#include <string>

#include "fuzz.hpp"
#include "plugin/web/web_request.hpp"

namespace {

using namespace limits;
using fuzz::check;

void check_call(const Call& call, std::string_view method) {
  check(!call.words.empty() && call.words.size() <= kMaxParameters + 4, "words are bounded");
  check(call.changes == (method == "POST"), "a change is a POST");
  for (const std::string& word : call.words) {
    check(word.size() <= kMaxParameterBytes * 2 + 3, "a word is bounded");
    check(word.find('\0') == std::string::npos, "a word is one");
  }
  const std::string& command = call.words.front();
  check(call.input.has_value() == (command == "import"), "only an import reads its text");
  check(command != "import" || call.words[1] == "-", "it reads no file");
  check(!call.input || call.input->size() <= kMaxBodyBytes, "a text is bounded");
  check(!command.starts_with('-'), "the subcommand comes first");
  for (const char* other : {"enable", "disable", "init", "hook", "restore", "release", "notify",
                            "postscreen", "completion", "web", "backup"}) {
    check(command != other, "it is one of the table");
  }
  const auto end = std::find(call.words.begin(), call.words.end(), "--");  // of the options
  for (auto word_at = call.words.begin(); word_at != end; ++word_at) {
    const std::string& word = *word_at;
    check(word_at - call.words.begin() < 2 || word == "status" || word.starts_with("--"),
          "a word of a stranger is after the options");
    for (const char* option : {"--database", "--zextras-home", "--watch", "--follow", "--print-sql",
                               "--against", "--html", "--hold", "--release", "--delete"}) {
      check(word.substr(0, word.find('=')) != option, "it is one of the table's options");
    }
    check(!word.starts_with("--svg") || word == "--svg=-", "it writes no file");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest = fuzz::text_of(data, size);
  WebRequest request;
  request.method = fuzz::take_line(rest);
  request.target = fuzz::take_line(rest);
  request.content_type = fuzz::take_line(rest);
  const std::string_view header = fuzz::take_line(rest);
  request.body = rest;
  const Wanted wanted = wanted_of(request);
  if (const auto* none = std::get_if<Refused>(&wanted)) {
    check(none->status >= 400 && none->status < 500, "a refusal has its status");
    check(!none->text.empty() && none->text.find('\n') == std::string::npos, "it is one line");
  } else if (const auto* call = std::get_if<Call>(&wanted)) {
    check_call(*call, request.method);
  }
  const std::string_view cookie = cookie_of(header, "carbonio-limits");
  check(cookie.find(';') == std::string_view::npos, "a cookie ends at its semicolon");
  is_one_of_hosts(header, {"localhost"});
  return 0;
}
