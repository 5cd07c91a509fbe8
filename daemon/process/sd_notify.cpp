// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/process/sd_notify.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstddef>
#include <cstring>

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

void Notifier::send(std::string_view message) const {
  if (!socket_) return;
  static_cast<void>(::send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL));
}

void Notifier::send(std::string_view message, std::span<const int> descriptors) const {
  constexpr std::size_t kMaxDescriptors = 64;
  if (!socket_ || descriptors.empty() || descriptors.size() > kMaxDescriptors) return;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxDescriptors * sizeof(int))> control{};
  iovec text{const_cast<char*>(message.data()), message.size()};
  msghdr header{};
  header.msg_iov = &text;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
  cmsghdr* rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(descriptors.size_bytes());
  std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size_bytes());
  static_cast<void>(::sendmsg(socket_.get(), &header, MSG_NOSIGNAL));
}

}  // namespace policyd
