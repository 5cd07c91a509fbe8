// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/redis_address.hpp"

#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "daemon/base/ascii.hpp"
#include "daemon/base/ip_address.hpp"
#include "daemon/base/printable.hpp"
#include "daemon/config/ini.hpp"

namespace policyd {
namespace {

constexpr std::size_t kMaxUrl = 2048;
constexpr std::size_t kMaxHosts = 16;
constexpr std::size_t kMaxHostName = 253;
constexpr std::size_t kMaxLabel = 63;
constexpr std::size_t kMaxWord = 100;  // of a user or a master
constexpr int kLargestDatabase = 65'535;
constexpr std::size_t kMaxSocketPathBytes = sizeof(sockaddr_un::sun_path) - 1;
constexpr std::uint16_t kRedisPort = 6379;
constexpr std::uint16_t kSentinelPort = 26379;
constexpr std::string_view kForms =
    "redis://[USER@]HOST[:PORT][,HOST...][/DATABASE], "
    "sentinel://[USER@]HOST[:PORT][,HOST...]/MASTER[/DATABASE] or "
    "unix://[USER@]/PATH[?db=DATABASE]";
constexpr std::string_view kNoPassword =
    "not a valid url: it contains a password, which every user could read; write the password to a "
    "file of mode 0640 and name that with password_file";
constexpr std::string_view kNoTls =
    "not a valid url: TLS is not supported; let stunnel or the mesh encrypt, and write the address "
    "where that listens as redis://127.0.0.1:PORT";

tl::unexpected<Error> not_valid(std::string_view what, std::string_view value,
                                std::string_view right) {
  return failure(fmt::format("not a valid {} in url: {}; {}", what, in_quotes(value), right));
}

// Only digits, and within the bounds.
std::optional<int> number_in_url(std::string_view text, int min, int max) {
  int value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || !is_digit(text.front()) || error != std::errc{} || rest != end ||
      value < min || value > max) {
    return std::nullopt;
  }
  return value;
}

bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= kMaxWord &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return is_letter(c) || is_digit(c) || c == '.' || c == '-' || c == '_';
         });
}

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= kMaxLabel && label.front() != '-' &&
         label.back() != '-' && std::all_of(label.begin(), label.end(), [](char c) {
           return is_letter(c) || is_digit(c) || c == '-' || c == '_';
         });
}

// What has only digits and dots must be an address: "10.0.0" is a slip, not a name.
bool is_host_name(std::string_view name) {
  if (name.size() > kMaxHostName) return false;
  if (name.find_first_not_of("0123456789.") == std::string_view::npos) {
    return IpAddress::parse(name).has_value();
  }
  if (name.ends_with('.')) name.remove_suffix(1);
  while (true) {
    const std::size_t dot = name.find('.');
    if (!is_label(name.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

Result<RedisHost> read_host(std::string_view text, std::uint16_t standard_port) {
  constexpr std::string_view kRight =
      "a name, an IPv4 address, or an IPv6 address in brackets, such as [2001:db8::1]:6379";
  std::string_view name = text;
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return not_valid("host", text, kRight);
    name = text.substr(1, end - 1);
    const std::string_view rest = text.substr(end + 1);
    has_port = rest.starts_with(':');
    if (has_port) port = rest.substr(1);
    const auto address = IpAddress::parse(name);
    if ((!rest.empty() && !has_port) || name.find(':') == std::string_view::npos || !address) {
      return not_valid("host", text, kRight);
    }
  } else {
    const std::size_t colon = text.find(':');
    has_port = colon != std::string_view::npos;
    name = text.substr(0, colon);
    if (has_port) port = text.substr(colon + 1);
    if (port.find(':') != std::string_view::npos || !is_host_name(name)) {
      return not_valid("host", text, kRight);
    }
  }
  RedisHost host{std::string(name), standard_port};
  if (!has_port) return host;
  const auto number = number_in_url(port, 1, 65'535);
  if (!number) return not_valid("port", port, "1 to 65535");
  host.port = static_cast<std::uint16_t>(*number);
  return host;
}

Result<std::vector<RedisHost>> read_hosts(std::string_view list, std::uint16_t standard_port) {
  std::vector<RedisHost> hosts;
  while (true) {
    const std::size_t comma = list.find(',');
    auto host = read_host(list.substr(0, comma), standard_port);
    if (!host) return tl::unexpected(host.error());
    if (std::find(hosts.begin(), hosts.end(), *host) != hosts.end()) {
      return not_valid("host", list.substr(0, comma), "it is named twice");
    }
    hosts.push_back(std::move(*host));
    if (comma == std::string_view::npos) return hosts;
    list.remove_prefix(comma + 1);
    if (hosts.size() == kMaxHosts) {
      return not_valid("host", list.substr(0, list.find(',')),
                       fmt::format("at most {} hosts", kMaxHosts));
    }
  }
}

Result<int> read_database(std::string_view text) {
  const auto number = number_in_url(text, 0, kLargestDatabase);
  if (!number) {
    return not_valid("database", text, fmt::format("a number from 0 to {}", kLargestDatabase));
  }
  return *number;
}

// Takes "USER@" off the front of `rest`.
Result<std::string> take_user(std::string_view& rest) {
  const std::size_t at = rest.substr(0, rest.find_first_of("/?")).rfind('@');
  if (at == std::string_view::npos) {
    // A password may contain a slash.
    if (rest.find('@') != std::string_view::npos) return failure(std::string(kNoPassword));
    return std::string{};
  }
  const std::string_view user = rest.substr(0, at);
  if (user.find_first_of(":,@") != std::string_view::npos) {
    return failure(std::string(kNoPassword));
  }
  if (!is_word(user)) {
    return not_valid("user", user, "up to 100 letters, digits, dots, hyphens and underscores");
  }
  rest.remove_prefix(at + 1);
  return std::string(user);
}

Result<RedisAddress> read_unix(std::string_view rest, RedisAddress address) {
  const std::size_t mark = rest.find('?');
  const std::string_view path = rest.substr(0, mark);
  if (!path.starts_with('/') || path.size() < 2 || path.size() > kMaxSocketPathBytes ||
      !is_printable(path)) {
    return not_valid("path", path,
                     fmt::format("an absolute path of at most {} bytes, such as "
                                 "unix:///run/redis/redis-server.sock",
                                 kMaxSocketPathBytes));
  }
  if (mark != std::string_view::npos) {
    constexpr std::string_view kKey = "db=";
    const std::string_view query = rest.substr(mark + 1);
    if (!query.starts_with(kKey)) return not_valid("part", query, "only ?db=DATABASE");
    const auto database = read_database(query.substr(kKey.size()));
    if (!database) return tl::unexpected(database.error());
    address.database = *database;
  }
  address.hosts.push_back({std::string(path), 0});
  return address;
}

Result<RedisAddress> read_servers(std::string_view rest, bool sentinel, RedisAddress address) {
  const std::size_t slash = rest.find('/');
  auto hosts = read_hosts(rest.substr(0, slash), sentinel ? kSentinelPort : kRedisPort);
  if (!hosts) return tl::unexpected(hosts.error());
  address.hosts = std::move(*hosts);
  std::string_view path = slash == std::string_view::npos ? "" : rest.substr(slash + 1);
  if (sentinel) {
    const std::size_t end = path.find('/');
    const std::string_view master = path.substr(0, end);
    if (!is_word(master)) {
      return not_valid("master", master,
                       "its name as in sentinel.conf, such as sentinel://HOST,HOST/mymaster");
    }
    address.master = master;
    path = end == std::string_view::npos ? "" : path.substr(end + 1);
  }
  if (path.empty()) return address;
  const auto database = read_database(path);
  if (!database) return tl::unexpected(database.error());
  address.database = *database;
  return address;
}

}  // namespace

std::string RedisHost::to_string() const {
  if (port == 0) return name;
  if (name.find(':') != std::string::npos) return fmt::format("[{}]:{}", name, port);
  return fmt::format("{}:{}", name, port);
}

Result<RedisAddress> parse_redis_address(std::string_view url) {
  constexpr std::string_view kSeparator = "://";
  if (url.size() > kMaxUrl) {
    return failure(fmt::format("not a valid url: longer than {} bytes", kMaxUrl));
  }
  const std::size_t end = url.find(kSeparator);
  const std::string_view scheme = url.substr(0, end);
  if (end == std::string_view::npos) {
    // It may be USER:PASSWORD@HOST.
    if (url.find('@') != std::string_view::npos) {
      return failure(fmt::format("not a valid url; allowed: {}", kForms));
    }
    return failure(fmt::format("not a valid url: {}; allowed: {}", in_quotes(url), kForms));
  }
  const auto is = [scheme](std::string_view name) { return equal_ignoring_case(scheme, name); };
  if (is("rediss") || is("valkeys")) return failure(std::string(kNoTls));
  const bool sentinel = is("sentinel");
  const bool unix_socket = is("unix");
  if (!sentinel && !unix_socket && !is("redis") && !is("valkey")) {
    return not_valid("beginning", url.substr(0, end + kSeparator.size()),
                     fmt::format("allowed: {}", kForms));
  }
  std::string_view rest = url.substr(end + kSeparator.size());
  auto user = take_user(rest);
  if (!user) return tl::unexpected(user.error());
  RedisAddress address;
  address.user = std::move(*user);
  return unix_socket ? read_unix(rest, std::move(address))
                     : read_servers(rest, sentinel, std::move(address));
}

}  // namespace policyd
