// SPDX-License-Identifier: AGPL-3.0-only
// Parses the output of `carbonio prov`: answers of batch mode, names, attributes, errors. Pure
// functions of text that may contain Java's warnings; none of it is trusted.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/result.hpp"

namespace carbonio {

// `ERROR: account.NO_SUCH_SERVER (no such server: x)`.
struct ProvError {
  std::string code;
  std::string message;  // without Java's cause

  // One line, control characters escaped, at most 300 characters.
  [[nodiscard]] std::string to_string() const;
  bool operator==(const ProvError&) const = default;
};

// The errors in standard error, in order.
std::vector<ProvError> errors_in(std::string_view text);

// The line that best explains why a program failed: the first error, else the first line that is
// not a warning. Escaped and cut; empty if there is none.
std::string reason_in(std::string_view text);

// Standard output of batch mode, cut at its `prov> ` prompts: the answer to each of `commands`
// commands, possibly empty. Text before the first prompt is dropped. An Error if there are fewer
// answers (it died half-way) or more.
policyd::Result<std::vector<std::string>> split_answers(std::string_view text,
                                                        std::size_t commands);

// The lines of `gad` and `gas`, without empty ones and warnings. Names are unchanged.
std::vector<std::string> names_in(std::string_view answer);

// Attributes with their values, in order; names compare without regard to case.
class Attributes {
 public:
  void add(std::string name, std::string value) {
    all_.emplace_back(std::move(name), std::move(value));
  }
  [[nodiscard]] std::vector<std::string> values(std::string_view name) const;
  [[nodiscard]] std::optional<std::string> value(std::string_view name) const;  // the first
  [[nodiscard]] bool has(std::string_view name, std::string_view value) const;  // case-sensitive
  [[nodiscard]] bool empty() const { return all_.empty(); }

 private:
  std::vector<std::pair<std::string, std::string>> all_;
};

// `attr: value` lines (`gacf`). Other lines are ignored.
Attributes attributes_in(std::string_view answer);

// A server, or the global configuration.
struct Entry {
  std::string name;  // empty: the global configuration
  Attributes attributes;
};
// `# name mail.example.com` and its attributes (`gs`); nullopt without that first line, which is
// how a failed command answers in batch mode.
std::optional<Entry> server_in(std::string_view answer);
// One after another (`gas -v`).
std::vector<Entry> servers_in(std::string_view answer);

}  // namespace carbonio
