// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/notify.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>

namespace policyd {

Notifier::Notifier(std::string_view address) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (address.empty() || address.size() >= sizeof to.sun_path) return;
  address.copy(to.sun_path, address.size());
  if (address.front() == '@') to.sun_path[0] = '\0';
  UniqueFd socket{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), size) == 0) {
    socket_ = std::move(socket);
  }
}

void Notifier::tell(std::string_view message) const {
  if (socket_) static_cast<void>(::send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL));
}

}  // namespace policyd
