// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/service/supervisor.hpp"

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
#include <string_view>

#include "daemon/base/unique_fd.hpp"
#include "daemon/process/pid_file.hpp"
#include "daemon/process/thread_signals.hpp"
#include "hooks/system/may_run.hpp"

namespace carbonio {
namespace {

using Clock = std::chrono::steady_clock;
using Millis = std::chrono::milliseconds;

constexpr int kFirstHandedOver = 3;  // SD_LISTEN_FDS_START

// Where the worker sends READY=1: a datagram socket with an abstract name chosen by the kernel. Any
// process can send there, so the kernel names the sender.
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
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
  }
};

// The process that sent a datagram; 0 if that is not known.
pid_t sender_of(msghdr& datagram) {
  const cmsghdr* header = CMSG_FIRSTHDR(&datagram);
  if (header == nullptr || header->cmsg_level != SOL_SOCKET ||
      header->cmsg_type != SCM_CREDENTIALS) {
    return 0;
  }
  ucred sender{};
  std::memcpy(&sender, CMSG_DATA(header), sizeof sender);
  return sender.pid;
}

// A notification consists of lines; READY=1 may be one of them.
bool says_ready(std::string_view notification) {
  while (!notification.empty()) {
    const std::size_t end = std::min(notification.find('\n'), notification.size());
    if (notification.substr(0, end) == "READY=1") return true;
    notification.remove_prefix(std::min(end + 1, notification.size()));
  }
  return false;
}

// For execve; valid as long as `words`.
std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> all;
  all.reserve(words.size() + 1);
  for (std::string& word : words) all.push_back(word.data());
  all.push_back(nullptr);
  return all;
}

class Supervisor {
 public:
  Supervisor(std::vector<policyd::Listener> listeners, const SupervisorSettings& settings,
             std::optional<policyd::PidFile> pid_file)
      : listeners_(std::move(listeners)),
        settings_(settings),
        pid_file_(std::move(pid_file)),
        pause_(settings.first_pause) {
    // If our parent ignored it, we could not wait for workers.
    ::signal(SIGCHLD, SIG_DFL);
    sigset_t all;
    sigfillset(&all);
    signals_.reset(::signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;
  ~Supervisor() {
    for (const policyd::Listener& listener : listeners_) {
      if (listener.unix_socket && !listener.inherited) ::unlink(listener.name.c_str());
    }
  }

  int run() {
    start_worker();
    while (true) {
      wait_for_event();
      take_notifications();
      take_signals();
      if (const auto status = reap(); status) return *status;
      const auto now = Clock::now();
      if (is_ending() && now >= kill_at_) kill_worker(now);
      if (!stopping_ && worker_ == 0 && now >= start_at_) start_worker();
      keep_pid_file();
    }
  }

 private:
  void kill_worker(Clock::time_point now) {
    constexpr std::chrono::seconds kKillAgain{1};  // it may be stuck in the kernel
    ::kill(worker_, SIGKILL);
    kill_at_ = now + kKillAgain;
  }

  // The worker was told to exit.
  [[nodiscard]] bool is_ending() const { return worker_ > 0 && (stopping_ || restarting_); }

  void wait_for_event() {
    std::array<pollfd, 2> ready{{{signals_.get(), POLLIN, 0}, {notify_.fd.get(), POLLIN, 0}}};
    auto left = settings_.check_pid_file_every;
    if (is_ending() || worker_ == 0) {
      const auto until = is_ending() ? kill_at_ : start_at_;
      left = std::min(left, std::chrono::ceil<Millis>(until - Clock::now()));
    }
    ::poll(ready.data(), ready.size(), static_cast<int>(std::max(left, Millis{0}).count()));
  }

  void keep_pid_file() {
    if (pid_file_ && pid_file_->is_in_place()) return;
    auto again = policyd::PidFile::take(settings_.pid_file);
    if (again) pid_file_.emplace(std::move(*again));
  }

  void start_worker() {
    ready_at_.reset();
    if (listen_again_) {
      if (auto done = settings_.listen_again(listeners_); !done) {
        return try_later(done.error().message);
      }
      listen_again_ = false;
    }
    std::vector<std::string> words{settings_.program.string()};
    words.insert(words.end(), settings_.arguments.begin(), settings_.arguments.end());
    const pid_t supervisor = ::getpid();
    worker_ = ::fork();
    if (worker_ == 0) become_worker(words, supervisor);
    if (worker_ < 0) {
      worker_ = 0;
      try_later(fmt::format("cannot start a worker: {}", std::strerror(errno)));
    }
  }

  // In the child: passes on only the sockets. The process has one thread, so this may allocate.
  [[noreturn]] void become_worker(std::vector<std::string>& words, pid_t supervisor) {
    // First to high numbers, so that no final number is still in use as a source.
    constexpr int kOutOfTheWay = 100;
    std::vector<int> handed_over;
    handed_over.reserve(listeners_.size());
    for (const policyd::Listener& listener : listeners_) {
      handed_over.push_back(::fcntl(listener.fd.get(), F_DUPFD_CLOEXEC, kOutOfTheWay));
    }
    int next = kFirstHandedOver;
    for (const int fd : handed_over) ::dup2(fd, next++);
    ::close_range(static_cast<unsigned>(next), ~0U, 0);
    std::vector<std::string> environment = settings_.environment;
    environment.push_back(fmt::format("LISTEN_FDS={}", handed_over.size()));
    environment.push_back(fmt::format("LISTEN_PID={}", ::getpid()));
    environment.push_back(fmt::format("NOTIFY_SOCKET={}", notify_.name));
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // no worker without its supervisor
    if (::getppid() != supervisor) ::_exit(127);
    for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
    policyd::unblock_signals();
    ::execve(words.front().c_str(), pointers(words).data(), pointers(environment).data());
    const std::string why = std::strerror(errno);
    const auto may_run = check_may_run(words.front());
    const std::string text =
        may_run ? fmt::format("cannot run {}: {}", words.front(), why) : may_run.error().message;
    ::syslog(LOG_MAIL | LOG_ERR, "%s", text.c_str());
    // Nobody reads it once the start is over.
    static_cast<void>(!::write(STDERR_FILENO, (text + "\n").data(), text.size() + 1));
    ::_exit(2);
  }

  void take_notifications() {
    constexpr int kMaxInTurn = 16;  // a flood keeps no signal waiting
    for (int i = 0; i < kMaxInTurn; ++i) {
      std::array<char, 512> text{};
      // No room for descriptors that a stranger may pass.
      alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control{};
      iovec into{text.data(), text.size()};
      msghdr datagram{};
      datagram.msg_iov = &into;
      datagram.msg_iovlen = 1;
      datagram.msg_control = control.data();
      datagram.msg_controllen = control.size();
      const ssize_t got = ::recvmsg(notify_.fd.get(), &datagram, MSG_CMSG_CLOEXEC);
      if (got < 0) return;
      if (worker_ == 0 || sender_of(datagram) != worker_) continue;
      if (!says_ready({text.data(), static_cast<std::size_t>(got)})) continue;
      ready_at_ = Clock::now();
      if (!std::exchange(was_ready_, true)) settings_.ready();
    }
  }

  void take_signals() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
      const int signal = static_cast<int>(info.ssi_signo);
      if (signal == SIGTERM || signal == SIGINT) {
        stop();
      } else if (signal == SIGUSR2) {
        restart();
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

  void restart() {
    listen_again_ = true;
    if (worker_ > 0) {
      if (is_ending()) return;
      restarting_ = true;
      kill_at_ = Clock::now() + settings_.stop_within;
      ::kill(worker_, SIGTERM);
    } else if (!stopping_) {
      start_at_ = Clock::now();
    }
  }

  // The supervisor's exit status, if the end of the worker is also its own.
  std::optional<int> reap() {
    if (worker_ > 0) {
      int status = 0;
      if (::waitpid(worker_, &status, WNOHANG) != worker_) return std::nullopt;
      worker_ = 0;
      if (std::exchange(restarting_, false) && !stopping_) {
        start_at_ = Clock::now();
        return std::nullopt;
      }
      const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 2;
      if (!stopping_ && !was_ready_) return code == 0 ? 2 : code;
      if (!stopping_) {
        try_later(WIFSIGNALED(status)
                      ? fmt::format("the worker was killed by signal {}", WTERMSIG(status))
                      : fmt::format("the worker exited with status {}", code));
      }
    }
    if (stopping_ && worker_ == 0) return 0;
    return std::nullopt;
  }

  void try_later(const std::string& why) {
    const bool was_good = ready_at_ && Clock::now() - *ready_at_ >= settings_.good_run;
    if (was_good) pause_ = settings_.first_pause;
    start_at_ = was_good ? Clock::now() : Clock::now() + pause_;
    ::syslog(LOG_MAIL | LOG_ERR, "%s; restarting in %lld ms", why.c_str(),
             was_good ? 0LL : static_cast<long long>(pause_.count()));
    pause_ = std::min(pause_ * 2, settings_.max_pause);
  }

  std::vector<policyd::Listener> listeners_;
  const SupervisorSettings& settings_;
  std::optional<policyd::PidFile> pid_file_;
  policyd::UniqueFd signals_;
  NotifySocket notify_;
  pid_t worker_ = 0;
  bool was_ready_ = false;
  bool stopping_ = false;
  bool restarting_ = false;    // the worker was told to exit, to be replaced
  bool listen_again_ = false;  // the configuration may name other sockets
  Millis pause_;
  std::optional<Clock::time_point> ready_at_;  // of the current or the last worker
  Clock::time_point start_at_;
  Clock::time_point kill_at_;
};

}  // namespace

policyd::Result<int> supervise(std::vector<policyd::Listener> listeners,
                               const SupervisorSettings& settings) {
  ::openlog("cbpolicyd", LOG_PID, LOG_MAIL);
  // Taken before a worker opens the database: there must not be two daemons.
  auto taken = policyd::PidFile::take(settings.pid_file);
  if (!taken && taken.error().taken) return policyd::failure(taken.error().message);
  std::optional<policyd::PidFile> pid_file;
  if (taken) {
    pid_file.emplace(std::move(*taken));
  } else {
    ::syslog(LOG_MAIL | LOG_WARNING, "%s", taken.error().message.c_str());
  }
  return Supervisor{std::move(listeners), settings, std::move(pid_file)}.run();
}

std::vector<std::string> worker_environment(const char* const* environment) {
  constexpr std::array<std::string_view, 8> kNames = {
      "HOME=", "LANG=", "LOGNAME=", "PATH=", "TZ=", "TMPDIR=", "USER=", "ZEXTRAS_HOME="};
  constexpr std::array<std::string_view, 7> kBeginnings = {"LC_",    "LD_",   "ASAN_",   "LSAN_",
                                                           "UBSAN_", "TSAN_", "FAKETIME"};
  const auto begins = [](std::string_view text) {
    return [text](std::string_view with) { return text.rfind(with, 0) == 0; };
  };
  std::vector<std::string> kept;
  for (; *environment != nullptr; ++environment) {
    const std::string_view each{*environment};
    if (std::any_of(kNames.begin(), kNames.end(), begins(each)) ||
        std::any_of(kBeginnings.begin(), kBeginnings.end(), begins(each))) {
      kept.emplace_back(each);
    }
  }
  return kept;
}

}  // namespace carbonio
