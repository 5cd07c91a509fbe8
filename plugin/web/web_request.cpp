// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/web/web_request.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/base/ascii.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/web/page_files.hpp"

namespace limits {
namespace {

constexpr std::string_view kApi = "/api/";
constexpr std::string_view kForm = "application/x-www-form-urlencoded";
constexpr std::string_view kJson = "application/json";
constexpr std::string_view kWord = "word";    // what follows the subcommand, such as an address
constexpr std::string_view kToken = "token";  // of a form, or of a link
constexpr std::string_view kText = "text";    // what `import` reads
constexpr std::string_view kDryRun = "dry-run";

// Which subcommand a path runs. `options` are those that may be given; all others are unknown.
struct Endpoint {
  std::string_view path;
  std::string_view words;    // separated by blanks
  std::string_view options;  // likewise
  std::size_t max_words = 0;
  bool changes = false;
  bool json = true;
  Lane lane = Lane::quick;
};

constexpr std::string_view kTarget =
    "everyone anyone domain user login group client from except per verdict message name off then";
constexpr std::array kEndpoints = {
    // Path, words, options, most words, whether it changes something, prints JSON, its lane.
    Endpoint{"usage", "usage --json", "top limit", 1},
    Endpoint{"refused", "refused --json", "top limit since today watched by-hour", 1},
    Endpoint{"history", "history --json", "top since", 1, false, true, Lane::reports},
    Endpoint{"changes", "changes --json", "top since", 0},
    Endpoint{"limits", "list --json", "", 0},
    Endpoint{"limit", "show --json", "", 1},
    Endpoint{"explain", "explain --json", "from to client sasl helo size", 0},
    Endpoint{"simulate", "simulate --json --svg=-",
             "everyone anyone domain user login group client from except per verdict since top", 10,
             false, true, Lane::log},
    Endpoint{"blocked", "blocked --json", "past since", 0},
    Endpoint{"signals", "signal --json", "", 0, false, true, Lane::reports},
    Endpoint{"doctor", "doctor --json", "", 0, false, true, Lane::slow},
    Endpoint{"status", "service status --json", "", 0, false, true, Lane::slow},
    Endpoint{"cluster", "cluster status --json", "", 0, false, true, Lane::slow},
    Endpoint{"export", "export", "", 0, false, false},
    Endpoint{"send", "send", kTarget, 8, true, false},
    Endpoint{"receive", "receive", kTarget, 8, true, false},
    Endpoint{"set", "set", "", 9, true, false},
    Endpoint{"on", "on", "", 20, true, false},
    Endpoint{"off", "off", "", 20, true, false},
    Endpoint{"remove", "remove", "", 20, true, false},
    Endpoint{"import", "import -", "", 0, true, false},
    Endpoint{"reset", "reset", "limit", 1, true, false},
    // Without what needs root, which the page's process cannot become: holding queued mail.
    Endpoint{"block", "block", "for account", 1, true, false, Lane::slow},
    Endpoint{"unblock", "unblock", "", 1, true, false, Lane::slow},
    Endpoint{"pause", "pause", "uncounted", 1, true, false},
    Endpoint{"resume", "resume", "", 0, true, false},
};

// Those without a value, of all endpoints.
constexpr std::string_view kFlags =
    "today watched by-hour past everyone anyone off account uncounted dry-run";

// Those with which something can be tried before.
constexpr std::string_view kWithDryRun = "send receive set on off remove import block unblock";

bool is_one_of_words(std::string_view word, std::string_view words) {
  const auto all = split(words, ' ');
  return std::find(all.begin(), all.end(), word) != all.end();
}

Refused refused(unsigned status, std::string text) { return {status, std::move(text)}; }

constexpr std::string_view kPost = "POST";
constexpr std::string_view kGet = "GET";
constexpr std::string_view kReading = "GET, HEAD";

Refused refused_method(std::string_view path, std::string_view allow) {
  return {405, fmt::format("{} needs {}", shown(path), allow.substr(0, allow.find(','))),
          std::string{allow}};
}

std::optional<char> hex_byte(std::string_view two) {
  if (two.size() < 2 || !policyd::is_hex_digit(two[0]) || !policyd::is_hex_digit(two[1])) {
    return std::nullopt;
  }
  const auto digit = [](char c) {
    return policyd::is_digit(c) ? c - '0' : policyd::lower(c) - 'a' + 10;
  };
  return static_cast<char>(digit(two[0]) * 16 + digit(two[1]));
}

std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const auto byte = hex_byte(text.substr(i + 1));
      if (!byte) return std::nullopt;
      out += *byte;
      i += 2;
    }
  }
  return out;
}

// False if it is beyond the bounds.
bool add_parameter(Parameters& all, std::size_t& count, std::string name, std::string value) {
  const std::size_t most = name == kText ? kMaxBodyBytes : kMaxParameterBytes;
  if (name.empty() || name.size() > kMaxParameterBytes || value.size() > most ||
      ++count > kMaxParameters) {
    return false;
  }
  all[std::move(name)].push_back(std::move(value));
  return true;
}

// Where a program takes its words, a text would end there.
bool is_whole(std::string_view value) { return value.find('\0') == std::string_view::npos; }

Wanted call_of(const Endpoint& endpoint, Parameters&& parameters, bool from_form) {
  Call call;
  call.changes = endpoint.changes;
  call.json = endpoint.json;
  // To try a change runs no other program.
  call.lane = parameters.contains(kDryRun) ? Lane::quick : endpoint.lane;
  call.from_form = from_form;
  for (const std::string_view word : split(endpoint.words, ' ')) call.words.emplace_back(word);
  std::vector<std::string> words;
  const bool takes_text = endpoint.words.ends_with(" -");  // from standard input
  if (takes_text) call.input.emplace();
  for (auto& [name, values] : parameters) {
    if (name == kText && takes_text) {
      call.input = std::move(values.front());
      continue;
    }
    if (!std::all_of(values.begin(), values.end(), is_whole)) {
      return refused(400, fmt::format("'{}' contains a NUL", shown(name)));
    }
    if (name == kToken && endpoint.changes) {
      call.form_token = values.front();
    } else if (name == kWord) {
      words = std::move(values);
    } else if (is_one_of_words(name, endpoint.options) ||
               (name == kDryRun && is_one_of_words(endpoint.path, kWithDryRun))) {
      const bool flag = is_one_of_words(name, kFlags);
      for (const std::string& value : values) {
        // Without its value an option would take the next word for it.
        if (value.empty() && !flag) return refused(400, fmt::format("'{}' is empty", name));
        call.words.push_back(flag && value.empty() ? "--" + name
                                                   : fmt::format("--{}={}", name, value));
      }
    } else {
      return refused(400, fmt::format("{} takes no '{}'", endpoint.path, shown(name)));
    }
  }
  if (words.size() > endpoint.max_words) {
    return refused(400,
                   fmt::format("{} takes {}", endpoint.path,
                               endpoint.max_words == 0 ? std::string{"no 'word'"}
                                                       : counted(endpoint.max_words, "'word'")));
  }
  // Names come from strangers: none that begins with '-' becomes an option.
  if (!words.empty()) call.words.emplace_back("--");
  for (std::string& word : words) {
    if (word.empty()) return refused(400, "a 'word' is empty");
    call.words.push_back(std::move(word));
  }
  return call;
}

Wanted api_call_of(const WebRequest& request, std::string_view path, std::string_view query) {
  const auto* endpoint = std::find_if(kEndpoints.begin(), kEndpoints.end(),
                                      [&](const Endpoint& each) { return each.path == path; });
  if (endpoint == kEndpoints.end()) return refused(404, "there is no such page");
  if (endpoint->changes ? request.method != kPost : !is_reading(request.method)) {
    return refused_method(fmt::format("{}{}", kApi, endpoint->path),
                          endpoint->changes ? kPost : kReading);
  }
  if (!endpoint->changes) {
    auto parameters = parse_query(query);
    if (!parameters) return refused(400, "the query cannot be read");
    return call_of(*endpoint, std::move(*parameters), false);
  }
  const std::string_view type = request.content_type.substr(0, request.content_type.find(';'));
  const bool form = equal_ignoring_case(type, kForm);
  if (!form && !equal_ignoring_case(type, kJson)) {
    return refused(415, fmt::format("a change is {} or a form", kJson));
  }
  if (form) {
    auto parameters = parse_query(request.body);
    if (!parameters) return refused(400, "the change cannot be read");
    return call_of(*endpoint, std::move(*parameters), true);
  }
  auto parameters = parse_json_parameters(request.body);
  if (!parameters) return refused(400, parameters.error().message);
  return call_of(*endpoint, std::move(*parameters), false);
}

}  // namespace

std::optional<Parameters> parse_query(std::string_view text) {
  Parameters out;
  std::size_t count = 0;
  if (text.empty()) return out;
  for (const std::string_view pair : split(text, '&')) {
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    auto name = decoded(pair.substr(0, equals));
    auto value = decoded(pair.substr(std::min(equals + 1, pair.size())));
    if (!name || !value || !add_parameter(out, count, std::move(*name), std::move(*value))) {
      return std::nullopt;
    }
  }
  return out;
}

policyd::Result<Parameters> parse_json_parameters(std::string_view text) {
  using policyd::failure;
  if (text.size() > kMaxBodyBytes) return failure("the change is too long");
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return failure("the change is not a JSON object");
  Parameters out;
  std::size_t count = 0;
  const auto add = [&](const std::string& name, std::string value) -> policyd::Result<void> {
    if (add_parameter(out, count, name, std::move(value))) return {};
    if (count > kMaxParameters) {
      return failure(fmt::format("the change has more than {} values", kMaxParameters));
    }
    return failure(name.empty() ? "a name is empty"
                                : fmt::format("'{}' is longer than {} bytes", shown(name),
                                              name == kText ? kMaxBodyBytes : kMaxParameterBytes));
  };
  const auto add_value = [&](const std::string& name,
                             const nlohmann::json& value) -> policyd::Result<void> {
    if (value.is_number_integer()) return add(name, value.dump());
    if (!value.is_string()) return failure(fmt::format("'{}' has to be a string", shown(name)));
    auto words = value.get<std::string>();
    if (words.empty()) return failure(fmt::format("'{}' is empty", shown(name)));
    return add(name, std::move(words));
  };
  for (const auto& item : json.items()) {
    const std::string& name = item.key();
    const nlohmann::json& value = item.value();
    policyd::Result<void> added;
    if (value.is_boolean()) {
      if (value.get<bool>()) added = add(name, "");
    } else if (value.is_array()) {
      for (const nlohmann::json& each : value) {
        if (added = add_value(name, each); !added) break;
      }
    } else {
      added = add_value(name, value);
    }
    if (!added) return tl::unexpected{added.error()};
  }
  return out;
}

std::string_view cookie_of(std::string_view header, std::string_view name) {
  for (std::string_view pair : split(header, ';')) {
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    if (pair.starts_with(name) && pair.substr(name.size()).starts_with('=')) {
      return pair.substr(name.size() + 1);
    }
  }
  return {};
}

bool is_one_of_hosts(std::string_view host, const std::vector<std::string>& allowed) {
  // The port, unless the colon is within an IPv6 address in brackets.
  const std::size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) {
    if (policyd::parse_number<std::uint16_t>(host.substr(colon + 1)).value_or(0) == 0) return false;
    host = host.substr(0, colon);
  }
  return std::any_of(allowed.begin(), allowed.end(),
                     [&](const std::string& each) { return equal_ignoring_case(host, each); });
}

bool is_reading(std::string_view method) { return method == kGet || method == "HEAD"; }

Wanted wanted_of(const WebRequest& request) {
  if (request.target.size() > kMaxTargetBytes) return refused(414, "the address is too long");
  if (request.body.size() > kMaxBodyBytes) return refused(413, "the request is too large");
  const std::size_t mark = std::min(request.target.find('?'), request.target.size());
  const std::string_view path = request.target.substr(0, mark);
  const std::string_view query = request.target.substr(std::min(mark + 1, request.target.size()));
  if (path.starts_with(kApi)) return api_call_of(request, path.substr(kApi.size()), query);
  if (path == "/sign-out") {
    if (request.method != kPost) return refused_method(path, kPost);
    return SignOut{};
  }
  // HEAD would use the link up.
  const bool signs_in = path == "/sign-in";
  if (signs_in ? request.method != kGet : !is_reading(request.method)) {
    return refused_method(path, signs_in ? kGet : kReading);
  }
  if (path == "/") return FirstPage{};
  if (signs_in) {
    auto parameters = parse_query(query);
    if (!parameters || !parameters->contains(kToken)) return refused(400, "the link is incomplete");
    return SignIn{parameters->find(kToken)->second.front()};
  }
  if (path.starts_with('/') && find_page_file(path.substr(1)) != nullptr) {
    return AskedFile{std::string{path.substr(1)}};
  }
  return refused(404, "there is no such page");
}

}  // namespace limits
