// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/usage/shared_counters.hpp"

#include <algorithm>
#include <string>

#include "daemon/base/ip_address.hpp"
#include "daemon/names/name_form.hpp"
#include "daemon/rules/match/matcher.hpp"
#include "daemon/rules/rules_loader.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {
namespace {

bool is_shared(const StoredLimit& limit) { return equal_ignoring_case(limit.track, kSharedKey); }

// The policies that the mail of somebody matches.
class Matching {
 public:
  explicit Matching(const policyd::Rules& rules) : rules_(rules) {}

  void mail(std::string_view sender, std::string_view recipient, std::string_view login,
            const char* client) {
    policyd::Request request;
    request.state = policyd::ProtocolState::rcpt;
    request.sender = sender;
    request.recipient = recipient;
    if (!login.empty()) request.sasl_username = login;
    request.client_address = *policyd::IpAddress::parse(client);
    request.client_name = request.reverse_client_name = "unknown";
    for (const std::uint32_t index : matcher_.match(*rules_.index, request)) {
      policies_.insert(rules_.policies[index].id);
    }
  }

  // What `who` sends, with a login and from this host, and what is sent to it.
  void all_mail_of(std::string_view who) {
    const std::string text = policyd::login_form(who);
    if (policyd::IpAddress::parse(text)) return mail(kStranger, kStranger, {}, text.c_str());
    std::string user = text.starts_with("@") ? "user" + text : text;
    if (text.find('@') == std::string::npos) {
      if (text.find('.') == std::string::npos) return mail(kStranger, kStranger, text, kElsewhere);
      user = "user@" + policyd::domain_form(who);
    }
    mail(user, kStranger, user, kElsewhere);
    mail(user, kStranger, {}, "127.0.0.1");
    mail(kStranger, user, {}, kElsewhere);
  }

  [[nodiscard]] bool has(std::int64_t policy) const { return policies_.contains(policy); }

 private:
  static constexpr const char* kStranger = "someone@elsewhere.invalid";
  static constexpr const char* kElsewhere = "198.51.100.77";

  const policyd::Rules& rules_;
  policyd::Matcher matcher_;
  std::unordered_set<std::int64_t> policies_;
};

}  // namespace

Result<std::unordered_set<std::int64_t>> shared_rows_of(const Tables& tables,
                                                        const std::vector<StoredLimit>& limits,
                                                        std::string_view who) {
  std::unordered_set<std::int64_t> out;
  if (std::none_of(limits.begin(), limits.end(), is_shared)) return out;
  const auto rules = policyd::load_rules(tables.db, tables.prefix, std::nullopt);
  if (!rules) return policyd::failure(rules.error().message);
  Matching matching{**rules};
  matching.all_mail_of(who);
  for (const StoredLimit& limit : limits) {
    if (!is_shared(limit) || !matching.has(limit.policy_id)) continue;
    for (const StoredRate& rate : limit.rates) out.insert(rate.limit_id);
  }
  return out;
}

}  // namespace limits
