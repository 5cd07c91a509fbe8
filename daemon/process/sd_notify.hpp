// SPDX-License-Identifier: AGPL-3.0-only
// Telling whoever started us how we do: systemd's notification protocol (sd_notify(3)), which our
// own supervisor speaks too, so that the worker does not care who it is.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "daemon/base/unique_fd.hpp"

namespace policyd {

class Notifier {
 public:
  // `address` is $NOTIFY_SOCKET: a path, or `@` and an abstract name. Empty: nobody wants to know.
  explicit Notifier(std::string_view address);

  // "READY=1", "STOPPING=1", "STATUS=...": never waits; what cannot be sent is lost.
  void tell(std::string_view message) const;
  // The same with descriptors, of which the other side gets copies. At most 64.
  void tell(std::string_view message, std::span<const int> descriptors) const;

 private:
  UniqueFd socket_;
};

}  // namespace policyd
