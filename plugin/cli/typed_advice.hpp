// SPDX-License-Identifier: AGPL-3.0-only
// Commands that we advise to run must work when pasted: they need the --database and --zextras-home
// that this command was given.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace limits {

class Arguments;

class TypedAdvice {
 public:
  // `subcommands`: their names, so that other sentences about carbonio-limits stay unchanged.
  TypedAdvice(const Arguments& arguments, std::vector<std::string_view> subcommands);

  // "carbonio-limits reset a@b.c" becomes "carbonio-limits --database FILE reset a@b.c", anywhere
  // in the text; without --database for subcommands that do not accept it.
  [[nodiscard]] std::string complete(std::string_view advice) const;

 private:
  std::string database_;  // "--database FILE ", or empty
  std::string home_;      // "--zextras-home DIR ", or empty
  std::vector<std::string_view> subcommands_;
};

// "carbonio-limits reset NAME --limit 3", each as a shell reads it; of a name that begins with '-',
// which may be a stranger's, "carbonio-limits reset --limit 3 -- -NAME".
std::string command_about(std::string_view subcommand, std::string_view name,
                          std::string_view options = {});

}  // namespace limits
