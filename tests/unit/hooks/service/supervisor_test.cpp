// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/service/supervisor.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "daemon/base/unique_fd.hpp"
#include "daemon/process/thread_signals.hpp"

namespace carbonio {
namespace {

namespace fs = std::filesystem;

constexpr int kExitOfWorker = 3;
constexpr int kSaidToBeReady = 77;

// A supervisor whose worker, a shell script, is never ready and ends with kExitOfWorker; it ends
// itself with kSaidToBeReady as soon as it believes that the worker is ready.
class SupervisorTest : public testing::Test {
 protected:
  SupervisorTest() {
    std::string name = testing::TempDir() + "supervisor-XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~SupervisorTest() override { fs::remove_all(folder_); }

  pid_t start() {
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    policyd::block_signals();
    SupervisorSettings settings;
    settings.program = "/bin/sh";
    settings.arguments = {"-c",
                          "printf %s \"$NOTIFY_SOCKET\" > socket.part && mv socket.part socket; "
                          "until test -e go; do sleep 0.1; done; exit 3"};
    settings.environment = {"PATH=/usr/bin:/bin"};
    settings.pid_file = folder_ / "pid";
    settings.ready = [] { ::_exit(kSaidToBeReady); };
    if (::chdir(folder_.c_str()) != 0) ::_exit(1);
    const auto status = supervise({}, settings);
    ::_exit(status ? *status : 1);
  }

  [[nodiscard]] std::string socket_name() const {
    std::string name;
    for (int i = 0; i < 1000 && name.empty(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds{20});
      std::getline(std::ifstream{folder_ / "socket"}, name);
    }
    return name;
  }

  // From this process.
  static void send_ready(const std::string& name) {
    const policyd::UniqueFd fd{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    name.copy(to.sun_path, sizeof to.sun_path);
    to.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    const std::string text = "READY=1\n";
    ASSERT_EQ(::sendto(fd.get(), text.data(), text.size(), 0,
                       reinterpret_cast<const sockaddr*>(&to), size),
              static_cast<ssize_t>(text.size()));
  }

  fs::path folder_;
};

TEST_F(SupervisorTest, BelievesOnlyItsWorkerThatItIsReady) {
  const pid_t supervisor = start();
  ASSERT_GT(supervisor, 0);
  const std::string name = socket_name();
  ASSERT_TRUE(name.starts_with('@')) << name;
  for (int i = 0; i < 100; ++i) send_ready(name);
  const std::ofstream go{folder_ / "go"};
  int status = 0;
  ASSERT_EQ(::waitpid(supervisor, &status, 0), supervisor);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), kExitOfWorker);
}

}  // namespace
}  // namespace carbonio
