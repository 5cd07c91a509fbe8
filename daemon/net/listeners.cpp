// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/net/listeners.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace policyd {
namespace {

// Postfix opens a hundred connections at once; the kernel limits this to net.core.somaxconn.
constexpr int kBacklog = 1024;

std::string advice(int error) {
  switch (error) {
    case EADDRINUSE:
      return "; another program listens there: stop it, or set another port";
    case EADDRNOTAVAIL:
      return "; this host does not have that address: set another host";
    case EACCES:
      return "; ports below 1024 and other users' folders need root: start as root, or set another "
             "port";
    default:
      return "";
  }
}

tl::unexpected<Error> cannot_listen(const std::string& name, int error) {
  return failure(
      fmt::format("cannot listen on {}: {}{}", name, std::strerror(error), advice(error)));
}

// If it fails, `error` is errno.
Result<Listener> listen_at(const std::string& name, const sockaddr* address, socklen_t size,
                           int& error) {
  const int family = address->sa_family;
  Listener listener;
  listener.name = name;
  listener.unix_socket = family == AF_UNIX;
  listener.fd.reset(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  if (!listener.fd) return cannot_listen(name, error = errno);
  if (family != AF_UNIX) {
    ::setsockopt(listener.fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  }
  if (family == AF_INET6) {
    ::setsockopt(listener.fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  if (::bind(listener.fd.get(), address, size) != 0 || ::listen(listener.fd.get(), kBacklog) != 0) {
    return cannot_listen(name, error = errno);
  }
  return listener;
}

// Whether no process listens on the socket any longer, so that it may be replaced.
bool is_stale(const sockaddr_un& address) {
  struct stat info {};
  if (::stat(address.sun_path, &info) != 0 || !S_ISSOCK(info.st_mode)) return false;
  const UniqueFd probe{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
         errno == ECONNREFUSED;
}

Result<std::vector<Listener>> listen_on_path(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return failure(
        fmt::format("cannot listen on {}: a socket's path has at most {} characters; set 'port' to "
                    "a shorter one",
                    path, sizeof address.sun_path - 1));
  }
  path.copy(address.sun_path, path.size());
  if (is_stale(address)) ::unlink(address.sun_path);
  // Postfix connects as its own user.
  const mode_t mask = ::umask(0111);
  int error = 0;
  auto listener =
      listen_at(path, reinterpret_cast<const sockaddr*>(&address), sizeof address, error);
  ::umask(mask);
  if (!listener) return tl::unexpected{listener.error()};
  std::vector<Listener> listeners;
  listeners.push_back(std::move(*listener));
  return listeners;
}

struct WantedSocket {
  std::string host;
  int family;
};

std::vector<WantedSocket> wanted_of(const Config& config) {
  if (config.host == "localhost") return {{"127.0.0.1", AF_INET}, {"::1", AF_INET6}};
  if (config.host == "*") return {{"0.0.0.0", AF_INET}, {"::", AF_INET6}};
  return {{config.host, AF_UNSPEC}};
}

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Result<AddressList> look_up(const std::string& host, const std::string& port, int family) {
  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int code =
      ::getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &found);
  if (code != 0) {
    return failure(
        fmt::format("cannot listen on host '{}' port {}: {}; set host to localhost, an address "
                    "of this host, or *",
                    host, port, ::gai_strerror(code)));
  }
  return AddressList{found, &freeaddrinfo};
}

std::string name_of(const sockaddr* address, socklen_t size) {
  if (address->sa_family == AF_UNIX) return reinterpret_cast<const sockaddr_un*>(address)->sun_path;
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  ::getnameinfo(address, size, host.data(), host.size(), port.data(), port.size(),
                NI_NUMERICHOST | NI_NUMERICSERV);
  const bool brackets = address->sa_family == AF_INET6;
  return fmt::format("{}{}{}:{}", brackets ? "[" : "", host.data(), brackets ? "]" : "",
                     port.data());
}

// Hosts without IPv6 have no ::1 and no [::]; there the IPv4 sockets are enough.
bool is_missing_ipv6(int family, int error) {
  return family == AF_INET6 && (error == EADDRNOTAVAIL || error == EAFNOSUPPORT);
}

}  // namespace

Result<std::vector<Listener>> inherited_listeners(int count) {
  constexpr int kFirst = 3;  // SD_LISTEN_FDS_START
  std::vector<Listener> listeners;
  for (int fd = kFirst; fd < kFirst + count; ++fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      return failure(
          fmt::format("descriptor {}, passed to us as a listening socket, is not a socket: {}", fd,
                      std::strerror(errno)));
    }
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    Listener& listener = listeners.emplace_back();
    listener.fd.reset(fd);
    listener.name = name_of(reinterpret_cast<const sockaddr*>(&address), size);
    listener.unix_socket = address.ss_family == AF_UNIX;
    listener.inherited = true;
  }
  return listeners;
}

Result<void> look_up_host(const Config& config) {
  if (config.unix_socket) return {};
  for (const WantedSocket& want : wanted_of(config)) {
    auto addresses = look_up(want.host, config.port, want.family);
    if (!addresses) return tl::unexpected{addresses.error()};
  }
  return {};
}

Result<std::vector<Listener>> listen_on(const Config& config) {
  if (config.unix_socket) return listen_on_path(config.port);
  std::vector<Listener> listeners;
  for (const WantedSocket& want : wanted_of(config)) {
    auto addresses = look_up(want.host, config.port, want.family);
    if (!addresses) return tl::unexpected{addresses.error()};
    for (const addrinfo* info = addresses->get(); info != nullptr; info = info->ai_next) {
      int error = 0;
      auto listener = listen_at(name_of(info->ai_addr, info->ai_addrlen), info->ai_addr,
                                info->ai_addrlen, error);
      if (listener) {
        listeners.push_back(std::move(*listener));
      } else if (!is_missing_ipv6(info->ai_family, error)) {
        return tl::unexpected{listener.error()};
      }
    }
  }
  if (listeners.empty()) {
    return failure(fmt::format("host '{}' has no address to listen on", config.host));
  }
  return listeners;
}

}  // namespace policyd
