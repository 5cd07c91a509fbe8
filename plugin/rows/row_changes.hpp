// SPDX-License-Identifier: AGPL-3.0-only
// The difference between rows as they are and as they should be, as statements. Nothing is run or
// read here: new rows get the IDs that the database will give them, which the statements take from
// it as `(SELECT max(ID) FROM ...)` right after the INSERT.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "plugin/database/change_set.hpp"
#include "plugin/limit/limit.hpp"
#include "plugin/rows/carried.hpp"
#include "plugin/rows/read_limits.hpp"

namespace limits {

// The IDs that a table will give to new rows.
class NewIds {
 public:
  NewIds() = default;
  // `next`: what the database gives by itself. `by_itself`: false if it may give another.
  // `waiting`: IDs of rows that do not exist, which rows of other tables name nevertheless.
  NewIds(std::int64_t next, bool by_itself, std::set<std::int64_t> waiting)
      : next_(next), by_itself_(by_itself), waiting_(std::move(waiting)) {}

  struct Id {
    std::int64_t id = 0;
    bool given = false;  // the INSERT has to give it
  };
  Id take();

 private:
  std::int64_t next_ = 1;
  bool by_itself_ = true;
  std::set<std::int64_t> waiting_;
};

struct NextIds {
  NewIds policies;
  NewIds quotas;
  NewIds quotas_limits;
  NewIds policy_groups;
};

struct GroupChange {
  struct Item {
    std::int64_t id = 0;  // 0: new
    std::string text;
    bool exempt = false;
  };
  std::string name;
  std::string comment = std::string{kGroupComment};  // of a new group
  bool create = false;
  bool enable = false;
  bool disable = false;
  bool drop = false;   // the group
  bool sweep = false;  // and members that we do not know
  std::vector<Item> insert;
  std::vector<Item> mark;            // changes `exempt`
  std::vector<std::int64_t> remove;  // IDs
};

class RowChanges {
 public:
  explicit RowChanges(NextIds ids) : ids_(std::move(ids)) {}

  // These fill in the IDs of new rows.
  void insert_limit(StoredLimit& limit, const std::string& description);
  void update_limit(const StoredLimit& before, StoredLimit& now);
  // Moves the quotas to a new policy with the members of `now`; the counters are kept.
  void move_limit(const StoredLimit& before, StoredLimit& now);

  void delete_rows(const StoredLimit& limit);    // quotas and what belongs to them
  void delete_policy(const StoredLimit& limit);  // and its members
  void change_group(const GroupChange& group);
  void insert_policy(const CarriedPolicy& policy);
  void put_row(const CarriedRow& row);  // of a list, instead of the one of that name

  [[nodiscard]] std::size_t size() const { return changes_.size(); }
  [[nodiscard]] std::vector<RowChange> take() && { return std::move(changes_); }

 private:
  void add(std::string_view text, std::vector<Value> values, std::int64_t new_id = 0) {
    changes_.push_back({text, std::move(values), new_id});
  }
  void insert_carried(const CarriedRow& row, std::string_view owner, NewIds* ids,
                      std::string_view verb = "INSERT");
  void insert_members(const StoredLimit& limit);
  void insert_quota(const StoredLimit& limit, StoredRate& rate, bool into_newest_policy);
  void insert_limit_row(StoredRate& rate, bool into_newest_quota);
  void delete_limit_row(std::int64_t limit_id);
  void delete_rate(const StoredRate& rate);
  void update_rate(const StoredLimit& before, const StoredLimit& now, const StoredRate& was,
                   const StoredRate& rate, bool first_of_quota);
  void update_members(const StoredLimit& before, const StoredLimit& now);
  void update_track(const StoredLimit& before, const StoredLimit& now);

  NextIds ids_;
  std::vector<RowChange> changes_;
};

}  // namespace limits
