// SPDX-License-Identifier: AGPL-3.0-only
// What a request to the page asks for, found before anything is done: a file of the page, a
// sign-in, or a subcommand with its words. Pure functions over untrusted bytes; whatever is not in
// the tables here does not exist.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/base/result.hpp"

namespace limits {

inline constexpr std::size_t kMaxTargetBytes = 4'096;
inline constexpr std::size_t kMaxBodyBytes = 65'536;
inline constexpr std::size_t kMaxParameters = 50;
inline constexpr std::size_t kMaxParameterBytes = 1'000;  // but for the text of `import`

// name -> its values, in the order in which they came.
using Parameters = std::map<std::string, std::vector<std::string>, std::less<>>;

struct WebRequest {
  std::string_view method;        // "GET"
  std::string_view target;        // "/api/usage?top=5"
  std::string_view content_type;  // of the body
  std::string_view body;
};

// Nothing of ours: `text` is one line for whoever asked.
struct Refused {
  unsigned status = 400;  // of HTTP
  std::string text;
  std::string allow = {};  // with 405: the methods that are taken
};
// "/": what is refused now, as HTML that needs no script.
struct FirstPage {};
// A file of the page.
struct AskedFile {
  std::string name;  // "page.js"
};
// A link's token, to be exchanged for a session.
struct SignIn {
  std::string token;
};
struct SignOut {};
// Which subcommands wait for each other: what takes long keeps nothing else waiting.
enum class Lane : std::uint8_t {
  quick,
  reports,  // it reads millions of rows
  slow,     // it runs other programs
  log,      // it reads the mail log
};
// A subcommand.
struct Call {
  std::vector<std::string> words;  // {"usage", "--json", "--top=5"}
  bool changes = false;            // needs a session that may write
  bool json = true;                // what it prints; else text
  Lane lane = Lane::quick;
  bool from_form = false;                 // of the first page, which is shown again afterwards
  std::string form_token;                 // what the form had
  std::optional<std::string> input = {};  // what it reads from standard input
};
using Wanted = std::variant<Refused, FirstPage, AskedFile, SignIn, SignOut, Call>;

Wanted wanted_of(const WebRequest& request);

// GET, and HEAD, which is answered as GET is, without the body.
bool is_reading(std::string_view method);

// "a=1&b=%2B+x"; nullopt if it is malformed or beyond the bounds.
std::optional<Parameters> parse_query(std::string_view text);
// {"a": "1", "b": true, "c": ["x", 2]}: true is an option without a value, false is none, and a
// whole number is its text. An Error names what else there is.
policyd::Result<Parameters> parse_json_parameters(std::string_view text);

// The value of a cookie, from the header "a=1; b=2"; empty if there is none.
std::string_view cookie_of(std::string_view header, std::string_view name);

// Whether a Host header names one of the hosts, with or without a port: "localhost:10032".
bool is_one_of_hosts(std::string_view host, const std::vector<std::string>& allowed);

}  // namespace limits
