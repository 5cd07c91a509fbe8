// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/terminal/step_report.hpp"

#include "plugin/terminal/labelled.hpp"

namespace limits {

void StepReport::done(std::string_view what) {
  any_done_ = true;
  print_labelled(output_, "  done         ", Colour::green, what);
}
void StepReport::as_it_was(std::string_view what) {
  print_labelled(output_, "  as it was    ", Colour::none, what);
}
void StepReport::well(std::string_view what) {
  print_labelled(output_, "  ok           ", Colour::green, what);
}
void StepReport::not_checked(std::string_view what) {
  print_labelled(output_, "  not checked  ", Colour::dim, what);
}
void StepReport::wrong(std::string_view what) {
  any_wrong_ = true;
  print_labelled(output_, "  WRONG        ", Colour::red, what);
}

}  // namespace limits
