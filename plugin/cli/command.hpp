// SPDX-License-Identifier: AGPL-3.0-only
// What a subcommand is: its name, its options, and the function that runs it. Help and
// completion are made from the table of them (commands/commands.hpp).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/events/rules_change.hpp"
#include "plugin/cli/typed_advice.hpp"
#include "plugin/terminal/output.hpp"

namespace limits {

enum class Exit : std::uint8_t { done = 0, wrong_use = 1, failed = 2, found_wrong = 3 };

struct Failure {
  Exit exit = Exit::failed;
  std::string message;  // one line: what is wrong and what to do; empty if already reported
};
using Outcome = tl::expected<void, Failure>;

// How the error begins where an ID is that of no limit; the page answers 404.
inline constexpr std::string_view kNoSuchLimit = "there is no limit ";

inline tl::unexpected<Failure> wrong_use(std::string message) {
  return tl::unexpected<Failure>{Failure{Exit::wrong_use, std::move(message)}};
}
inline tl::unexpected<Failure> failed(std::string message) {
  return tl::unexpected<Failure>{Failure{Exit::failed, std::move(message)}};
}
inline tl::unexpected<Failure> failed(const policyd::Error& error) { return failed(error.message); }

// For commands that have not changed anything yet.
inline tl::unexpected<Failure> unchanged(const policyd::Error& error) {
  return failed(error.message + "; nothing was changed");
}
// For `doctor` and `status`: they succeeded, and the problems they found are reported.
inline tl::unexpected<Failure> found_wrong() {
  return tl::unexpected<Failure>{Failure{Exit::found_wrong, {}}};
}

struct Option {
  std::string_view name;   // without the dashes
  std::string_view value;  // the name of its value in the help; empty for a switch
  std::string_view help;
  bool several = false;           // takes several values, and may be repeated
  std::string_view choices = {};  // for completion: the possible values, separated by spaces
};

// The command line, checked against the options of the subcommand.
class Arguments {
 public:
  void add(const std::string& option, std::vector<std::string> values) {
    auto& all = options_[option];
    all.insert(all.end(), values.begin(), values.end());
  }
  void add_word(std::string word) { words_.push_back(std::move(word)); }

  [[nodiscard]] bool has(const std::string& option) const { return options_.contains(option); }
  [[nodiscard]] std::optional<std::string> value(const std::string& option) const {
    const auto found = options_.find(option);
    if (found == options_.end() || found->second.empty()) return std::nullopt;
    return found->second.front();
  }
  [[nodiscard]] std::vector<std::string> values(const std::string& option) const {
    const auto found = options_.find(option);
    return found == options_.end() ? std::vector<std::string>{} : found->second;
  }
  [[nodiscard]] const std::vector<std::string>& words() const { return words_; }

 private:
  std::map<std::string, std::vector<std::string>> options_;
  std::vector<std::string> words_;  // arguments that are not options
};

struct Context {
  std::filesystem::path zextras_home;
  Output output;
  policyd::TimePoint now;
  std::string search_path;  // $PATH
  TypedAdvice advice;
  policyd::Actor actor;  // who runs the command, and what was typed
  // Instead of standard input, where the page runs the command.
  std::optional<std::string> input = {};
  std::string notify_socket = {};  // $NOTIFY_SOCKET
  // False where the page runs the command: whoever asks it may not name files of this host.
  bool may_name_files = true;
  // Whether nobody waits for it any more; what takes long asks now and then.
  std::function<bool()> given_up = {};

  [[nodiscard]] bool is_given_up() const { return given_up && given_up(); }
};

// For completion: what the arguments of a subcommand are.
enum class Takes : std::uint8_t { other, id, file };

struct Command {
  std::string_view name;
  std::string_view synopsis;  // what follows the name
  std::string_view summary;   // one line, for the list of subcommands
  std::string_view details;   // paragraphs for its own help, one per line
  std::string_view examples;  // one per line, without the program's name
  std::span<const Option> options;
  std::size_t max_words = 0;
  Outcome (*run)(const Arguments& arguments, Context& context) = nullptr;
  Takes takes = Takes::other;
  std::string_view words = {};  // for completion: its possible first words, separated by spaces
  bool takes_database = true;   // else it works on the daemon's own database only
};

// Options of every subcommand.
inline constexpr std::string_view kDatabaseOption = "database";
inline constexpr std::string_view kZextrasHomeOption = "zextras-home";

}  // namespace limits
