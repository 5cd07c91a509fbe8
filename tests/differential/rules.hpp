// SPDX-License-Identifier: AGPL-3.0-only
// Random rules and questions as plain values: their meaning in the most direct form, and their text
// for the database and the engine. Nothing of the daemon's own parsing or matching is used.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace differential {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t limit) { return engine_() % limit; }
  std::int64_t between(std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(below(static_cast<std::size_t>(most - least + 1)));
  }
  bool percent(std::size_t chance) { return below(100) < chance; }
  template <typename Choices>
  const auto& of(const Choices& choices) {
    return choices[below(std::size(choices))];
  }

 private:
  std::mt19937_64 engine_;
};

// With its tracking keys as constants, not computed.
struct Client {
  std::string_view text;
  std::uint32_t v4 = 0;  // 0: IPv6
  std::string_view key_24, key_64;
};

struct Asked {
  bool end_of_message = false;
  std::string instance;
  std::string user, domain;  // of the sender; both empty for a bounce
  std::string recipient_user, recipient_domain;
  std::optional<std::string> sasl;
  const Client* client = nullptr;
  std::string host;
  std::uint64_t bytes = 0;

  [[nodiscard]] std::string sender() const { return user.empty() ? "" : user + "@" + domain; }
  [[nodiscard]] std::string recipient() const {
    return recipient_user.empty() ? "" : recipient_user + "@" + recipient_domain;
  }
};

enum class Kind : std::uint8_t {
  address,
  domain,
  any_user_of,
  user_of_any,
  sasl,
  no_sasl,
  any_sasl,
  bounce,
  network,
  host_suffix,
  host_star,
  group,
};

struct Item {
  Kind kind = Kind::domain;
  bool negated = false;
  std::string user, domain;  // or the name of a SASL user, a group, a host
  int bits = 0;              // of a network of `client`
  const Client* client = nullptr;

  [[nodiscard]] std::string text() const;
};

// Without a value: NULL. Without items: the empty string.
using List = std::optional<std::vector<Item>>;

struct Group {
  bool disabled = false;
  std::vector<Item> members;
};

struct Member {
  bool disabled = false;
  List source, destination;
};

struct Limit {
  std::int64_t id = 0;
  bool disabled = false;
  std::string type;  // of the daemon's, or "Nonsense"
  double most = 0;
};

struct Quota {
  std::int64_t id = 0;
  bool disabled = false;
  std::string track;
  std::int64_t period_s = 0;
  std::string verdict, data;
  bool last = false;
  std::vector<Limit> limits;
};

struct Policy {
  std::int64_t id = 0;
  int priority = 0;
  bool disabled = false;
  std::vector<Member> members;
  std::vector<Quota> quotas;
};

struct Rules {
  std::vector<Policy> policies;  // by (priority, ID)
  std::map<std::string, Group> groups;
};

Rules random_rules(Random& random);
// The statements that create these rules in a database without any.
std::string to_sql(const Rules& rules);
// A question from a small world, so that rules and counters meet again and again.
Asked random_sender(Random& random);
void random_recipient(Random& random, Asked& asked);

// The enabled policies that apply to the question, in order.
std::vector<const Policy*> matching(const Rules& rules, const Asked& asked);
// As CBPolicyD writes it; nullopt for an invalid Track.
std::optional<std::string> tracking_key(const std::string& track, const Asked& asked);

}  // namespace differential
