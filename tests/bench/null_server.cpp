// SPDX-License-Identifier: AGPL-3.0-only
// bench_null_server: what a policy server costs that does nothing. One epoll loop answers DUNNO to
// each request and looks at nothing but the empty lines that end them. The measure that the
// daemon's speed is given in; it is no policy server for anything else.
//
//   bench_null_server PORT        listens on 127.0.0.1 until it is killed
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::string_view kAnswer = "action=DUNNO\n\n";
constexpr int kBacklog = 1024;
constexpr std::size_t kMaxAtOnce = 64;  // answers to requests that came in one read

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "bench_null_server: %s: %s\n", what, std::strerror(errno));
  std::exit(2);
}

int listen_on(std::uint16_t port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (listener < 0 || ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener, kBacklog) != 0) {
    fail("cannot listen");
  }
  return listener;
}

void watch(int poller, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (::epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
}

// Whether the last byte that came from a connection ended a line; by descriptor.
class LineEnds {
 public:
  void forget(int fd) { at(fd) = false; }

  std::size_t count_requests(int fd, std::string_view bytes) {
    bool& ended = at(fd);
    std::size_t requests = 0;
    for (const char c : bytes) {
      const bool newline = c == '\n';
      if (newline && ended) {
        ++requests;
        ended = false;
      } else {
        ended = newline;
      }
    }
    return requests;
  }

 private:
  bool& at(int fd) {
    const auto index = static_cast<std::size_t>(fd);
    if (index >= ended_.size()) ended_.resize(index + 1);
    return ended_[index].value;
  }

  struct Flag {
    bool value = false;
  };
  std::vector<Flag> ended_;
};

std::string answers(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += kAnswer;
  return text;
}

void serve(std::uint16_t port) {
  const int listener = listen_on(port);
  const int poller = ::epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0) fail("epoll_create1");
  watch(poller, listener);

  const std::string all_answers = answers(kMaxAtOnce);
  LineEnds line_ends;
  std::array<epoll_event, 256> events{};
  std::array<char, 16384> buffer{};
  for (;;) {
    const int ready = ::epoll_wait(poller, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < ready; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == listener) {
        const int client = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0) continue;
        const int on = 1;
        ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        line_ends.forget(client);
        watch(poller, client);
        continue;
      }
      const ssize_t got = ::read(fd, buffer.data(), buffer.size());
      if (got < 0 && errno == EAGAIN) continue;
      if (got <= 0) {
        ::close(fd);
        continue;
      }
      const std::size_t requests =
          line_ends.count_requests(fd, {buffer.data(), static_cast<std::size_t>(got)});
      if (requests == 0) continue;
      const std::size_t size = requests * kAnswer.size();
      if (requests > kMaxAtOnce ||
          ::send(fd, all_answers.data(), size, MSG_NOSIGNAL) != static_cast<ssize_t>(size)) {
        ::close(fd);
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view text = argc == 2 ? argv[1] : "";
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || port == 0) {
    std::fputs("usage: bench_null_server PORT\n", stderr);
    return 1;
  }
  serve(port);
}
