// SPDX-License-Identifier: AGPL-3.0-only
// Helper threads leave signals to the loop's thread: they call block_signals() first. So does main,
// until the loop can handle them: one that comes while the daemon starts then waits for it.
#pragma once

#include <csignal>

namespace policyd {

inline void block_signals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
}

inline void unblock_signals() {
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace policyd
