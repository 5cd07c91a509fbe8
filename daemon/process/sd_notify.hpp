// SPDX-License-Identifier: AGPL-3.0-only
// Sends state changes to the process that started us, by systemd's notification protocol
// (sd_notify(3)). Our own supervisor speaks it too, so the worker need not know which it is.
#pragma once

#include <span>
#include <string_view>

#include "daemon/base/unique_fd.hpp"

namespace policyd {

class Notifier {
 public:
  // `address` is $NOTIFY_SOCKET: a path, or `@` and an abstract name. If empty, nothing is sent.
  explicit Notifier(std::string_view address);

  // Sends "READY=1", "STOPPING=1", "STATUS=...". Never waits; what cannot be sent is dropped.
  void send(std::string_view message) const;
  // Also sends copies of descriptors, at most 64.
  void send(std::string_view message, std::span<const int> descriptors) const;

 private:
  UniqueFd socket_;
};

}  // namespace policyd
