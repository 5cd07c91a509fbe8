// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/module_rows_loader.hpp"
#include "daemon/base/ascii.hpp"
#include "daemon/base/ip_address.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace policyd {
namespace {

OptionalInteger optional_integer(const sql::Statement& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return row.integer(column);
}

void bad_verdict(RuleReader& reader, std::string_view table, std::int64_t id,
                 const RowVerdict& verdict) {
  reader.problem(table, id, fmt::format("Verdict '{}' is none", verdict.text));
}

void load_access_control(RuleReader& reader) {
  reader.each(
      "SELECT ID, PolicyID, Verdict, Data FROM {p}access_control WHERE Disabled = 0 ORDER BY ID",
      [&](const sql::Statement& row) {
        Policy* owner = reader.policy(row.integer(1));
        if (owner == nullptr) return;
        AccessControlRow& access = owner->access_control.emplace_back();
        access.id = row.integer(0);
        access.verdict = RowVerdict::parse(row.text(2));
        access.data = row.text(3);
        // NULL alone says nothing here.
        if (access.verdict.text.empty() && !row.is_null(2)) {
          access.verdict.kind = RowVerdict::Kind::invalid;
        }
        if (access.verdict.kind != RowVerdict::Kind::none &&
            !access.verdict.is_for_access_control()) {
          bad_verdict(reader, "access_control", access.id, access.verdict);
        }
      });
}

AccountingRow::Period accounting_period(std::string_view text) {
  constexpr std::array kPeriods{AccountingRow::Period::day, AccountingRow::Period::week,
                                AccountingRow::Period::month};
  if (text.size() != 1 || text[0] < '0' || text[0] > '2') return AccountingRow::Period::invalid;
  return kPeriods.at(static_cast<std::size_t>(text[0] - '0'));
}

void load_accounting(RuleReader& reader) {
  reader.each(
      "SELECT ID, PolicyID, Track, AccountingPeriod, MessageCountLimit, "
      "MessageCumulativeSizeLimit, "
      "Verdict, Data, LastAccounting FROM {p}accounting WHERE Disabled = 0 ORDER BY ID",
      [&](const sql::Statement& row) {
        Policy* owner = reader.policy(row.integer(1));
        if (owner == nullptr) return;
        AccountingRow& accounting = owner->accounting.emplace_back();
        accounting.id = row.integer(0);
        reader.check_numbers("accounting", accounting.id, row, 4, 5);
        accounting.track = RowTrack{row.text(2)};
        accounting.period = accounting_period(row.text(3));
        accounting.count_limit = std::max<std::int64_t>(0, row.integer(4));
        accounting.size_limit = std::max<std::int64_t>(0, row.integer(5));
        accounting.verdict = RowVerdict::parse(row.text(6));
        accounting.data = row.text(7);
        accounting.last = row.text(8) == "1";
        if (!accounting.track) {
          reader.problem("accounting", accounting.id, accounting.track.error().message);
        }
        if (accounting.period == AccountingRow::Period::invalid) {
          reader.problem("accounting", accounting.id,
                         "AccountingPeriod is none of 0 (day), 1 (week), 2 (month)");
        }
        if (accounting.verdict.kind != RowVerdict::Kind::none &&
            !accounting.verdict.is_for_limits()) {
          bad_verdict(reader, "accounting", accounting.id, accounting.verdict);
        }
      });
}

void load_check_helo(RuleReader& reader) {
  reader.each(
      "SELECT ID, PolicyID, UseBlacklist, BlacklistPeriod, UseHRP, HRPPeriod, HRPLimit, "
      "RejectInvalid, "
      "RejectIP, RejectUnresolvable FROM {p}checkhelo WHERE Disabled = 0 ORDER BY ID",
      [&](const sql::Statement& row) {
        Policy* owner = reader.policy(row.integer(1));
        if (owner == nullptr) return;
        CheckHeloRow& helo = owner->check_helo.emplace_back();
        helo.id = row.integer(0);
        reader.check_numbers("checkhelo", helo.id, row, 2, 9);
        helo.use_blacklist = optional_integer(row, 2);
        helo.blacklist_period_s = optional_integer(row, 3);
        helo.use_hrp = optional_integer(row, 4);
        helo.hrp_period_s = optional_integer(row, 5);
        helo.hrp_limit = optional_integer(row, 6);
        helo.reject_invalid = optional_integer(row, 7);
        helo.reject_ip = optional_integer(row, 8);
        helo.reject_unresolvable = optional_integer(row, 9);
      });
}

void load_check_spf(RuleReader& reader) {
  reader.each(
      "SELECT ID, PolicyID, UseSPF, RejectFailedSPF, AddSPFHeader FROM {p}checkspf "
      "WHERE Disabled = 0 ORDER BY ID",
      [&](const sql::Statement& row) {
        Policy* owner = reader.policy(row.integer(1));
        if (owner == nullptr) return;
        CheckSpfRow& spf = owner->check_spf.emplace_back();
        spf.id = row.integer(0);
        reader.check_numbers("checkspf", spf.id, row, 2, 4);
        spf.use_spf = optional_integer(row, 2);
        spf.reject_failed = optional_integer(row, 3);
        spf.add_header = optional_integer(row, 4);
      });
}

Result<Track> greylisting_track(std::string_view text) {
  auto track = Track::parse(text);
  if (track && track->method == TrackMethod::sender_ip) return track;
  return failure(fmt::format("Track '{}' is not SenderIP:/24 or the like", text.substr(0, 100)));
}

void load_greylisting(RuleReader& reader) {
  reader.each(
      "SELECT ID, PolicyID, UseGreylisting, GreylistPeriod, Track, GreylistAuthValidity, "
      "GreylistUnAuthValidity, UseAutoWhitelist, AutoWhitelistPeriod, AutoWhitelistCount, "
      "AutoWhitelistPercentage, UseAutoBlacklist, AutoBlacklistPeriod, AutoBlacklistCount, "
      "AutoBlacklistPercentage FROM {p}greylisting WHERE Disabled = 0 ORDER BY ID",
      [&](const sql::Statement& row) {
        Policy* owner = reader.policy(row.integer(1));
        if (owner == nullptr) return;
        GreylistingRow& grey = owner->greylisting.emplace_back();
        grey.id = row.integer(0);
        reader.check_numbers("greylisting", grey.id, row, 2, 3);
        reader.check_numbers("greylisting", grey.id, row, 5, 14);
        grey.use_greylisting = optional_integer(row, 2);
        grey.greylist_period_s = optional_integer(row, 3);
        if (!row.is_null(4)) grey.track = greylisting_track(row.text(4));
        grey.auth_validity_s = optional_integer(row, 5);
        grey.unauth_validity_s = optional_integer(row, 6);
        grey.use_auto_whitelist = optional_integer(row, 7);
        grey.auto_whitelist_period_s = optional_integer(row, 8);
        grey.auto_whitelist_count = optional_integer(row, 9);
        grey.auto_whitelist_percentage = optional_integer(row, 10);
        grey.use_auto_blacklist = optional_integer(row, 11);
        grey.auto_blacklist_period_s = optional_integer(row, 12);
        grey.auto_blacklist_count = optional_integer(row, 13);
        grey.auto_blacklist_percentage = optional_integer(row, 14);
        if (grey.track && !*grey.track) {
          reader.problem("greylisting", grey.id, grey.track->error().message);
        }
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
                if (!entry.network) {
                  reader.problem(table, entry.id,
                                 fmt::format("Source '{}' is not SenderIP:network", row.text(1)));
                }
              });
}

}  // namespace

void load_module_rows(RuleReader& reader) {
  load_access_control(reader);
  load_accounting(reader);
  load_check_helo(reader);
  load_check_spf(reader);
  load_greylisting(reader);
  load_whitelist(reader, "checkhelo_whitelist", reader.rules().check_helo_whitelist);
  load_whitelist(reader, "greylisting_whitelist", reader.rules().greylisting_whitelist);
}

}  // namespace policyd
