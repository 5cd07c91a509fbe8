// SPDX-License-Identifier: AGPL-3.0-only
// `show`: everything about one limit.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "plugin/commands/by_id.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/limit_text/limit_json.hpp"
#include "plugin/limit_text/limit_line.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 1> kShowOptions = {{{"json", "", "print JSON"}}};

std::string list_of(std::vector<std::int64_t> numbers) {
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  std::string out;
  for (const std::int64_t number : numbers) {
    out += fmt::format("{}{}", out.empty() ? "" : ", ", number);
  }
  return out;
}

// The limit that replaces this one for an exception.
std::string reason_for(const AllLimits& all, const StoredLimit& limit, const std::string& item) {
  for (const StoredLimit& other : all.limits) {
    if (other.id == limit.id || !other.what.target ||
        other.what.direction != limit.what.direction || other.what.per != limit.what.per ||
        !other.enabled()) {
      continue;
    }
    if (equal_ignoring_case(item_of(*other.what.target), item)) {
      return fmt::format("limit {}, {}", other.id, format_limit(other.plain_rates()));
    }
  }
  return "exempt";
}

void print_named(Output& output, std::string_view name, std::string_view text) {
  output.line(fmt::format("  {:<9} {}", name, text));
}

void print_rows(const StoredLimit& limit, Output& output) {
  std::vector<std::int64_t> members;
  std::vector<std::int64_t> quotas;
  std::vector<std::int64_t> rows;
  for (const StoredMember& member : limit.members) members.push_back(member.id);
  for (const StoredRate& rate : limit.rates) quotas.push_back(rate.quota_id);
  for (const StoredRate& rate : limit.rates) rows.push_back(rate.limit_id);
  print_named(output, "Rows",
              fmt::format("policies {}, policy_members {}, quotas {}, quotas_limits {}",
                          limit.policy_id, list_of(members), list_of(quotas), list_of(rows)));
}

void print_limit(const AllLimits& all, const StoredLimit& limit, Output& output) {
  output.line(fmt::format("Limit {}: {}.", limit.id, describe(all, limit)));
  print_named(output, "State", state_text(limit));
  for (const StoredRate& rate : limit.rates) {
    print_named(output, "Limit",
                format_rate(rate.rate) + (rate.enabled || limit.enabled() ? "" : " (off)"));
    if (verdict_word(limit.verdict) == "none") continue;
    const std::string text = rate.data.value_or("");
    print_named(output, "Message", text.empty() ? "(the daemon's default text)" : escaped(text));
  }
  for (const std::string& item : limit.except) {
    print_named(output, "Except",
                fmt::format("{} ({})", escaped(item), reason_for(all, limit, item)));
  }
  print_named(output, "Counts", limit.track == "Policy" ? "all together" : escaped(limit.track));
  print_named(output, "Name", escaped(limit.policy_name));
  print_rows(limit, output);
  if (const auto wanted = wanted_of(all, limit)) {
    print_named(output, "Command", "carbonio-limits " + line_of(*wanted));
  }
}

Outcome run_show(const Arguments& arguments, Context& context) {
  const auto ids = parse_ids(arguments.words());
  if (!ids) return tl::unexpected{ids.error()};
  return with_limits(arguments, context, [&](const AllLimits& all) -> Result<void> {
    const auto id = existing_limit(all, ids->front());
    if (!id) return tl::unexpected{id.error()};
    const StoredLimit& limit = *find_limit(all, *id);
    if (arguments.has("json")) {
      context.output.print(json_of(all, limit));
    } else {
      print_limit(all, limit, context.output);
    }
    return {};
  });
}

}  // namespace

const Command kShow = {
    "show",
    "ID [--json]",
    "Show everything about one limit",
    "IDs are in the first column of 'list'. 'Except' names each target that the limit does not "
    "apply to, with the limit that replaces it; 'exempt' means none does. 'Rows' are the IDs in "
    "the database's tables.",
    "show 3",
    kShowOptions,
    1,
    run_show,
    Takes::id};

}  // namespace limits
