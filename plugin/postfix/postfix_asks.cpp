// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/postfix/postfix_asks.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <utility>

#include "hooks/system/run_program.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::chrono::seconds kDeadline{10};
constexpr std::string_view kSpace = " \t\r\n";

constexpr std::array kRcptLists = {"smtpd_client_restrictions", "smtpd_helo_restrictions",
                                   "smtpd_sender_restrictions", "smtpd_relay_restrictions",
                                   "smtpd_recipient_restrictions"};
// Those that run before RCPT TO unless smtpd_delay_reject has them wait.
constexpr std::size_t kEarlyLists = 3;
constexpr const char* kEndList = "smtpd_end_of_data_restrictions";
constexpr const char* kDelay = "smtpd_delay_reject";
constexpr const char* kDelimiter = "recipient_delimiter";
constexpr const char* kLogins = "smtpd_sasl_auth_enable";
constexpr const char* kOrigin = "myorigin";
constexpr const char* kClasses = "smtpd_restriction_classes";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// "name = value" lines.
std::map<std::string, std::string> parse_values(std::string_view text) {
  std::map<std::string, std::string> values;
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    values[std::string{trimmed(line.substr(0, equals))}] = trimmed(line.substr(equals + 1));
  }
  return values;
}

// /opt/zextras/common/sbin/postconf, else one of $PATH and /usr/sbin; empty if there is none.
std::string find_postconf(const std::filesystem::path& zextras_home, std::string_view search_path) {
  std::vector<std::string> folders = {(zextras_home / "common" / "sbin").string()};
  for (const std::string_view folder : split(search_path, ':')) folders.emplace_back(folder);
  folders.emplace_back("/usr/sbin");
  for (const std::string& folder : folders) {
    std::string program = folder + "/postconf";
    if (program.front() == '/' && ::access(program.c_str(), X_OK) == 0) return program;
  }
  return {};
}

// Of all lists, by their text.
std::map<std::string, Restriction> access_checks(const PostfixFacts& facts) {
  std::map<std::string, Restriction> out;
  for (const SmtpdService& service : facts.services) {
    for (const RestrictionList& list : service.at_rcpt) {
      for (const Restriction& each : restrictions_of(list.value, {})) {
        if (each.is_access_check()) out.emplace(each.text(), each);
      }
    }
  }
  return out;
}

// "/etc/mailname" stands for its first line, on Debian.
void read_origin(PostfixFacts& facts) {
  constexpr std::streamsize kMaxLine = 512;
  if (!facts.myorigin.starts_with('/')) return;
  std::array<char, kMaxLine> line{};
  std::ifstream file{facts.myorigin};
  if (file.getline(line.data(), kMaxLine)) facts.myorigin = trimmed(line.data());
}

// The maps that may permit mail before we are asked.
void read_maps(PostfixFacts& facts) {
  constexpr std::size_t kMaxMaps = 50;
  std::size_t read = 0;
  for (const auto& [restriction, check] : access_checks(facts)) {
    const auto text =
        ++read > kMaxMaps ? std::nullopt : read_access_map(check.argument, facts.program);
    if (text && check.is("check_sender_access") && map_refuses_empty_sender(*text)) {
      facts.maps_against_empty_sender.insert(restriction);
    }
    if (!text) {
      facts.unread_maps.insert(restriction);
    } else if (map_permits(*text, facts.classes)) {
      facts.permitting_maps.insert(restriction);
    }
  }
}

}  // namespace

bool SmtpdService::on_loopback() const {
  return name.rfind("127.", 0) == 0 || name.rfind("[::1]", 0) == 0 ||
         name.rfind("localhost:", 0) == 0;
}

PostfixFacts parse_postfix(const PostconfOutput& output) {
  const auto values = parse_values(output.main_cf);
  const auto written = parse_values(output.main_cf_written);
  // "smtp/inet/smtpd_sender_restrictions"
  const auto own = parse_values(output.overrides);
  const auto own_written = parse_values(output.overrides_written);
  const auto value_in = [](const std::map<std::string, std::string>& all, const std::string& name) {
    const auto found = all.find(name);
    return found == all.end() ? std::string{} : found->second;
  };
  PostfixFacts facts;
  auto& classes = facts.classes;
  for (const std::string& name : restriction_words(value_in(values, kClasses))) {
    if (values.contains(name)) classes[name] = value_in(values, name);
  }
  facts.recipient_delimiter = value_in(values, kDelimiter);
  facts.myorigin = value_in(values, kOrigin);
  for (const std::string_view line : split(output.services, '\n')) {
    if (line.empty() || kSpace.find(line.front()) != std::string_view::npos) continue;
    // name type private unprivileged chroot wakeup processes command
    constexpr std::size_t kCommand = 7;
    const auto words = restriction_words(line);
    if (words.size() <= kCommand || words[kCommand] != "smtpd") continue;
    SmtpdService service;
    service.name = words[0];
    service.type = words[1];
    const auto list = [&](const char* name) {
      const std::string key = fmt::format("{}/{}/{}", service.name, service.type, name);
      const bool mine = own.contains(key);
      return RestrictionList{
          name, with_classes(mine ? value_in(own, key) : value_in(values, name), classes),
          mine ? value_in(own_written, key) : value_in(written, name), mine};
    };
    const bool early = equal_ignoring_case(list(kDelay).value, "no");
    for (std::size_t i = 0; i < kRcptLists.size(); ++i) {
      (early && i < kEarlyLists ? service.before_rcpt : service.at_rcpt)
          .push_back(list(kRcptLists.at(i)));
    }
    service.end_of_data = list(kEndList);
    service.takes_logins = equal_ignoring_case(list(kLogins).value, "yes");
    facts.services.push_back(std::move(service));
  }
  return facts;
}

PostfixFacts read_postfix(const std::filesystem::path& zextras_home, std::string_view search_path,
                          const std::optional<std::filesystem::path>& config) {
  const std::string program = find_postconf(zextras_home, search_path);
  std::string why_not = program.empty() ? "this host has no postconf" : "";
  const auto ask = [&](std::vector<std::string> words) -> std::string {
    if (!why_not.empty()) return {};
    std::vector<std::string> all = {program};
    if (config) all.insert(all.end(), {"-c", config->string()});
    all.insert(all.end(), words.begin(), words.end());
    const auto output = carbonio::run_program({all, kDeadline});
    if (!output) {
      why_not = fmt::format("{}: {}", program, output.error().message);
      return {};
    }
    if (output->status != 0) {
      constexpr std::size_t kMaxShown = 200;
      std::string_view text = output->err.empty() ? output->out : output->err;
      // postconf itself begins with its own path
      if (const std::string itself = program + ": "; text.starts_with(itself)) {
        text.remove_prefix(itself.size());
      }
      why_not = fmt::format("{}: {}", program, escaped(trimmed(text.substr(0, kMaxShown))));
    }
    return output->out;
  };
  PostconfOutput output;
  const std::string classes = ask({"-hx", kClasses});
  std::vector<std::string> names{kRcptLists.begin(), kRcptLists.end()};
  names.insert(names.end(), {kEndList, kDelay, kClasses, kDelimiter, kOrigin, kLogins});
  for (std::string& name : restriction_words(classes)) names.push_back(std::move(name));
  const auto with = [&](const char* option) {
    std::vector<std::string> words = {option};
    words.insert(words.end(), names.begin(), names.end());
    return words;
  };
  output.main_cf = ask(with("-x"));
  output.main_cf_written = ask(names);
  output.services = ask({"-M"});
  output.overrides = ask({"-Px"});
  output.overrides_written = ask({"-P"});
  PostfixFacts facts = parse_postfix(output);
  facts.program = program;
  facts.why_not = why_not;
  if (why_not.empty() && facts.services.empty()) {
    facts.why_not = "its master.cf has no smtpd";
  }
  if (facts.why_not.empty()) read_maps(facts);
  read_origin(facts);
  return facts;
}

std::vector<const SmtpdService*> services_for_clients(const PostfixFacts& facts) {
  std::vector<const SmtpdService*> all;
  std::vector<const SmtpdService*> open;
  for (const SmtpdService& service : facts.services) {
    all.push_back(&service);
    if (!service.on_loopback()) open.push_back(&service);
  }
  return open.empty() ? all : open;
}

std::vector<std::string> policy_service_names(const policyd::Config& config) {
  if (config.unix_socket) return {"unix:" + config.port};
  std::vector<std::string> names;
  for (const char* host : {"localhost", "127.0.0.1", "[127.0.0.1]", "[::1]"}) {
    names.push_back(fmt::format("inet:{}:{}", host, config.port));
  }
  if (config.host != "*") {
    names.push_back(fmt::format("inet:{}:{}", config.host, config.port));
    names.push_back(fmt::format("inet:[{}]:{}", config.host, config.port));
  }
  names.push_back("inet:" + config.port);
  return names;
}

Asking asking(const std::vector<RestrictionList>& lists, const std::vector<std::string>& ours,
              const std::set<std::string>& permitting) {
  Asking out;
  bool unconditional = false;
  for (const RestrictionList& list : lists) {
    std::vector<std::string> permits;
    bool warns = false;
    for (const Restriction& each : restrictions_of(list.value, ours)) {
      if (!each.unknown.empty()) break;
      const bool warned = std::exchange(warns, each.is("warn_if_reject"));
      if (each.is_permit()) permits.push_back(each.name);
      if (each.is_last()) break;
      const std::string restriction = each.text();
      if (each.is_access_check() && permitting.contains(restriction))
        permits.push_back(restriction);
      if (!each.is(kPolicyCheck)) continue;
      if (!names_policy_service(each.argument, ours)) {
        out.elsewhere.push_back(policy_service_of(each.argument));
        continue;
      }
      if (warned) {
        out.only_warns = true;
        continue;
      }
      unconditional = unconditional || permits.empty();
      if (!out.asks || permits.size() < out.permits.size()) out.permits = permits;
      out.asks = true;
      break;
    }
  }
  if (unconditional) out.permits.clear();
  return out;
}

std::string asking_first(std::string_view written, const std::vector<std::string>& ours) {
  std::vector<Restriction> out = {{std::string{kPolicyCheck}, ours.front(), {}}};
  for (Restriction& each : restrictions_of(written, ours)) {
    if (!each.is(kPolicyCheck) || !names_policy_service(each.argument, ours)) {
      out.push_back(std::move(each));
    } else if (out.back().is("warn_if_reject")) {
      out.pop_back();
    }
  }
  return list_text(out);
}

std::optional<std::string> list_without_blanks(std::string_view list) {
  std::string out;
  for (const std::string& word : restriction_words(list)) {
    if (word.find_first_of(kSpace) != std::string::npos) return std::nullopt;
    out += (out.empty() ? "" : ",") + word;
  }
  return out;
}

bool asks_us(const PostfixFacts& facts, const policyd::Config& config) {
  const auto ours = policy_service_names(config);
  return std::any_of(facts.services.begin(), facts.services.end(), [&](const auto& service) {
    return asking(service.at_rcpt, ours).asks || asking(service.before_rcpt, ours).asks ||
           asking({service.end_of_data}, ours).asks;
  });
}

PostfixView inspect_postfix(const std::filesystem::path& zextras_home, std::string_view search_path,
                            const policyd::Config& config) {
  using Asks = PostfixView::Asks;
  const PostfixFacts facts = read_postfix(zextras_home, search_path, std::nullopt);
  if (!facts.why_not.empty()) {
    return {Asks::unknown, fmt::format("whether Postfix asks: {}", escaped(facts.why_not))};
  }
  const auto ours = policy_service_names(config);
  for (const SmtpdService* service : services_for_clients(facts)) {
    if (asking(service->at_rcpt, ours).asks) continue;
    return {asks_us(facts, config) ? Asks::somewhere : Asks::nowhere,
            fmt::format("Postfix's {} does not ask the daemon", service->name)};
  }
  return {Asks::everywhere, fmt::format("Postfix asks the daemon ({})", ours.front())};
}

}  // namespace limits
