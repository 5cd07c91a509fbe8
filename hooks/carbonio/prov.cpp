// SPDX-License-Identifier: AGPL-3.0-only
// Boost.Process 1.74 has traps: wait_for may sleep its whole time, children inherit descriptors,
// writing to a dead child raises SIGPIPE, and grandchildren keep pipes open. Hence on_exit with a
// timer, descriptors closed by hand (limit_handles also closes the pipes of async_pipe), SIGPIPE
// ignored, and a deadline for draining.
#include <utility>  // Asio 1.74 needs it in front
//
#include "hooks/carbonio/prov.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
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
#include <optional>
#include <string_view>
#include <system_error>

namespace carbonio {
namespace {

namespace asio = boost::asio;
namespace bp = boost::process;
namespace fs = std::filesystem;
using boost::system::error_code;
using policyd::failure;
using policyd::Result;

constexpr std::chrono::milliseconds kDrainWithin{1000};

struct Ended {
  int status = 0;
  std::string out;
  std::string err;
};

// Ignores SIGPIPE while it lives.
class NoBrokenPipes {
 public:
  NoBrokenPipes() {
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignore, &before_);
  }
  ~NoBrokenPipes() { sigaction(SIGPIPE, &before_, nullptr); }
  NoBrokenPipes(const NoBrokenPipes&) = delete;
  NoBrokenPipes& operator=(const NoBrokenPipes&) = delete;

 private:
  struct sigaction before_ {};
};

// In the child, between fork and exec: nothing but its three pipes stays open.
void prepare_child() {
  constexpr int kMostDescriptors = 4096;
  ::signal(SIGPIPE, SIG_DFL);
  for (int fd = STDERR_FILENO + 1; fd < kMostDescriptors; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

// One child with its three pipes, until it has ended and its pipes are read, or was ended.
class Running {
 public:
  Running(std::string input, std::size_t most) : input_(std::move(input)), most_(most) {}

  Result<Ended> run(const std::vector<std::string>& words, const bp::environment& environment,
                    std::chrono::milliseconds deadline) {
    const NoBrokenPipes no_broken_pipes;
    try {
      child_ = bp::child(
          bp::exe = words.front(),
          bp::args = std::vector<std::string>(words.begin() + 1, words.end()), environment, group_,
          bp::std_in<in_, bp::std_out> out_, bp::std_err > err_, loop_,
          bp::on_exit = [this](int status, std::error_code) { ended(status); },
          bp::extend::on_exec_setup = [](auto&) { prepare_child(); });
    } catch (const bp::process_error& error) {
      return failure(fmt::format("it cannot be started: {}", error.code().message()));
    }
    timer_.expires_after(deadline);
    timer_.async_wait([this](error_code cancelled) {
      if (!cancelled) give_up("it does not end, and was ended");
    });
    asio::async_write(in_, asio::buffer(input_), [this](error_code, std::size_t) { in_.close(); });
    read(out_, ended_.out);
    read(err_, ended_.err);
    loop_.run();
    stop_group();
    if (!trouble_.empty()) return failure(trouble_);
    return std::move(ended_);
  }

 private:
  void read(bp::async_pipe& from, std::string& into) {
    asio::async_read(from, asio::dynamic_buffer(into, most_ + 1), asio::transfer_at_least(1),
                     [this, &from, &into](error_code error, std::size_t) {
                       if (into.size() > most_) {
                         into.clear();
                         return give_up("it says too much, and was ended");
                       }
                       if (!error) return read(from, into);
                       ++closed_;
                       finish_when_done();
                     });
  }

  void ended(int status) {
    ended_.status = status;
    has_ended_ = true;
    // What is left in the pipes comes at once; who else holds them open is not waited for.
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

  void give_up(std::string_view why) {
    if (trouble_.empty()) trouble_ = why;
    stop_group();
    close_pipes();
  }

  void close_pipes() {
    error_code ignored;
    for (bp::async_pipe* pipe : {&in_, &out_, &err_}) pipe->close(ignored);
  }

  void stop_group() {
    std::error_code ignored;
    if (group_.valid()) group_.terminate(ignored);
  }

  std::string input_;
  std::size_t most_;
  asio::io_context loop_;
  asio::steady_timer timer_{loop_};
  bp::async_pipe in_{loop_};
  bp::async_pipe out_{loop_};
  bp::async_pipe err_{loop_};
  bp::group group_;
  bp::child child_;
  Ended ended_;
  bool has_ended_ = false;
  int closed_ = 0;
  std::string trouble_;
};

bool is_program(const fs::path& file) { return ::access(file.c_str(), X_OK) == 0; }

// The program with its first words; empty where there is none.
std::vector<std::string> prov_words(const fs::path& home) {
  const fs::path carbonio = home / "bin" / "carbonio";
  if (is_program(carbonio)) return {carbonio.string(), "prov"};
  const fs::path zmprov = home / "bin" / "zmprov";
  if (is_program(zmprov)) return {zmprov.string()};
  return {};
}

struct User {
  uid_t id = 0;
  std::string name;
  std::string home;
};

std::optional<User> look_up(const std::string& name) {
  constexpr std::size_t kRoom = 16 * 1024;
  std::vector<char> room(kRoom);
  passwd entry{};
  passwd* found = nullptr;
  if (getpwnam_r(name.c_str(), &entry, room.data(), room.size(), &found) != 0) return std::nullopt;
  if (found == nullptr) return std::nullopt;
  return User{found->pw_uid, found->pw_name, found->pw_dir};
}

// What stands in front of a command that `user` is to run; empty where we are that user.
Result<std::vector<std::string>> becoming(const std::string& name,
                                          const std::optional<User>& user) {
  if (user && user->id == geteuid()) return std::vector<std::string>{};
  if (geteuid() != 0) {
    return failure(fmt::format("it must be run as user {0}; run this as root, or su - {0}", name));
  }
  if (!user) return failure(fmt::format("there is no user {} on this host", name));
  for (const char* runuser : {"/usr/sbin/runuser", "/sbin/runuser"}) {
    if (is_program(runuser)) return std::vector<std::string>{runuser, "-u", name, "--"};
  }
  for (const char* setpriv : {"/usr/bin/setpriv", "/bin/setpriv"}) {
    if (!is_program(setpriv)) continue;
    return std::vector<std::string>{setpriv, "--reuid",       name, "--regid",
                                    name,    "--init-groups", "--"};
  }
  return failure(fmt::format("neither runuser nor setpriv is on this host; su - {} first", name));
}

bp::environment environment_for(const std::optional<User>& user) {
  bp::environment out = boost::this_process::environment();
  if (user) {
    out["HOME"] = user->home;
    out["USER"] = user->name;
    out["LOGNAME"] = user->name;
  }
  return out;
}

bool is_plain(std::string_view word) {
  constexpr std::string_view kOthers = "+-_.:/@%=,[]";
  return !word.empty() && std::all_of(word.begin(), word.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kOthers.find(c) != std::string_view::npos;
  });
}

// As batch mode reads its lines: words in double quotes, where `\` stands for the character behind.
Result<std::string> batch_input(std::span<const ProvCommand> commands) {
  std::string out;
  for (const ProvCommand& command : commands) {
    for (const std::string& word : command) {
      const bool odd = std::any_of(word.begin(), word.end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
      });
      if (odd) return failure("a word has control characters in it");
      if (&word != &command.front()) out += ' ';
      if (is_plain(word)) {
        out += word;
        continue;
      }
      out += '"';
      for (const char c : word) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
      }
      out += '"';
    }
    out += '\n';
  }
  return out;
}

// Why there are not as many answers as commands.
std::string explained(const Ended& ended, const std::string& what) {
  std::string reason = reason_in(ended.err);
  if (reason.empty()) reason = reason_in(ended.out);
  std::string out = what;
  if (ended.status != 0) out += fmt::format(", with exit status {}", ended.status);
  if (!reason.empty()) out += fmt::format(": {}", reason);
  return out;
}

}  // namespace

Result<ProvSettings> prov_settings(const fs::path& zextras_home, const LocalConfig& local_config) {
  ProvSettings out;
  out.zextras_home = zextras_home;
  auto user = local_config.find("zimbra_user");
  if (!user) return tl::unexpected{user.error()};
  if (*user) out.user = **user;
  return out;
}

bool has_prov(const fs::path& zextras_home) { return !prov_words(zextras_home).empty(); }

Result<ProvAnswers> Prov::ask(std::span<const ProvCommand> commands) const {
  const auto program = prov_words(settings_.zextras_home);
  if (program.empty()) {
    return failure(fmt::format("Carbonio is not here: no {}",
                               (settings_.zextras_home / "bin" / "carbonio").string()));
  }
  const auto wrong = [&](std::string_view why) {
    return failure(fmt::format("{}: {}", program.front(), why));
  };
  auto input = batch_input(commands);
  if (!input) return wrong(input.error().message);
  const auto user = look_up(settings_.user);
  auto words = becoming(settings_.user, user);
  if (!words) return wrong(words.error().message);
  words->insert(words->end(), program.begin(), program.end());

  Running running{std::move(*input), settings_.most_output};
  const auto ended = running.run(*words, environment_for(user), settings_.deadline);
  if (!ended) return wrong(ended.error().message);
  auto answers = split_answers(ended->out, commands.size());
  if (!answers) return wrong(explained(*ended, answers.error().message));
  return ProvAnswers{std::move(*answers), errors_in(ended->err)};
}

std::string as_typed(const ProvCommand& command) {
  std::string out = "carbonio prov";
  for (const std::string& word : command) {
    out += ' ';
    if (is_plain(word)) {
      out += word;
      continue;
    }
    out += '\'';
    for (const char c : word) out += c == '\'' ? std::string{"'\\''"} : std::string{c};
    out += '\'';
  }
  return out;
}

}  // namespace carbonio
