// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/commands/by_id.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "plugin/database/database_file.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using Sentences = std::vector<std::string>;

Result<Sentences> change_all(const Tables& tables, const std::vector<std::int64_t>& ids, bool dry,
                             const Change& change) {
  Changes changes{tables};
  if (auto begun = changes.begin(); !begun) return tl::unexpected{begun.error()};
  auto all = read_limits(tables);
  if (!all) return tl::unexpected{all.error()};
  Sentences out;
  for (const std::int64_t wanted : ids) {
    const auto id = existing_limit(*all, wanted);
    if (!id) return tl::unexpected{id.error()};
    auto done = change(changes, *all, *id, dry);
    if (!done) return done;
    std::move(done->begin(), done->end(), std::back_inserter(out));
  }
  if (!dry) {
    if (auto done = changes.commit(); !done) return tl::unexpected{done.error()};
  }
  return out;
}

}  // namespace

tl::expected<std::int64_t, Failure> parse_id(const std::string& word) {
  std::int64_t id = 0;
  const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), id);
  if (code != std::errc{} || end != word.data() + word.size() || id < 1) {
    return wrong_use(fmt::format(
        "'{}' is no ID; 'carbonio-limits list' shows them in its first column", shown(word)));
  }
  return id;
}

tl::expected<std::vector<std::int64_t>, Failure> parse_ids(const std::vector<std::string>& words) {
  if (words.empty()) {
    return wrong_use("the ID is missing; 'carbonio-limits list' shows it in its first column");
  }
  std::vector<std::int64_t> ids;
  for (const std::string& word : words) {
    const auto id = parse_id(word);
    if (!id) return tl::unexpected{id.error()};
    if (std::find(ids.begin(), ids.end(), *id) == ids.end()) ids.push_back(*id);
  }
  return ids;
}

Result<std::int64_t> existing_limit(const AllLimits& all, std::int64_t id) {
  if (const StoredLimit* limit = find_limit(all, id)) return limit->id;
  if (std::find(all.unreadable.begin(), all.unreadable.end(), id) != all.unreadable.end()) {
    return policyd::failure(
        fmt::format("row {} of the table quotas is no limit, for want of a period, amount or type; "
                    "it is left alone",
                    id));
  }
  return policyd::failure(
      fmt::format("there is no limit {}; 'carbonio-limits list' shows those there are", id));
}

Outcome change_limits(const std::vector<std::int64_t>& ids, const Arguments& arguments,
                      Context& context, const Change& change) {
  const auto place =
      find_database(arguments.value(std::string{kDatabaseOption}), context.zextras_home);
  if (!place) return failed(place.error());
  const auto database = open_as_owner(*place);
  if (!database) return failed(database.error());
  const bool dry = arguments.has(std::string{kDryRunOption.name});
  const auto said = change_all(database->tables, ids, dry, change);
  if (!said) {
    return failed(fmt::format("database {}: {}; nothing was changed", place->file.string(),
                              said.error().message));
  }
  for (const std::string& sentence : *said) context.output.line(sentence);
  if (dry) context.output.line("Nothing was changed (--dry-run).");
  return {};
}

}  // namespace limits
