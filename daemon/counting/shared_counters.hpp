// SPDX-License-Identifier: AGPL-3.0-only
// Counters that several MTAs share. A question that would count asks first whether all of its
// limits allow it on all MTAs together, waits, and joins a later batch with the answer; nothing
// else waits. This host's own part of each counter stays in its database; what the others have
// counted comes with the answer. The seam between Quotas and the cluster; the loop's thread.
#pragma once

#include <boost/core/noncopyable.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/counting/window.hpp"

namespace policyd {

// What a question would count in one limit.
struct Wanted {
  std::int64_t limit_id = 0;
  std::string track_key;
  Window own;        // this host's part, as of now, without this question
  Millis period{0};  // of the limit
  std::uint64_t limit = 0;
  std::uint64_t units = 0;  // to count if all limits of the question allow it
  std::uint64_t asked = 0;  // must be free: units, or more where they are counted later
  bool bites = true;        // false: it is counted even where it exceeds the limit
};

// The answer. It holds until the batch that counts it: other hosts' questions are decided with it.
struct Granted {
  std::vector<Wanted> wanted;  // of the question, as it was asked
  // For each of them, what all other MTAs have counted in it. A counter that is full has their
  // windows merged; of another only the number is known, as one pair. Empty if they could not be
  // asked.
  std::vector<Window> others;
  // The limit that does not allow it, as an index of `wanted`; -1: all allow it.
  int exceeded = -1;
  // The others could not be asked: the figure that holds for this host alone, for each Wanted.
  std::vector<std::uint64_t> own_limits;
  // ... and nothing may pass meanwhile ([cluster] without = defer).
  bool defer = false;
  bool counted = false;  // set by the batch that it joined
};

class SharedCounters : boost::noncopyable {
 public:
  using Done = std::function<void(Granted)>;
  virtual ~SharedCounters() = default;

  // What the others have counted in a counter that was full when they were last asked, and may
  // still be: a refusal by it needs no question. Null if that is not known. Valid until the next
  // call of anything here.
  virtual const Window* known_full(std::int64_t limit_id, std::string_view track_key) = 0;

  // Asks for one question. Calls `done` once on the loop, after this function has returned, and at
  // the latest timeout in [cluster] after flush().
  virtual void ask(std::vector<Wanted> wanted, Done done) = 0;
  // Sends what was asked since the last call; after each batch.
  virtual void flush() = 0;

  // What was allowed is now in `own`, this host's part, or will never be: called once for each
  // Wanted of each question that was allowed by asking (neither exceeded nor own_limits), in the
  // batch that it joined. Until then `units` of it count in addition to what is given as this
  // host's part.
  virtual void settle(std::int64_t limit_id, std::string_view track_key, const Window& own,
                      std::uint64_t units, bool counted) = 0;

  // This host's part of a counter was changed without asking: the others learn it with one of the
  // next calls.
  virtual void changed(std::int64_t limit_id, std::string_view track_key, const Window& own,
                       Millis period) = 0;

  // What the engine's clock says, by which all MTAs count; the host's own until it was heard.
  [[nodiscard]] virtual TimePoint now() const = 0;
};

}  // namespace policyd
