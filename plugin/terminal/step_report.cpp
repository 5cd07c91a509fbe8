// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/terminal/step_report.hpp"

namespace limits {

void StepReport::done(std::string_view what) {
  any_done_ = true;
  print_wrapped(output_, {"  done         ", Colour::green}, {std::string{what}});
}
void StepReport::unchanged(std::string_view what) {
  print_wrapped(output_, {"  unchanged    ", Colour::none}, {std::string{what}});
}
void StepReport::ok(std::string_view what) {
  print_wrapped(output_, {"  ok           ", Colour::green}, {std::string{what}});
}
void StepReport::not_checked(std::string_view what) {
  print_wrapped(output_, {"  not checked  ", Colour::dim}, {std::string{what}});
}
void StepReport::wrong(std::string_view what) {
  any_wrong_ = true;
  print_wrapped(output_, {"  WRONG        ", Colour::red}, {std::string{what}});
}

}  // namespace limits
