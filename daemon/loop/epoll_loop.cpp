// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/loop/epoll_loop.hpp"

#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <limits>
#include <span>
#include <system_error>
#include <tuple>
#include <utility>

namespace policyd {

namespace {

UniqueFd or_throw(int fd, const char* what) {
  if (fd < 0) throw std::system_error{errno, std::generic_category(), what};
  return UniqueFd{fd};
}

}  // namespace

class EpollLoop::Signals final : public Client {
 public:
  Signals(std::initializer_list<int> signals, std::function<void(int)> handler)
      : handler_(std::move(handler)) {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : signals) sigaddset(&set, signal);
    pthread_sigmask(SIG_SETMASK, &set, nullptr);
    fd_ = or_throw(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd");
  }

  [[nodiscard]] int fd() const { return fd_.get(); }

  void ready(std::uint32_t) override {
    signalfd_siginfo info{};
    while (::read(fd_.get(), &info, sizeof info) == sizeof info) {
      handler_(static_cast<int>(info.ssi_signo));
    }
  }

 private:
  UniqueFd fd_;
  std::function<void(int)> handler_;
};

// Edge-triggered, so that the bytes post() writes need not be read.
EpollLoop::EpollLoop()
    : epoll_(or_throw(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      wake_(or_throw(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) {
    throw std::system_error{errno, std::generic_category(), "epoll_ctl"};
  }
}

EpollLoop::~EpollLoop() = default;

bool EpollLoop::watch(int fd, Client& client) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &client;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void EpollLoop::forget(int fd) { ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

void EpollLoop::on_signals(std::initializer_list<int> signals, std::function<void(int)> handler) {
  signals_ = std::make_unique<Signals>(signals, std::move(handler));
  if (!watch(signals_->fd(), *signals_)) {
    throw std::system_error{errno, std::generic_category(), "epoll_ctl"};
  }
}

void EpollLoop::post(Task task) {
  bool waits = false;
  {
    const std::lock_guard lock{mutex_};
    posted_.push_back(std::move(task));
    waits = std::exchange(waiting_, false);
  }
  if (!waits) return;  // it checks posted_ before it waits
  const std::uint64_t one = 1;
  while (::write(wake_.get(), &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void EpollLoop::stop() {
  post([this] { stopped_ = true; });
}

bool EpollLoop::later(const Timer& a, const Timer& b) {
  return std::tie(a.when, a.number) > std::tie(b.when, b.number);
}

void EpollLoop::after(std::chrono::milliseconds delay, Task task) {
  timers_.push_back({Steady::now() + delay, timers_made_++, std::move(task)});
  std::push_heap(timers_.begin(), timers_.end(), later);
}

void EpollLoop::run() {
  while (!std::exchange(stopped_, false)) turn();
}

void EpollLoop::turn() {
  ++turns_;
  std::array<epoll_event, kMaxPerTurn> events;  // filled by the kernel
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                 milliseconds_to_wait());
  {
    const std::lock_guard lock{mutex_};
    waiting_ = false;
  }
  const std::span ready{events.data(), static_cast<std::size_t>(std::max(count, 0))};
  for (const epoll_event& event : ready) {
    if (event.data.ptr != nullptr) static_cast<Client*>(event.data.ptr)->ready(event.events);
  }
  for (const epoll_event& event : ready) {
    if (event.data.ptr != nullptr) static_cast<Client*>(event.data.ptr)->proceed();
  }
  run_posted();
  run_timers();
}

// -1: no limit.
int EpollLoop::milliseconds_to_wait() {
  {
    const std::lock_guard lock{mutex_};
    if (!posted_.empty()) return 0;
    waiting_ = true;
  }
  if (timers_.empty()) return -1;
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(timers_.front().when - Steady::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, std::numeric_limits<int>::max()));
}

// Tasks posted by these tasks wait for the next turn.
void EpollLoop::run_posted() {
  {
    const std::lock_guard lock{mutex_};
    running_.swap(posted_);
  }
  for (Task& task : running_) task();
  running_.clear();
}

void EpollLoop::run_timers() {
  if (timers_.empty()) return;
  const auto now = Steady::now();
  while (!timers_.empty() && timers_.front().when <= now) {
    std::pop_heap(timers_.begin(), timers_.end(), later);
    const Task task = std::move(timers_.back().task);
    timers_.pop_back();
    task();
  }
}

}  // namespace policyd
