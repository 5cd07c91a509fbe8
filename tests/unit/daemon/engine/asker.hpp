// SPDX-License-Identifier: AGPL-3.0-only
// For tests of the engine: a connection that keeps its request and the answer, and the request that
// most of them ask.
#pragma once

#include <string_view>

#include "daemon/base/ip_address.hpp"
#include "daemon/engine/engine.hpp"

namespace policyd {

class Asker final : public Pending {
 public:
  explicit Asker(Request request) : request_(request) {}
  [[nodiscard]] const Request& request() const override { return request_; }
  void answer(const Verdict& verdict) override {
    ++answers;
    received = verdict;
  }

  int answers = 0;
  Verdict received;

 private:
  Request request_;
};

inline Request rcpt(std::string_view instance, std::string_view recipient = "bob@example.com") {
  Request request;
  request.state = ProtocolState::rcpt;
  request.instance = instance;
  request.sender = "alice@example.org";
  request.recipient = recipient;
  request.helo_name = "mail.example.org";
  request.client_address = *IpAddress::parse("192.0.2.1");
  request.size_bytes = 2048;
  return request;
}

inline Request end(std::string_view instance, std::uint64_t bytes) {
  Request request = rcpt(instance, "");
  request.state = ProtocolState::end_of_message;
  request.size_bytes = bytes;
  return request;
}

}  // namespace policyd
