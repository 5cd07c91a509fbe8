// SPDX-License-Identifier: AGPL-3.0-only
// What `block` and `unblock` do beside the rows of the database, each of it after them: Carbonio's
// account and Postfix's queue. A step that fails is a line, and the others go on.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plugin/block/blocks.hpp"
#include "plugin/block/held_record.hpp"
#include "plugin/block/sent_mail.hpp"
#include "plugin/cli/command.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/host/account.hpp"
#include "plugin/postfix/held_mail.hpp"

namespace limits {

inline constexpr Option kAccountTimeoutOption = {
    "prov-timeout", "SECONDS", "wait this long for Carbonio to answer (1 to 3600, default: 20)"};

// What the steps have to say, in order.
struct StepLines {
  std::vector<std::string> done;     // sentences
  std::vector<std::string> trouble;  // what failed and what to do, without a full stop
};

// change_rules_silently() as the owner of the database; afterwards root is root again, for other
// programs. What it has to say goes into `notes`, once.
Outcome change_rules_for_now(const Arguments& arguments, const Context& context, bool dry,
                             const DatabaseAction& action, std::vector<std::string>& notes);

// --prov-timeout.
tl::expected<std::chrono::seconds, Failure> prov_timeout(const Arguments& arguments);
// Carbonio's own programs, with that time.
policyd::Result<carbonio::Prov> prov_for(const Arguments& arguments, const Context& context);

// Puts the account's status back that a block has changed; false if it may still be locked.
bool restore_account(const policyd::Result<carbonio::Prov>& prov, const policyd::Block& block,
                     StepLines& lines);

// Puts the waiting mail of a blocked account or client on hold. `items`: of the block. With `dry`
// it only says how much that is.
void hold_mail(const Arguments& arguments, const Context& context, const policyd::Block& block,
               std::span<const std::string> items, const SentMail& sent, bool dry,
               StepLines& lines);

enum class HeldMail : std::uint8_t { leave, release, remove };
// What a block holds in the queue; others may hold mail there, too.
struct HeldBy {
  // While a step had the sender's new mail held; both in whole seconds, as the queue has them.
  struct Interval {
    policyd::TimePoint from, to;
  };
  std::vector<std::string> items;  // of the block
  HeldRecord record;               // put on hold by hold_mail()
  std::vector<Interval> new_mail;
  SentMail sent;

  [[nodiscard]] bool is(const QueuedMail& mail) const;
};
// What becomes of it. Asks on the terminal before anything is deleted. With `dry` it only says what
// would.
void settle_held_mail(const Arguments& arguments, Context& context, const policyd::Block& block,
                      const HeldBy& ours, HeldMail wanted, bool dry, StepLines& lines);

}  // namespace limits
