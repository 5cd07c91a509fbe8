// SPDX-License-Identifier: AGPL-3.0-only
// Postscreen's parameters as Carbonio's Postfix has them, by the attributes that set them. The
// attributes kept their names; Postfix 3.6 renamed one parameter.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace limits {

struct PostscreenParameter {
  std::string name;   // as this Postfix calls it
  std::string value;  // of main.cf, or its default
};
// By the name of the attribute.
using PostscreenParameters = std::map<std::string, PostscreenParameter, std::less<>>;

// The output of `postconf -x` with all their names, those of other versions included. Pure.
PostscreenParameters parse_postscreen(std::string_view output);

// nullopt if Carbonio's postconf does not answer.
std::optional<PostscreenParameters> read_postscreen(const std::filesystem::path& zextras_home);

}  // namespace limits
