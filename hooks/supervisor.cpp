// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/supervisor.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <optional>

#include "daemon/pid_file.hpp"
#include "daemon/signals.hpp"
#include "daemon/unique_fd.hpp"

namespace carbonio {
namespace {

using Clock = std::chrono::steady_clock;
using Millis = std::chrono::milliseconds;

constexpr int kFirstHandedOver = 3;  // SD_LISTEN_FDS_START

// Where the worker says READY=1: a datagram socket with an abstract name that the kernel chose.
struct NotifySocket {
  policyd::UniqueFd fd{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  std::string name;

  NotifySocket() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socklen_t size = sizeof address.sun_family;
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return;
    size = sizeof address;
    ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
    name.assign(std::begin(address.sun_path), size - offsetof(sockaddr_un, sun_path));
    if (!name.empty()) name.front() = '@';
  }
};

class Supervisor {
 public:
  Supervisor(const std::vector<policyd::Listener>& listeners, const SupervisorSettings& settings)
      : listeners_(listeners), settings_(settings), pause_(settings.first_pause) {
    sigset_t all;
    sigfillset(&all);
    signals_.reset(::signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK));
  }

  int run() {
    start_worker();
    while (true) {
      wait_for_event();
      take_notifications();
      take_signals();
      if (const auto status = reap(); status) return *status;
      const auto now = Clock::now();
      if (stopping_ && worker_ > 0 && now >= kill_at_) ::kill(worker_, SIGKILL);
      if (!stopping_ && worker_ == 0 && now >= start_at_) start_worker();
    }
  }

 private:
  void wait_for_event() {
    std::array<pollfd, 2> ready{{{signals_.get(), POLLIN, 0}, {notify_.fd.get(), POLLIN, 0}}};
    int timeout = -1;
    const auto until = stopping_ ? kill_at_ : start_at_;
    if (stopping_ || worker_ == 0) {
      const auto left = std::chrono::ceil<Millis>(until - Clock::now());
      timeout = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
    }
    ::poll(ready.data(), ready.size(), timeout);
  }

  void start_worker() {
    std::vector<std::string> words{settings_.program.string()};
    words.insert(words.end(), settings_.arguments.begin(), settings_.arguments.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    started_ = Clock::now();
    worker_ = ::fork();
    if (worker_ == 0) become_worker(arguments);
    if (worker_ < 0) {
      worker_ = 0;
      try_later(fmt::format("cannot start a worker: {}", std::strerror(errno)));
    }
  }

  // In the child: nothing of ours goes along but the sockets and the signals as they were.
  [[noreturn]] void become_worker(const std::vector<char*>& arguments) {
    // First to high numbers, so that none of the final places is still in use as a source.
    std::vector<int> handed_over;
    handed_over.reserve(listeners_.size());
    for (const policyd::Listener& listener : listeners_) {
      handed_over.push_back(::fcntl(listener.fd.get(), F_DUPFD_CLOEXEC, 100));
    }
    int place = kFirstHandedOver;
    for (const int fd : handed_over) ::dup2(fd, place++);
    ::setenv("LISTEN_FDS", std::to_string(handed_over.size()).c_str(), 1);
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    ::setenv("NOTIFY_SOCKET", notify_.name.c_str(), 1);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // nobody serves without us
    policyd::unblock_signals();
    ::execv(arguments.front(), arguments.data());
    ::_exit(127);
  }

  void take_notifications() {
    std::array<char, 512> text{};
    while (true) {
      const ssize_t got = ::recv(notify_.fd.get(), text.data(), text.size(), 0);
      if (got <= 0) return;
      if (std::string_view{text.data(), static_cast<std::size_t>(got)} != "READY=1") continue;
      if (!std::exchange(was_ready_, true)) first_ready();
    }
  }

  void first_ready() {
    auto pid_file = policyd::PidFile::write(settings_.pid_file);
    if (pid_file) {
      pid_file_.emplace(std::move(*pid_file));
    } else {
      ::syslog(LOG_MAIL | LOG_WARNING, "%s", pid_file.error().message.c_str());
    }
    settings_.ready();
  }

  void take_signals() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
      const int signal = static_cast<int>(info.ssi_signo);
      if (signal == SIGTERM || signal == SIGINT) {
        stop();
      } else if ((signal == SIGHUP || signal == SIGUSR1) && worker_ > 0) {
        ::kill(worker_, signal);
      }
    }
  }

  void stop() {
    if (std::exchange(stopping_, true)) return;
    kill_at_ = Clock::now() + settings_.stop_within;
    if (worker_ > 0) ::kill(worker_, SIGTERM);
  }

  // The exit status of the supervisor, where the end of the worker is its end too.
  std::optional<int> reap() {
    if (worker_ > 0) {
      int status = 0;
      if (::waitpid(worker_, &status, WNOHANG) != worker_) return std::nullopt;
      worker_ = 0;
      const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 2;
      if (!stopping_ && !was_ready_) return code == 0 ? 2 : code;
      if (!stopping_) {
        try_later(WIFSIGNALED(status) ? fmt::format("the worker was killed by signal {}", WTERMSIG(status))
                                      : fmt::format("the worker ended with status {}", code));
      }
    }
    if (stopping_ && worker_ == 0) return 0;
    return std::nullopt;
  }

  void try_later(const std::string& why) {
    const bool was_good = Clock::now() - started_ >= settings_.good_run;
    if (was_good) pause_ = settings_.first_pause;
    start_at_ = was_good ? Clock::now() : Clock::now() + pause_;
    ::syslog(LOG_MAIL | LOG_ERR, "%s; the next starts in %lld ms", why.c_str(),
             was_good ? 0LL : static_cast<long long>(pause_.count()));
    pause_ = std::min(pause_ * 2, settings_.longest_pause);
  }

  const std::vector<policyd::Listener>& listeners_;
  const SupervisorSettings& settings_;
  policyd::UniqueFd signals_;
  NotifySocket notify_;
  std::optional<policyd::PidFile> pid_file_;
  pid_t worker_ = 0;
  bool was_ready_ = false;
  bool stopping_ = false;
  Millis pause_;
  Clock::time_point started_;
  Clock::time_point start_at_;
  Clock::time_point kill_at_;
};

}  // namespace

int supervise(const std::vector<policyd::Listener>& listeners, const SupervisorSettings& settings) {
  ::openlog("cbpolicyd", LOG_PID, LOG_MAIL);
  return Supervisor{listeners, settings}.run();
}

}  // namespace carbonio
