// SPDX-License-Identifier: AGPL-3.0-only
// Going to the background: the command returns when connections are accepted, or says why not, and
// the output it was given is closed, since carbonio-configd waits for that.
#pragma once

#include <optional>
#include <string>

#include "daemon/base/result.hpp"
#include "daemon/base/unique_fd.hpp"

namespace policyd {

class Background {
 public:
  // Forks, before there are threads. Returns in the child, which goes on with the work; in the
  // parent `parent_status` is set to the exit status once the child is ready or has ended.
  static Result<Background> detach(std::optional<int>& parent_status);

  // Connections are accepted: the parent ends with 0, and our output is closed.
  void ready();

 private:
  UniqueFd to_parent_;
};

// Standard input, output and error become /dev/null.
void close_output();
// What whoever started us left open, from descriptor `first` on. Before anything of ours is open.
void close_inherited(int first);

}  // namespace policyd
