// SPDX-License-Identifier: AGPL-3.0-only
// `cluster`: makes the limits of several MTAs one, by Redis or Valkey.
#include <fmt/core.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "daemon/base/printable.hpp"
#include "daemon/base/read_file.hpp"
#include "daemon/cluster/count/nodes.hpp"
#include "daemon/cluster/redis_address.hpp"
#include "plugin/cluster/cluster_view.hpp"
#include "plugin/cluster/engine_check.hpp"
#include "plugin/cluster/membership.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/database/as_owner.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::size_t kMaxPassword = 4096;

constexpr std::array<Option, 8> kClusterOptions = {{
    {"node", "NAME", "with join: this host's name among the MTAs (default: the host name)"},
    {"without", "WHAT",
     "with join: what holds while Redis cannot be asked: share (a limit divided by the number of "
     "MTAs, the default), local (the whole limit on each) or defer",
     false, "share local defer"},
    {"password-file", "FILE", "with join: a file of mode 0640 with the password of Redis"},
    {"password-stdin", "",
     "with join: read the password from standard input, and keep it in a file of mode 0640"},
    {"take-theirs", "", "with join: the limits of the cluster replace this host's"},
    {"give-ours", "", "with join: this host's limits replace those of all other hosts"},
    {"dry-run", "", "with join and leave: change nothing"},
    {"json", "", "with status: print JSON"},
}};

constexpr std::array<std::string_view, 6> kOfJoin = {
    "node", "without", "password-file", "password-stdin", "take-theirs", "give-ours"};

// A line that is typed and not shown. Where a signal ends the command meanwhile, a shell has its
// terminal show again what is typed.
tl::expected<std::string, policyd::FileError> typed_line(const termios& shown) {
  termios hidden = shown;
  hidden.c_lflag &= ~tcflag_t{ECHO};
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
  fmt::print(stderr, "Password of Redis: ");
  std::string text(kMaxPassword, '\0');
  const ssize_t size = ::read(STDIN_FILENO, text.data(), text.size());
  const int code = errno;
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
  fmt::print(stderr, "\n");
  if (size < 0) {
    return tl::unexpected{policyd::FileError{code, std::generic_category().message(code)}};
  }
  text.resize(static_cast<std::size_t>(size));
  return text;
}

tl::expected<std::string, Failure> password_from_stdin() {
  termios terminal{};
  auto text = ::tcgetattr(STDIN_FILENO, &terminal) == 0
                  ? typed_line(terminal)
                  : policyd::read_to_end(STDIN_FILENO, kMaxPassword);
  if (!text) return failed(fmt::format("standard input: {}", text.error().message));
  text->resize(std::min(text->size(), text->find_first_of("\r\n")));
  if (text->empty()) return wrong_use("--password-stdin: the first line is empty");
  return std::move(*text);
}

tl::expected<Joining, Failure> joining_of(const Arguments& arguments, const DaemonConfig& daemon) {
  Joining out;
  const auto& words = arguments.words();
  out.url = words.size() > 1 ? words[1] : daemon.config.cluster_url;
  if (out.url.empty()) return wrong_use("missing URL: cluster join redis://HOST");
  out.node = arguments.value("node");
  out.without = arguments.value("without");
  out.dry_run = arguments.has("dry-run");
  if (out.node && out.node->empty()) return wrong_use("--node: the name is empty");
  if (arguments.has("take-theirs") && arguments.has("give-ours")) {
    return wrong_use("use either --take-theirs or --give-ours, not both");
  }
  if (arguments.has("take-theirs")) out.rules = policyd::RuleChoice::theirs;
  if (arguments.has("give-ours")) out.rules = policyd::RuleChoice::ours;
  if (const auto file = arguments.value("password-file")) {
    if (arguments.has("password-stdin")) {
      return wrong_use("use either --password-file or --password-stdin, not both");
    }
    if (file->empty() || !policyd::is_printable(*file)) {
      return wrong_use(fmt::format("--password-file: not a valid file name: '{}'", shown(*file)));
    }
    std::error_code code;
    out.password_file = std::filesystem::absolute(*file, code);
  }
  if (arguments.has("password-stdin")) {
    auto password = password_from_stdin();
    if (!password) return tl::unexpected{password.error()};
    out.password = std::move(*password);
  }
  return out;
}

// Nothing where the engine does not answer: the status says so.
std::optional<std::vector<KnownHost>> mtas_of_cluster(const DaemonConfig& daemon,
                                                      const ClusterView& view) {
  constexpr std::chrono::seconds kWithin{2};
  const policyd::Config& config = daemon.config;
  const auto address = policyd::parse_redis_address(config.cluster_url);
  if (!view.configured || !view.sharing || !address) return std::nullopt;
  const auto owner = AsOwner::of(config.database);  // who reads the password
  if (!owner) return std::nullopt;
  auto hosts =
      known_hosts({*address, config.cluster_password_file}, config.cluster_prefix, kWithin);
  return hosts ? std::optional{std::move(*hosts)} : std::nullopt;
}

nlohmann::json mtas_json(const std::vector<KnownHost>& mtas) {
  nlohmann::json out = nlohmann::json::array();
  for (const KnownHost& mta : mtas) {
    out.push_back({{"node", mta.node},
                   {"host", mta.host},
                   {"version", mta.version},
                   {"rules", mta.rules},
                   {"unseen", static_cast<double>(mta.unseen.count()) / 1000}});
  }
  return out;
}

// The newest that any of them has.
std::int64_t newest_rules(const std::vector<KnownHost>& mtas) {
  std::int64_t out = 0;
  for (const KnownHost& mta : mtas) out = std::max(out, mta.rules);
  return out;
}

void print_mtas(const std::vector<KnownHost>& mtas, Output& output) {
  const std::int64_t newest = newest_rules(mtas);
  Table table{{{"MTA", false, Shrinks::last},
               {"HOST", false, Shrinks::first},
               {"VERSION"},
               {"RULES", true},
               {"LAST SEEN"}}};
  for (const KnownHost& mta : mtas) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(mta.unseen);
    const bool alive = mta.unseen < policyd::Nodes::kAlive;
    table.add({{mta.node},
               {mta.host},
               {mta.version},
               {mta.rules == 0 ? std::string{"own"} : fmt::format("{}", mta.rules),
                mta.rules == newest ? Colour::none : Colour::red},
               alive ? Cell{"now"} : Cell{fmt::format("{} s ago", seconds.count()), Colour::red}});
  }
  output.line("");
  output.print(table);
}

Outcome cluster_status(const DaemonConfig& daemon, const Arguments& arguments, Context& context) {
  const ClusterView view = view_cluster(daemon);
  const auto mtas = mtas_of_cluster(daemon, view);
  if (arguments.has("json")) {
    auto out = cluster_json(view);
    if (mtas) out["mtas"] = mtas_json(*mtas);
    context.output.print(out);
  } else {
    print_cluster(view, context.advice, context.output);
    if (mtas) print_mtas(*mtas, context.output);
  }
  return view.sharing ? Outcome{} : found_wrong();
}

// The first option that the action does not have.
std::string_view option_out_of_place(const Arguments& arguments, std::string_view action) {
  if (action != "status" && arguments.has("json")) return "json";
  if (action == "status" && arguments.has("dry-run")) return "dry-run";
  if (action == "join") return {};
  for (const std::string_view option : kOfJoin) {
    if (arguments.has(std::string{option})) return option;
  }
  return {};
}

Outcome run_cluster(const Arguments& arguments, Context& context) {
  const auto& words = arguments.words();
  if (words.empty()) return wrong_use("missing action: cluster status, join URL or leave");
  const std::string& action = words.front();
  if (action != "status" && action != "join" && action != "leave") {
    return wrong_use(fmt::format("not a valid action: '{}'; use cluster status, join URL or leave",
                                 shown(action)));
  }
  if (action != "join" && words.size() > 1) {
    return wrong_use(fmt::format("cluster {}: unexpected argument '{}'", action, shown(words[1])));
  }
  if (const auto option = option_out_of_place(arguments, action); !option.empty()) {
    return wrong_use(fmt::format("--{} is not for 'cluster {}'", option, action));
  }
  if (arguments.has(std::string{kDatabaseOption})) {
    return wrong_use(
        "cluster does not accept --database: the daemon's configuration names the database");
  }
  const DaemonConfig daemon = find_daemon_config(std::nullopt, context.zextras_home);
  if (!daemon.read) {
    return failed(why_not_with_advice(daemon));
  }
  if (action == "status") return cluster_status(daemon, arguments, context);
  if (action == "leave") return leave_cluster(daemon, arguments.has("dry-run"), context);
  const auto joining = joining_of(arguments, daemon);
  if (!joining) return tl::unexpected{joining.error()};
  return join_cluster(daemon, *joining, context);
}

}  // namespace

const Command kCluster = {
    "cluster",
    "status [--json] | join [URL] [--node NAME] [--without share|local|defer] [--password-file "
    "FILE | --password-stdin] [--take-theirs | --give-ours] [--dry-run] | leave [--dry-run]",
    "Share limits with other MTAs by Redis or Valkey",
    "Without it each MTA counts alone, so three MTAs let three times a limit pass. join makes it "
    "one limit: run it on each MTA with the same URL, which is one of\n"
    "redis://[USER@]HOST[:PORT][,HOST...][/DATABASE]\n"
    "sentinel://[USER@]HOST[:PORT][,HOST...]/MASTER[/DATABASE]\n"
    "unix://[USER@]/PATH[?db=DATABASE]\n"
    "It first checks that Redis 6 or newer, or Valkey, can be used; then it writes "
    "section [cluster] of carbonio-limits.conf, restarts the daemon if it runs, and waits until it "
    "shares. "
    "What is not given stays as that section has it; there the URL may be left out.\n"
    "All hosts have the same limits: the first host's become the cluster's, and each change on any "
    "host is on all within a second. Where this host and the cluster have different limits, say "
    "whose hold: --take-theirs or --give-ours. Limits that are replaced are kept in a file of "
    "statements beside the database. A command that changes limits waits until the change is "
    "published, two seconds at most. Where two hosts change limits at the same moment, the later "
    "change is not taken, and its command says so; a command on a host that does not have the "
    "newest limits yet also says so, and changes nothing.\n"
    "leave has this host count alone again; its limits and what it counted stay.\n"
    "status lists each MTA with the version of its daemon, that of the cluster's limits which it "
    "has ('own': not the cluster's), and since when nothing was heard of it.\n"
    "The exit status of status is 3 if this host does not share its limits.",
    "cluster join redis://redis1.example.com\n"
    "cluster join redis://redis1.example.com --password-stdin --take-theirs\n"
    "cluster join sentinel://s1,s2,s3/mymaster --node mta1 --dry-run\n"
    "cluster status\n"
    "cluster leave",
    kClusterOptions,
    2,
    run_cluster,
    Takes::other,
    "status join leave",
    false};

}  // namespace limits
