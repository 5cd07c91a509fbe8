// SPDX-License-Identifier: AGPL-3.0-only
// What `carbonio prov` prints, as values: answers of batch mode, names, attributes, errors. Pure
// functions of text that may have Java's warnings in it; nothing of it is trusted.
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
  std::string message;  // without what Java says about the cause

  // One line, control characters escaped, at most 300 characters.
  [[nodiscard]] std::string to_string() const;
  bool operator==(const ProvError&) const = default;
};

// The errors in standard error, in their order.
std::vector<ProvError> errors_in(std::string_view text);

// The line that says most about why a program failed: the first error, else the first line that is
// no warning. Escaped and cut; empty where there is none.
std::string reason_in(std::string_view text);

// Standard output of batch mode, cut at its `prov> ` prompts: what each of `commands` commands
// answered, possibly empty. What precedes the first prompt is dropped. An Error where there are
// fewer answers (it died half-way) or more.
policyd::Result<std::vector<std::string>> split_answers(std::string_view text,
                                                        std::size_t commands);

// The lines of `gad` and `gas`, without empty ones and warnings. Names are as they came.
std::vector<std::string> names_in(std::string_view answer);

// Attributes with their values, in the order they came; names compare without regard to case.
class Attributes {
 public:
  void add(std::string name, std::string value) {
    all_.emplace_back(std::move(name), std::move(value));
  }
  [[nodiscard]] std::vector<std::string> values(std::string_view name) const;
  [[nodiscard]] std::optional<std::string> value(std::string_view name) const;  // the first
  [[nodiscard]] bool has(std::string_view name, std::string_view value) const;  // case counts in it
  [[nodiscard]] bool empty() const { return all_.empty(); }

 private:
  std::vector<std::pair<std::string, std::string>> all_;
};

// `attr: value` lines (`gacf`). Other lines are passed over.
Attributes attributes_in(std::string_view answer);

struct ServerAnswer {
  std::string name;
  Attributes attributes;
};
// `# name mail.example.com` and its attributes (`gs`); nullopt where that first line is not there,
// which is how a command that failed answers in batch mode.
std::optional<ServerAnswer> server_in(std::string_view answer);
// One behind another (`gas -v`).
std::vector<ServerAnswer> servers_in(std::string_view answer);

}  // namespace carbonio
