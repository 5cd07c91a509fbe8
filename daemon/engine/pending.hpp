// SPDX-License-Identifier: AGPL-3.0-only
// A request between the connection that read it and the engine that decides it. The loop's thread.
#pragma once

#include <boost/core/noncopyable.hpp>
#include "daemon/protocol/request.hpp"
#include "daemon/protocol/verdict.hpp"

namespace policyd {

// One request that waits for its answer. Created by a connection, which owns the request's text.
class Pending : boost::noncopyable {
 public:
  virtual ~Pending() = default;

  [[nodiscard]] virtual const Request& request() const = 0;
  // Called once, after the counters are stored. The request's text may be freed then.
  virtual void answer(const Verdict& verdict) = 0;
};

}  // namespace policyd
