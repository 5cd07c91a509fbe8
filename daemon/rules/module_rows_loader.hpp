// SPDX-License-Identifier: AGPL-3.0-only
// Reads the rows of the modules into the policies they belong to. Used by rules_loader.cpp once the
// policies are read.
#pragma once

#include "daemon/rules/rule_reader.hpp"

namespace policyd {

void load_module_rows(RuleReader& reader);

}  // namespace policyd
