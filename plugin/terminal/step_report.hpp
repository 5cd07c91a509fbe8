// SPDX-License-Identifier: AGPL-3.0-only
// Prints the result of each step of a command, and remembers whether any changed something or
// failed.
#pragma once

#include <string_view>

#include "plugin/terminal/output.hpp"

namespace limits {

class StepReport {
 public:
  explicit StepReport(Output& output) : output_(output) {}

  void done(std::string_view what);       // something was changed
  void unchanged(std::string_view what);  // nothing to do
  void ok(std::string_view what);         // checked
  void not_checked(std::string_view what);
  void wrong(std::string_view what);

  [[nodiscard]] bool any_done() const { return any_done_; }
  [[nodiscard]] bool any_wrong() const { return any_wrong_; }

 private:
  Output& output_;
  bool any_done_ = false;
  bool any_wrong_ = false;
};

}  // namespace limits
