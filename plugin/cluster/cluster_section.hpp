// SPDX-License-Identifier: AGPL-3.0-only
// Section [cluster] of carbonio-limits.conf, as text. Pure functions.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace limits {

using ClusterKeys = std::map<std::string, std::string>;

// The text with these keys set in [cluster], and otherwise unchanged; a section is added if there
// is none.
std::string with_cluster_keys(std::string_view text, const ClusterKeys& keys);

// The text without any key of [cluster]. Its comments stay; a section without any goes, too.
std::string without_cluster_keys(std::string_view text);

}  // namespace limits
