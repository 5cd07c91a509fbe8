// SPDX-License-Identifier: AGPL-3.0-only
// Standard output where it is a terminal: its size, a screen of its own for what refreshes in
// place, and waiting that ends with Ctrl-C.
#pragma once

#include <chrono>
#include <csignal>
#include <cstdint>
#include <string_view>

namespace limits {

struct TerminalSize {
  std::size_t columns = 0;  // 0: no terminal, or unknown
  std::size_t rows = 0;
};
TerminalSize terminal_size();

// The alternate screen with the cursor hidden; the destructor puts back what was there. Where
// standard output is no terminal, pictures simply follow each other.
class Screen {
 public:
  explicit Screen(bool terminal);
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // In place of the picture before; lines below `rows` are cut (0: none). False where it cannot be
  // written.
  bool show(std::string_view picture, std::size_t rows);

 private:
  bool terminal_;
};

// Takes the signals that end a program, and the one of a new size, from their default for as long
// as it lives. In a program with one thread.
class SignalWait {
 public:
  SignalWait();
  ~SignalWait();
  SignalWait(const SignalWait&) = delete;
  SignalWait& operator=(const SignalWait&) = delete;

  enum class Woken : std::uint8_t { time, size, end };
  Woken wait(std::chrono::milliseconds most);

 private:
  sigset_t awaited_{};
  sigset_t before_{};
};

}  // namespace limits
