// SPDX-License-Identifier: AGPL-3.0-only
// What `carbonio prov` prints; the first byte says how many commands it was to answer. Lines stay
// lines, what a person gets to see is one bounded line without control characters, and answers
// written as batch mode writes them are the same answers.
#include <algorithm>
#include <string>

#include "fuzz.hpp"
#include "hooks/carbonio/prov_output.hpp"

namespace {

using namespace carbonio;
using fuzz::check;

// append_printable() takes so much of a text, and needs four characters for some of its bytes.
constexpr std::size_t kLongestShown = 300 * 4;

bool is_shown_line(const std::string& text) {
  return text.size() <= kLongestShown && std::none_of(text.begin(), text.end(), [](char c) {
           return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
         });
}

bool is_line(const std::string& text) { return text.find('\n') == std::string::npos; }

void check_answers(std::string_view text, std::size_t commands) {
  const auto answers = split_answers(text, commands);
  if (!answers) {
    check(is_shown_line(answers.error().message), "an error is a line");
    return;
  }
  check(answers->size() == commands, "an answer for each command");
  std::string written;
  for (const std::string& answer : *answers) {
    check(answer.empty() || answer.ends_with('\n'), "an answer is lines");
    check(answer.find("\n\n") == std::string::npos, "no empty ones");
    written += "prov> ";
    // In CRLF, so that a CR at the end of a line belongs to it.
    for (const char c : answer) written += c == '\n' ? "\r\n" : std::string{c};
  }
  if (commands == 0) return;
  const auto again = split_answers(written + "prov> ", commands);
  check(again && *again == *answers, "answers written again are the same");
}

void check_attributes(std::string_view text) {
  std::size_t lines = 0;
  for (const char* name : {"zimbraServiceEnabled", "zimbraMtaMyNetworks", "a"}) {
    const Attributes all = attributes_in(text);
    const auto values = all.values(name);
    lines += values.size();
    check(std::all_of(values.begin(), values.end(), is_line), "a value is in one line");
    check(all.value(name).has_value() == !values.empty(), "a first value where there is one");
    for (const std::string& value : values) check(all.has(name, value), "a value is found");
    check(values.empty() || !all.empty(), "not empty");
  }
  check(lines <= 1 + static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')),
        "a value a line at most");
  if (const auto server = server_in(text)) {
    check(is_line(server->name), "a name is in one line");
    check(text.find("# name " + server->name) != std::string_view::npos, "a name as it came");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text = fuzz::text_of(data + 1, size - 1);
  check_answers(text, data[0] % 16);
  check_attributes(text);
  for (const ProvError& error : errors_in(text)) {
    check(is_shown_line(error.to_string()), "an error is shown in a line");
    check(is_line(error.code) && is_line(error.message), "an error is a line");
  }
  check(is_shown_line(reason_in(text)), "a reason is shown in a line");
  for (const std::string& name : names_in(text)) {
    check(is_line(name) && !name.empty(), "a name is a line");
    check(text.find(name) != std::string_view::npos, "a name as it came");
  }
  return 0;
}
