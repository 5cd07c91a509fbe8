// SPDX-License-Identifier: AGPL-3.0-only
// By which name and keys a user is counted.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/config.hpp"
#include "daemon/rules/rules.hpp"
#include "plugin/database/change_set.hpp"

namespace limits {

// `who`; of an own address without the extension.
std::string counted_name(const Tables& tables, const policyd::Config& config, std::string_view who);

// What is an extension of own addresses, with what that refers to.
struct OwnExtensions {
  std::shared_ptr<const policyd::Rules> rules;  // have the own domains
  std::shared_ptr<const std::string> delimiters;
  policyd::Extensions extensions;
};
OwnExtensions read_extensions(const Tables& tables, const policyd::Config& config);

// Also the TrackKeys in quotas_tracking that spell the same names in another way, as the Perl
// daemon did; a daemon that starts joins them.
Result<std::vector<std::string>> with_other_spellings(const Tables& tables,
                                                      std::vector<std::string> keys);

}  // namespace limits
