// SPDX-License-Identifier: AGPL-3.0-only
// The one table of all configuration keys: section, default, unit, range and where each is read
// into; and the reading of one value. Used by config, and by whatever lists the keys. Pure.
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

// A Config in the making, with what is needed only until both files are read.
struct ConfigDraft : Config {
  std::vector<std::string> modules;
  std::vector<std::string> protocols;
  bool amavis = false;
};

namespace config_key {

struct Flag {  // true is 1, y, yes or on, in any case; everything else is false
  bool ConfigDraft::*into;
};
template <typename Integer>
struct Number {
  Integer ConfigDraft::*into;
  std::uint64_t least;
  std::uint64_t most;
};
struct Seconds {
  std::chrono::seconds ConfigDraft::*into;
  std::uint64_t least;
  std::uint64_t most;
};
template <typename Value>
struct Choice {  // one of two words, in any case
  Value ConfigDraft::*into;
  std::array<std::pair<std::string_view, Value>, 2> words;
};
struct Word {  // without white space
  std::string ConfigDraft::*into;
};
struct Text {  // one line
  std::string ConfigDraft::*into;
};
struct File {  // an absolute path
  std::filesystem::path ConfigDraft::*into;
};
struct Names {  // separated by commas and white space; comment lines among them are left out
  std::vector<std::string> ConfigDraft::*into;
};
struct Networks {  // separated likewise
  std::vector<std::string> ConfigDraft::*into;
};
struct Special {  // has a form of its own; the function returns what it does not allow
  std::optional<std::string_view> (*read)(ConfigDraft& draft, std::string_view value);
  std::string_view allowed;
};
struct Ignored {};  // Carbonio writes it; it has no meaning here

}  // namespace config_key

struct ConfigKey {
  std::string_view section;
  std::string_view name;      // "*": every other key of the section
  std::string_view standard;  // the default, as it would stand in the file
  std::string_view unit;      // of a number without one; empty where there is none
  bool may_be_empty;          // otherwise an empty value leaves things as they are
  std::variant<config_key::Flag, config_key::Number<int>, config_key::Number<std::size_t>,
               config_key::Seconds, config_key::Choice<bool>, config_key::Choice<Bypass>,
               config_key::Choice<Algorithm>, config_key::Choice<Durability>, config_key::Word,
               config_key::Text, config_key::File, config_key::Names, config_key::Networks,
               config_key::Special, config_key::Ignored>
      into;
};

// All keys, those of a section together.
[[nodiscard]] std::span<const ConfigKey> config_keys();

// Reads a value that is not empty, or may be, into `draft`; lists grow by it. Returns the part of
// `value` that is not allowed, if any; `draft` is then as it was, or nearly.
[[nodiscard]] std::optional<std::string_view> read_config_value(const ConfigKey& key,
                                                                std::string_view value,
                                                                ConfigDraft& draft);

// What values the key takes, in words: "1 to 86400 s", "tempfail or pass".
[[nodiscard]] std::string allowed_values(const ConfigKey& key);

// Neither true nor plainly false ("0", "no", "0 # Disabled by default"): worth a warning.
[[nodiscard]] bool is_doubtful_flag(std::string_view value);

}  // namespace policyd
