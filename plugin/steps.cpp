// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/steps.hpp"

#include "plugin/labelled.hpp"

namespace limits {

void Steps::done(std::string_view what) {
  any_done_ = true;
  print_labelled(output_, "  done         ", Colour::green, what);
}
void Steps::as_it_was(std::string_view what) {
  print_labelled(output_, "  as it was    ", Colour::none, what);
}
void Steps::well(std::string_view what) {
  print_labelled(output_, "  ok           ", Colour::green, what);
}
void Steps::not_checked(std::string_view what) {
  print_labelled(output_, "  not checked  ", Colour::dim, what);
}
void Steps::wrong(std::string_view what) {
  any_wrong_ = true;
  print_labelled(output_, "  WRONG        ", Colour::red, what);
}

}  // namespace limits
