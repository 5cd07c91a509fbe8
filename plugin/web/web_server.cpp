// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/web/web_server.hpp"

#include <fmt/core.h>

#include <array>
#include <atomic>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <list>
#include <memory>
#include <optional>
#include <utility>

namespace limits {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using Protocol = asio::generic::stream_protocol;
using Stream = beast::basic_stream<Protocol>;

constexpr std::chrono::seconds kWithin{20};  // a request, or the sending of a reply
constexpr std::chrono::seconds kIdle{60};    // until the next request
constexpr std::chrono::seconds kLinger{2};   // until the other end has read the last reply
constexpr std::size_t kMaxUnread = 1'048'576;
constexpr std::uint32_t kMaxHeaderBytes = 16'384;
constexpr std::size_t kMaxConnections = 100;
constexpr std::size_t kMaxWaiting = 20;    // subcommands of a lane
constexpr std::size_t kMaxLogReaders = 4;  // of which one reads

std::string_view view_of(const beast::string_view& text) { return {text.data(), text.size()}; }

class Connection;

// Which connections there are.
struct Connections {
  std::size_t open = 0;
  // Those that wait for the other end: for a request or its rest, or until it has read a reply. The
  // longest first.
  std::list<Connection*> waiting;
};

// One connection, which lives as long as something is under way on it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Protocol::socket socket, Site& site, Connections& all)
      : stream_(std::move(socket)), site_(site), all_(all) {
    ++all_.open;
  }
  ~Connection() {
    wait_no_longer();
    --all_.open;
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void read(std::chrono::seconds within) {
    parser_.emplace();
    parser_->header_limit(kMaxHeaderBytes);
    parser_->body_limit(kMaxBodyBytes);
    wait(within);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](error_code error, std::size_t /*bytes*/) {
                       self->wait_no_longer();
                       self->has_read(error);
                     });
  }

  // It waits, and is to make room.
  void drop() {
    wait_no_longer();
    close();
  }

 private:
  void wait(std::chrono::seconds within) {
    wait_no_longer();
    stream_.expires_after(within);
    place_ = all_.waiting.insert(all_.waiting.end(), this);
  }

  void wait_no_longer() {
    if (place_) all_.waiting.erase(*place_);
    place_.reset();
  }

  // A reply that is followed by a reset may be lost, and what was sent and not read brings one.
  void end() {
    error_code ignored;
    stream_.socket().shutdown(Protocol::socket::shutdown_send, ignored);
    wait(kLinger);
    discard();
  }

  void discard() {
    stream_.async_read_some(asio::buffer(discarded_),
                            [self = shared_from_this()](error_code error, std::size_t bytes) {
                              self->unread_ += bytes;
                              if (error || self->unread_ > kMaxUnread) return self->close();
                              self->discard();
                            });
  }

  void close() {
    error_code ignored;
    stream_.socket().shutdown(Protocol::socket::shutdown_both, ignored);
    stream_.close();
  }

  void has_read(error_code error) {
    if (error == http::error::header_limit)
      return refuse(http::status::request_header_fields_too_large);
    if (error == http::error::body_limit) return refuse(http::status::payload_too_large);
    if (error == http::error::end_of_stream || error == beast::error::timeout) return close();
    if (error) {
      // Not HTTP, or gone.
      if (error.category() == http::make_error_code(http::error::bad_method).category()) {
        return refuse(http::status::bad_request);
      }
      return close();
    }
    const auto& message = parser_->get();
    if (message.count(http::field::host) > 1) return refuse(http::status::bad_request);
    const auto field = [&](auto name) { return view_of(message[name]); };
    SiteRequest request;
    request.request = {view_of(message.method_string()), view_of(message.target()),
                       field(http::field::content_type), message.body()};
    request.host = field(http::field::host);
    request.origin = field(http::field::origin);
    request.cookies = field(http::field::cookie);
    request.change_token = field("X-Change-Token");
    stream_.expires_never();  // until the answer is known
    gone_ = std::make_shared<std::atomic<bool>>(false);
    request.gone = gone_;
    answered_ = false;
    site_.answer(request, [self = shared_from_this()](SiteReply reply) {
      self->write(std::move(reply), self->parser_->get().keep_alive());
    });
    if (!answered_) watch();
  }

  // Notes that the other end goes before it has its answer.
  void watch() {
    stream_.socket().async_wait(
        Protocol::socket::wait_read, [self = shared_from_this()](error_code error) {
          if (error || self->answered_) return;
          auto& socket = self->stream_.socket();
          error_code code;
          socket.non_blocking(true, code);
          char next = 0;  // of the next request, if it did not go
          socket.receive(asio::buffer(&next, 1), Protocol::socket::message_peek, code);
          if (code && code != asio::error::would_block) *self->gone_ = true;
        });
  }

  void refuse(http::status status) {
    SiteReply reply;
    reply.status = static_cast<unsigned>(status);
    if (view_of(parser_->get().target()).starts_with("/api/")) {
      reply.type = "application/json";
      reply.body = "{\"error\":\"the request cannot be read\"}\n";
    } else {
      reply.type = "text/plain; charset=utf-8";
      reply.body = "the request cannot be read\n";
    }
    write(std::move(reply), false);
  }

  void write(SiteReply reply, bool keep_alive) {
    response_ = {};
    response_.version(11);
    response_.result(reply.status);
    response_.set(http::field::content_type, reply.type);
    response_.set(http::field::cache_control, "no-store");
    for (const auto& [name, value] : security_headers()) response_.set(name, value);
    for (const auto& [name, value] : reply.headers) response_.insert(name, value);
    response_.keep_alive(keep_alive);
    response_.body() = std::move(reply.body);
    response_.prepare_payload();
    // Its length is said; a body would be read as the next answer.
    if (parser_->get().method() == http::verb::head) response_.body().clear();
    if (!std::exchange(answered_, true)) {
      error_code ignored;
      stream_.socket().cancel(ignored);  // watch()
    }
    wait(kWithin);
    http::async_write(stream_, response_,
                      [self = shared_from_this(), keep_alive](error_code error, std::size_t /*n*/) {
                        if (error) return self->close();
                        if (!keep_alive) return self->end();
                        self->read(kIdle);
                      });
  }

  Stream stream_;
  Site& site_;
  Connections& all_;
  std::optional<std::list<Connection*>::iterator> place_;  // among those that wait
  bool answered_ = true;
  std::shared_ptr<std::atomic<bool>> gone_;  // of the request that is not answered yet
  beast::flat_buffer buffer_{kMaxHeaderBytes + kMaxBodyBytes};
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  std::array<char, 4096> discarded_{};
  std::size_t unread_ = 0;
};

class WebServer : boost::noncopyable {
 public:
  WebServer(WebServerSettings settings, Site::Run run)
      : signals_(context_, SIGINT, SIGTERM),
        site_(
            std::move(settings.site), std::move(run),
            [this](Lane lane, auto work, auto then) {
              return run_beside(worker_of(lane), std::move(work), std::move(then));
            },
            policyd::wall_clock) {
    for (policyd::Listener& listener : settings.listeners) {
      sockaddr_storage address{};
      socklen_t size = sizeof address;
      ::getsockname(listener.fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
      doors_.emplace_back(context_).acceptor.assign(Protocol{address.ss_family, 0},
                                                    listener.fd.release());
    }
    signals_.async_wait([this](error_code, int) {
      doors_.clear();
      context_.stop();
    });
  }
  ~WebServer() {
    site_.end();
    for (Worker* worker : {&quick_, &reports_, &slow_, &log_}) worker->thread.join();
  }

  void run() {
    for (Door& door : doors_) accept(door);
    context_.run();
  }

 private:
  // A socket that takes connections.
  struct Door {
    explicit Door(asio::io_context& context) : acceptor(context), pause(context) {}
    asio::basic_socket_acceptor<Protocol> acceptor;
    asio::steady_timer pause;
  };
  struct Worker {
    std::size_t most;  // subcommands that run or wait
    std::size_t waiting = 0;
    asio::thread_pool thread{1};
  };

  Worker& worker_of(Lane lane) {
    switch (lane) {
      case Lane::reports:
        return reports_;
      case Lane::slow:
        return slow_;
      case Lane::log:
        return log_;
      default:
        return quick_;
    }
  }

  void accept(Door& door) {
    door.acceptor.async_accept([this, &door](error_code error, Protocol::socket socket) {
      if (error == asio::error::operation_aborted) return;  // we end
      if (error) return accept_later(door);
      const bool full = all_.open >= kMaxConnections;
      if (full && all_.waiting.empty()) {
        say_busy(socket);
      } else {
        // One that only waits makes room: whoever sends or reads nothing keeps nobody out.
        if (full) all_.waiting.front()->drop();
        std::make_shared<Connection>(std::move(socket), site_, all_)->read(kWithin);
      }
      accept(door);
    });
  }

  // As far as there is room for it at once.
  static void say_busy(Protocol::socket& socket) {
    constexpr std::string_view kBusy =
        "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(kBusy), ignored);
    socket.shutdown(Protocol::socket::shutdown_both, ignored);
  }

  // No descriptors are left, or the like: not at once again.
  void accept_later(Door& door) {
    constexpr std::chrono::milliseconds kPause{100};
    door.pause.expires_after(kPause);
    door.pause.async_wait([this, &door](error_code error) {
      if (!error) accept(door);
    });
  }

  bool run_beside(Worker& worker, std::function<void()> work, std::function<void()> then) {
    if (worker.waiting >= worker.most) return false;
    ++worker.waiting;
    // No copy of `then` stays on the worker: with the last one a connection may end.
    asio::post(worker.thread,
               [this, &worker, work = std::move(work), then = std::move(then)]() mutable {
                 work();
                 asio::post(context_, [&worker, then = std::move(then)] {
                   --worker.waiting;
                   then();
                 });
               });
    return true;
  }

  Connections all_;  // outlives the connections, which the context keeps
  asio::io_context context_{1};
  std::list<Door> doors_;
  asio::signal_set signals_;
  Site site_;
  Worker quick_{kMaxWaiting};
  Worker reports_{kMaxWaiting};
  Worker slow_{kMaxWaiting};
  Worker log_{kMaxLogReaders};
};

}  // namespace

void serve_page(WebServerSettings settings, Site::Run run, const std::function<void()>& ready) {
  WebServer server{std::move(settings), std::move(run)};
  ready();
  server.run();
}

}  // namespace limits
