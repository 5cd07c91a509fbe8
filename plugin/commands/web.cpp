// SPDX-License-Identifier: AGPL-3.0-only
// `web`: the page, served by a process of its own, and the links that sign somebody in to it.
#include <fmt/core.h>

#include <array>
#include <sstream>
#include <string>

#include "daemon/base/ip_address.hpp"
#include "daemon/cluster/member/cluster.hpp"
#include "daemon/net/listeners.hpp"
#include "daemon/process/sd_notify.hpp"
#include "hooks/service/daemon_probe.hpp"
#include "hooks/service/service.hpp"
#include "hooks/system/run_program.hpp"
#include "plugin/commands/command_line.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/database/as_owner.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/web/link.hpp"
#include "plugin/web/web_server.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 2> kWebOptions = {{
    {"write", "", "with link: what it opens may change limits, too"},
    {"behind-proxy", "",
     "with serve: a proxy speaks HTTPS with the browser; lets [web] listen name an address that is "
     "not loopback"},
}};

constexpr const char* kWebUnit = "carbonio-limits-web.service";
constexpr std::chrono::seconds kSystemdWithin{30};

std::string not_served(const Context& context) {
  const bool systemd = !carbonio::systemctl_knowing(kWebUnit, context.zextras_home).empty();
  return fmt::format("the page is not served; 'carbonio-limits web {}' serves it",
                     systemd ? "start" : "serve");
}

bool is_unix_path(std::string_view listen) { return listen.starts_with('/'); }

// "127.0.0.1:10032" as listen_on() takes it.
policyd::Config address_of_page(const policyd::Config& config) {
  policyd::Config out;
  out.unix_socket = is_unix_path(config.web_listen);
  out.port = config.web_listen;
  if (out.unix_socket) return out;
  const std::size_t colon = config.web_listen.rfind(':');
  out.host = config.web_listen.substr(0, colon);
  out.port = config.web_listen.substr(colon + 1);
  if (out.host.starts_with('[')) out.host = out.host.substr(1, out.host.size() - 2);
  return out;
}

bool is_loopback(std::string_view host) {
  const auto address = policyd::IpAddress::parse(host);
  return host == "localhost" ||
         (address && (host == "::1" || address->to_string().starts_with("127.")));
}

// "Europe/Berlin", for browsers elsewhere; empty if the system does not say.
std::string time_zone() {
  constexpr std::string_view kZones = "/zoneinfo/";
  std::error_code code;
  const std::string file = std::filesystem::canonical("/etc/localtime", code).string();
  const std::size_t zones = file.find(kZones);
  return zones == std::string::npos ? std::string{} : file.substr(zones + kZones.size());
}

// A subcommand as this process would run it, for whom it is.
Ran run_for_page(const std::filesystem::path& zextras_home, const std::string& search_path,
                 const Site::Job& job) {
  Environment environment;
  environment.zextras_home = zextras_home.string();
  environment.now = policyd::wall_clock();
  environment.search_path = search_path;
  environment.who = job.who;
  environment.input = job.input;
  environment.may_name_files = false;
  environment.given_up = job.given_up;
  std::ostringstream out, err;
  Ran ran;
  ran.exit = run_command_line(job.words, environment, out, err);
  ran.out = std::move(out).str();
  ran.err = std::move(err).str();
  return ran;
}

Outcome serve_the_page(const Arguments& arguments, Context& context) {
  const DaemonConfig daemon = find_daemon_config(std::nullopt, context.zextras_home);
  const policyd::Config address = address_of_page(daemon.config);
  const bool proxy = arguments.has("behind-proxy");
  if (!proxy && !address.unix_socket && !is_loopback(address.host)) {
    return failed(fmt::format(
        "[web] listen is {}, which others can reach without encryption; give 127.0.0.1:PORT or "
        "the path of a socket, or put a proxy before it and add --behind-proxy",
        escaped(daemon.config.web_listen)));
  }
  if (proxy && daemon.config.web_hosts.empty()) {
    return failed(
        "[web] hosts is empty; with --behind-proxy it lists the host names in browsers' addresses");
  }
  auto listeners = policyd::listen_on(address);
  if (!listeners) {
    return failed(fmt::format("{}; the address is listen in [web] of carbonio-limits.conf",
                              listeners.error().message));
  }
  if (auto became = become_owner_of(daemon.config.database); !became) {
    return failed(became.error());
  }
  WebServerSettings settings;
  const std::string name = listeners->front().name;
  settings.listeners = std::move(*listeners);
  settings.site = {policyd::node_name_of(daemon.config),
                   {"localhost", "127.0.0.1", "[::1]"},
                   daemon.config.web_hosts,
                   link_folder(context.zextras_home),
                   time_zone()};
  serve_page(
      std::move(settings),
      [home = context.zextras_home, path = context.search_path](const Site::Job& job) {
        return run_for_page(home, path, job);
      },
      [&] {
        context.output.line(
            fmt::format("The page is served on {}; 'carbonio-limits web link' "
                        "prints a link that signs you in.",
                        name));
        context.output.flush();
        policyd::Notifier{context.notify_socket}.send("READY=1");
      });
  return {};
}

// Whether our page answers there, whoever serves it.
bool is_served(const policyd::Config& config) {
  constexpr std::string_view kAsk = "GET /icon.svg HTTP/1.1\r\nHost: localhost\r\n\r\n";
  constexpr std::chrono::seconds kWithin{2};
  const auto answer = carbonio::ask_listener(address_of_page(config), kAsk, kWithin);
  return answer && answer->starts_with("HTTP/1.1 200");
}

Outcome print_link(const Arguments& arguments, Context& context) {
  const DaemonConfig daemon = find_daemon_config(std::nullopt, context.zextras_home);
  const auto& hosts = daemon.config.web_hosts;
  if (hosts.empty() && is_unix_path(daemon.config.web_listen)) {
    return failed(
        "[web] hosts is empty: where the page listens on a socket, the proxy's name has "
        "to be there");
  }
  if (!is_served(daemon.config)) return failed(not_served(context));
  if (auto became = become_owner_of(daemon.config.database); !became) {
    return failed(became.error());
  }
  const auto token = make_link(link_folder(context.zextras_home), context.actor.who,
                               arguments.has("write"), context.now);
  if (!token) return failed(token.error());
  const std::string base = hosts.empty() ? fmt::format("http://{}", daemon.config.web_listen)
                                         : fmt::format("https://{}", hosts.front());
  context.output.line(fmt::format("{}/sign-in?token={}", base, *token));
  context.output.note(fmt::format("it works once, within ten minutes, and opens a page that {}.",
                                  arguments.has("write") ? "may change limits" : "only reads"));
  return {};
}

// `otherwise` is what to do where systemd runs no services.
Outcome switch_page(Context& context, const char* verb, const char* done, const char* otherwise) {
  const auto systemctl = carbonio::systemctl_knowing(kWebUnit, context.zextras_home);
  if (systemctl.empty()) {
    return failed(fmt::format("systemd does not run services here; {}", otherwise));
  }
  const auto ran = carbonio::run_program(
      {{systemctl.string(), "--no-ask-password", verb, "--now", kWebUnit}, kSystemdWithin});
  if (!ran) return failed(ran.error());
  if (ran->status != 0) {
    return failed(
        fmt::format("systemctl {} --now {} failed with status {}; run it as root, and see "
                    "'journalctl -u {}'",
                    verb, kWebUnit, ran->status, kWebUnit));
  }
  context.output.line(done);
  return {};
}

Outcome print_whether_it_is_served(Context& context) {
  if (is_served(find_daemon_config(std::nullopt, context.zextras_home).config)) {
    context.output.line("The page is served.");
    return {};
  }
  context.output.line(fmt::format("T{}.", not_served(context).substr(1)));
  return found_wrong();
}

Outcome run_web(const Arguments& arguments, Context& context) {
  if (arguments.has(std::string{kDatabaseOption})) {
    return wrong_use("web does not accept --database: the daemon's configuration names it");
  }
  const std::string verb = arguments.words().empty() ? "" : arguments.words().front();
  if (arguments.has("write") && verb != "link") return wrong_use("--write goes with 'web link'");
  if (arguments.has("behind-proxy") && verb != "serve") {
    return wrong_use("--behind-proxy goes with 'web serve'");
  }
  if (verb == "serve") return serve_the_page(arguments, context);
  if (verb == "link") return print_link(arguments, context);
  if (verb == "start") {
    return switch_page(context, "enable",
                       "The page is served; 'carbonio-limits web link' prints a link to it.",
                       "'carbonio-limits web serve' serves the page in the foreground");
  }
  if (verb == "stop") {
    return switch_page(context, "disable", "The page is no longer served.",
                       "Ctrl-C ends 'carbonio-limits web serve'");
  }
  if (verb == "status") return print_whether_it_is_served(context);
  return wrong_use("give serve, link, start, stop or status; see 'carbonio-limits web --help'");
}

}  // namespace

const Command kWeb = {
    "web",
    "serve [--behind-proxy]|link [--write]|start|stop|status",
    "Serve a page that shows who is refused and why",
    "The page shows who is refused now, how much is used, the limits, and who is blocked, and can "
    "change them; whom a limit would have hit last week is shown before it is made. It does "
    "nothing that a subcommand cannot. It is served by a process of its own on [web] listen "
    "(127.0.0.1:10032), in the foreground by serve, as a service by start.\n"
    "While it is served, link prints an address that signs you in once, within ten minutes, and "
    "then for eight hours. "
    "Without --write what it opens cannot change anything. Each change is remembered with who made "
    "the link.\n"
    "Others reach it by a proxy with HTTPS, whose name is in [web] hosts, or by 'ssh -L "
    "10032:127.0.0.1:10032 HOST'.",
    "web start\n"
    "web link --write\n"
    "web stop",
    kWebOptions,
    1,
    run_web,
    Takes::other,
    "serve link start stop status",
    false};

}  // namespace limits
