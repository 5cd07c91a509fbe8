// SPDX-License-Identifier: AGPL-3.0-only
// Signals are handled by the event loop only. They stay blocked from the start of the daemon until
// the loop can handle them, so that one that arrives in between waits. See also WorkerThread.
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
