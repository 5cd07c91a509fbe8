// SPDX-License-Identifier: AGPL-3.0-only
// Boost.Process 1.74 has traps: wait_for may sleep its whole time, on_exit misses a program that
// ends while SIGCHLD is ignored, children inherit descriptors (and limit_handles closes the pipes
// of async_pipe, too), writing to a program that has ended raises SIGPIPE, and its own children may
// keep the pipes open. Hence on_exit with a timer, a SIGCHLD handler from the start, descriptors
// closed by hand, SIGPIPE ignored, and a deadline for draining the pipes.
#include <utility>  // Asio 1.74 needs it first
//
#include "hooks/system/run_program.hpp"

#include <fmt/core.h>
#include <linux/close_range.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/process/args.hpp>
#include <boost/process/async.hpp>
#include <boost/process/child.hpp>
#include <boost/process/env.hpp>
#include <boost/process/environment.hpp>
#include <boost/process/exe.hpp>
#include <boost/process/extend.hpp>
#include <boost/process/group.hpp>
#include <boost/process/io.hpp>
#include <csignal>
#include <system_error>

namespace carbonio {
namespace {

namespace asio = boost::asio;
namespace bp = boost::process;
using boost::system::error_code;
using policyd::failure;
using policyd::Result;

constexpr std::chrono::milliseconds kDrainWithin{1000};

// Ignores SIGPIPE while it lives; afterwards SIGPIPE and SIGCHLD are what they were before.
class SignalGuard {
 public:
  SignalGuard() {
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignore, &pipe_);
    sigaction(SIGCHLD, nullptr, &child_);
  }
  ~SignalGuard() {
    sigaction(SIGPIPE, &pipe_, nullptr);
    sigaction(SIGCHLD, &child_, nullptr);
  }
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

 private:
  struct sigaction pipe_ {};
  struct sigaction child_ {};
};

// In the child, between fork and exec: only its three pipes stay open.
void prepare_child() {
  ::signal(SIGPIPE, SIG_DFL);
  ::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
}

bp::environment environment_with(const std::vector<std::pair<std::string, std::string>>& added) {
  bp::environment out = boost::this_process::environment();
  for (const auto& [name, value] : added) out[name] = value;
  return out;
}

// "4 MiB"
std::string size_text(std::size_t bytes) {
  constexpr std::size_t kMiB = std::size_t{1} << 20;
  return bytes >= kMiB ? fmt::format("{} MiB", bytes / kMiB) : fmt::format("{} bytes", bytes);
}

// One child with its three pipes, until it has ended and its pipes are read, or was killed.
class Running {
 public:
  explicit Running(const Program& program) : program_(program) {}

  Result<ProgramOutput> run() {
    try {
      child_ = bp::child(
          bp::exe = program_.words.front(),
          bp::args = std::vector<std::string>(program_.words.begin() + 1, program_.words.end()),
          environment_with(program_.environment), group_, bp::std_in<in_, bp::std_out> out_,
          bp::std_err > err_, loop_, bp::on_exit = [this](int, std::error_code) { ended(); },
          bp::extend::on_exec_setup = [](auto&) { prepare_child(); });
    } catch (const bp::process_error& error) {
      return failure(fmt::format("cannot be started: {}", error.code().message()));
    }
    timer_.expires_after(program_.deadline);
    timer_.async_wait([this](error_code cancelled) {
      if (!cancelled) {
        give_up(fmt::format("timed out after {} s; killed",
                            std::chrono::duration<double>{program_.deadline}.count()));
      }
    });
    asio::async_write(in_, asio::buffer(program_.input), [this](error_code, std::size_t) {
      error_code ignored;
      in_.close(ignored);
    });
    read(out_, output_.out);
    read(err_, output_.err);
    loop_.run();
    kill_group();
    if (!trouble_.empty()) return failure(trouble_);
    return std::move(output_);
  }

 private:
  void read(bp::async_pipe& from, std::string& into) {
    asio::async_read(from, asio::dynamic_buffer(into, program_.max_output + 1),
                     asio::transfer_at_least(1),
                     [this, &from, &into](error_code error, std::size_t) {
                       if (into.size() > program_.max_output) {
                         into.clear();
                         give_up(fmt::format("produced more than {} of output; killed",
                                             size_text(program_.max_output)));
                       } else if (!error) {
                         return read(from, into);
                       }
                       ++closed_;
                       finish_when_done();
                     });
  }

  void ended() {
    const int status = child_.native_exit_code();
    constexpr int kSignalled = 128;
    output_.status = WIFSIGNALED(status) ? kSignalled + WTERMSIG(status) : WEXITSTATUS(status);
    has_ended_ = true;
    // What is left in the pipes comes at once; other processes may hold them open for ever.
    timer_.expires_after(kDrainWithin);
    timer_.async_wait([this](error_code cancelled) {
      if (!cancelled) close_pipes();
    });
    finish_when_done();
  }

  void finish_when_done() {
    constexpr int kBoth = 2;
    if (has_ended_ && closed_ == kBoth) timer_.cancel();
  }

  void give_up(std::string why) {
    if (trouble_.empty()) trouble_ = std::move(why);
    kill_group();
    close_pipes();
  }

  void close_pipes() {
    error_code ignored;
    for (bp::async_pipe* pipe : {&in_, &out_, &err_}) pipe->close(ignored);
  }

  void kill_group() {
    std::error_code ignored;
    if (group_.valid()) group_.terminate(ignored);
  }

  const Program& program_;
  SignalGuard signal_guard_;
  asio::io_context loop_;
  asio::signal_set child_signal_{loop_, SIGCHLD};  // before the child starts
  asio::steady_timer timer_{loop_};
  bp::async_pipe in_{loop_};
  bp::async_pipe out_{loop_};
  bp::async_pipe err_{loop_};
  bp::group group_;
  bp::child child_;
  ProgramOutput output_;
  bool has_ended_ = false;
  int closed_ = 0;
  std::string trouble_;
};

}  // namespace

Result<ProgramOutput> run_program(const Program& program) { return Running{program}.run(); }

bool is_program(const std::string& file) { return ::access(file.c_str(), X_OK) == 0; }

}  // namespace carbonio
