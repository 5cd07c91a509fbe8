// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/simulate/tried_limits.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace limits {
namespace {

struct RateOfLimit {
  std::int64_t limit = 0;
  Rate rate;
};

std::unordered_map<std::int64_t, RateOfLimit> rates_by_row(const std::vector<StoredLimit>& limits) {
  std::unordered_map<std::int64_t, RateOfLimit> out;
  for (const StoredLimit& limit : limits) {
    for (const StoredRate& rate : limit.rates) out[rate.limit_id] = {limit.id, rate.rate};
  }
  return out;
}

void add_counter(TriedAccount& account, const ReplayCounter& counter, const Rate& rate,
                 std::uint64_t& most_hit) {
  TriedAccount other;
  other.rate = rate;
  other.peak = counter.peak;
  const bool nearer = account.counters.empty() || std::pair{counter.hit, other.percent()} >
                                                      std::pair{most_hit, account.percent()};
  if (nearer) {
    most_hit = counter.hit;
    account.rate = rate;
    account.peak = counter.peak;
    account.peak_at = counter.peak_at;
  }
  account.mails = std::max(account.mails, counter.mails);
  if (counter.hit == 0) return;
  account.first_hit =
      account.hit == 0 ? counter.first_hit : std::min(account.first_hit, counter.first_hit);
  account.hit += counter.hit;
  account.late += counter.late;
}

}  // namespace

TriedLimits tried_limits(const Replay& replay, const std::vector<StoredLimit>& limits) {
  const auto rates = rates_by_row(limits);
  TriedLimits out;
  std::map<std::pair<std::int64_t, std::string_view>, std::size_t> known;
  std::vector<std::uint64_t> most_hit;
  for (std::uint32_t i = 0; i < replay.counters.size(); ++i) {
    const ReplayCounter& counter = replay.counters[i];
    const auto rate = rates.find(counter.limit_id);
    // Such a counter was looked at, but no mail got as far as counting in it.
    if (rate == rates.end() || (counter.mails == 0 && counter.hit == 0)) continue;
    const auto [at, fresh] =
        known.try_emplace({rate->second.limit, counter.key}, out.accounts.size());
    if (fresh) {
      out.accounts.emplace_back();
      most_hit.push_back(0);
      out.accounts.back().key = counter.key;
      out.accounts.back().limit = rate->second.limit;
    }
    TriedAccount& account = out.accounts[at->second];
    add_counter(account, counter, rate->second.rate, most_hit[at->second]);
    account.counters.push_back(i);
  }
  for (const TriedAccount& account : out.accounts) {
    if (account.hit > 0) ++out.accounts_hit;
  }
  for (const Hit& hit : replay.hits) {
    ++out.hit;
    if (hit.late()) ++out.late;
    if (out.hit == 1) out.first_hit = hit.time;
  }
  std::stable_sort(
      out.accounts.begin(), out.accounts.end(), [](const TriedAccount& a, const TriedAccount& b) {
        return std::tuple{b.hit, b.percent(), a.key} < std::tuple{a.hit, a.percent(), b.key};
      });
  return out;
}

}  // namespace limits
