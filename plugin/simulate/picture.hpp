// SPDX-License-Identifier: AGPL-3.0-only
// Pictures of a simulation: the peaks of all accounts, the greatest first, with the limit as a
// line, and the hours of one of them over the days. Complete in themselves: no other file is
// needed.
#pragma once

#include <string>

#include "plugin/simulate/simulate_text.hpp"

namespace limits {

// `whose`: a name as the table shows it; empty: whoever was hit most.
std::string svg_picture(const SimulateView& view, std::string_view whose);
// A page with the picture, the sentence and the table.
std::string html_page(const SimulateView& view, std::string_view whose);
// Whether the view has it.
bool has_account(const SimulateView& view, std::string_view whose);

}  // namespace limits
