// SPDX-License-Identifier: AGPL-3.0-only
// Which connections can be read or written: an epoll set of their own, of which Asio sees one
// descriptor. Asio asks the kernel anew before each wait (epoll_ctl); here a connection is entered
// once for its life, edge-triggered, and one turn of the loop handles all that are ready, which is
// what makes a batch. The loop's thread.
#pragma once

#include <cstdint>
#include <memory>

namespace boost::asio {
class io_context;
}

namespace policyd {

class Readiness {
 public:
  class Client {
   public:
    Client() = default;
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    // EPOLLIN and so on, each time that something has changed, and once after add().
    virtual void ready(std::uint32_t events) = 0;

   protected:
    ~Client() = default;
  };

  // Throws boost::system::system_error where there is no descriptor left.
  explicit Readiness(boost::asio::io_context& io);
  ~Readiness();
  Readiness(const Readiness&) = delete;
  Readiness& operator=(const Readiness&) = delete;

  // `client` is told until `fd` is closed. It must outlive the turn of the loop in which that
  // happens. False where the kernel has no memory for it.
  [[nodiscard]] bool add(int fd, Client& client);

 private:
  void wait();
  void turn();

  struct Epoll;
  std::unique_ptr<Epoll> epoll_;
};

}  // namespace policyd
