// SPDX-License-Identifier: AGPL-3.0-only
// Blocks: what `carbonio-limits block` writes. Each is a policy whose name says whom it blocks and
// until when, "carbonio-limits block anna@example.org until 2026-11-26T04:00:00Z", with an ordinary
// row of access_control that refuses. The Perl daemon applies it, with AccessControl, until the
// rows are removed; our daemon applies it without, and knows the end. Values and pure functions;
// the words are stored in databases, so they stay.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/clock.hpp"

namespace policyd {

struct Block {
  static constexpr std::string_view kBeginning = "carbonio-limits block ";
  // What the sender reads: Data of the row.
  static constexpr std::string_view kAccountText =
      "Sending is blocked for this account; please contact your administrator";
  static constexpr std::string_view kClientText =
      "Mail from this client is blocked; please contact the administrator";

  std::string who;                      // "anna@example.org", "192.0.2.0/24"; one word
  std::optional<TimePoint> until = {};  // whole seconds; none: until it is taken back
  TimePoint since{};
  std::string account = {};  // the account's status before it was locked; empty: it was not
  std::string by = {};       // "root on pts/0 (sudo by anna)"

  [[nodiscard]] std::string policy_name() const;
  // Of the row: "since=2026-11-26T03:00:00Z account=active by=root on pts/0".
  [[nodiscard]] std::string comment() const;
  // Nullopt if it is not the name of a block.
  static std::optional<Block> parse(std::string_view policy_name, std::string_view comment);

  bool operator==(const Block&) const = default;
};

// When a policy of this name ends as a block: TimePoint::max() if it does not, also if its end
// cannot be read, since a slip of the pen must not let a hacked account send. Nullopt if it is
// none.
std::optional<TimePoint> block_end(std::string_view policy_name);

}  // namespace policyd
