// SPDX-License-Identifier: AGPL-3.0-only
// A list of restrictions as Postfix reads it, with what its wrong words were meant to be: an
// unknown one is 451 to all mail. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace limits {

inline constexpr std::string_view kPolicyCheck = "check_policy_service";

struct Restriction {
  std::string name;      // empty for a map alone: Postfix adds the check of the list it is in
  std::string argument;  // an access map or policy service
  // The word that Postfix does not know, as written. Name and argument are then what was evidently
  // meant, or what is written if that takes guessing.
  std::string unknown;
  bool evident = true;

  [[nodiscard]] std::string text() const;
  [[nodiscard]] bool is(std::string_view word) const;  // Postfix ignores the case of names
  [[nodiscard]] bool is_permit() const;                // "permit_mynetworks"
  [[nodiscard]] bool is_access_check() const;          // "check_client_access" and a map
  [[nodiscard]] bool is_last() const;                  // what comes after it never runs
};

// `ours`: what Postfix may call the daemon, as policy_service_names has it.
std::vector<Restriction> restrictions_of(std::string_view list,
                                         const std::vector<std::string>& ours);

// The list without its unknown words, as far as it is evident what was meant.
std::string list_text(const std::vector<Restriction>& restrictions);

// The first word that Postfix does not know; null if there is none.
const Restriction* first_unknown(const std::vector<Restriction>& restrictions);

// Whether the word after check_policy_service, which may be "{ inet:localhost:10031, timeout=10s
// }", names one of `ours`.
bool names_policy_service(const std::string& word, const std::vector<std::string>& ours);

}  // namespace limits
