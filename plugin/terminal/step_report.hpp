// SPDX-License-Identifier: AGPL-3.0-only
// Prints the result of each step of a command, and remembers whether any changed something or
// failed.
#pragma once

#include <string>

#include "plugin/terminal/output.hpp"

namespace limits {

class StepReport {
 public:
  explicit StepReport(Output& output) : output_(output) {}

  void done(const std::string& what) {  // something was changed
    any_done_ = true;
    print("  done         ", Colour::green, what);
  }
  void unchanged(const std::string& what) { print("  unchanged    ", Colour::none, what); }
  void ok(const std::string& what) { print("  ok           ", Colour::green, what); }
  void not_checked(const std::string& what) { print("  not checked  ", Colour::dim, what); }
  void wrong(const std::string& what) {
    any_wrong_ = true;
    print("  PROBLEM      ", Colour::red, what);
  }
  [[nodiscard]] bool any_done() const { return any_done_; }
  [[nodiscard]] bool any_wrong() const { return any_wrong_; }

 private:
  void print(const char* label, Colour colour, const std::string& what) {
    print_wrapped(output_, {label, colour}, {what});
  }

  Output& output_;
  bool any_done_ = false;
  bool any_wrong_ = false;
};

}  // namespace limits
