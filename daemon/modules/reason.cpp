// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/reason.hpp"

namespace policyd {

std::string_view word_of(Reason::Kind kind) {
  using Kind = Reason::Kind;
  switch (kind) {
    case Kind::none:
      return "none";
    case Kind::verdict:
      return "verdict";
    case Kind::no_verdict:
      return "no_verdict";
    case Kind::invalid_verdict:
      return "invalid_verdict";
    case Kind::invalid_row:
      return "invalid_row";
    case Kind::no_result:
      return "no_result";
    case Kind::quota_match:
      return "quota_match";
    case Kind::accounting_match:
      return "accounting_match";
    case Kind::greylisted:
      return "greylisted";
    case Kind::authenticated:
      return "authenticated";
    case Kind::training:
      return "training";
    case Kind::whitelisted:
      return "whitelisted";
    case Kind::auto_whitelisted:
      return "auto-whitelisted";
    case Kind::auto_blacklisted:
      return "auto-blacklisted";
    case Kind::ip_not_allowed:
      return "ip_not_allowed";
    case Kind::resolve_notfound:
      return "resolve_notfound";
    case Kind::resolve_nxdomain:
      return "resolve_nxdomain";
    case Kind::resolve_noerror:
      return "resolve_noerror";
    case Kind::resolve_servfail:
      return "resolve_servfail";
    case Kind::blacklisted:
      return "blacklisted";
    case Kind::hrp_blacklisted:
      return "hrp_blacklisted";
    case Kind::spf_pass:
      return "spf_pass";
    case Kind::spf_fail:
      return "spf_fail";
    case Kind::spf_softfail:
      return "spf_softfail";
    case Kind::spf_neutral:
      return "spf_neutral";
    case Kind::spf_permerror:
      return "spf_permerror";
    case Kind::spf_temperror:
      return "spf_temperror";
    case Kind::no_spf_record:
      return "no_spf_record";
  }
  return {};
}

}  // namespace policyd
