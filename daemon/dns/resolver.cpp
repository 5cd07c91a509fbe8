// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/dns/resolver.hpp"

#include <ares.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "daemon/base/unique_fd.hpp"
#include "daemon/base/worker_thread.hpp"

namespace policyd {

namespace {

using Steady = std::chrono::steady_clock;
using Millis = std::chrono::milliseconds;

// Doubled with each try, so that a silent server is not given up before any sensible deadline. One
// silent server of several costs this long.
constexpr int kFirstTryMs = 2'000;
constexpr int kTries = 4;

DnsAnswer without_records(DnsStatus status) { return {status, false, {}}; }

// c-ares sometimes returns its own code without a message.
DnsAnswer to_answer(int code, std::span<const unsigned char> message, DnsType type) {
  if (auto parsed = parse_dns_answer(message, type); parsed && !message.empty()) return *parsed;
  switch (code) {
    case ARES_SUCCESS:
      return without_records(DnsStatus::no_answer);  // malformed
    case ARES_ENODATA:
      return without_records(DnsStatus::ok);
    case ARES_ENOTFOUND:
      return without_records(DnsStatus::no_such_domain);
    case ARES_ESERVFAIL:
      return without_records(DnsStatus::server_failure);
    case ARES_ETIMEOUT:
      return without_records(DnsStatus::timed_out);
    default:
      return without_records(DnsStatus::no_answer);
  }
}

}  // namespace

// Everything except the inbox belongs to the thread.
class Resolver::Impl {
 public:
  Impl(Maillog& log, std::string name_servers, std::size_t max_queries)
      : log_(log),
        name_servers_(std::move(name_servers)),
        max_queries_(max_queries),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        usable_(open_channel()),
        thread_("dns", [this] { work(); }) {}

  ~Impl() {
    thread_.request_stop();
    wake();
    thread_.stop();
    waiting_.clear();  // before the channel, which reports the queries it drops
    if (usable_) ares_destroy(channel_);
    ares_library_cleanup();
  }

  struct Query {
    std::string name;
    DnsType type;
    Deadline deadline;
    Done done;
  };

  void ask(Query query) {
    if (thread_.is_current()) return begin(std::move(query));
    {
      const auto lock = thread_.lock();
      inbox_.push_back(std::move(query));
    }
    wake();
  }

 private:
  // What c-ares passes back with an answer, possibly after the deadline.
  struct Handle {
    Impl& resolver;
    std::uint64_t number;
    DnsType type;
  };
  struct Waiting {
    Done done;
    std::multimap<Deadline, std::uint64_t>::iterator deadline;
  };

  bool open_channel() {
    int code = ares_library_init(ARES_LIB_INIT_ALL);
    if (code == ARES_SUCCESS) code = open_channel(0);
    // Without another server, a failure or refusal is the answer.
    if (code == ARES_SUCCESS && has_one_server()) {
      ares_destroy(channel_);
      code = open_channel(ARES_FLAG_NOCHECKRESP);
    }
    if (code != ARES_SUCCESS)
      log_.error(fmt::format("DNS is not available: {}", ares_strerror(code)));
    return code == ARES_SUCCESS;
  }

  int open_channel(int flags) {
    ares_options options{};
    options.flags = flags;
    options.timeout = kFirstTryMs;
    options.tries = kTries;
    constexpr int kSet = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES;
    if (const int code = ares_init_options(&channel_, &options, kSet); code != ARES_SUCCESS) {
      return code;
    }
    if (name_servers_.empty()) return ARES_SUCCESS;
    const int code = ares_set_servers_ports_csv(channel_, name_servers_.c_str());
    if (code != ARES_SUCCESS) {
      log_.error(fmt::format("nameservers '{}': {}; using the system's name servers", name_servers_,
                             ares_strerror(code)));
    }
    return ARES_SUCCESS;
  }

  [[nodiscard]] bool has_one_server() const {
    ares_addr_port_node* servers = nullptr;
    if (ares_get_servers_ports(channel_, &servers) != ARES_SUCCESS) return false;
    const bool one = servers != nullptr && servers->next == nullptr;
    ares_free_data(servers);
    return one;
  }

  void wake() {
    const std::uint64_t one = 1;
    // It only fails if the thread has been woken already.
    [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
  }

  void work() {
    while (!thread_.stopping()) {
      std::vector<Query> queries;
      {
        const auto lock = thread_.lock();
        queries.swap(inbox_);
      }
      for (Query& query : queries) begin(std::move(query));
      expire();
      wait();
    }
  }

  void begin(Query query) {
    if (!usable_ || open_ >= max_queries_ || !is_dns_name(query.name)) {
      return query.done(without_records(DnsStatus::no_answer));
    }
    if (query.deadline <= Steady::now()) {
      return query.done(without_records(DnsStatus::timed_out));
    }
    const std::uint64_t number = ++last_number_;
    waiting_.emplace(number,
                     Waiting{std::move(query.done), deadlines_.emplace(query.deadline, number)});
    ++open_;
    constexpr int kInternet = 1;
    ares_query(channel_, query.name.c_str(), kInternet, static_cast<int>(query.type),
               &Impl::arrived,
               std::make_unique<Handle>(Handle{*this, number, query.type}).release());
  }

  static void arrived(void* argument, int code, int, unsigned char* message, int size) {
    const std::unique_ptr<Handle> handle{static_cast<Handle*>(argument)};
    --handle->resolver.open_;
    const std::span bytes{message, message == nullptr ? 0 : static_cast<std::size_t>(size)};
    handle->resolver.finish(handle->number, to_answer(code, bytes, handle->type));
  }

  void finish(std::uint64_t number, DnsAnswer answer) {
    auto waiting = waiting_.extract(number);
    if (!waiting) return;  // answered at its deadline
    deadlines_.erase(waiting.mapped().deadline);
    waiting.mapped().done(std::move(answer));
  }

  void expire() {
    const auto now = Steady::now();
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
      finish(deadlines_.begin()->second, without_records(DnsStatus::timed_out));
    }
  }

  // Until something arrives, or a timeout of c-ares or the next deadline is due.
  void wait() {
    std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets{};
    std::array<pollfd, ARES_GETSOCK_MAXNUM + 1> files{};
    files[0] = {wake_.get(), POLLIN, 0};
    nfds_t count = 1;
    const int ready_for = usable_ ? ares_getsock(channel_, sockets.data(), ARES_GETSOCK_MAXNUM) : 0;
    for (int i = 0; i < ARES_GETSOCK_MAXNUM; ++i) {
      short events = 0;
      if (ARES_GETSOCK_READABLE(ready_for, i)) events = POLLIN;
      if (ARES_GETSOCK_WRITABLE(ready_for, i)) events = static_cast<short>(events | POLLOUT);
      if (events != 0) files.at(count++) = {sockets.at(static_cast<std::size_t>(i)), events, 0};
    }
    const int ready = ::poll(files.data(), count, timeout_ms());
    if (ready > 0 && files[0].revents != 0) {
      std::uint64_t times = 0;
      [[maybe_unused]] const auto got = ::read(wake_.get(), &times, sizeof times);
    }
    if (!usable_) return;
    for (nfds_t i = 1; i < count; ++i) {
      const pollfd& file = files.at(i);
      const bool failed = (file.revents & (POLLERR | POLLHUP)) != 0;
      const bool readable = failed || (file.revents & POLLIN) != 0;
      const bool writable = failed || (file.revents & POLLOUT) != 0;
      ares_process_fd(channel_, readable ? file.fd : ARES_SOCKET_BAD,
                      writable ? file.fd : ARES_SOCKET_BAD);
    }
    ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // its timeouts
  }

  int timeout_ms() {
    std::optional<Millis> timeout;
    if (!deadlines_.empty()) {
      timeout = std::chrono::ceil<Millis>(deadlines_.begin()->first - Steady::now());
    }
    timeval space{};
    if (usable_) {
      if (const timeval* next = ares_timeout(channel_, nullptr, &space)) {
        const Millis ares = std::chrono::ceil<Millis>(std::chrono::seconds{next->tv_sec} +
                                                      std::chrono::microseconds{next->tv_usec});
        timeout = timeout ? std::min(*timeout, ares) : ares;
      }
    }
    return timeout ? static_cast<int>(std::max(*timeout, Millis{0}).count()) : -1;
  }

  Maillog& log_;
  const std::string name_servers_;
  const std::size_t max_queries_;
  UniqueFd wake_;
  ares_channel channel_ = nullptr;
  bool usable_;
  std::uint64_t last_number_ = 0;
  std::size_t open_ = 0;  // in c-ares, even after the deadline
  std::map<std::uint64_t, Waiting> waiting_;
  std::multimap<Deadline, std::uint64_t> deadlines_;

  std::vector<Query> inbox_;  // under the thread's lock
  WorkerThread thread_;
};

Resolver::Resolver(Maillog& log, std::string name_servers, std::size_t max_queries)
    : impl_(std::make_unique<Impl>(log, std::move(name_servers), max_queries)) {}
Resolver::~Resolver() = default;

void Resolver::query(std::string name, DnsType type, Deadline deadline, Done done) {
  impl_->ask({std::move(name), type, deadline, std::move(done)});
}

}  // namespace policyd
