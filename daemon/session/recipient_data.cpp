// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/session/recipient_data.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include "daemon/session/session_row.hpp"

namespace policyd {
namespace {

// Reads RecipientData from its front.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }

  bool skip(std::string_view expected) {
    if (!rest_.starts_with(expected)) return false;
    rest_.remove_prefix(expected.size());
    return true;
  }

  std::optional<std::string_view> up_to(std::string_view mark) {
    const std::size_t at = rest_.find(mark);
    if (at == std::string_view::npos) return std::nullopt;
    const std::string_view found = rest_.substr(0, at);
    rest_.remove_prefix(at + mark.size());
    return found;
  }

  std::optional<std::int64_t> number() {
    std::int64_t value = 0;
    const char* const end = rest_.data() + rest_.size();
    const auto [after, error] = std::from_chars(rest_.data(), end, value);
    if (error != std::errc{}) return std::nullopt;
    rest_.remove_prefix(static_cast<std::size_t>(after - rest_.data()));
    return value;
  }

 private:
  std::string_view rest_;
};

// `0=1;10=6,7;`, whose last semicolon may be missing, up to the next recipient. The Perl daemon
// writes the priorities in any order. False if it is malformed.
bool read_policies(Reader& reader, std::vector<std::int64_t>& ids) {
  std::vector<std::pair<std::int64_t, std::int64_t>> found;  // priority, ID
  while (auto priority = reader.number()) {
    if (!reader.skip("=")) return false;
    do {
      const auto id = reader.number();
      if (!id) return false;
      found.emplace_back(*priority, *id);
    } while (reader.skip(","));
    if (!reader.skip(";")) break;
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  ids.reserve(found.size());
  for (const auto& [priority, id] : found) ids.push_back(id);
  return true;
}

}  // namespace

bool each_recipient(std::string_view recipient_data,
                    const std::function<void(std::string_view address,
                                             std::span<const std::int64_t> policies)>& visit) {
  if (recipient_data.size() > kMaxRecipientData) return false;
  Reader reader{recipient_data};
  std::unordered_set<std::string_view> seen;
  std::vector<std::int64_t> policies;
  while (!reader.at_end()) {
    if (!reader.skip("/<")) return false;
    const auto address = reader.up_to(">#");
    policies.clear();
    if (!address || !read_policies(reader, policies)) return false;
    if (!seen.insert(*address).second) continue;
    if (seen.size() > kMaxResumedRecipients) return false;
    visit(*address, policies);
  }
  return true;
}

}  // namespace policyd
