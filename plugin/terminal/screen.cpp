// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/terminal/screen.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <string>

namespace limits {
namespace {

bool write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

constexpr std::string_view kEnter = "\033[?1049h\033[?25l";
constexpr std::string_view kLeave = "\033[?25h\033[?1049l";
constexpr std::string_view kHome = "\033[H";
constexpr std::string_view kRestOfLine = "\033[K";
constexpr std::string_view kRestOfScreen = "\033[J";

}  // namespace

TerminalSize terminal_size() {
  winsize size{};
  if (isatty(STDOUT_FILENO) != 1 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return {};
  return {size.ws_col, size.ws_row};
}

Screen::Screen(bool terminal) : terminal_(terminal) {
  if (terminal_) write_all(kEnter);
}

Screen::~Screen() {
  if (terminal_) write_all(kLeave);
}

bool Screen::show(std::string_view picture, std::size_t rows) {
  if (!terminal_) return write_all(std::string{picture} + '\n');
  std::string out{kHome};
  std::size_t row = 0;
  while (!picture.empty() && (rows == 0 || row + 1 < rows)) {
    const std::size_t end = picture.find('\n');
    out += picture.substr(0, end);
    out += kRestOfLine;
    out += '\n';
    ++row;
    if (end == std::string_view::npos) break;
    picture.remove_prefix(end + 1);
  }
  out += kRestOfScreen;
  return write_all(out);
}

SignalWait::SignalWait() {
  sigemptyset(&awaited_);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGWINCH}) sigaddset(&awaited_, signal);
  sigprocmask(SIG_BLOCK, &awaited_, &before_);
}

SignalWait::~SignalWait() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

bool SignalWait::wait(std::chrono::seconds timeout) {
  const timespec time{timeout.count(), 0};
  const int signal = sigtimedwait(&awaited_, nullptr, &time);
  return signal < 0 || signal == SIGWINCH;
}

}  // namespace limits
