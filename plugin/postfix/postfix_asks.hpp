// SPDX-License-Identifier: AGPL-3.0-only
// Whether Postfix asks us about a message, and what it lets through without asking, according to
// its own postconf. Pure, except read_postfix and inspect_postfix.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"
#include "plugin/postfix/restriction_list.hpp"
#include "plugin/postfix/restrictions.hpp"

namespace limits {

// A list of restrictions as it applies to an smtpd.
struct RestrictionList {
  std::string name;     // "smtpd_sender_restrictions"
  std::string value;    // variables and restriction classes replaced by what they stand for
  std::string written;  // as in the file
  bool own = false;     // from master.cf, which overrides main.cf
};

// An smtpd of master.cf with the restrictions that apply to it.
struct SmtpdService {
  std::string name;  // "smtp", "127.0.0.1:10025"
  std::string type;  // "inet", "pass"
  // Client, helo, sender, relay and recipient restrictions, as far as they run at RCPT TO.
  std::vector<RestrictionList> at_rcpt;
  std::vector<RestrictionList> before_rcpt;  // the others: smtpd_delay_reject = no
  RestrictionList end_of_data;
  bool takes_logins = false;  // smtpd_sasl_auth_enable
  [[nodiscard]] bool on_loopback() const;
};

struct PostfixFacts {
  std::string program;  // postconf
  std::string why_not;  // why nothing is known; empty otherwise
  std::vector<SmtpdService> services;
  // "check_client_access hash:/etc/postfix/friends": permit some mail (OK).
  std::set<std::string> permitting_maps;
  std::set<std::string> unread_maps;           // likewise; of other kinds (ldap), or not readable
  std::map<std::string, std::string> classes;  // restriction classes and their lists
  // "check_sender_access inline:{<>=REJECT}": refuse the empty sender.
  std::set<std::string> maps_against_empty_sender;
  std::string recipient_delimiter;
  std::string myorigin;  // the domain itself, where main.cf names a file that has it
};

// What postconf prints.
struct PostconfOutput {
  std::string main_cf;            // postconf -x
  std::string main_cf_written;    // postconf
  std::string services;           // postconf -M
  std::string overrides;          // postconf -Px
  std::string overrides_written;  // postconf -P
};
PostfixFacts parse_postfix(const PostconfOutput& output);

// Runs Carbonio's postconf, or else one of `search_path` or /usr/sbin, a few times, at most ten
// seconds each, and reads the access maps that come before our check. `config`: the folder of
// main.cf, if not the default one.
PostfixFacts read_postfix(const std::filesystem::path& zextras_home, std::string_view search_path,
                          const std::optional<std::filesystem::path>& config);
// The services that take mail from clients: not those on the loopback, where filters return mail,
// unless there are no others.
std::vector<const SmtpdService*> services_for_clients(const PostfixFacts& facts);

// The names that Postfix may use for the daemon: "inet:localhost:10031", "unix:/a/b".
std::vector<std::string> policy_service_names(const policyd::Config& config);

struct Asking {
  bool asks = false;  // one of the lists has check_policy_service for us
  // Permits before it in each list that has it: mail that passes without being asked about.
  std::vector<std::string> permits;
  std::vector<std::string> elsewhere;  // other policy services that are asked
  bool only_warns = false;             // warn_if_reject: we are asked, and the answer is ignored
};
// `ours` are policy_service_names; `permitting` maps as in PostfixFacts. Of a list only what comes
// before the first word that Postfix does not know.
Asking asking(const std::vector<RestrictionList>& lists, const std::vector<std::string>& ours,
              const std::set<std::string>& permitting = {});

// The list, as written, with our check at its beginning and nowhere else, and without unknown
// words.
std::string asking_first(std::string_view written, const std::vector<std::string>& ours);

// Without blanks for `postconf -P`, which does not take them; nullopt if the list needs some.
std::optional<std::string> list_without_blanks(std::string_view list);

// Whether any of its services is known to ask us.
bool asks_us(const PostfixFacts& facts, const policyd::Config& config);

// Summary for this host.
struct PostfixView {
  enum class Asks : std::uint8_t { unknown, nowhere, somewhere, everywhere } asks = Asks::unknown;
  std::string what;  // a sentence without a full stop
};

// Everywhere: each smtpd that takes mail from clients asks at RCPT. Runs postconf as the current
// user, since only root may be able to read master.cf.
PostfixView inspect_postfix(const std::filesystem::path& zextras_home, std::string_view search_path,
                            const policyd::Config& config);

}  // namespace limits
