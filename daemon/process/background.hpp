// SPDX-License-Identifier: AGPL-3.0-only
// Detaching to the background: the command returns when connections are accepted, or reports why
// not. Its output is then closed, since carbonio-configd waits for that.
#pragma once

#include <optional>

#include "daemon/base/result.hpp"
#include "daemon/base/unique_fd.hpp"

namespace policyd {

class Background {
 public:
  // Forks; before any thread is started. Returns in the child, which continues, and in the parent,
  // where `parent_status` is set to the exit status once the child is ready or has exited.
  static Result<Background> detach(std::optional<int>& parent_status);

  // Connections are accepted: the parent exits with 0, and our output is closed.
  void ready();

 private:
  UniqueFd to_parent_;
};

// Redirects standard input, output and error to /dev/null.
void close_output();
// Closes descriptors inherited from the parent, from `first` on. Before we open our own.
void close_inherited(int first);

}  // namespace policyd
