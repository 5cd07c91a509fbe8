// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/match/matcher.hpp"

#include <algorithm>
#include <functional>

namespace policyd {

void Matcher::begin(const MatchIndex& index) {
  if (flipped_at_.size() < index.nodes()) flipped_at_.resize(index.nodes(), 0);
  if (counted_at_.size() < index.satisfied.size()) {
    counted_at_.resize(index.satisfied.size(), 0);
    matching_.resize(index.satisfied.size(), 0);
  }
  flipped_.clear();
  result_.clear();
  if (++now_ == 0) {  // once in four billion requests
    std::fill(flipped_at_.begin(), flipped_at_.end(), 0);
    std::fill(counted_at_.begin(), counted_at_.end(), 0);
    now_ = 1;
  }
}

// Updates the groups that contain the node.
void Matcher::flip(const MatchIndex& index, std::uint32_t node) {
  flipped_at_[node] = now_;
  const bool is_group = node >= index.first_group;
  const bool matched = is_group && index.satisfied[node - index.first_group] > 0;
  for (const auto& link : index.containing[node]) {
    const auto group = link.node - index.first_group;
    if (counted_at_[group] != now_) {
      counted_at_[group] = now_;
      matching_[group] = index.satisfied[group];
      to_check_.push_back(link.node);
      std::push_heap(to_check_.begin(), to_check_.end(), std::greater<>());
    }
    if (matched == link.flag) {
      ++matching_[group];
    } else {
      --matching_[group];
    }
  }
}

// A group has a higher number than all it contains, so its count is complete when it is on top.
void Matcher::settle(const MatchIndex& index) {
  for (const auto atom : flipped_) flip(index, atom);
  while (!to_check_.empty()) {
    std::pop_heap(to_check_.begin(), to_check_.end(), std::greater<>());
    const auto node = to_check_.back();
    to_check_.pop_back();
    const auto group = node - index.first_group;
    if ((matching_[group] > 0) == (index.satisfied[group] > 0)) continue;
    flipped_.push_back(node);
    flip(index, node);
  }
}

void Matcher::try_row(const MatchIndex& index, std::uint32_t row) {
  for (const auto& condition : index.conditions[row]) {
    if ((flipped_at_[condition.node] == now_) != condition.flag) return;
  }
  result_.push_back(index.policies[row]);
}

void Matcher::collect(const MatchIndex& index) {
  for (const auto row : index.always) try_row(index, row);
  for (const auto node : flipped_) {
    for (const auto row : index.triggered[node]) try_row(index, row);
  }
  std::sort(result_.begin(), result_.end());
  result_.erase(std::unique(result_.begin(), result_.end()), result_.end());
}

std::span<const std::uint32_t> Matcher::match(const MatchIndex& index, const Request& request,
                                              const Extensions& extensions) {
  begin(index);
  index.atoms.find(request, extensions, buffer_, flipped_);
  settle(index);
  collect(index);
  return result_;
}

}  // namespace policyd
