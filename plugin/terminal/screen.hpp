// SPDX-License-Identifier: AGPL-3.0-only
// Standard output if it is a terminal: its size, an alternate screen for output that is refreshed
// in place, and a wait that Ctrl-C ends.
#pragma once

#include <chrono>
#include <csignal>
#include <string_view>

namespace limits {

struct TerminalSize {
  std::size_t columns = 0;  // 0: not a terminal, or unknown
  std::size_t rows = 0;
};
TerminalSize terminal_size();

// Switches to the alternate screen and hides the cursor; the destructor restores both. If standard
// output is not a terminal, pictures are printed one after another.
class Screen {
 public:
  explicit Screen(bool terminal);
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // Replaces the previous picture; lines after `rows` are cut (0: none). False if writing fails.
  bool show(std::string_view picture, std::size_t rows);

 private:
  bool terminal_;
};

// Blocks the signals that terminate a program and the one for a new terminal size, and waits for
// them. Only for programs with a single thread.
class SignalWait {
 public:
  SignalWait();
  ~SignalWait();
  SignalWait(const SignalWait&) = delete;
  SignalWait& operator=(const SignalWait&) = delete;

  // False if a signal asks to end; a new size wakes it early.
  bool wait(std::chrono::seconds timeout);

 private:
  sigset_t awaited_{};
  sigset_t before_{};
};

}  // namespace limits
