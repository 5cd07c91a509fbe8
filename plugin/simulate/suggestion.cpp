// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/simulate/suggestion.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <tuple>
#include <unordered_map>

namespace limits {
namespace {

constexpr std::array<std::int64_t, 3> kMinFigures = {10, 30, 100};
constexpr std::int64_t kDayInSeconds = 86'400;

// A rate that a shorter one implies is left out: 10/min allows 600 an hour.
std::vector<Rate> rates_above(const std::array<std::uint64_t, 3>& peaks) {
  std::vector<Rate> out;
  for (std::size_t i = 0; i < peaks.size(); ++i) {
    Rate rate{Unit::messages, round_figure(peaks[i], kMinFigures.at(i)), kPeakPeriods.at(i)};
    if (!out.empty() && rate.amount >= out.back().amount * (rate.period / out.back().period)) {
      continue;
    }
    // Nor does one hold that a longer period reaches first.
    while (!out.empty() && out.back().amount >= rate.amount) out.pop_back();
    out.push_back(rate);
  }
  return out;
}

bool is_above(const AccountPeaks& account, const std::vector<Rate>& rates) {
  return std::any_of(rates.begin(), rates.end(), [&](const Rate& rate) {
    const auto at = std::find(kPeakPeriods.begin(), kPeakPeriods.end(), rate.period);
    return at != kPeakPeriods.end() &&
           account.peaks.at(static_cast<std::size_t>(at - kPeakPeriods.begin())) >
               static_cast<std::uint64_t>(rate.amount);
  });
}

std::size_t number_above(const std::vector<AccountPeaks>& accounts,
                         const std::vector<Rate>& rates) {
  return static_cast<std::size_t>(
      std::count_if(accounts.begin(), accounts.end(),
                    [&](const AccountPeaks& account) { return is_above(account, rates); }));
}

// Nullopt if no option names it: bounces, mail without a login, several together, login "$x".
std::optional<Target> target_of_key(std::string_view key, Per per) {
  const std::size_t colon = key.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view name = key.substr(colon + 1);
  const auto parse = is_account(per)      ? &parse_login
                     : per == Per::domain ? &parse_domain
                     : per == Per::client ? &parse_client
                                          : &parse_user;
  if (per == Per::client) name = name.substr(0, name.find('/'));
  // --login takes '$' for the mark of a login, so that it would name another one.
  if (is_account(per) && (name == "-" || name.starts_with('$'))) return std::nullopt;
  const auto target = parse(name);
  return target ? std::optional{*target} : std::nullopt;
}

}  // namespace

WantedLimit measuring_limit(Direction direction, Per per) {
  WantedLimit out;
  out.direction = direction;
  out.per = per;
  out.target = {is_account(per) ? Who::anyone : Who::everyone, {}};
  for (const std::chrono::seconds period : kPeakPeriods) {
    out.rates.push_back({Unit::messages, kMaxMessages, period});
  }
  return out;
}

std::vector<AccountPeaks> peaks_of(const Replay& replay, const StoredLimit& measured) {
  std::unordered_map<std::int64_t, std::size_t> periods;
  for (const StoredRate& rate : measured.rates) {
    const auto at = std::find(kPeakPeriods.begin(), kPeakPeriods.end(), rate.rate.period);
    if (at != kPeakPeriods.end()) {
      periods[rate.limit_id] = static_cast<std::size_t>(at - kPeakPeriods.begin());
    }
  }
  std::vector<AccountPeaks> out;
  std::unordered_map<std::string_view, std::size_t> known;
  for (const ReplayCounter& counter : replay.counters) {
    const auto period = periods.find(counter.limit_id);
    if (period == periods.end() || counter.mails == 0) continue;
    const auto [at, fresh] = known.try_emplace(counter.key, out.size());
    if (fresh) out.push_back({counter.key, {}, 0});
    AccountPeaks& account = out[at->second];
    account.peaks.at(period->second) = static_cast<std::uint64_t>(std::ceil(counter.peak));
    account.mails = std::max(account.mails, counter.mails);
  }
  std::sort(out.begin(), out.end(), [](const AccountPeaks& a, const AccountPeaks& b) {
    return std::tuple{b.peaks[2], b.peaks[1], a.key} < std::tuple{a.peaks[2], a.peaks[1], b.key};
  });
  return out;
}

std::int64_t round_figure(std::uint64_t peak, std::int64_t least) {
  constexpr std::array<std::int64_t, 10> kRound = {10, 12, 15, 20, 25, 30, 40, 50, 60, 80};
  constexpr std::uint64_t kLargest = kMaxMessages / 2;
  constexpr std::int64_t kTen = 10;
  const auto capped = static_cast<std::int64_t>(std::min(peak, kLargest));
  const std::int64_t wanted = std::max(least, capped + (capped + 4) / 5);
  for (std::int64_t unit = 1;; unit *= kTen) {
    for (const std::int64_t round : kRound) {
      const std::int64_t figure = round * unit / kTen;
      if (round * unit % kTen == 0 && figure >= wanted) return figure;
    }
  }
}

Suggestion suggest(const std::vector<AccountPeaks>& accounts, double share, Direction direction,
                   Per per) {
  const auto allowed =
      static_cast<std::size_t>(std::floor(share * static_cast<double>(accounts.size()) + 1e-9));
  std::array<std::vector<std::uint64_t>, 3> sorted;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    sorted.at(i).reserve(accounts.size());
    for (const AccountPeaks& account : accounts) sorted.at(i).push_back(account.peaks.at(i));
    std::sort(sorted.at(i).begin(), sorted.at(i).end(), std::greater<>{});
  }
  // From the lowest figures on: another account in each period is let below them.
  std::vector<Rate> rates;
  for (std::size_t above = allowed + 1; above-- > 0;) {
    std::array<std::uint64_t, 3> peaks{};
    for (std::size_t i = 0; i < peaks.size(); ++i) {
      if (above < sorted.at(i).size()) peaks.at(i) = sorted.at(i)[above];
    }
    rates = rates_above(peaks);
    if (number_above(accounts, rates) <= allowed) break;
  }
  Suggestion out;
  out.common = measuring_limit(direction, per);
  out.common.rates = rates;
  out.common.verdict = default_verdict(direction);
  for (const AccountPeaks& account : accounts) {
    if (!is_above(account, rates)) continue;
    const auto target = target_of_key(account.key, per);
    if (!target) {
      out.not_nameable.push_back(account);
      continue;
    }
    WantedLimit own = out.common;
    own.target = *target;
    own.rates = rates_above(account.peaks);
    out.own.push_back({account, std::move(own)});
  }
  return out;
}

std::int64_t most_in_a_day(const std::vector<Rate>& rates, policyd::Algorithm algorithm) {
  std::int64_t out = std::numeric_limits<std::int64_t>::max();
  for (const Rate& rate : rates) {
    if (rate.unit != Unit::messages || rate.period.count() == 0) continue;
    const auto period = static_cast<std::int64_t>(rate.period.count());
    if (algorithm == policyd::Algorithm::decay) {
      out = std::min(out, rate.amount + rate.amount * kDayInSeconds / period);
    } else {
      // Of a period that does not fit a day, another one begins in it.
      const std::int64_t times = (kDayInSeconds + period - 1) / period;
      out = std::min(out, rate.amount * times);
    }
  }
  return out;
}

}  // namespace limits
