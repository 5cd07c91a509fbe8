// SPDX-License-Identifier: AGPL-3.0-only
// Attributes of servers and of the global configuration, from which servers inherit: read, compared
// with what is wanted, and changed only where they differ. At most two calls of `carbonio prov`:
// one to read, one to change and read back.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "hooks/carbonio/prov.hpp"

namespace carbonio {

struct Selection {
  std::vector<std::string> servers;
  bool all_mta = false;
  bool global = false;
};

struct Directory {
  std::vector<Entry> entries;  // as selected; all MTA hosts in Carbonio's order
  Attributes global;
};

// Whether a server's attributes include those that it inherits.
enum class Inherited : std::uint8_t { with, without };

// The commands that ask for `attributes`, and the values in their answers.
std::vector<ProvCommand> directory_questions(const Selection& selection,
                                             const std::vector<std::string>& attributes,
                                             Inherited inherited);
policyd::Result<Directory> directory_in(std::span<const std::string> answers,
                                        const Selection& selection);

// Runs the questions; also an Error if one of them failed.
policyd::Result<std::vector<std::string>> ask_all(const Prov& prov,
                                                  const std::vector<ProvCommand>& questions);

// A wanted change of one attribute. `add` and `remove` apply to one value of several.
struct AttributeChange {
  enum class Action : std::uint8_t { set, add, remove } action = Action::set;
  std::string attribute;
  std::string value;
  std::string default_value = {};  // in force if neither level has a value; empty: unknown
};

// Whether the entry already has what the change wants.
bool is_applied(const Entry& entry, const Attributes& global, const AttributeChange& change);

// "ms NAME attr value ..." or "mcf ..." for the changes that are not applied yet; empty if all are.
// A server that inherits a list and gets one more value gets the inherited values, too: its own
// list hides them.
ProvCommand command_for(const Entry& entry, const Attributes& global,
                        std::span<const AttributeChange> changes);

struct EntryResult {
  enum class State : std::uint8_t { unchanged, done, failed, unknown } state = State::unchanged;
  std::string name;     // of the Entry
  ProvCommand command;  // empty if unchanged
  std::string why;      // if failed or unknown
};

// Runs the changes and reads the attributes back in the same call, since an error of batch mode
// does not say which command it belongs to. In the order of the entries. If that call dies, another
// one reads how far it got.
std::vector<EntryResult> change_all(const Prov& prov, const Directory& directory,
                                    std::span<const AttributeChange> changes);

}  // namespace carbonio
