// SPDX-License-Identifier: AGPL-3.0-only
// Whether Postfix asks us about a message, and what it lets through without asking, according to
// its own postconf. Pure, except read_postfix and inspect_postfix.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"

namespace limits {

// An smtpd of master.cf with the restrictions that apply to it.
struct SmtpdService {
  std::string name;  // "smtp", "127.0.0.1:10025"
  std::string type;  // "inet", "pass"
  // client, helo, sender, relay and recipient restrictions, which all run at RCPT TO
  std::vector<std::string> at_rcpt;
  std::string sender;       // smtpd_sender_restrictions
  std::string end_of_data;  // smtpd_end_of_data_restrictions
  [[nodiscard]] bool on_loopback() const;
};

struct PostfixFacts {
  std::string program;  // postconf
  std::string why_not;  // why nothing is known; empty otherwise
  std::vector<SmtpdService> services;
};

// The output of `postconf -x`, `postconf -M` and `postconf -Px`.
PostfixFacts parse_postfix(std::string_view main_cf, std::string_view services,
                           std::string_view overrides);

// Runs Carbonio's postconf, or else one of `search_path` or /usr/sbin, three times, at most ten
// seconds each. `config`: the folder of main.cf, if not the default one.
PostfixFacts read_postfix(const std::filesystem::path& zextras_home, std::string_view search_path,
                          const std::optional<std::filesystem::path>& config);
// The services that take mail from clients: not those on the loopback, where filters return mail,
// unless there are no others.
std::vector<const SmtpdService*> services_for_clients(const PostfixFacts& facts);

// The names that Postfix may use for the daemon: "inet:localhost:10031", "unix:/a/b".
std::vector<std::string> policy_service_names(const policyd::Config& config);

// The words of a restrictions list: separated by white space and commas; {...} is one word.
std::vector<std::string> restriction_words(std::string_view list);

struct Asking {
  bool asks = false;  // one of the lists has check_policy_service for us
  // Permits before it in each list that has it: mail that passes without being asked about.
  std::vector<std::string> permits;
  std::vector<std::string> elsewhere;  // other policy services that are asked
};
// `ours` are policy_service_names.
Asking asking(const std::vector<std::string>& lists, const std::vector<std::string>& ours);

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
