// SPDX-License-Identifier: AGPL-3.0-only
// Why a module answered as it did, as a value: the module's log line prints it, and
// `carbonio-limits explain` puts it into words. Setting one does not allocate, unless a row is
// invalid. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace policyd {

struct Reason {
  enum class Kind : std::uint8_t {
    none,  // no row applied, every limit has room, or there is no log line for it
    verdict,
    no_verdict,       // a row without one; of a limit: it is used up, but only monitors
    invalid_verdict,  // in the log; `problem` has the details
    invalid_row,      // or an error of ours: answers DEFER
    no_result,        // the DNS did not answer in time
    quota_match,
    accounting_match,
    greylisted,
    authenticated,
    training,
    whitelisted,
    auto_whitelisted,
    auto_blacklisted,
    ip_not_allowed,
    resolve_notfound,
    resolve_nxdomain,
    resolve_noerror,
    resolve_servfail,
    blacklisted,
    hrp_blacklisted,
    spf_pass,
    spf_fail,
    spf_softfail,
    spf_neutral,
    spf_permerror,
    spf_temperror,
    no_spf_record,
    paused,      // a limit is exceeded, but all limits are paused
    not_shared,  // the other MTAs cannot be asked, and [cluster] without = defer
  };

  Kind kind = Kind::none;
  std::int64_t row_id = 0;    // of a verdict or a limit that is exceeded
  std::int64_t limit_id = 0;  // of quotas_limits
  std::int64_t tries = 0;     // of a triplet that Greylisting knows; 0: not printed
  std::string problem = {};   // of an invalid row: "quota=3: 'WAIT' is not a valid Verdict; ..."
};

// CBPolicyD's word after "reason=" in the log: "quota_match", "auto-whitelisted".
std::string_view word_of(Reason::Kind kind);

}  // namespace policyd
