// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/postfix/postfix_asks.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
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
constexpr const char* kSenderList = "smtpd_sender_restrictions";
constexpr const char* kEndList = "smtpd_end_of_data_restrictions";

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

bool names_us(std::string_view service, const std::vector<std::string>& ours) {
  return std::any_of(ours.begin(), ours.end(),
                     [&](const std::string& name) { return equal_ignoring_case(name, service); });
}

// "inet:localhost:10031" of "{ inet:localhost:10031, timeout=10s }".
std::string service_of(const std::string& word) {
  if (word.substr(0, 1) != "{") return word;
  const auto words = restriction_words(std::string_view{word}.substr(1, word.size() - 2));
  return words.empty() ? std::string{} : words.front();
}

bool is_permit(std::string_view word) { return word.substr(0, 6) == "permit"; }

// /opt/zextras/common/sbin/postconf, else one of $PATH and /usr/sbin; empty if there is none.
std::string find_postconf(const std::filesystem::path& zextras_home, std::string_view search_path) {
  std::vector<std::string> folders = {(zextras_home / "common" / "sbin").string()};
  for (const std::string_view folder : split(search_path, ':')) folders.emplace_back(folder);
  folders.emplace_back("/usr/sbin");
  for (const std::string& folder : folders) {
    const std::string program = folder + "/postconf";
    if (program.front() == '/' && ::access(program.c_str(), X_OK) == 0) return program;
  }
  return {};
}

}  // namespace

bool SmtpdService::on_loopback() const {
  return name.rfind("127.", 0) == 0 || name.rfind("[::1]", 0) == 0 ||
         name.rfind("localhost:", 0) == 0;
}

std::vector<std::string> restriction_words(std::string_view list) {
  std::vector<std::string> words;
  std::string word;
  int depth = 0;
  for (const char c : list) {
    if (c == '{') ++depth;
    const bool between = depth == 0 && (c == ',' || kSpace.find(c) != std::string_view::npos);
    if (!between) word += c;
    if (c == '}' && depth > 0) --depth;
    if (between && !word.empty()) words.push_back(std::exchange(word, {}));
  }
  if (!word.empty()) words.push_back(word);
  return words;
}

PostfixFacts parse_postfix(std::string_view main_cf, std::string_view services,
                           std::string_view overrides) {
  const auto values = parse_values(main_cf);
  const auto own = parse_values(overrides);  // "smtp/inet/smtpd_sender_restrictions"
  PostfixFacts facts;
  for (const std::string_view line : split(services, '\n')) {
    if (line.empty() || kSpace.find(line.front()) != std::string_view::npos) continue;
    // name type private unprivileged chroot wakeup processes command
    constexpr std::size_t kCommand = 7;
    const auto words = restriction_words(line);
    if (words.size() <= kCommand || words[kCommand] != "smtpd") continue;
    SmtpdService service;
    service.name = words[0];
    service.type = words[1];
    const auto value = [&](const char* name) {
      const auto mine = own.find(fmt::format("{}/{}/{}", service.name, service.type, name));
      if (mine != own.end()) return mine->second;
      const auto common = values.find(name);
      return common == values.end() ? std::string{} : common->second;
    };
    for (const char* name : kRcptLists) service.at_rcpt.push_back(value(name));
    service.sender = value(kSenderList);
    service.end_of_data = value(kEndList);
    facts.services.push_back(std::move(service));
  }
  return facts;
}

PostfixFacts read_postfix(const std::filesystem::path& zextras_home, std::string_view search_path,
                          const std::optional<std::filesystem::path>& config) {
  const std::string program = find_postconf(zextras_home, search_path);
  std::string why_not = program.empty() ? "this host has no postconf" : "";
  const auto ask = [&](std::vector<std::string> words) -> std::string {
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
  std::vector<std::string> names = {"-x"};
  names.insert(names.end(), kRcptLists.begin(), kRcptLists.end());
  names.emplace_back(kEndList);
  const std::string main_cf = why_not.empty() ? ask(names) : "";
  const std::string services = why_not.empty() ? ask({"-M"}) : "";
  const std::string overrides = why_not.empty() ? ask({"-Px"}) : "";
  PostfixFacts facts = parse_postfix(main_cf, services, overrides);
  facts.program = program;
  facts.why_not = why_not;
  if (why_not.empty() && facts.services.empty()) {
    facts.why_not = "its master.cf has no smtpd";
  }
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

Asking asking(const std::vector<std::string>& lists, const std::vector<std::string>& ours) {
  Asking out;
  bool unconditional = false;
  for (const std::string& list : lists) {
    std::vector<std::string> permits;
    const auto words = restriction_words(list);
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (is_permit(words[i])) permits.push_back(words[i]);
      if (words[i] == "reject" || words[i] == "defer" || words[i] == "permit") break;
      if (words[i] != "check_policy_service" || i + 1 == words.size()) continue;
      const std::string service = service_of(words[++i]);
      if (!names_us(service, ours)) {
        out.elsewhere.push_back(service);
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

bool asks_us(const PostfixFacts& facts, const policyd::Config& config) {
  const auto ours = policy_service_names(config);
  return std::any_of(facts.services.begin(), facts.services.end(), [&](const auto& service) {
    return asking(service.at_rcpt, ours).asks || asking({service.end_of_data}, ours).asks;
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
