// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/cli/options.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <string_view>
#include <vector>

#include "daemon/base/did_you_mean.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

namespace po = boost::program_options;

void declare(po::options_description& description, std::span<const Option> options) {
  for (const Option& option : options) {
    // "help,h" declares the short form -h.
    const std::string name = std::string{option.name} + (option.name == kHelpOption ? ",h" : "");
    if (option.value.empty()) {
      description.add_options()(name.c_str(), "");
    } else if (option.several) {
      description.add_options()(name.c_str(), po::value<std::vector<std::string>>()->multitoken());
    } else {
      description.add_options()(name.c_str(), po::value<std::string>());
    }
  }
}

bool is_several(std::span<const Option> options, std::string_view name) {
  return std::any_of(options.begin(), options.end(),
                     [&](const Option& option) { return option.name == name && option.several; });
}

std::string unknown_option(std::string_view option, std::span<const Option> options) {
  if (option.size() > 1 && option[0] == '-' && option[1] >= '0' && option[1] <= '9') {
    return fmt::format("'{}' is negative; give a number without '-'", shown(option));
  }
  std::vector<std::string_view> names;
  for (const Option& known : options) names.push_back(known.name);
  const std::string_view name =
      option.substr(std::min(option.find_first_not_of('-'), option.size()));
  const auto near = policyd::nearest(name, names);
  return fmt::format("unknown option '{}'{}", shown(option),
                     near ? fmt::format(" (did you mean '--{}'?)", *near) : "");
}

}  // namespace

policyd::Result<Arguments> parse_options(std::span<const std::string> words,
                                         std::span<const Option> options) {
  po::options_description description;
  declare(description, options);
  Arguments arguments;
  try {
    const auto parsed =
        po::command_line_parser(std::vector<std::string>(words.begin(), words.end()))
            .options(description)
            .style(po::command_line_style::unix_style & ~po::command_line_style::allow_guessing)
            .run();
    for (const auto& option : parsed.options) {
      const std::string& key = option.string_key;
      if (option.position_key >= 0 || key.empty()) {
        for (const std::string& word : option.value) arguments.add_word(word);
        continue;
      }
      if (arguments.has(key) && !is_several(options, key)) {
        return policyd::failure(fmt::format("option '--{}' is given more than once", key));
      }
      arguments.add(key, option.value);
    }
  } catch (const po::unknown_option& error) {
    return policyd::failure(unknown_option(error.get_option_name(), options));
  } catch (const po::error& error) {
    return policyd::failure(error.what());
  }
  return arguments;
}

}  // namespace limits
