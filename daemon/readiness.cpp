// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/readiness.hpp"

#include <utility>  // before Asio 1.74, which forgets it
//
#include <sys/epoll.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>

#include "daemon/engine.hpp"

namespace policyd {

namespace {

int make_epoll() {
  const int fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) throw boost::system::system_error{errno, boost::system::system_category()};
  return fd;
}

}  // namespace

using Descriptor = boost::asio::posix::stream_descriptor;

struct Readiness::Epoll {
  Descriptor descriptor;
};

Readiness::Readiness(boost::asio::io_context& io)
    : epoll_(std::make_unique<Epoll>(Epoll{Descriptor{io, make_epoll()}})) {
  wait();
}

Readiness::~Readiness() = default;

bool Readiness::add(int fd, Client& client) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &client;
  return ::epoll_ctl(epoll_->descriptor.native_handle(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void Readiness::wait() {
  epoll_->descriptor.async_wait(Descriptor::wait_read, [this](boost::system::error_code error) {
    if (!error) turn();
  });
}

// More than a batch is left to the next turn, so that timers and signals have theirs.
void Readiness::turn() {
  std::array<epoll_event, Engine::kMaxBatch> events{};
  const int count = ::epoll_wait(epoll_->descriptor.native_handle(), events.data(),
                                 static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    static_cast<Client*>(event.data.ptr)->ready(event.events);
  }
  wait();
}

}  // namespace policyd
