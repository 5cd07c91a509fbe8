// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/worker_thread.hpp"

#include <pthread.h>

#include <csignal>
#include <utility>

namespace policyd {
namespace {

// A thread inherits its creator's signal mask, so it never runs with signals unblocked.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

WorkerThread::WorkerThread(const char* name, std::function<void()> work) {
  const SignalsBlocked blocked;
  thread_ = std::thread([this, name, work = std::move(work)] {
    id_ = std::this_thread::get_id();
    pthread_setname_np(pthread_self(), name);
    work();
  });
}

void WorkerThread::request_stop() {
  change([this] { stopping_ = true; });
}

void WorkerThread::stop() {
  request_stop();
  if (thread_.joinable()) thread_.join();
}

}  // namespace policyd
