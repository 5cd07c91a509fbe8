// SPDX-License-Identifier: AGPL-3.0-only
// Whom a limit is for, as the options of `send` and `receive` say it: --domain, --user, --everyone
// and the like, with the conditions --from and --except. Pure functions, for
// limit_options.hpp.
#pragma once

#include <string>
#include <vector>

#include "plugin/cli/command.hpp"
#include "plugin/limit/limit.hpp"

namespace limits {

// The named targets, and the limits found among the values.
struct NamedTargets {
  std::vector<Target> targets;
  std::vector<std::string> limits;
};

tl::expected<NamedTargets, Failure> named_in(const Arguments& arguments);

// --everyone and --anyone. Together with named senders, --anyone means their mail from anywhere.
// Without a target it is everyone; but a login name always belongs to a user of this server,
// whatever the sender address, so --per account then means anyone.
Outcome take_whole(Direction direction, Per per, const Arguments& arguments,
                   std::vector<Target>& targets);

// --from: the same condition for all targets. Moves limits among its values to `limits`.
Outcome take_from(Direction direction, const Arguments& arguments, std::vector<Target>& targets,
                  std::vector<std::string>& limits);

// --except: addresses, domains and groups (%NAME). Moves limits among its values to `limits`.
tl::expected<std::vector<Target>, Failure> except_of(Direction direction,
                                                     const Arguments& arguments,
                                                     std::vector<std::string>& limits);

}  // namespace limits
