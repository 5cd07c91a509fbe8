// SPDX-License-Identifier: AGPL-3.0-only
// What is wrong with the limits of this host: one check after another, each finding with what it
// is, why it matters and the command that mends it. The checks are in doctor/, a file for each
// subject; they change nothing and end in time. What cannot be checked here is said, and is no
// fault.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "plugin/database/daemon_config.hpp"

namespace limits {

enum class Health : std::uint8_t { well, wrong, not_checked };

struct Finding {
  Health health = Health::well;
  std::string check;  // "database.schema": stable, for programs
  std::string what;   // one sentence without a full stop
  std::string why;    // where it is wrong: why it matters
  std::string mend;   // where it is wrong: the command, or what to do
};

class Findings {
 public:
  void well(std::string check, std::string what) {
    add({Health::well, std::move(check), std::move(what), {}, {}});
  }
  void wrong(std::string check, std::string what, std::string why, std::string mend) {
    add({Health::wrong, std::move(check), std::move(what), std::move(why), std::move(mend)});
  }
  void not_checked(std::string check, std::string what) {
    add({Health::not_checked, std::move(check), std::move(what), {}, {}});
  }
  // Says that all is well where nothing wrong was found under `check`.
  void well_unless_wrong(const std::string& check, std::string what) {
    if (!is_wrong(check)) well(check, std::move(what));
  }
  [[nodiscard]] bool is_wrong(const std::string& check) const { return has(Health::wrong, check); }
  [[nodiscard]] bool is_well(const std::string& check) const { return has(Health::well, check); }
  // Takes back what was said under `check`.
  void drop(const std::string& check) {
    std::erase_if(all_, [&](const Finding& finding) { return finding.check == check; });
  }
  template <typename Edit>
  void edit_mends(Edit edit) {
    for (Finding& finding : all_) finding.mend = edit(finding.mend);
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

// Becomes the owner of the database, for good; what root alone may see is looked at before. An
// Error where this user may not look at all.
policyd::Result<Findings> examine(const DoctorQuestion& question);

}  // namespace limits
