// SPDX-License-Identifier: AGPL-3.0-only
// Attributes of servers and of the global configuration, from which servers inherit: asked for,
// compared with what they should be, and changed only where they differ. Two calls of
// `carbonio prov` at most: one to ask, one to change and read back.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "hooks/carbonio/prov.hpp"

namespace carbonio {

// Which of them are meant.
struct Selection {
  std::vector<std::string> servers;
  bool all_mta = false;
  bool global = false;
};

struct Entry {
  std::string name;  // empty: the global configuration
  Attributes attributes;
};

struct Directory {
  std::vector<Entry> entries;  // as selected; all MTA hosts in the order that Carbonio has
  Attributes global;
};

// Whether the attributes of a server are to come with what it inherits.
enum class Inherited : std::uint8_t { with, without };

// The commands that ask for `attributes`, and what they answered.
std::vector<ProvCommand> directory_questions(const Selection& selection,
                                             const std::vector<std::string>& attributes,
                                             Inherited inherited);
policyd::Result<Directory> directory_in(std::span<const std::string> answers,
                                        const Selection& selection);

// Runs the questions; an Error also where one of them failed.
policyd::Result<std::vector<std::string>> ask_all(const Prov& prov,
                                                  const std::vector<ProvCommand>& questions);

// How an attribute should be. `add` and `remove` are about one value of several.
struct Wish {
  enum class Act : std::uint8_t { set, add, remove } act = Act::set;
  std::string attribute;
  std::string value;
  std::string otherwise = {};  // what holds where nobody has a value; empty: not known
};

bool is_fulfilled(const Entry& entry, const Attributes& global, const Wish& wish);

// "ms NAME attr value ..." or "mcf ..." for the wishes that are not fulfilled; empty where all are.
// Where an inherited list gets one more value, the server gets the inherited ones, too: its own
// list hides them.
ProvCommand changing(const Entry& entry, const Attributes& global, std::span<const Wish> wishes);

struct Changed {
  enum class State : std::uint8_t { was_so, done, failed, unknown } state = State::was_so;
  std::string name;     // of the Entry
  ProvCommand command;  // empty where it was so
  std::string why;      // it failed, or is not known
};

// Runs what is to be changed and reads back in the same call, since an error of batch mode does not
// tell which command it is of. In the order of the entries. Where that call dies, another one reads
// how far it came.
std::vector<Changed> change_all(const Prov& prov, const Directory& directory,
                                std::span<const Wish> wishes);

}  // namespace carbonio
