// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/module_rows_loader.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "daemon/base/ascii.hpp"
#include "daemon/base/ip_address.hpp"
#include "daemon/protocol/policy_protocol.hpp"
#include "daemon/rules/match/list_item.hpp"
#include "daemon/rules/match/row_problem.hpp"

namespace policyd {
namespace {

using Kind = RowProblem::Kind;

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

// A century. Longer periods mean the same, and could not be counted in milliseconds.
constexpr std::int64_t kMaxPeriodS = 100LL * 366 * 86400;

// A column and the member it is read into, whose type says how it is read and checked.
template <typename Row, typename Value>
struct Column {
  std::string_view name;
  Value Row::*member;
};
template <typename Row, typename Value>
Column(const char*, Value Row::*) -> Column<Row, Value>;

// The columns of each table after ID and PolicyID.
constexpr std::tuple kAccessControl{Column{"Verdict", &AccessControlRow::verdict},
                                    Column{"Data", &AccessControlRow::data}};
constexpr std::tuple kQuotas{Column{"Name", &Quota::name},       Column{"Track", &Quota::track},
                             Column{"Period", &Quota::period_s}, Column{"Verdict", &Quota::verdict},
                             Column{"Data", &Quota::data},       Column{"LastQuota", &Quota::last}};
constexpr std::tuple kAccounting{Column{"Track", &AccountingRow::track},
                                 Column{"AccountingPeriod", &AccountingRow::period},
                                 Column{"MessageCountLimit", &AccountingRow::count_limit},
                                 Column{"MessageCumulativeSizeLimit", &AccountingRow::size_limit},
                                 Column{"Verdict", &AccountingRow::verdict},
                                 Column{"Data", &AccountingRow::data},
                                 Column{"LastAccounting", &AccountingRow::last}};
constexpr std::tuple kCheckHelo{Column{"UseBlacklist", &CheckHeloRow::use_blacklist},
                                Column{"BlacklistPeriod", &CheckHeloRow::blacklist_period_s},
                                Column{"UseHRP", &CheckHeloRow::use_hrp},
                                Column{"HRPPeriod", &CheckHeloRow::hrp_period_s},
                                Column{"HRPLimit", &CheckHeloRow::hrp_limit},
                                Column{"RejectInvalid", &CheckHeloRow::reject_invalid},
                                Column{"RejectIP", &CheckHeloRow::reject_ip},
                                Column{"RejectUnresolvable", &CheckHeloRow::reject_unresolvable}};
constexpr std::tuple kCheckSpf{Column{"UseSPF", &CheckSpfRow::use_spf},
                               Column{"RejectFailedSPF", &CheckSpfRow::reject_failed},
                               Column{"AddSPFHeader", &CheckSpfRow::add_header}};
constexpr std::tuple kGreylisting{
    Column{"UseGreylisting", &GreylistingRow::use_greylisting},
    Column{"GreylistPeriod", &GreylistingRow::greylist_period_s},
    Column{"Track", &GreylistingRow::track},
    Column{"GreylistAuthValidity", &GreylistingRow::auth_validity_s},
    Column{"GreylistUnAuthValidity", &GreylistingRow::unauth_validity_s},
    Column{"UseAutoWhitelist", &GreylistingRow::use_auto_whitelist},
    Column{"AutoWhitelistPeriod", &GreylistingRow::auto_whitelist_period_s},
    Column{"AutoWhitelistCount", &GreylistingRow::auto_whitelist_count},
    Column{"AutoWhitelistPercentage", &GreylistingRow::auto_whitelist_percentage},
    Column{"UseAutoBlacklist", &GreylistingRow::use_auto_blacklist},
    Column{"AutoBlacklistPeriod", &GreylistingRow::auto_blacklist_period_s},
    Column{"AutoBlacklistCount", &GreylistingRow::auto_blacklist_count},
    Column{"AutoBlacklistPercentage", &GreylistingRow::auto_blacklist_percentage}};

// One row, read column by column. Values that no decision can use are reported and kept.
class RowReader {
 public:
  RowReader(RuleReader& reader, std::string_view table, const sql::Statement& row)
      : reader_(reader), table_(table), row_(row) {}

  void read(std::string_view, bool& value, int index) { value = row_.text(index) == "1"; }
  void read(std::string_view column, std::string& value, int index) {
    const std::string_view text = row_.text(index);
    value = answerable(text);
    if (column != "Data" || value.size() == text.size()) return;
    reader_.problem(Kind::too_long, table_, id(), column, text,
                    std::to_string(std::count_if(value.begin(), value.end(), begins_character)));
  }

  void read(std::string_view column, OptionalInteger& value, int index) {
    reader_.check_number(table_, id(), column, row_, index, false);
    if (!row_.is_null(index)) value = row_.integer(index);
  }

  void read(std::string_view column, std::int64_t& value, int index) {
    const bool needed = column == "Period";
    const bool number = reader_.check_number(table_, id(), column, row_, index, needed);
    value = std::max<std::int64_t>(0, row_.integer(index));
    if (!needed) return;  // a limit of 0 is none
    value = std::min(value, kMaxPeriodS);
    if (number && value == 0) reader_.problem(Kind::not_positive, table_, id(), column);
  }

  void read(std::string_view column, RowTrack& value, int index) {
    value = RowTrack{row_.text(index)};
    if (!value) invalid(column, index);
  }

  void read(std::string_view column, std::optional<Result<Track>>& value, int index) {
    if (row_.is_null(index)) return;
    const std::string_view text = row_.text(index);
    value = Track::parse(text);
    if (*value && (*value)->method == TrackMethod::sender_ip) return;
    value = failure(describe_invalid_value(table_, column, text));
    constexpr int kUseGreylisting = 2;
    const bool off = !row_.is_null(kUseGreylisting) && row_.integer(kUseGreylisting) == 0;
    if (!off) invalid(column, index);
  }

  void read(std::string_view column, AccountingRow::Period& value, int index) {
    constexpr std::array kPeriods{AccountingRow::Period::day, AccountingRow::Period::week,
                                  AccountingRow::Period::month};
    const std::string_view text = row_.text(index);
    const bool valid = text.size() == 1 && text[0] >= '0' && text[0] <= '2';
    value = valid ? kPeriods.at(static_cast<std::size_t>(text[0] - '0'))
                  : AccountingRow::Period::invalid;
    if (!valid) invalid(column, index);
  }

  void read(std::string_view column, RowVerdict& value, int index) {
    value = RowVerdict::parse(row_.text(index));
    const bool access_control = table_ == "access_control";
    // There NULL means no verdict, the empty string does not.
    if (access_control && value.text.empty() && !row_.is_null(index)) {
      value.kind = RowVerdict::Kind::invalid;
    }
    if (value.kind == RowVerdict::Kind::none) return;
    if (!(access_control ? value.is_for_access_control() : value.is_for_limits())) {
      invalid(column, index);
    }
  }

 private:
  [[nodiscard]] std::int64_t id() const { return row_.integer(0); }
  void invalid(std::string_view column, int index) {
    reader_.problem(Kind::invalid_value, table_, id(), column, row_.text(index));
  }

  RuleReader& reader_;
  std::string_view table_;
  const sql::Statement& row_;
};

// Reads all enabled rows of a module's table into `rows` of their policies.
template <typename Row, typename... Values>
void load_rows(RuleReader& reader, std::string_view table, std::vector<Row> Policy::*rows,
               const std::tuple<Column<Row, Values>...>& columns) {
  std::string query = "SELECT ID, PolicyID";
  std::apply([&](const auto&... column) { ((query.append(", ").append(column.name)), ...); },
             columns);
  query += fmt::format(" FROM {{p}}{} WHERE Disabled = 0 ORDER BY ID", table);
  reader.each(query, [&](const sql::Statement& statement) {
    Policy* owner = reader.policy(statement.integer(1));
    if (owner == nullptr) return;
    Row& row = (owner->*rows).emplace_back();
    row.id = statement.integer(0);
    RowReader values{reader, table, statement};
    int index = 2;
    std::apply(
        [&](const auto&... column) {
          (values.read(column.name, row.*column.member, index++), ...);
        },
        columns);
    if constexpr (requires { row.data; }) {
      row.verdict.data_fits =
          row.verdict.kind != RowVerdict::Kind::action || fits(row.verdict.action, row.data);
      if (row.verdict.data_fits) return;
      reader.problem(Kind::unfit_data, table, row.id, "Data", row.data, row.verdict.text);
    }
  });
}

// What becomes of the mail that a limit with this verdict refuses; nothing where it only monitors.
std::string_view fate(const RowVerdict& verdict) {
  if (verdict.kind == RowVerdict::Kind::none) return {};
  if (!verdict.is_for_limits() || !verdict.data_fits) return "DEFERRED";
  switch (verdict.action) {
    case Action::reject:
      return "REJECTED";
    case Action::hold:
      return "HELD";
    case Action::discard:
      return "DISCARDED";
    case Action::filter:
      return "FILTERED";
    case Action::redirect:
      return "REDIRECTED";
    default:
      return "DEFERRED";
  }
}

// Sets Quota::listed_as, as `carbonio-limits list` joins quotas.
void join_quotas(std::vector<Quota>& quotas) {
  using Key = std::tuple<bool, TrackMethod, int, std::string>;
  std::map<Key, std::int64_t> first;
  for (Quota& quota : quotas) {
    const Track track = quota.track.value_or(Track{});
    std::string verdict = quota.verdict.text;
    lower_case(verdict);
    Key key{quota.track.has_value(), track.method, track.prefix_length, std::move(verdict)};
    quota.listed_as = first.try_emplace(std::move(key), quota.id).first->second;
  }
}

void load_quota_limits(RuleReader& reader) {
  std::unordered_map<std::int64_t, Quota*> quotas;
  for (Policy& policy : reader.rules().policies) {
    join_quotas(policy.quotas);
    for (Quota& quota : policy.quotas) quotas.emplace(quota.id, &quota);
  }
  constexpr std::string_view kTable = "quotas_limits";
  reader.each(
      "SELECT ID, QuotasID, Type, CounterLimit FROM {p}quotas_limits WHERE Disabled = 0 ORDER BY "
      "ID",
      [&](const sql::Statement& row) {
        const auto owner = quotas.find(row.integer(1));
        if (owner == quotas.end()) return;
        QuotaLimit limit;
        limit.id = row.integer(0);
        const auto type = parse_limit_type(row.text(2));
        if (!type) {
          return reader.problem(Kind::invalid_value, kTable, limit.id, "Type", row.text(2));
        }
        limit.type = *type;
        const bool number = reader.check_number(kTable, limit.id, "CounterLimit", row, 3);
        limit.counter_limit = std::max(0.0, row.real(3));
        if (number && limit.counter_limit == 0) {
          reader.problem(Kind::not_positive, kTable, limit.id, "CounterLimit");
        }
        if (number && limit.counter_limit > 0 && limit.counter_limit < 1) {
          reader.problem(Kind::below_one, kTable, limit.id, "CounterLimit", row.text(3),
                         fate(owner->second->verdict));
        }
        if (limit.type == LimitType::distinct_recipients &&
            limit.counter_limit > kMaxDistinctRecipients) {
          limit.counter_limit = 0;
          reader.problem(Kind::invalid_value, kTable, limit.id, "CounterLimit", row.text(3));
        }
        owner->second->limits.push_back(limit);
      });
}

void load_whitelist(RuleReader& reader, std::string_view table, std::vector<WhitelistRow>& rows) {
  reader.each(fmt::format("SELECT ID, Source FROM {{p}}{} WHERE Disabled = 0 ORDER BY ID", table),
              [&](const sql::Statement& row) {
                constexpr std::string_view kMethod = "senderip:";
                std::string source{row.text(1)};
                lower_case(source);
                WhitelistRow& entry = rows.emplace_back();
                entry.id = row.integer(0);
                entry.sender_ip = source.starts_with(kMethod);
                if (entry.sender_ip) {
                  entry.network = IpNetwork::parse(std::string_view{source}.substr(kMethod.size()));
                }
                // Of a longer prefix CBPolicyD takes only the first address.
                if (!entry.network ||
                    is_longer_than_addresses(std::string_view{source}.substr(kMethod.size()))) {
                  reader.problem(Kind::invalid_value, table, entry.id, "Source", row.text(1));
                }
              });
}

}  // namespace

void load_module_rows(RuleReader& reader) {
  load_rows(reader, "quotas", &Policy::quotas, kQuotas);
  load_quota_limits(reader);
  load_rows(reader, "access_control", &Policy::access_control, kAccessControl);
  load_rows(reader, "accounting", &Policy::accounting, kAccounting);
  load_rows(reader, "checkhelo", &Policy::check_helo, kCheckHelo);
  load_rows(reader, "checkspf", &Policy::check_spf, kCheckSpf);
  load_rows(reader, "greylisting", &Policy::greylisting, kGreylisting);
  load_whitelist(reader, "checkhelo_whitelist", reader.rules().check_helo_whitelist);
  load_whitelist(reader, "greylisting_whitelist", reader.rules().greylisting_whitelist);
}

}  // namespace policyd
