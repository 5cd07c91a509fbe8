// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/match/match_index.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "daemon/rules/match/group_set.hpp"
#include "daemon/rules/match/list_item.hpp"

namespace policyd {
namespace {

using Link = MatchIndex::Link;

// (list, item) pairs in any order → Lists, which keep the order of items within a list.
template <typename T>
MatchIndex::Lists<T> make_lists(std::size_t count,
                                const std::vector<std::pair<std::uint32_t, T>>& pairs) {
  MatchIndex::Lists<T> lists;
  lists.begin.assign(count + 1, 0);
  for (const auto& pair : pairs) ++lists.begin[pair.first + 1];
  for (std::size_t i = 1; i <= count; ++i) lists.begin[i] += lists.begin[i - 1];
  lists.items.resize(pairs.size());
  auto next = lists.begin;
  for (const auto& pair : pairs) lists.items[next[pair.first]++] = pair.second;
  return lists;
}

// The lists of one member row before groups are resolved.
struct Row {
  std::uint32_t policy = 0;
  std::vector<Term> source;
  std::vector<Term> destination;
};

class Builder {
 public:
  Builder(MatchIndex& index, std::span<const GroupRow> groups, std::vector<RowProblem>& problems)
      : index_(index),
        groups_(groups),
        problems_(problems),
        source_(Side::source, groups, index.atoms),
        destination_(Side::destination, groups, index.atoms) {}

  void build(std::span<const MemberRow> members) {
    for (const auto& member : members) add_row(member);
    report_group_members();
    const auto before = problems_.size();
    source_.resolve(problems_);
    destination_.resolve(problems_);
    drop_duplicates(before);
    number_nodes();
    connect_groups();
    connect_rows();
  }

 private:
  void add_row(const MemberRow& member) {
    Row row;
    row.policy = member.policy;
    const bool source = add_list(member.source, Side::source, member.id, row.source);
    const bool destination =
        add_list(member.destination, Side::destination, member.id, row.destination);
    if (source && destination) rows_.push_back(std::move(row));
  }

  // Whether the list can match at all. Reports its invalid items.
  bool add_list(const std::optional<std::string>& list, Side side, std::int64_t id,
                std::vector<Term>& terms) {
    if (matches_everything(list)) return true;
    GroupSet& set = side == Side::source ? source_ : destination_;
    const char* column = side == Side::source ? "Source" : "Destination";
    const auto items = list_items(*list);
    if (items.empty()) report(RowProblem::Kind::empty_list, "policy_members", id, column, {});
    bool possible = !items.empty();
    for (const auto item : items) {
      terms.push_back(set.term(item));
      if (terms.back().kind == Term::Kind::error) possible = false;
      if (const auto problem = set.problem(item)) {
        report(*problem, "policy_members", id, column, item);
      }
    }
    if (const auto two = never_together(*list, side)) {
      report(RowProblem::Kind::never_together, "policy_members", id, column, two->first);
      problems_.back().other = two->second.substr(0, RowProblem::kMaxValue);
    }
    return possible;
  }

  void report_group_members() {
    for (const auto& group : groups_) {
      for (const auto& member : group.members) report_member(member);
    }
  }

  void report_member(const GroupRow::Member& member) {
    const auto items = member_items(member.text);
    if (items.empty()) {
      report(RowProblem::Kind::empty_member, "policy_group_members", member.id, "Member", {});
    }
    for (const auto item : items) {
      if (const auto problem = source_.problem(item)) {
        report(*problem, "policy_group_members", member.id, "Member", item);
      }
    }
  }

  void report(RowProblem::Kind kind, const char* table, std::int64_t id, const char* column,
              std::string_view value) {
    problems_.push_back(
        {kind, table, id, column, std::string{value.substr(0, RowProblem::kMaxValue)}});
  }

  // A group that is broken on both sides is reported once.
  void drop_duplicates(std::size_t from) {
    const auto begin = problems_.begin() + static_cast<std::ptrdiff_t>(from);
    std::stable_sort(begin, problems_.end(),
                     [](const RowProblem& a, const RowProblem& b) { return a.id < b.id; });
    problems_.erase(std::unique(begin, problems_.end()), problems_.end());
  }

  void number_nodes() {
    index_.first_group = index_.atoms.size();
    auto next = index_.first_group;
    source_nodes_.resize(groups_.size());
    destination_nodes_.resize(groups_.size());
    for (const auto group : source_.order()) source_nodes_[group] = next++;
    for (const auto group : destination_.order()) destination_nodes_[group] = next++;
    index_.satisfied.assign(next - index_.first_group, 0);
  }

  [[nodiscard]] std::uint32_t node_of(const Term& term, Side side) const {
    if (term.kind == Term::Kind::atom) return term.id;
    return side == Side::source ? source_nodes_[source_.representative(term.id)]
                                : destination_nodes_[destination_.representative(term.id)];
  }

  [[nodiscard]] bool value_without_flips(std::uint32_t node) const {
    return node >= index_.first_group && index_.satisfied[node - index_.first_group] > 0;
  }

  void connect_groups() {
    std::vector<std::pair<std::uint32_t, Link>> edges;
    for (const Side side : {Side::source, Side::destination}) {
      const GroupSet& set = side == Side::source ? source_ : destination_;
      for (const auto group : set.order()) {
        Term self;
        self.kind = Term::Kind::group;
        self.id = group;
        const auto node = node_of(self, side);
        for (const auto& member : set.members(group)) {
          const auto child = node_of(member, side);
          edges.emplace_back(child, Link{node, member.negated});
          if (value_without_flips(child) != member.negated) {
            ++index_.satisfied[node - index_.first_group];
          }
        }
      }
    }
    index_.containing = make_lists(index_.nodes(), edges);
  }

  // Appends the conditions of a row's list; false if it can never match.
  bool add_conditions(const std::vector<Term>& terms, Side side, std::vector<Link>& conditions) {
    const GroupSet& set = side == Side::source ? source_ : destination_;
    for (const auto& term : terms) {
      if (term.kind == Term::Kind::group && term.negated && set.is_broken(term.id)) return false;
      const auto node = node_of(term, side);
      const bool must_flip = value_without_flips(node) == term.negated;
      if (must_flip && node == AtomTable::kNothing) return false;
      conditions.push_back(Link{node, must_flip});
    }
    return true;
  }

  void connect_rows() {
    std::vector<std::pair<std::uint32_t, Link>> conditions;
    std::vector<Link> of_row;
    std::vector<std::uint32_t> uses(index_.nodes(), 0);
    for (const auto& row : rows_) {
      of_row.clear();
      if (!add_conditions(row.source, Side::source, of_row)) continue;
      if (!add_conditions(row.destination, Side::destination, of_row)) continue;
      const auto number = static_cast<std::uint32_t>(index_.policies.size());
      index_.policies.push_back(row.policy);
      for (const auto& condition : of_row) {
        conditions.emplace_back(number, condition);
        if (condition.flag) ++uses[condition.node];
      }
    }
    index_.conditions = make_lists(index_.policies.size(), conditions);
    choose_triggers(uses);
  }

  void choose_triggers(const std::vector<std::uint32_t>& uses) {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> triggers;
    for (std::uint32_t row = 0; row < index_.policies.size(); ++row) {
      std::optional<std::uint32_t> best;
      for (const auto& condition : index_.conditions[row]) {
        if (condition.flag && (!best || uses[condition.node] < uses[*best])) {
          best = condition.node;
        }
      }
      if (best) {
        triggers.emplace_back(*best, row);
      } else {
        index_.always.push_back(row);
      }
    }
    index_.triggered = make_lists(index_.nodes(), triggers);
  }

  MatchIndex& index_;
  std::span<const GroupRow> groups_;
  std::vector<RowProblem>& problems_;
  GroupSet source_;
  GroupSet destination_;
  std::vector<Row> rows_;
  std::vector<std::uint32_t> source_nodes_;  // by index of the GroupRow
  std::vector<std::uint32_t> destination_nodes_;
};

}  // namespace

MatchIndex::MatchIndex(std::span<const MemberRow> members, std::span<const GroupRow> groups,
                       std::vector<RowProblem>& problems) {
  Builder(*this, groups, problems).build(members);
}

}  // namespace policyd
