// SPDX-License-Identifier: AGPL-3.0-only
// Appends numbers to a string, formatted as in log lines, without an intermediate string.
#pragma once

#include <cstdint>
#include <string>

namespace policyd {

void append_number(std::string& out, std::int64_t number);
// Like "{}": 10, 2.5.
void append_number(std::string& out, double number);
// Like "{:.2f}", rounded as printf does: 3.87.
void append_fixed(std::string& out, double number, int decimals);

}  // namespace policyd
