// SPDX-License-Identifier: AGPL-3.0-only
// The words of Postfix's lists of restrictions, and its access maps. Pure, except read_access_map.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace limits {

// The words of a restrictions list: separated by white space and commas; {...} is one word.
std::vector<std::string> restriction_words(std::string_view list);

// "inet:localhost:10031" of "{ inet:localhost:10031, timeout=10s }".
std::string policy_service_of(const std::string& word);

// Replaces the names of smtpd_restriction_classes by their lists, ten deep at most.
std::string with_classes(std::string_view list, const std::map<std::string, std::string>& classes);

// Whether the text of a map lets some mail through (OK, a number, permit..., or a restriction class
// with that).
bool map_permits(std::string_view text, const std::map<std::string, std::string>& classes = {});

// Whether the text of a map refuses the empty sender (the key <>).
bool map_refuses_empty_sender(std::string_view text);

// The text of "hash:/etc/postfix/friends"; nullopt for the kinds that have none, and if it cannot
// be read or has more than 1 MiB. `postconf` is the path of that program.
std::optional<std::string> read_access_map(std::string_view map, const std::string& postconf);

}  // namespace limits
