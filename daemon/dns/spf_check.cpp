// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/dns/spf_check.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/types.h>

// libspf2's headers need the ones above, and are written for C.
extern "C" {
#include <arpa/nameser.h>
#include <spf2/spf.h>
}

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <utility>

#include "daemon/base/ascii.hpp"
#include "daemon/base/mail_address.hpp"

namespace policyd {

namespace {

constexpr std::size_t kMaxWhy = 200;
// Not a mechanism, so that the result is a permanent error.
constexpr std::string_view kUnacceptable = "v=spf1 record-not-acceptable";

struct FreeServer {
  void operator()(SPF_server_t* server) const { SPF_server_free(server); }
};
struct FreeRequest {
  void operator()(SPF_request_t* request) const { SPF_request_free(request); }
};
struct FreeResponse {
  void operator()(SPF_response_t* response) const { SPF_response_free(response); }
};

struct Key {
  std::string name;  // lower case, without a dot at the end
  DnsType type;
  bool operator<(const Key& other) const {
    return std::tie(name, type) < std::tie(other.name, other.type);
  }
};

std::optional<DnsType> type_of(int type) {
  for (const DnsType known : {DnsType::a, DnsType::aaaa, DnsType::mx, DnsType::ptr, DnsType::txt}) {
    if (static_cast<int>(known) == type) return known;
  }
  return std::nullopt;
}

std::string printable(std::string_view text) {
  std::string clean{text.substr(0, kMaxWhy)};
  std::replace_if(
      clean.begin(), clean.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return clean;
}

constexpr std::array<std::pair<SPF_result_t, SpfResult>, 6> kResults = {{
    {SPF_RESULT_PASS, SpfResult::pass},
    {SPF_RESULT_FAIL, SpfResult::fail},
    {SPF_RESULT_SOFTFAIL, SpfResult::softfail},
    {SPF_RESULT_NEUTRAL, SpfResult::neutral},
    {SPF_RESULT_NONE, SpfResult::none},
    {SPF_RESULT_TEMPERROR, SpfResult::temperror},
}};

// RFC 7208, 4.3: an invalid domain, or one with a single label, has no record.
bool may_have_record(std::string_view domain) {
  return is_dns_name(domain) && domain.find('.') < domain.size() - 1;
}

class Check : public std::enable_shared_from_this<Check> {
 public:
  Check(Resolver& resolver, SpfIdentity question, Resolver::Deadline deadline,
        std::function<void(std::optional<SpfFound>)> done)
      : resolver_(resolver),
        question_(std::move(question)),
        deadline_(deadline),
        done_(std::move(done)) {}

  void ask_for(Key key) {
    std::string name = key.name;
    const DnsType type = key.type;
    // shared_ptr: a check lives as long as an answer for it may arrive.
    resolver_.query(std::move(name), type, deadline_,
                    [self = shared_from_this(), key = std::move(key)](DnsAnswer answer) mutable {
                      self->arrived(std::move(key), std::move(answer));
                    });
  }

 private:
  void arrived(Key key, DnsAnswer answer) {
    if (answer.status == DnsStatus::timed_out) return done_(std::nullopt);
    if (!may_have_record(domain_of(question_.sender))) return done_(SpfFound{});
    known_.emplace(std::move(key), std::move(answer));
    missing_.reset();
    SpfFound found = evaluate();
    if (!missing_) return done_(std::move(found));
    if (known_.size() >= kMaxLookups) {
      return done_(SpfFound{SpfResult::permerror, "too many DNS lookups"});
    }
    ask_for(std::move(*missing_));
  }

  SpfFound evaluate() {
    SPF_dns_server_t layer{};  // without `destroy`: libspf2 does not own it
    layer.lookup = &Check::look_up;
    layer.name = "known answers";
    layer.hook = this;
    const std::unique_ptr<SPF_server_t, FreeServer> server{SPF_server_new_dns(&layer, 0)};
    const std::unique_ptr<SPF_request_t, FreeRequest> request{SPF_request_new(server.get())};
    set_client(*request);
    // Macros have been expanded, so only the domain matters.
    const std::string sender = "postmaster@" + std::string{domain_of(question_.sender)};
    SPF_request_set_helo_dom(request.get(), "unknown");
    SPF_request_set_env_from(request.get(), sender.c_str());
    SPF_response_t* made = nullptr;
    const SPF_errcode_t code = SPF_request_query_mailfrom(request.get(), &made);
    const std::unique_ptr<SPF_response_t, FreeResponse> response{made};
    if (!response) return {SpfResult::temperror, "libspf2 gave no result"};
    return to_found(response.get(), code);
  }

  void set_client(SPF_request_t& request) const {
    const auto& bytes = question_.client.bytes();
    if (question_.client.is_v4()) {
      in_addr address{};
      std::memcpy(&address, bytes.data(), sizeof address);
      SPF_request_set_ipv4(&request, address);
    } else {
      in6_addr address{};
      std::memcpy(&address, bytes.data(), sizeof address);
      SPF_request_set_ipv6(&request, address);
    }
  }

  static SpfFound to_found(SPF_response_t* response, SPF_errcode_t code) {
    SpfFound found;
    if (SPF_response_messages(response) > 0) {
      const char* why = SPF_error_message(SPF_response_message(response, 0));
      if (why != nullptr) found.why = printable(why);
    }
    const auto* known = std::find_if(kResults.begin(), kResults.end(), [&](const auto& each) {
      return each.first == SPF_response_result(response);
    });
    // libspf2 has no result for a record that is invalid or unavailable.
    const auto otherwise = code == SPF_E_DNS_ERROR ? SpfResult::temperror : SpfResult::permerror;
    found.result = known != kResults.end() ? known->second : otherwise;
    return found;
  }

  // libspf2 calls this for the DNS.
  static SPF_dns_rr_t* look_up(SPF_dns_server_t* layer, const char* domain, ns_type ns, int) {
    auto& self = *static_cast<Check*>(layer->hook);
    const auto type = type_of(ns);
    const auto nothing = [&](int code) { return SPF_dns_rr_new_init(layer, domain, ns, 0, code); };
    if (!type) return nothing(NO_DATA);
    if (!is_dns_name(domain)) return nothing(HOST_NOT_FOUND);
    if (self.missing_) return nothing(TRY_AGAIN);  // this evaluation is thrown away
    Key key{domain, *type};
    lower_case(key.name);
    if (key.name.ends_with('.')) key.name.pop_back();
    const auto known = self.known_.find(key);
    if (known == self.known_.end()) {
      self.missing_ = std::move(key);
      return nothing(TRY_AGAIN);
    }
    switch (known->second.status) {
      case DnsStatus::ok:
        return self.give(*layer, domain, ns, known->second);
      case DnsStatus::no_such_domain:
        return nothing(HOST_NOT_FOUND);
      default:
        return nothing(TRY_AGAIN);
    }
  }

  SPF_dns_rr_t* give(SPF_dns_server_t& layer, const char* domain, ns_type ns,
                     const DnsAnswer& answer) const {
    SPF_dns_rr_t* given = SPF_dns_rr_new_init(&layer, domain, ns, 0, NETDB_SUCCESS);
    if (given == nullptr) return nullptr;
    for (const std::string& record : answer.records) {
      const auto text = to_given(domain, ns, record);
      if (!text) continue;
      // With the final zero of a text; addresses are copied without.
      if (SPF_dns_rr_buf_realloc(given, given->num_rr, text->size() + 1) != SPF_E_SUCCESS) break;
      std::memcpy(given->rr[given->num_rr], text->c_str(), text->size() + 1);
      ++given->num_rr;
    }
    if (given->num_rr == 0) given->herrno = NO_DATA;
    return given;
  }

  // The part of a record that libspf2 may see.
  [[nodiscard]] std::optional<std::string> to_given(std::string_view domain, ns_type ns,
                                                    const std::string& record) const {
    switch (ns) {
      case ns_t_txt:
        if (!is_spf_record(record)) return std::nullopt;
        return safe_spf_record(record, domain, question_).value_or(std::string{kUnacceptable});
      case ns_t_mx:
      case ns_t_ptr:
        return is_dns_name(record) ? std::optional{record} : std::nullopt;
      default:
        return record;
    }
  }

  Resolver& resolver_;
  const SpfIdentity question_;
  const Resolver::Deadline deadline_;
  const std::function<void(std::optional<SpfFound>)> done_;
  std::map<Key, DnsAnswer> known_;
  std::optional<Key> missing_;  // the first answer that the evaluation lacks
};

}  // namespace

void check_spf(Resolver& resolver, SpfIdentity question, Resolver::Deadline deadline,
               std::function<void(std::optional<SpfFound>)> done) {
  std::string domain{domain_of(question.sender)};
  lower_case(domain);
  if (domain.ends_with('.')) domain.pop_back();
  // The resolver rejects the empty name at once, on its own thread.
  if (!may_have_record(domain)) domain.clear();
  std::make_shared<Check>(resolver, std::move(question), deadline, std::move(done))
      ->ask_for({std::move(domain), DnsType::txt});
}

}  // namespace policyd
