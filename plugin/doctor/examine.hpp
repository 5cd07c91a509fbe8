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
#include <vector>

#include "daemon/base/clock.hpp"
#include "plugin/database/database_file.hpp"

namespace limits {

enum class Health : std::uint8_t { well, wrong, not_checked };

struct Finding {
  Health health = Health::well;
  std::string check;  // "database.schema": stable, for programs
  std::string what;   // one sentence without a full stop
  std::string why;    // for a problem: why it matters
  std::string fix;    // for a problem: the command, or what to do
};

class Findings {
 public:
  void well(std::string check, std::string what) {
    add({Health::well, std::move(check), std::move(what), {}, {}});
  }
  void wrong(std::string check, std::string what, std::string why, std::string fix) {
    add({Health::wrong, std::move(check), std::move(what), std::move(why), std::move(fix)});
  }
  void not_checked(std::string check, std::string what) {
    add({Health::not_checked, std::move(check), std::move(what), {}, {}});
  }
  // Adds `what` as OK unless a problem was found under `check`.
  void well_unless_wrong(const std::string& check, std::string what) {
    if (!is_wrong(check)) well(check, std::move(what));
  }
  [[nodiscard]] bool is_wrong(const std::string& check) const { return has(Health::wrong, check); }
  [[nodiscard]] bool is_well(const std::string& check) const { return has(Health::well, check); }
  // Removes the findings of `check`.
  void drop(const std::string& check) {
    std::erase_if(all_, [&](const Finding& finding) { return finding.check == check; });
  }
  template <typename Edit>
  void edit_fixes(Edit edit) {
    for (Finding& finding : all_) finding.fix = edit(finding.fix);
  }
  [[nodiscard]] const std::vector<Finding>& all() const { return all_; }
  [[nodiscard]] std::size_t count(Health health) const {
    std::size_t number = 0;
    for (const Finding& finding : all_) number += finding.health == health ? 1 : 0;
    return number;
  }

 private:
  [[nodiscard]] bool has(Health health, const std::string& check) const {
    return std::any_of(all_.begin(), all_.end(), [&](const Finding& finding) {
      return finding.health == health && finding.check == check;
    });
  }
  void add(Finding finding) { all_.push_back(std::move(finding)); }
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
