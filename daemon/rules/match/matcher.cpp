// SPDX-License-Identifier: AGPL-3.0-only
// One request against the graph of match_graph.hpp.
#include "daemon/rules/match/matcher.hpp"

#include <algorithm>
#include <functional>
#include <string>

#include "daemon/rules/match/match_graph.hpp"
#include "daemon/rules/match/match_index.hpp"

namespace policyd {

// Marks hold the number of the request that set them, so that they need not be cleared.
struct Matcher::Scratch {
  std::vector<std::uint32_t> flipped_at;  // by node
  std::vector<std::uint32_t> counted_at;  // by group
  std::vector<std::uint32_t> matching;    // by group: its matching members, if counted
  std::vector<std::uint32_t> flipped;     // nodes
  std::vector<std::uint32_t> to_check;    // groups, a heap with the lowest number on top
  std::vector<std::uint32_t> result;
  std::string buffer;
  std::uint32_t now = 0;

  void begin(const MatchGraph& graph);
  void flip(const MatchGraph& graph, std::uint32_t node);
  void settle(const MatchGraph& graph);
  void collect(const MatchGraph& graph);
  void try_row(const MatchGraph& graph, std::uint32_t row);
};

void Matcher::Scratch::begin(const MatchGraph& graph) {
  if (flipped_at.size() < graph.nodes()) flipped_at.resize(graph.nodes(), 0);
  if (counted_at.size() < graph.satisfied.size()) {
    counted_at.resize(graph.satisfied.size(), 0);
    matching.resize(graph.satisfied.size(), 0);
  }
  flipped.clear();
  result.clear();
  if (++now == 0) {  // once in four billion requests
    std::fill(flipped_at.begin(), flipped_at.end(), 0);
    std::fill(counted_at.begin(), counted_at.end(), 0);
    now = 1;
  }
}

// Updates the groups that contain the node.
void Matcher::Scratch::flip(const MatchGraph& graph, std::uint32_t node) {
  flipped_at[node] = now;
  const bool is_group = node >= graph.first_group;
  const bool matched = is_group && graph.satisfied[node - graph.first_group] > 0;
  for (const auto& link : graph.containing[node]) {
    const auto group = link.node - graph.first_group;
    if (counted_at[group] != now) {
      counted_at[group] = now;
      matching[group] = graph.satisfied[group];
      to_check.push_back(link.node);
      std::push_heap(to_check.begin(), to_check.end(), std::greater<>());
    }
    if (matched == link.flag) {
      ++matching[group];
    } else {
      --matching[group];
    }
  }
}

// A group has a higher number than all it contains, so its count is complete when it is on top.
void Matcher::Scratch::settle(const MatchGraph& graph) {
  for (const auto atom : flipped) flip(graph, atom);
  while (!to_check.empty()) {
    std::pop_heap(to_check.begin(), to_check.end(), std::greater<>());
    const auto node = to_check.back();
    to_check.pop_back();
    const auto group = node - graph.first_group;
    if ((matching[group] > 0) == (graph.satisfied[group] > 0)) continue;
    flipped.push_back(node);
    flip(graph, node);
  }
}

void Matcher::Scratch::try_row(const MatchGraph& graph, std::uint32_t row) {
  for (const auto& condition : graph.conditions[row]) {
    if ((flipped_at[condition.node] == now) != condition.flag) return;
  }
  result.push_back(graph.policies[row]);
}

void Matcher::Scratch::collect(const MatchGraph& graph) {
  for (const auto row : graph.always) try_row(graph, row);
  for (const auto node : flipped) {
    for (const auto row : graph.triggered[node]) try_row(graph, row);
  }
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
}

Matcher::Matcher() : scratch_(std::make_unique<Scratch>()) {}
Matcher::~Matcher() = default;

std::span<const std::uint32_t> Matcher::match(const MatchIndex& index, const Request& request) {
  const MatchGraph& graph = index.data_->graph;
  scratch_->begin(graph);
  graph.atoms.find(request, scratch_->buffer, scratch_->flipped);
  scratch_->settle(graph);
  scratch_->collect(graph);
  return scratch_->result;
}

}  // namespace policyd
