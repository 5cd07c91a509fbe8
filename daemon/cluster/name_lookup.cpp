// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/name_lookup.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/un.h>

#include <csignal>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace policyd {

struct NameLookup::Shared {
  std::mutex mutex;
  EventLoop* loop = nullptr;  // null: the owner is gone
  bool running = false;
};

namespace {

SocketAddress path_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  SocketAddress out;
  std::memcpy(&out.storage, &address, sizeof address);
  out.size = sizeof address;
  return out;
}

struct FreeAddresses {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

Result<std::vector<SocketAddress>> resolve(const RedisHost& host, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | flags;
  addrinfo* list = nullptr;
  const int code =
      ::getaddrinfo(host.name.c_str(), std::to_string(host.port).c_str(), &hints, &list);
  const std::unique_ptr<addrinfo, FreeAddresses> owner{list};
  if (code != 0) {
    return failure(
        fmt::format("the name cannot be resolved: {}; correct url in [cluster], or add "
                    "the name to /etc/hosts",
                    ::gai_strerror(code)));
  }
  std::vector<SocketAddress> found;
  for (; list != nullptr && found.size() < NameLookup::kMaxAddresses; list = list->ai_next) {
    if (list->ai_addrlen > sizeof(sockaddr_storage)) continue;
    SocketAddress& address = found.emplace_back();
    std::memcpy(&address.storage, list->ai_addr, list->ai_addrlen);
    address.size = list->ai_addrlen;
  }
  return found;
}

// Signals belong to the thread that runs the loop.
void block_all_signals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
}

}  // namespace

NameLookup::NameLookup(EventLoop& loop) : shared_(std::make_shared<Shared>()) {
  shared_->loop = &loop;
}

NameLookup::~NameLookup() {
  const std::lock_guard lock{shared_->mutex};
  shared_->loop = nullptr;
}

void NameLookup::look_up(const RedisHost& host, Done done) {
  EventLoop& loop = *shared_->loop;  // only the destructor changes it
  const auto answer = [&loop](Done to, Result<std::vector<SocketAddress>> found) {
    loop.post([to = std::move(to), found = std::move(found)] { to(found); });
  };
  if (host.port == 0) return answer(std::move(done), {{path_address(host.name)}});
  if (auto found = resolve(host, AI_NUMERICHOST)) return answer(std::move(done), std::move(found));
  {
    const std::lock_guard lock{shared_->mutex};
    if (shared_->running) {
      return answer(std::move(done),
                    failure("the name is still being resolved; check the DNS, or add the name to "
                            "/etc/hosts"));
    }
    shared_->running = true;
  }
  try {
    // Detached: a name server that does not answer must not delay the end of the daemon.
    std::thread([shared = shared_, host, done] {
      block_all_signals();
      auto found = resolve(host, 0);
      const std::lock_guard lock{shared->mutex};
      shared->running = false;
      if (shared->loop == nullptr) return;
      shared->loop->post([done, found = std::move(found)] { done(found); });
    }).detach();
  } catch (const std::system_error& error) {
    const std::lock_guard lock{shared_->mutex};
    shared_->running = false;
    answer(std::move(done), failure(fmt::format("no thread to resolve the name: {}; wait, or raise "
                                                "the limit of tasks",
                                                error.what())));
  }
}

}  // namespace policyd
