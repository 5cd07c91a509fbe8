// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/counting/distinct_recipients.hpp"

#include <algorithm>
#include <bit>

#include "daemon/counting/state_bytes.hpp"

namespace policyd {
namespace {

// The State of a row with recipients:
//
//   version     1 byte, kWithRecipients, which is not one of Window
//   recipients  their number, a varint
//   each        its hash, 8 bytes, by last use
//   window      as Window::serialize writes it
constexpr char kWithRecipients = 2;
constexpr std::size_t kHashBytes = 8;

// Where the hashes are in a State that begins with them.
struct Parts {
  std::string_view hashes;
  std::string_view window;  // empty if it is damaged
};

Parts parts_of(std::string_view state) {
  if (state.empty() || state.front() != kWithRecipients) return {{}, state};
  StateReader reader{state.substr(1)};
  const auto count = reader.varint(DistinctRecipients::kMax);
  if (!count || *count == 0 || reader.rest().size() < *count * kHashBytes) return {};
  return {reader.rest().substr(0, *count * kHashBytes), reader.rest().substr(*count * kHashBytes)};
}

}  // namespace

// FNV-1a, and the last step of MurmurHash3, which mixes what the last characters did not reach.
std::uint64_t DistinctRecipients::hash_of(std::string_view local_part, std::string_view rest) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const std::string_view text : {local_part, rest}) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  }
  hash = (hash ^ (hash >> 33U)) * 0xFF51AFD7ED558CCDULL;
  hash = (hash ^ (hash >> 33U)) * 0xC4CEB9FE1A85EC53ULL;
  return hash ^ (hash >> 33U);
}

DistinctRecipients::DistinctRecipients(const DistinctRecipients& other)
    : hashes_(other.hashes_ ? std::make_unique<std::vector<std::uint64_t>>(*other.hashes_)
                            : nullptr) {}

DistinctRecipients& DistinctRecipients::operator=(const DistinctRecipients& other) {
  if (this != &other) *this = DistinctRecipients{other};
  return *this;
}

// Without a branch for each, so that the compiler compares several at once.
std::size_t DistinctRecipients::index_of(std::uint64_t hash) const {
  std::size_t found = size();
  for (std::size_t i = 0; i < size(); ++i) found = (*hashes_)[i] == hash ? i : found;
  return found;
}

std::optional<TimePoint> DistinctRecipients::last_use(const Window& window,
                                                      std::uint64_t hash) const {
  if (hashes_ == nullptr) return std::nullopt;
  const std::size_t at = index_of(hash);
  return at < size() ? window.arrival(size() - 1 - at) : std::nullopt;
}

void DistinctRecipients::renew(Window& window, std::uint64_t hash, TimePoint now, Millis period) {
  const std::size_t at = index_of(hash);
  window.renew(size() - 1 - at, now, period);
  const auto first = hashes_->begin() + static_cast<std::ptrdiff_t>(at);
  std::rotate(first, first + 1, hashes_->end());
  trim(window);
}

void DistinctRecipients::add(Window& window, std::uint64_t hash, TimePoint now, Millis period) {
  trim(window);
  if (hashes_ == nullptr) hashes_ = std::make_unique<std::vector<std::uint64_t>>();
  if (hashes_->size() == kMax) hashes_->erase(hashes_->begin());
  hashes_->push_back(hash);
  window.add(now, period, 1);
}

// Those whose units have left the window.
void DistinctRecipients::trim(const Window& window) {
  if (size() <= window.use()) return;
  hashes_->erase(hashes_->begin(), hashes_->end() - static_cast<std::ptrdiff_t>(window.use()));
}

void DistinctRecipients::serialize(std::string& out) const {
  if (size() == 0) return;
  out += kWithRecipients;
  put_varint(out, size());
  for (const std::uint64_t hash : *hashes_) put_integer(out, std::bit_cast<std::int64_t>(hash));
}

std::string_view DistinctRecipients::read(std::string_view state) {
  const auto [hashes, window] = parts_of(state);
  if (hashes.empty()) {
    clear();
    return window;
  }
  if (hashes_ == nullptr) hashes_ = std::make_unique<std::vector<std::uint64_t>>();
  hashes_->clear();
  for (StateReader reader{hashes}; !reader.at_end();) {
    hashes_->push_back(std::bit_cast<std::uint64_t>(reader.integer().value_or(0)));
  }
  return window;
}

std::string_view DistinctRecipients::window_state(std::string_view state) {
  return parts_of(state).window;
}

}  // namespace policyd
