// SPDX-License-Identifier: AGPL-3.0-only
// The table of keys: each with values that are accepted and values that are rejected.
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "daemon/base/printable.hpp"
#include "daemon/config/config.hpp"
#include "daemon/config/config_table.hpp"
#include "daemon/config/ini.hpp"

namespace policyd {
namespace {

using namespace std::chrono_literals;

Result<LoadedConfig> parse(const std::string& main, const std::string& ours = "") {
  return parse_config(main, "cbpolicyd.conf", ours, "carbonio-limits.conf");
}

LoadedConfig parsed(const std::string& main, const std::string& ours = "") {
  auto loaded = parse(main, ours);
  EXPECT_TRUE(loaded) << loaded.error().message;
  return loaded.value_or(LoadedConfig{});
}

std::string error_of(const std::string& main, const std::string& ours = "") {
  const auto loaded = parse(main, ours);
  return loaded ? "" : loaded.error().message;
}

// The table of keys.

TEST(ConfigKeys, HaveTheDefaultsOfConfig) {
  ConfigDraft draft;
  for (const ConfigKey& key : config_keys()) {
    if (key.standard.empty()) continue;
    EXPECT_EQ(read_config_value(key, key.standard, draft), std::nullopt) << key.name;
  }
  EXPECT_EQ(static_cast<Config&>(draft), Config{});
}

TEST(ConfigKeys, AreUniqueAndDescribeTheirValues) {
  std::set<std::string> seen;
  for (const ConfigKey& key : config_keys()) {
    EXPECT_TRUE(seen.insert(std::string(key.section) + "." + std::string(key.name)).second);
    EXPECT_FALSE(allowed_values(key).empty()) << key.name;
  }
}

// As the warning says.
TEST(ConfigKeys, TellOnlyWhomTheLastValueNames) {
  EXPECT_EQ(parsed("[notify]\nto=a@example.org\nto=b@example.org\n").config.notify_to,
            std::vector<std::string>{"b@example.org"});
  EXPECT_EQ(parsed("[notify]\nto=a@example.org\n", "[notify]\nto=b@example.org\n").config.notify_to,
            std::vector<std::string>{"b@example.org"});
}

TEST(ConfigKeys, OfASectionAreTogether) {
  std::set<std::string_view> seen;
  std::string_view before;
  for (const ConfigKey& key : config_keys()) {
    EXPECT_TRUE(key.section == before || seen.insert(key.section).second) << key.section;
    before = key.section;
  }
}

TEST(ConfigKeys, AreAllAcceptedInBothFilesWithTheirDefaults) {
  std::string text;
  for (const ConfigKey& key : config_keys()) {
    if (key.standard.empty() || key.name == "*") continue;
    text += "[" + std::string(key.section) + "]\n" + std::string(key.name) + "=" +
            std::string(key.standard) + "\n";
  }
  EXPECT_EQ(parsed(text, text).config, Config{});
  EXPECT_TRUE(parsed(text, text).warnings.empty());
}

// Accepted values of each key.

struct Value {
  const char* name;
  std::string text;
  std::function<bool(const Config&)> holds;
};

class ConfigValue : public testing::TestWithParam<Value> {};

TEST_P(ConfigValue, IsRead) {
  const auto loaded = parse(GetParam().text);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_TRUE(GetParam().holds(loaded->config));
  EXPECT_TRUE(loaded->warnings.empty()) << loaded->warnings.front();
}

#define HOLDS(expression) [](const Config& c) { return expression; }
INSTANTIATE_TEST_SUITE_P(
    Config, ConfigValue,
    testing::Values(
        Value{"User", "[server]\nuser=zextras\n", HOLDS(c.user == "zextras")},
        Value{"NoUser", "[server]\nuser=\n", HOLDS(c.user.empty())},
        Value{"Group", "[server]\ngroup=mail\n", HOLDS(c.group == "mail")},
        Value{"PidFile", "[server]\npid_file=/a b/x.pid\n", HOLDS(c.pid_file == "/a b/x.pid")},
        Value{"BackgroundNo", "[server]\nbackground=no\n", HOLDS(!c.background)},
        Value{"BackgroundOn", "[server]\nbackground=On\n", HOLDS(c.background)},
        Value{"LogFile", "[server]\nlog_file=/x.log\n", HOLDS(c.log_file == "/x.log")},
        Value{"NoLogFile", "[server]\nlog_file=\n", HOLDS(c.log_file.empty())},
        Value{"LogMailMain", "[server]\nlog_mail=main\n", HOLDS(c.log_mail == "main")},
        Value{"LogMailSyslog", "[server]\nlog_mail=mail@syslog:native\n",
              HOLDS(c.log_mail == "mail@syslog:native")},
        Value{"LogMailMaillog", "[server]\nlog_mail=maillog\n",
              HOLDS(c.log_mail == "mail@syslog:native")},
        Value{"LogDetail", "[server]\nlog_detail=modules\n", HOLDS(c.log_modules)},
        Value{"LogDetails", "[server]\nlog_detail=tracking, Modules\n", HOLDS(c.log_modules)},
        Value{"OtherLogDetails", "[server]\nlog_detail=tracking\n", HOLDS(!c.log_modules)},
        Value{"Host", "[server]\nhost=::1\n", HOLDS(c.host == "::1")},
        Value{"HostEvery", "[server]\nhost=*\n", HOLDS(c.host == "*")},
        Value{"Port", "[server]\nport=00025\n", HOLDS(c.port == "25" && !c.unix_socket)},
        Value{"UnixSocket", "[server]\nproto=unix\nport=/run/p.sock\n",
              HOLDS(c.port == "/run/p.sock" && c.unix_socket)},
        Value{"UnixSocketInOtherOrder", "[server]\nport=/run/p.sock\nproto=UNIX\n",
              HOLDS(c.port == "/run/p.sock" && c.unix_socket)},
        Value{"Tcp", "[server]\nproto=tcp\n", HOLDS(!c.unix_socket)},
        Value{"CidrAllow", "[server]\ncidr_allow=127.0.0.0/8, 10 ::1/128\n",
              HOLDS((c.cidr_allow == std::vector<std::string>{"127.0.0.0/8", "10", "::1/128"}))},
        Value{"CidrDenyLines", "[server]\ncidr_deny=<<EOT\n192.0.2.1\n# x\n\n10.1\nEOT\n",
              HOLDS((c.cidr_deny == std::vector<std::string>{"192.0.2.1", "10.1"}))},
        Value{"CidrRepeated", "[server]\ncidr_deny=10\ncidr_deny=11\n",
              HOLDS((c.cidr_deny == std::vector<std::string>{"10", "11"}))},
        Value{"Database", "[database]\nDSN=DBI:SQLite:dbname=/a/b c.db\n",
              HOLDS(c.database == "/a/b c.db")},
        Value{"DatabaseWord", "[database]\nDSN=dbi:sqlite:database=/x\n",
              HOLDS(c.database == "/x")},
        Value{"DatabaseDb", "[database]\nDSN=DBI:SQLite:db=/x\n", HOLDS(c.database == "/x")},
        Value{"DatabaseAlone", "[database]\nDSN=DBI:SQLite:/x=y\n", HOLDS(c.database == "/x=y")},
        Value{"DatabaseAmongAttributes", "[database]\nDSN=DBI:SQLite:a=1;;dbname=/x;b=2\n",
              HOLDS(c.database == "/x")},
        Value{"DatabaseWithEquals", "[database]\nDSN=DBI:SQLite:dbname=/x=y\n",
              HOLDS(c.database == "/x=y")},
        Value{"BypassPass", "[database]\nbypass_mode=Pass\n", HOLDS(c.bypass_mode == Bypass::pass)},
        Value{"BypassTempfail", "[database]\nbypass_mode=tempfail\n",
              HOLDS(c.bypass_mode == Bypass::tempfail)},
        Value{"TablePrefix", "[database]\ntable_prefix=cbp_2_\n",
              HOLDS(c.table_prefix == "cbp_2_")},
        Value{"NoTablePrefix", "[database]\ntable_prefix=\n", HOLDS(c.table_prefix.empty())},
        Value{"DurabilityFull", "[database]\ndurability=full\n",
              HOLDS(c.durability == Durability::full)},
        Value{"AccessControl", "[AccessControl]\nenable=1\n", HOLDS(c.access_control)},
        Value{"Accounting", "[Accounting]\nenable=y\n", HOLDS(c.accounting)},
        Value{"CheckHelo", "[CheckHelo]\nenable=Yes\n", HOLDS(c.check_helo)},
        Value{"CheckSpf", "[CheckSPF]\nenable=ON\n", HOLDS(c.check_spf)},
        Value{"Greylisting", "[Greylisting]\nenable=1\n", HOLDS(c.greylisting)},
        Value{"Training", "[Greylisting]\ntraining_mode=1\n", HOLDS(c.greylisting_training)},
        Value{"DeferMessage", "[Greylisting]\ndefer_message=Wait; see #5\n",
              HOLDS(c.greylisting_defer_message == "Wait; see #5")},
        Value{"BlacklistMessage", "[Greylisting]\nblacklist_message=No\tway\n",
              HOLDS(c.greylisting_blacklist_message == "No\tway")},
        Value{"Quotas", "[Quotas]\nenable=1\n", HOLDS(c.quotas)},
        Value{"DisabledWithComment", "[Quotas]\nenable=0 # Disabled by default\n",
              HOLDS(!c.quotas)},
        Value{"DisabledInWords", "[Quotas]\nenable=No\n", HOLDS(!c.quotas)},
        Value{"Window", "[Quotas]\nalgorithm=window\n",
              HOLDS(c.quotas_algorithm == Algorithm::window)},
        Value{"Refund", "[Quotas]\nrefund=yes\n", HOLDS(c.quotas_refund)},
        Value{"Decay", "[Quotas]\nalgorithm=Decay\n",
              HOLDS(c.quotas_algorithm == Algorithm::decay)},
        Value{"SessionsPlain", "[cleanup]\nsessions=7\n", HOLDS(c.cleanup_sessions == 168h)},
        Value{"SessionsDays", "[cleanup]\nsessions=90d\n", HOLDS(c.cleanup_sessions == 2160h)},
        Value{"SessionsOneDay", "[cleanup]\nsessions=1 day\n", HOLDS(c.cleanup_sessions == 24h)},
        Value{"SessionsWords", "[cleanup]\nsessions=30 Days\n", HOLDS(c.cleanup_sessions == 720h)},
        Value{"SessionsHours", "[cleanup]\nsessions=12h\n", HOLDS(c.cleanup_sessions == 12h)},
        Value{"SessionsMany", "[cleanup]\nsessions=36 hours\n", HOLDS(c.cleanup_sessions == 36h)},
        Value{"ClusterUrl", "[cluster]\nurl=redis://a,b/1\n",
              HOLDS(c.cluster_url == "redis://a,b/1")},
        Value{"ClusterNode", "[cluster]\nnode=mta-1.example.com\n",
              HOLDS(c.cluster_node == "mta-1.example.com")},
        Value{"ClusterShare", "[cluster]\nwithout=share\n",
              HOLDS(c.cluster_without == Without::share)},
        Value{"ClusterLocal", "[cluster]\nwithout=Local\n",
              HOLDS(c.cluster_without == Without::local)},
        Value{"ClusterDefer", "[cluster]\nwithout=defer\n",
              HOLDS(c.cluster_without == Without::defer)},
        Value{"ClusterPasswordFile", "[cluster]\npassword_file=/etc/redis password\n",
              HOLDS(c.cluster_password_file == "/etc/redis password")},
        Value{"ClusterTimeout", "[cluster]\ntimeout=5000\n", HOLDS(c.cluster_timeout == 5s)},
        Value{"NotifyTo", "[notify]\nto=a@example.org, b+c@d.example\n",
              HOLDS((c.notify_to == std::vector<std::string>{"a@example.org", "b+c@d.example"}))},
        Value{"NotifyCommand", "[notify]\ncommand=/bin/tell it\n",
              HOLDS(c.notify_command == "/bin/tell it")},
        Value{"NotifyReport", "[notify]\nreport=23:59\n", HOLDS(c.notify_report == "23:59")},
        Value{"NotifyNoReport", "[notify]\nreport=\n", HOLDS(c.notify_report.empty())},
        Value{"NotifyReportAlways", "[notify]\nreport_always=0\n", HOLDS(!c.notify_report_always)},
        Value{"NotifySendmail", "[notify]\nsendmail=/bin/sendmail\n",
              HOLDS(c.notify_sendmail == "/bin/sendmail")},
        Value{"ClusterPrefix", "[cluster]\nprefix=mail/\n", HOLDS(c.cluster_prefix == "mail/")},
        Value{"WebListen", "[web]\nlisten=[::1]:1\n", HOLDS(c.web_listen == "[::1]:1")},
        Value{"WebSocket", "[web]\nlisten=/run/x\n", HOLDS(c.web_listen == "/run/x")},
        Value{"WebHosts", "[web]\nhosts=a.example, b.example\n",
              HOLDS((c.web_hosts == std::vector<std::string>{"a.example", "b.example"}))},
        Value{"Block",
              "[block]\nnever=boss, News@example.org @example.net 2001:db8::/32 10 10.0.0 4711 "
              "192.0.2.1 ::1 1.2@example.org\nper_hour=0\nmailboxes=10.0.0.5, "
              "2001:db8::/64\nafter=1000000\nmail_log=/var/log/mail\ncountries=/usr/x.mmdb\n",
              HOLDS(c == Config{})},
        Value{"BlockWithoutFiles", "[block]\nmail_log=\ncountries=\n", HOLDS(c == Config{})},
        Value{"MetricsFile", "[metrics]\nfile=/var/lib/a b.prom\n",
              HOLDS(c.metrics_file == "/var/lib/a b.prom")},
        Value{"MetricsTopSenders", "[metrics]\ntop_senders=100\n", HOLDS(c.top_senders == 100)},
        Value{"MetricsNone", "[metrics]\nfile=\n", HOLDS(c.metrics_file.empty())},
        Value{"Ignored",
              "[server]\nprotocols=Postfix\ncache_file=x\nmin_servers=4\nmin_spare_servers=4\n"
              "max_spare_servers=12\nmax_servers=25\nmax_requests=1000\n[database]\nUsername=root\n"
              "Password=\n[Amavis]\nenable=0 # Disabled by default\nanything=at all\n",
              HOLDS(c == Config{})}),
    [](const auto& row) { return row.param.name; });

// Every bound: just below, at, just above.

struct Bounds {
  const char* section;
  const char* key;
  std::uint64_t least;
  std::uint64_t most;
  std::function<std::uint64_t(const Config&)> read;
};

class ConfigBounds : public testing::TestWithParam<Bounds> {
 protected:
  static std::string text(const std::string& value) {
    return "[" + std::string(GetParam().section) + "]\n" + GetParam().key + "=" + value + "\n";
  }
};

TEST_P(ConfigBounds, AreAcceptedAtAndRejectedBeyond) {
  const auto& [section, key, least, most, read] = GetParam();
  for (const std::uint64_t value : {least, least + 1, most - 1, most}) {
    EXPECT_EQ(read(parsed(text(std::to_string(value))).config), value);
  }
  std::vector<std::string> refused = {std::to_string(most + 1),
                                      "18446744073709551616",
                                      std::string(500, '9'),
                                      "1e3",
                                      "0x10",
                                      "-1",
                                      "+1",
                                      "1.5",
                                      "2 s",
                                      "2 # two",
                                      "ten"};
  if (least > 0) refused.push_back(std::to_string(least - 1));
  for (const std::string& value : refused) {
    const std::string begin = "cbpolicyd.conf:2: not a valid " + std::string(key) + " in [" +
                              section + "]: " + in_quotes(value) + "; allowed: ";
    EXPECT_EQ(error_of(text(value)).substr(0, begin.size()), begin);
  }
}

#define READ(expression) [](const Config& c) { return static_cast<std::uint64_t>(expression); }
INSTANTIATE_TEST_SUITE_P(
    Config, ConfigBounds,
    testing::Values(Bounds{"server", "log_level", 0, 4, READ(c.log_level)},
                    Bounds{"server", "port", 1, 65535, READ(std::stoul(c.port))},
                    Bounds{"server", "timeout_idle", 1, 86400, READ(c.timeout_idle.count())},
                    Bounds{"server", "timeout_busy", 1, 86400, READ(c.timeout_busy.count())},
                    Bounds{"server", "max_connections", 1, 1'000'000, READ(c.max_connections)},
                    Bounds{"server", "max_sessions", 1, 10'000'000, READ(c.max_sessions)},
                    Bounds{"notify", "every", 60, 86400, READ(c.notify_every.count())},
                    Bounds{"database", "bypass_timeout", 1, 86400, READ(c.bypass_timeout.count())},
                    Bounds{"database", "cache_entries", 1, 100'000'000, READ(c.cache_entries)},
                    Bounds{"metrics", "top_senders", 0, 100, READ(c.top_senders)}),
    [](const auto& row) { return row.param.key; });

// Rejected values, and what is allowed.

struct Refused {
  const char* name;
  std::string text;
  std::string message;
};

class ConfigRefuses : public testing::TestWithParam<Refused> {};

TEST_P(ConfigRefuses, AndReportsWhatIsAllowed) {
  EXPECT_EQ(error_of(GetParam().text), "cbpolicyd.conf:" + GetParam().message);
}

const std::string kNotDsn = "2: not a valid DSN in [database]: ";
const std::string kAllowedDsn = "; allowed: DBI:SQLite:dbname=/PATH (only SQLite is supported)";
INSTANTIATE_TEST_SUITE_P(
    Config, ConfigRefuses,
    testing::Values(
        Refused{"LogLevel", "[server]\nlog_level=5\n",
                "2: not a valid log_level in [server]: '5'; allowed: 0 to 4"},
        Refused{"BlockPerHour", "[block]\nper_hour=1001\n",
                "2: not a valid per_hour in [block]: '1001'; allowed: 0 to 1000"},
        Refused{"BlockMailboxes", "[block]\nmailboxes=10.0.0.5 mail.example.org\n",
                "2: not a valid mailboxes in [block]: 'mail.example.org'; allowed: up to 100 "
                "addresses and networks, separated by blanks or commas"},
        Refused{"BlockAfter", "[block]\nafter=0\n",
                "2: not a valid after in [block]: '0'; allowed: 1 to 1000000"},
        Refused{"BlockMailLog", "[block]\nmail_log=mail.log\n",
                "2: not a valid mail_log in [block]: 'mail.log'; allowed: an absolute path"},
        Refused{"BlockNeverPattern", "[block]\nnever=boss, *@example.org\n",
                "2: not a valid never in [block]: '*@example.org'; allowed: logins, "
                "addresses, domains as @example.org and networks, separated by blanks or commas"},
        Refused{"BlockNeverNetwork", "[block]\nnever=192.0.2.0/x\n",
                "2: not a valid never in [block]: '192.0.2.0/x'; allowed: logins, "
                "addresses, domains as @example.org and networks, separated by blanks or commas"},
        Refused{"BlockNeverPrefix", "[block]\nnever=10.0.0.0/99\n",
                "2: not a valid never in [block]: '10.0.0.0/99'; allowed: logins, "
                "addresses, domains as @example.org and networks, separated by blanks or commas"},
        Refused{"BlockMailboxesPrefix", "[block]\nmailboxes=2001:db8::/129\n",
                "2: not a valid mailboxes in [block]: '2001:db8::/129'; allowed: up to 100 "
                "addresses and networks, separated by blanks or commas"},
        Refused{"BlockNeverAddress", "[block]\nnever=192.0.2.300\n",
                "2: not a valid never in [block]: '192.0.2.300'; allowed: logins, "
                "addresses, domains as @example.org and networks, separated by blanks or commas"},
        Refused{"BlockNeverIpv6", "[block]\nnever=2001:db8::zz\n",
                "2: not a valid never in [block]: '2001:db8::zz'; allowed: logins, "
                "addresses, domains as @example.org and networks, separated by blanks or commas"},
        Refused{"BlockNeverDomain", "[block]\nnever=@exa_mple..org\n",
                "2: not a valid never in [block]: '@exa_mple..org'; allowed: logins, "
                "addresses, domains as @example.org and networks, separated by blanks or commas"},
        Refused{"Seconds", "\n[server]\ntimeout_idle=0\n",
                "3: not a valid timeout_idle in [server]: '0'; allowed: 1 to 86400 s"},
        Refused{"MySql", "[database]\nDSN=DBI:mysql:database=x;password=secret\n",
                kNotDsn + "'DBI:mysql:database'" + kAllowedDsn},
        Refused{"Postgres", "[database]\nDSN=DBI:Pg:dbname=x\n",
                kNotDsn + "'DBI:Pg:dbname'" + kAllowedDsn},
        Refused{"NoPath", "[database]\nDSN=DBI:SQLite:\n", kNotDsn + "'DBI:SQLite:'" + kAllowedDsn},
        Refused{"OtherAttribute", "[database]\nDSN=DBI:SQLite:file=/x\n",
                kNotDsn + "'DBI:SQLite:file'" + kAllowedDsn},
        Refused{"RelativePath", "[database]\nDSN=DBI:SQLite:dbname=x.db\n",
                kNotDsn + "'DBI:SQLite:dbname'" + kAllowedDsn},
        Refused{"Memory", "[database]\nDSN=DBI:SQLite::memory:\n",
                kNotDsn + "'DBI:SQLite::memory:'" + kAllowedDsn},
        Refused{"BypassMode", "[database]\nbypass_mode=drop\n",
                "2: not a valid bypass_mode in [database]: 'drop'; allowed: tempfail or pass"},
        Refused{"Durability", "[database]\ndurability=none\n",
                "2: not a valid durability in [database]: 'none'; allowed: commit or full"},
        Refused{"TablePrefix", "[database]\ntable_prefix=a;b\n",
                "2: not a valid table_prefix in [database]: 'a;b'; allowed: up to 64 letters, "
                "digits and _"},
        Refused{"Algorithm", "[Quotas]\nalgorithm=bucket\n",
                "2: not a valid algorithm in [Quotas]: 'bucket'; allowed: window or decay"},
        Refused{"Proto", "[server]\nproto=udp\n",
                "2: not a valid proto in [server]: 'udp'; allowed: tcp or unix"},
        Refused{"PathWithoutProto", "[server]\nport=/run/p.sock\n",
                "2: not a valid port in [server]: '/run/p.sock'; allowed: 1 to 65535 (a path "
                "only with proto=unix)"},
        Refused{"NumberWithUnix", "[server]\nport=10031\nproto=unix\n",
                "2: not a valid port in [server]: '10031'; allowed: with proto=unix an "
                "absolute path"},
        Refused{"UnixWithoutPort", "[server]\nproto=unix\n",
                "2: not a valid port in [server]: '10031'; allowed: with proto=unix an "
                "absolute path"},
        Refused{"Network", "[server]\ncidr_allow=127.0.0.1, 10.0.0.0/33\n",
                "2: not a valid cidr_allow in [server]: '10.0.0.0/33'; allowed: networks such "
                "as 192.0.2.0/24 or 2001:db8::/32, separated by commas or lines"},
        Refused{"Host", "[server]\nhost=a b\n",
                "2: not a valid host in [server]: 'a b'; allowed: one word"},
        Refused{"RelativePid", "[server]\npid_file=x.pid\n",
                "2: not a valid pid_file in [server]: 'x.pid'; allowed: an absolute path"},
        Refused{"LinesInMessage", "[Greylisting]\ndefer_message=<<E\na\nb\nE\n",
                "2: not a valid defer_message in [Greylisting]: 'a\\x0ab'; allowed: one line "
                "of text"},
        Refused{"EscapeInPath", "[server]\nlog_file=/a\x1b[2J\n",
                "2: not a valid log_file in [server]: '/a\\x1b[2J'; allowed: an absolute path"},
        Refused{"Sessions", "[cleanup]\nsessions=2 weeks\n",
                "2: not a valid sessions in [cleanup]: '2 weeks'; allowed: days or hours, such "
                "as 30, 30d, 12h, up to 3650 days"},
        Refused{"ClusterNode", "[cluster]\nnode=mta 1\n",
                "2: not a valid node in [cluster]: 'mta 1'; allowed: up to 253 letters, digits, "
                "dots, hyphens and _"},
        Refused{"ClusterWithout", "[cluster]\nwithout=pass\n",
                "2: not a valid without in [cluster]: 'pass'; allowed: share, local or defer"},
        Refused{"ClusterPasswordFile", "[cluster]\npassword_file=secret\n",
                "2: not a valid password_file in [cluster]: 'secret'; allowed: an absolute path"},
        Refused{
            "NotifyTo", "[notify]\nto=a@example.org root\n",
            "2: not a valid to in [notify]: 'root'; allowed: up to 10 mail addresses, separated "
            "by blanks"},
        Refused{"NotifyToMany", "[notify]\nto=a@b a@b a@b a@b a@b a@b a@b a@b a@b a@b x@y\n",
                "2: not a valid to in [notify]: 'x@y'; allowed: up to 10 mail addresses, separated "
                "by blanks"},
        Refused{"NotifyReport", "[notify]\nreport=24:00\n",
                "2: not a valid report in [notify]: '24:00'; allowed: a time of day, such as "
                "07:00"},
        Refused{"NotifyCommandQuoted", "[notify]\ncommand=/bin/tell 'it\n",
                "2: not a valid command in [notify]: '/bin/tell 'it'; allowed: an absolute path, "
                "and words for it"},
        Refused{"NotifyCommand", "[notify]\ncommand=tell it\n",
                "2: not a valid command in [notify]: 'tell it'; allowed: an absolute path, and "
                "words for it"},
        Refused{"ClusterPrefix", "[cluster]\nprefix=a b\n",
                "2: not a valid prefix in [cluster]: 'a b'; allowed: up to 64 ASCII characters "
                "without white space"}),
    [](const auto& row) { return row.param.name; });

TEST(Config, ReportsNameAndLineOfOurFile) {
  EXPECT_EQ(error_of("", "[Quotas]\n\nalgorithm=x\n").substr(0, 29),
            "carbonio-limits.conf:3: not a");
}

TEST(Config, TakesOnlyTimesOfDayForReports) {
  for (const char* value : {"00:00", "07:00", "23:59"}) {
    EXPECT_EQ(error_of("[notify]\nreport=" + std::string{value} + "\n"), "") << value;
  }
  for (const char* value : {"7:00", "07:60", "-1:00", "07:0", "07.00", "07:00:00", "0 :00", "x"}) {
    EXPECT_NE(error_of("[notify]\nreport=" + std::string{value} + "\n"), "") << value;
  }
}

TEST(Config, BoundsSessions) {
  const auto text = [](const std::string& value) { return "[cleanup]\nsessions=" + value + "\n"; };
  for (const char* value : {"1h", "1d", "3650", "87600h"}) EXPECT_EQ(error_of(text(value)), "");
  for (const char* value : {"0", "0h", "0d", "3651", "87601h", "-1", "d", "1.5d", "1 d x"}) {
    EXPECT_NE(error_of(text(value)), "") << value;
  }
}

TEST(Config, BoundsTheSocketPath) {
  const auto text = [](std::size_t size) {
    return "[server]\nproto=unix\nport=/" + std::string(size - 1, 'x') + "\n";
  };
  EXPECT_EQ(error_of(text(107)), "");
  EXPECT_NE(error_of(text(108)), "");
}

TEST(Config, BoundsTheTablePrefix) {
  EXPECT_EQ(error_of("[database]\ntable_prefix=" + std::string(64, 'x') + "\n"), "");
  EXPECT_NE(error_of("[database]\ntable_prefix=" + std::string(65, 'x') + "\n"), "");
}

TEST(Config, BoundsTheNamesOfTheCluster) {
  EXPECT_EQ(error_of("[cluster]\nnode=" + std::string(253, 'x') + "\n"), "");
  EXPECT_NE(error_of("[cluster]\nnode=" + std::string(254, 'x') + "\n"), "");
  EXPECT_EQ(error_of("[cluster]\nprefix=" + std::string(64, 'x') + "\n"), "");
  EXPECT_NE(error_of("[cluster]\nprefix=" + std::string(65, 'x') + "\n"), "");
}

}  // namespace
}  // namespace policyd
