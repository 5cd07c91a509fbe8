// SPDX-License-Identifier: AGPL-3.0-only
// Whether a name that was typed is of anyone who sends here. Only reads.
#pragma once

#include <string>

#include "plugin/block/own_names.hpp"
#include "plugin/database/change_set.hpp"
#include "plugin/events/sent_by.hpp"

namespace limits {

// Of an account and its names: a sentence if it has sent nothing in the last 30 days, and nothing
// of it was refused, with the account most like it that has sent; empty if it has, or if no mail at
// all is remembered.
Result<std::string> unknown_name_note(const Tables& tables, const SentBy& who, const OwnNames& own,
                                      policyd::TimePoint now);

}  // namespace limits
