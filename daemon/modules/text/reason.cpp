// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/text/reason.hpp"

#include <array>

namespace policyd {

namespace {

// In the order of the enumeration, so that a kind is an index.
constexpr std::array<std::string_view, 30> kWords = {"none",
                                                     "verdict",
                                                     "no_verdict",
                                                     "invalid_verdict",
                                                     "invalid_row",
                                                     "no_result",
                                                     "quota_match",
                                                     "accounting_match",
                                                     "greylisted",
                                                     "authenticated",
                                                     "training",
                                                     "whitelisted",
                                                     "auto-whitelisted",
                                                     "auto-blacklisted",
                                                     "ip_not_allowed",
                                                     "resolve_notfound",
                                                     "resolve_nxdomain",
                                                     "resolve_noerror",
                                                     "resolve_servfail",
                                                     "blacklisted",
                                                     "hrp_blacklisted",
                                                     "spf_pass",
                                                     "spf_fail",
                                                     "spf_softfail",
                                                     "spf_neutral",
                                                     "spf_permerror",
                                                     "spf_temperror",
                                                     "no_spf_record",
                                                     "paused",
                                                     "not_shared"};
static_assert(kWords.size() == static_cast<std::size_t>(Reason::Kind::not_shared) + 1);

}  // namespace

std::string_view word_of(Reason::Kind kind) { return kWords.at(static_cast<std::size_t>(kind)); }

}  // namespace policyd
