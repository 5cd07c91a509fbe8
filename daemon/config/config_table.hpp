// SPDX-License-Identifier: AGPL-3.0-only
// The one table of all configuration keys (section, default, unit, range and the field each sets),
// and the parser of a value. Used by config, and by tests that list the keys. Pure.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "daemon/config/config.hpp"

namespace policyd {

// A Config under construction, with the values needed only until both files are read.
struct ConfigDraft : Config {
  std::vector<std::string> modules;
  std::vector<std::string> protocols;
  bool amavis = false;
};

namespace config_key {

using Rejected = std::optional<std::string_view>;  // the part of a value that is not allowed

struct Flag {  // 1, y, yes and on, in any case, are true; everything else is false
  bool ConfigDraft::*into;
};
template <typename Value>
struct Number {
  Value ConfigDraft::*into;
  std::uint64_t min;
  std::uint64_t max;
};
template <typename Value, std::size_t count = 2>
struct Choice {  // one of some words, in any case
  Value ConfigDraft::*into;
  std::array<std::pair<std::string_view, Value>, count> words;
};
using Seconds = Number<std::chrono::seconds>;
using Milliseconds = Number<std::chrono::milliseconds>;

struct Word {  // without white space
  std::string ConfigDraft::*into;
};
struct Text {  // one line
  std::string ConfigDraft::*into;
};
struct File {  // an absolute path
  std::filesystem::path ConfigDraft::*into;
};
struct Names {  // separated by commas and white space; comment lines are skipped
  std::vector<std::string> ConfigDraft::*into;
};
struct Networks {  // separated likewise
  std::vector<std::string> ConfigDraft::*into;
};
struct Special {  // has a syntax of its own; the function returns the part that is not allowed
  Rejected (*read)(ConfigDraft& draft, std::string_view value);
  std::string_view allowed;
};
struct Ignored {};  // written by Carbonio, without meaning here

}  // namespace config_key

struct ConfigKey {
  std::string_view section;
  std::string_view name;      // "*": every other key of the section
  std::string_view standard;  // the default, as it would be written in the file
  std::string_view unit;      // of a number; empty if it has none
  bool may_be_empty;          // if not, an empty value is ignored
  std::variant<config_key::Flag, config_key::Number<int>, config_key::Number<unsigned>,
               config_key::Number<std::size_t>, config_key::Seconds, config_key::Milliseconds,
               config_key::Choice<bool>, config_key::Choice<Bypass>, config_key::Choice<Algorithm>,
               config_key::Choice<Durability>, config_key::Choice<Without, 3>, config_key::Word,
               config_key::Text, config_key::File, config_key::Names, config_key::Networks,
               config_key::Special, config_key::Ignored>
      into;
};

// All keys; those of a section are adjacent.
[[nodiscard]] std::span<const ConfigKey> config_keys();

// Reads a value, which may be empty only if the key allows it, into `draft`; lists are appended to.
// Returns the part of `value` that is not allowed, if any; a list may then hold the items before
// it.
[[nodiscard]] std::optional<std::string_view> read_config_value(const ConfigKey& key,
                                                                std::string_view value,
                                                                ConfigDraft& draft);

// The values the key takes, in words: "1 to 86400 s", "tempfail or pass".
[[nodiscard]] std::string allowed_values(const ConfigKey& key);

// Neither true nor clearly false ("0", "no", "0 # Disabled by default"): worth a warning.
[[nodiscard]] bool is_doubtful_flag(std::string_view value);

}  // namespace policyd
