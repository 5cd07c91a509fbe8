// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/commands/by_id.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <span>
#include <utility>

#include "daemon/base/ascii.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
tl::expected<std::int64_t, Failure> parse_id(const std::string& word) {
  const auto id = policyd::parse_number<std::int64_t>(word);
  if (!id || *id < 1) {
    return wrong_use(
        fmt::format("not a valid ID: '{}'; IDs are in the first column of 'carbonio-limits list'",
                    shown(word)));
  }
  return *id;
}

tl::expected<std::vector<std::int64_t>, Failure> parse_ids(const std::vector<std::string>& words) {
  if (words.empty()) {
    return wrong_use("the ID is missing; IDs are in the first column of 'carbonio-limits list'");
  }
  std::vector<std::int64_t> ids;
  for (const std::string& word : words) {
    const auto id = parse_id(word);
    if (!id) return tl::unexpected{id.error()};
    if (std::find(ids.begin(), ids.end(), *id) == ids.end()) ids.push_back(*id);
  }
  return ids;
}

tl::expected<NewFigures, Failure> parse_new_figures(const std::vector<std::string>& words) {
  if (words.empty()) return wrong_use("the ID is missing; example: carbonio-limits set 3 200/h");
  const auto id = parse_id(words.front());
  if (!id) return tl::unexpected{id.error()};
  if (words.size() == 1) {
    return wrong_use("the limit is missing; example: carbonio-limits set 3 200/h");
  }
  auto rates = parse_limit(limit_of_words(std::span{words}.subspan(1)));
  if (!rates) return wrong_use(rates.error().message);
  return NewFigures{*id, std::move(*rates)};
}

Result<std::int64_t> existing_limit(const AllLimits& all, std::int64_t id) {
  if (const StoredLimit* limit = find_limit(all, id)) return limit->id;
  if (std::find(all.unreadable.begin(), all.unreadable.end(), id) != all.unreadable.end()) {
    return policyd::failure(
        fmt::format("row {} of table quotas cannot be used as a limit: its period, amount or type "
                    "is missing or invalid; 'carbonio-limits doctor' says what becomes of the "
                    "mail",
                    id));
  }
  return policyd::failure(
      fmt::format("{}{}; 'carbonio-limits list' shows the existing ones", kNoSuchLimit, id));
}

Outcome change_each(const std::vector<std::int64_t>& ids, const Arguments& arguments,
                    Context& context, const ChangeOfEach& change) {
  const bool dry = arguments.has(std::string{kDryRunOption.name});
  return change_limits(arguments, context, dry,
                       [&](LimitPlan plan, const Tables&) -> Result<LimitsChange> {
                         std::vector<std::int64_t> done;
                         for (const std::int64_t wanted : ids) {
                           const auto id = existing_limit(plan.before(), wanted);
                           if (!id) return tl::unexpected{id.error()};
                           if (std::find(done.begin(), done.end(), *id) != done.end()) continue;
                           done.push_back(*id);
                           change.change(plan, *id);
                         }
                         auto planned = plan.finish();
                         if (!planned) return tl::unexpected{planned.error()};
                         LimitsChange out;
                         std::vector<std::string> lines;
                         for (const ApplyResult& result : planned->results) {
                           for (std::string& line : change.lines(result, dry))
                             lines.push_back(std::move(line));
                           if (!change.warnings) continue;
                           for (const std::string& warning : change.warnings(result)) {
                             out.warnings.push_back(context.advice.complete(warning));
                           }
                         }
                         out.rows = std::move(planned->changes);
                         out.report = [lines, dry, &context] {
                           for (const std::string& line : lines) context.output.line(line);
                           if (dry) context.output.line("Nothing was changed (--dry-run).");
                         };
                         return out;
                       });
}

}  // namespace limits
