// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/accounting_record.hpp"
#include "daemon/counting/counters.hpp"

namespace policyd {

void AccountingRecord::read(AccountingCounter& counter, const sql::Statement& found, TimePoint) {
  counter.last_update_s = found.integer(1);
  counter.used = {found.integer(2), found.integer(3)};
}

void AccountingRecord::bind(sql::Statement& statement, const AccountingCounter& counter,
                            std::string&) {
  statement.bind(4, counter.last_update_s).bind(5, counter.used.messages).bind(6, counter.used.kib);
}

void AccountingRecord::rebase(AccountingCounter& found, const AccountingCounter& ours,
                              const AccountingUnits& units, TimePoint) {
  found.used += units;
  found.last_update_s = ours.last_update_s;
}

}  // namespace policyd
