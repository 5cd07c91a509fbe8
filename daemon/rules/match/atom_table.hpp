// SPDX-License-Identifier: AGPL-3.0-only
// The distinct items of all rules except groups ("atoms"), and which of them match a request. Exact
// addresses, domains, networks, names and plain suffixes are found by hash, so their number costs
// nothing; other patterns with `*` are tried one by one. Filled while the index is built, then
// read-only and used by any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/hash_index.hpp"
#include "daemon/base/ip_address.hpp"
#include "daemon/protocol/request.hpp"
#include "daemon/rules/match/list_item.hpp"
#include "daemon/rules/match/own_addresses.hpp"

namespace policyd {

class AtomTable {
 public:
  // The atom of all items that match nothing.
  static constexpr std::uint32_t kNothing = 0;

  AtomTable();

  // The number of the item's atom, the same for equal items. The caller handles `!` and the kinds
  // `group` and `error`, except that `![network]` is an atom of its own (without `!`): both it and
  // `[network]` need a peer with an address.
  std::uint32_t intern(const ListItem& item, Side side);

  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(keys_.size()); }

  // Appends the atoms that match the request to `found`, each once. `buffer` is scratch space.
  void find(const Request& request, const Extensions& extensions, std::string& buffer,
            std::vector<std::uint32_t>& found) const;

 private:
  // What the text of a key is; kinds of addresses are listed for each side.
  enum class Kind : std::uint8_t {
    nothing,
    empty_sender,
    sasl_user,
    sasl_domain,  // $*@domain
    sasl_wildcard,
    host,
    host_suffix,
    host_wildcard,
    client_network,
    peer_network,
    not_peer_network,
    source_address,
    source_domain,         // @domain, *@domain
    source_domain_suffix,  // @*.domain
    source_local_part,     // user@*
    source_wildcard,
    destination_address,
    destination_domain,
    destination_domain_suffix,
    destination_local_part,
    destination_wildcard,
    count
  };
  static constexpr auto kKinds = static_cast<std::size_t>(Kind::count);

  struct Key {
    Kind kind = Kind::nothing;
    std::uint32_t begin = 0;  // in text_
    std::uint32_t length = 0;
  };
  struct Wildcard {
    std::uint32_t atom = kNothing;
    std::string local_part;  // of addresses only
    std::string pattern;     // the domain of an address, else all of it
  };
  struct Outside {
    std::uint32_t atom = kNothing;
    IpNetwork network;
  };
  struct PrefixLength {
    bool v4 = true;
    int length = 0;
  };

  std::uint32_t add(Kind kind, std::string_view text);
  std::uint32_t add_network(Kind kind, const IpNetwork& network);
  std::uint32_t add_outside(const IpNetwork& network);
  std::uint32_t add_wildcard(Kind kind, std::string_view text);
  std::uint32_t intern_sasl(std::string_view name);
  std::uint32_t intern_host(std::string_view pattern);
  std::uint32_t intern_address(std::string_view pattern, Side side);

  using Found = std::vector<std::uint32_t>;
  void find_text(Kind kind, std::string_view text, Found& found) const;
  void find_suffixes(Kind kind, std::string_view text, Found& found) const;
  void find_network(Kind kind, const IpAddress& address, Found& found) const;
  void find_peer(const IpAddress& peer, Found& found) const;
  void find_address(std::string_view address, Side side, const Extensions& extensions,
                    std::string& buffer, Found& found) const;
  void find_sasl(const Request& request, Found& found) const;
  void find_host(std::string_view name, Found& found) const;

  [[nodiscard]] std::uint32_t lookup(Kind kind, std::string_view text) const;
  [[nodiscard]] std::string_view text_of(const Key& key) const;

  std::string text_;
  std::vector<Key> keys_;  // by atom
  HashIndex index_;        // of atoms
  std::array<std::uint32_t, kKinds> number_of_{};
  std::array<std::size_t, kKinds> max_length_{};
  std::array<std::vector<Wildcard>, kKinds> wildcards_;
  std::array<std::vector<PrefixLength>, kKinds> prefix_lengths_;
  std::vector<Outside> outside_peer_networks_;  // tried one by one
};

}  // namespace policyd
