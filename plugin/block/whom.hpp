// SPDX-License-Identifier: AGPL-3.0-only
// Whom `block` and `unblock` mean: a login, a mail address, a client or network; under which items
// of a policy the daemon knows them, and who must never be blocked.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/block/own_names.hpp"
#include "plugin/limit/target.hpp"

namespace limits {

// "anna", "login anna" as it is shown, "anna@example.org", "192.0.2.1", "10.0.0.0/8"; an Error,
// with what would be right, for anything else.
Result<Target> parse_whom(std::string_view text);

// The same of what a person types or copies from a log: also "<anna@example.org>",
// "unknown[192.0.2.1]", and "anna%example.org" as Postfix reads it. An Error also for what no login
// looks like, such as "192.0.2.300"; "$192.0.2.300" is one nevertheless.
Result<Target> parse_typed_whom(std::string_view text);

// "the account anna@example.org", "the client 192.0.2.1".
std::string whom_text(const Target& whom);

// Of an item of these: the name of a login or address.
std::string_view without_dollar(std::string_view item);

// What stands for them as Source of a policy's members: of an account its login and its address,
// in both spellings where the login may be either.
std::vector<std::string> items_of_whom(const Target& whom, const std::string& login_domain);

// The names in items, each once: "anna@example.org", "anna".
std::vector<std::string> names_in(std::span<const std::string> items);

// The names of the account that is typed as `name`: "anna" and "anna@example.org", if this server
// has one domain; of anything else `name` alone.
Result<std::vector<std::string>> spellings_of(const Tables& tables, std::string_view name);

// Why they must not be blocked, as a sentence without its full stop; empty if they may be.
// `never`: [block] never. `actor`: who runs the command, as in Actor.
std::string why_never(const Target& whom, std::span<const std::string> items, const OwnNames& own,
                      std::span<const std::string> never, std::string_view actor);

}  // namespace limits
