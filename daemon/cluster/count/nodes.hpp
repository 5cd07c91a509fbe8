// SPDX-License-Identifier: AGPL-3.0-only
// The MTAs of the cluster as they tell of themselves each second, in a hash of one field each.
// Times are the engine's. What is read is bounded: any program may have written it. The loop's
// thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/cluster/redis.hpp"

namespace policyd {

struct Node {
  std::string id;          // of this installation, so that a name used twice is noticed
  std::string host;        // its host name
  std::string version;     // of the program
  std::int64_t rules = 0;  // the version of the cluster's rules that it has; 0: others
  std::string written;     // for which epoch and run of the engine its counters are written
  TimePoint since;         // when it came
  TimePoint seen;
};

// As a field's value. nullopt if it is none.
[[nodiscard]] std::string json_of_node(const Node& node);
[[nodiscard]] std::optional<Node> node_of_json(std::string_view json);

class Nodes {
 public:
  static constexpr std::size_t kMax = 256;
  static constexpr std::size_t kMaxBytes = 2'000;           // of a field
  static constexpr Millis kCounts = std::chrono::hours{1};  // so long after it was seen last
  static constexpr Millis kAlive{5'000};
  static constexpr Millis kKept = std::chrono::hours{24};

  // `hosts` were known before this process started: they are not fewer for as long as they count.
  explicit Nodes(std::string self, std::size_t hosts = 1)
      : self_(std::move(self)), hosts_(hosts), hosts_before_(hosts) {}

  // The reply of HGETALL. `engine` names the data that it is from, which changes whenever the
  // engine may have lost some: those that it had before, and now has no longer, have left the
  // cluster. Any others that are missing in it are kept.
  void read(const RedisReply& fields, TimePoint now, const std::string& engine = {});
  // How many were seen in the hour before the last contact with the engine, with this one: without
  // it nothing is known of them, and they are not fewer.
  [[nodiscard]] std::size_t hosts() const { return hosts_; }
  // Another one that is alive and came earlier, under the name of this one; null if none.
  [[nodiscard]] const Node* namesake(const Node& own, TimePoint now) const;
  // Whether all others have written their counters for `written`: those that are alive, or were
  // when limits were last shared, and those that were known before this process started.
  [[nodiscard]] bool all_have(const std::string& written, TimePoint now) const;
  // Limits are shared with those that are alive now.
  void shared(TimePoint now);
  // The names of those that are to be removed from the hash.
  [[nodiscard]] std::vector<std::string> outdated(TimePoint now) const;
  [[nodiscard]] const std::map<std::string, Node>& all() const { return nodes_; }

 private:
  void forget(const std::string& name, TimePoint now);
  [[nodiscard]] std::size_t seen_in_the_hour(TimePoint now) const;

  std::string self_;
  std::size_t hosts_;
  std::size_t hosts_before_;
  TimePoint before_until_{};  // and until then
  std::map<std::string, Node> nodes_;
  std::string engine_;            // of the last reply
  std::set<std::string> there_;   // the names in it
  std::set<std::string> shared_;  // the names of those that limits were last shared with
};

}  // namespace policyd
