// SPDX-License-Identifier: AGPL-3.0-only
// The rows of a block, written in one transaction; again once Carbonio has told more about the
// account.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "plugin/block/blocks.hpp"
#include "plugin/block/sent_mail.hpp"
#include "plugin/block/whom.hpp"
#include "plugin/cli/command.hpp"
#include "plugin/usage/headlines.hpp"

namespace limits {

struct WantedBlock {
  Target whom;
  std::optional<std::chrono::seconds> duration;
  bool dry = false;
  bool lock = false;        // the account, too
  bool hold_queue = false;  // what waits in the queue of this host, too
  bool holds = false;       // new mail is accepted and held instead of refused
  // A step that is taken by itself, as it is announced. It never replaces a block.
  std::optional<policyd::Event> by_itself = {};
  // Learnt from Carbonio, once the block is in force.
  std::vector<std::string> more_items = {};
  std::optional<std::string> account = {};  // its status before we lock it; empty: we do not
};

// What was done, to be printed.
struct MadeBlock {
  std::string refusal;   // why nothing was done
  bool already = false;  // that is a block in force, which a step by itself does not replace
  StoredBlock made;
  std::optional<policyd::Block> before;  // blocked already
  OwnNames own;
  std::vector<std::string> statements;
  std::string sent;
  SentMail mail;
  std::vector<std::string> notes;
  std::vector<Headline> warnings;
};

// Without its rows if `refusal` says why. The database's owner writes them; this process is then
// the user that it was.
Outcome write_block(const Arguments& arguments, const Context& context, WantedBlock& wanted,
                    MadeBlock& made);

// Of a system account, which only Carbonio knows.
Outcome take_back_block(const Arguments& arguments, const Context& context, MadeBlock& made);

}  // namespace limits
