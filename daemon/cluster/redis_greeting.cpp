// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/redis_greeting.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "daemon/base/ascii.hpp"
#include "daemon/base/ip_address.hpp"
#include "daemon/base/printable.hpp"
#include "daemon/base/read_file.hpp"
#include "daemon/base/shell_words.hpp"
#include "daemon/base/unique_fd.hpp"

namespace policyd {
namespace {

constexpr std::size_t kMaxPasswordFile = 4096;
constexpr std::size_t kMaxShownError = 200;
constexpr int kOldestVersion = 6;  // users, and what the scripts need

std::string who(const RedisLogin& login) {
  return login.user.empty() ? "the default user" : fmt::format("user {}", in_quotes(login.user));
}

bool has_code(std::string_view error, std::string_view code) {
  return error.substr(0, error.find(' ')) == code;
}

void append_auth(std::vector<RedisCommand>& commands, const RedisLogin& login) {
  if (login.user.empty() && login.password.empty()) return;
  RedisCommand auth{"AUTH"};
  if (!login.user.empty()) auth.push_back(login.user);
  auth.push_back(login.password);
  commands.push_back(std::move(auth));
}

}  // namespace

std::string_view info_field(std::string_view info, std::string_view name) {
  while (!info.empty()) {
    std::string_view line = info.substr(0, info.find('\n'));
    info.remove_prefix(std::min(info.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ':') {
      return line.substr(name.size() + 1);
    }
  }
  return {};
}

std::vector<RedisCommand> greeting_of(const RedisLogin& login) {
  std::vector<RedisCommand> commands;
  append_auth(commands, login);
  // INFO is answered while data is loaded, PING is not.
  commands.push_back({"INFO", "server"});
  commands.push_back({"INFO", "replication"});
  commands.push_back({"PING"});
  if (login.database != 0) commands.push_back({"SELECT", std::to_string(login.database)});
  return commands;
}

Result<RedisServer> read_greeting(const RedisLogin& login,
                                  std::span<const Result<RedisReply>> replies) {
  std::string info;
  for (const auto& reply : replies) {
    if (reply && reply->kind == RedisReply::Kind::text) info.append(reply->text).append("\n");
  }
  // First what a server is, since a Sentinel does not know SELECT.
  // Valkey calls it server_mode.
  const std::string_view redis_mode = info_field(info, "redis_mode");
  const std::string_view mode = redis_mode.empty() ? info_field(info, "server_mode") : redis_mode;
  if (mode == "sentinel") {
    return failure("is a Sentinel; write sentinel://HOST,HOST/MASTER as url in [cluster]");
  }
  for (const auto& reply : replies) {
    if (!reply) return failure(trouble_of_error(login, reply.error().message));
  }
  if (mode == "cluster") {
    return failure(
        "is part of a Redis Cluster, which is not supported; use a single server, with "
        "replicas and Sentinel for failover");
  }
  const std::string_view version = info_field(info, "redis_version");
  const std::string_view run_id = info_field(info, "run_id");
  const std::string_view role = info_field(info, "role");
  const auto major = parse_number<int>(version.substr(0, version.find('.')));
  if (!major || run_id.empty() || role.empty()) {
    return failure("does not say its version, run id and role; use Redis or Valkey");
  }
  if (*major < kOldestVersion) {
    return failure(
        fmt::format("has version {}; use {} or newer", printable(version, 20), kOldestVersion));
  }
  if (role != "master") {
    return failure(fmt::format(
        "is a replica of {}:{}; name its master in url in [cluster], or use sentinel://",
        printable(info_field(info, "master_host"), 80),
        printable(info_field(info, "master_port"), 10)));
  }
  const std::string_view valkey = info_field(info, "valkey_version");
  return RedisServer{
      {},
      printable(run_id, 80),
      valkey.empty() ? "Redis " + printable(version, 20) : "Valkey " + printable(valkey, 20)};
}

std::vector<RedisCommand> sentinel_greeting_of(const RedisLogin& login, const std::string& master) {
  std::vector<RedisCommand> commands;
  append_auth(commands, login);
  commands.push_back({"SENTINEL", "get-master-addr-by-name", master});
  return commands;
}

Result<RedisHost> read_sentinel_greeting(const RedisLogin& login, const std::string& master,
                                         std::span<const Result<RedisReply>> replies) {
  if (replies.empty()) return failure("did not answer");
  const auto& last = replies.back();
  if (!last) {
    if (!last.error().message.starts_with("ERR unknown command")) {
      return failure(trouble_of_error(login, last.error().message));
    }
    return failure("is not a Sentinel; write redis://HOST as url in [cluster]");
  }
  if (last->kind == RedisReply::Kind::nothing) {
    return failure(
        fmt::format("does not know the master {}; write the name in sentinel.conf into "
                    "url in [cluster]",
                    in_quotes(master)));
  }
  const auto& words = last->list;
  const auto port = words.size() == 2 ? parse_number<std::uint16_t>(words[1].text) : std::nullopt;
  constexpr std::size_t kMaxName = 253;
  if (!port || *port == 0 || words[0].text.empty() || words[0].text.size() > kMaxName ||
      !is_printable(words[0].text)) {
    return failure("does not say where the master is; check it with redis-cli");
  }
  return RedisHost{words[0].text, *port};
}

std::string trouble_of_error(const RedisLogin& login, std::string_view error) {
  const std::string file = login.password_file.string();
  if (has_code(error, "WRONGPASS")) {
    if (file.empty()) {
      return fmt::format("refuses {} without a password; set password_file in [cluster]",
                         who(login));
    }
    if (login.user.empty()) return fmt::format("refuses the password in {}; correct it", file);
    return fmt::format("refuses {} with the password in {}; correct them", who(login), file);
  }
  if (has_code(error, "NOAUTH")) {
    return file.empty() ? "asks for a password; set password_file in [cluster]"
                        : fmt::format("refuses the password in {}; correct it", file);
  }
  if (error.find("without any password configured") != std::string_view::npos) {
    return fmt::format(
        "has no password; empty password_file in [cluster], or give the server the "
        "password in {} (requirepass)",
        file);
  }
  if (has_code(error, "NOPERM")) {
    return fmt::format("forbids {} a command: {}; allow it in the server's ACL", who(login),
                       in_quotes(error, kMaxShownError));
  }
  if (has_code(error, "LOADING")) return "is still loading its data; wait until it has";
  if (has_code(error, "MASTERDOWN"))
    return "is a replica that has lost its master; name the master";
  if (has_code(error, "DENIED")) {
    return "is in protected mode, which refuses other hosts; give it a password (requirepass), and "
           "name that with password_file in [cluster]";
  }
  if (error.find("DB index is out of range") != std::string_view::npos) {
    return fmt::format(
        "has no database {}; correct url in [cluster], or raise databases in the "
        "server's configuration",
        login.database);
  }
  if (error.find("max number of clients") != std::string_view::npos) {
    return "has too many clients; raise maxclients in the server's configuration";
  }
  return fmt::format("answers {}; check it with redis-cli", in_quotes(error, kMaxShownError));
}

std::string trouble_of_errno(int code) {
  const std::string text = std::generic_category().message(code);
  switch (code) {
    case ECONNREFUSED:
    case ENOENT:
      return text + "; start Redis there, or correct url in [cluster]";
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT:
      return text + "; check the network between here and there";
    case EACCES:
    case EPERM:
      return text + "; let the daemon's user connect: the socket's mode and group, or a firewall";
    default:
      return text + "; check the server and the network";
  }
}

Result<std::string> read_password(const std::filesystem::path& file) {
  const std::string name = file.string();
  const auto cannot_use = [&name](std::string_view why, std::string_view advice) {
    return failure(fmt::format("cannot use password_file {}: {}; {}", name, why, advice));
  };
  const UniqueFd fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    const int code = errno;
    return cannot_use(std::generic_category().message(code), code == ENOENT
                                                                 ? "write the password into it"
                                                                 : "let the daemon's user read it");
  }
  if (!S_ISREG(status.st_mode)) return cannot_use("it is not a file", "name one");
  if ((status.st_mode & S_IRWXO) != 0) {
    return cannot_use("every user can use it", fmt::format("run: chmod 0640 {}", shell_word(name)));
  }
  auto text = read_to_end(fd.get(), kMaxPasswordFile);
  if (!text) return cannot_use(text.error().message, "write only the password into it");
  text->resize(std::min(text->size(), text->find_first_of("\r\n")));
  if (text->empty()) return cannot_use("its first line is empty", "write the password into it");
  return std::move(*text);
}

}  // namespace policyd
