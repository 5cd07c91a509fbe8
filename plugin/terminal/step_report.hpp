// SPDX-License-Identifier: AGPL-3.0-only
// What a command of several steps says of each of them, and remembers for its end.
#pragma once

#include <string_view>

#include "plugin/terminal/output.hpp"

namespace limits {

class StepReport {
 public:
  explicit StepReport(Output& output) : output_(output) {}

  void done(std::string_view what);       // it was otherwise before
  void as_it_was(std::string_view what);  // nothing to do
  void well(std::string_view what);       // looked at
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
