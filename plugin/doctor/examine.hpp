// SPDX-License-Identifier: AGPL-3.0-only
// Examines the limits of this host, one check after another. Each problem comes with why it matters
// and the command that fixes it. The checks are in doctor/, one file per subject; they change
// nothing and are bounded in time. What cannot be checked here is reported, but is not a problem.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/printable.hpp"
#include "plugin/database/database_file.hpp"

namespace limits {

enum class Health : std::uint8_t { well, wrong, not_checked };

// What can be wrong; problems.hpp lists all.
struct Problem {
  std::string_view check;  // "database.schema"
  std::string_view name;   // "database.schema": one check may find several problems
};

// What removes a problem: either one command, to be typed as it is, or a sentence that says what to
// do, which may contain commands. A command changes nothing but what the problem is about: whom a
// limit is for, what it counts, its verdict and text stay, and so do all other limits. Where that
// cannot be known, there is only a sentence.
struct Fix {
  std::string text;
  bool is_command = true;
};
inline Fix command(std::string text) { return {std::move(text), true}; }
inline Fix advice(std::string text) { return {std::move(text), false}; }

struct Finding {
  Health health = Health::well;
  std::string check;    // stable, for programs
  std::string what;     // one sentence without a full stop
  std::string problem;  // the name of the Problem; empty unless wrong
  std::string why;      // for a problem: why it matters
  Fix fix;              // for a problem
};

class Findings {
 public:
  void well(std::string check, std::string what) {
    add({Health::well, std::move(check), std::move(what), {}, {}, {}});
  }
  void wrong(const Problem& problem, std::string what, std::string why, Fix fix) {
    add({Health::wrong, std::string{problem.check}, std::move(what), std::string{problem.name},
         std::move(why), std::move(fix)});
  }
  void not_checked(std::string check, std::string what) {
    add({Health::not_checked, std::move(check), std::move(what), {}, {}, {}});
  }
  // Adds `what` as OK unless a problem was found under `check`.
  void well_unless_wrong(const std::string& check, std::string what) {
    if (!is_wrong(check)) well(check, std::move(what));
  }
  [[nodiscard]] bool is_wrong(std::string_view check) const { return has(Health::wrong, check); }
  [[nodiscard]] bool is_well(std::string_view check) const { return has(Health::well, check); }
  // Removes the findings of `check`.
  void drop(std::string_view check) {
    std::erase_if(all_, [&](const Finding& finding) { return finding.check == check; });
  }
  template <typename Edit>
  void edit_fixes(Edit edit) {
    for (Finding& finding : all_) finding.fix.text = edit(finding.fix.text);
  }
  [[nodiscard]] const std::vector<Finding>& all() const { return all_; }
  [[nodiscard]] std::size_t count(Health health) const {
    std::size_t number = 0;
    for (const Finding& finding : all_) number += finding.health == health ? 1 : 0;
    return number;
  }

 private:
  [[nodiscard]] bool has(Health health, std::string_view check) const {
    return std::any_of(all_.begin(), all_.end(), [&](const Finding& finding) {
      return finding.health == health && finding.check == check;
    });
  }
  // Whatever names and texts the rows contain, it is safe to show. A command with characters that
  // cannot be typed is none.
  void add(Finding finding) {
    finding.what = policyd::printable(finding.what);
    finding.why = policyd::printable(finding.why);
    if (!policyd::is_printable(finding.fix.text)) {
      finding.fix = advice("type what is shown as \\xNN as that byte: " +
                           policyd::printable(finding.fix.text));
    }
    all_.push_back(std::move(finding));
  }
  std::vector<Finding> all_;
};

struct DoctorQuestion {
  std::filesystem::path zextras_home;
  DaemonConfig daemon;
  std::optional<std::filesystem::path> postfix_config;  // the folder of main.cf
  std::string search_path;                              // $PATH
};

// Becomes the owner of the database for good, after reading what only root may read. An Error if
// this user may not become its owner.
policyd::Result<Findings> examine(const DoctorQuestion& question);

}  // namespace limits
