// SPDX-License-Identifier: AGPL-3.0-only
// Every problem that doctor can find, one a line: {check, name}. The names are stable, for
// programs. tests/plugin/advice_test.py reads this list and fails where one has no example, whose
// fix it types.
#pragma once

#include "plugin/doctor/examine.hpp"

namespace limits::problem {

inline constexpr Problem kOtherDriver{"daemon.configuration", "daemon.other_driver"};

// The file.
inline constexpr Problem kNoDatabase{"database.exists", "database.exists"};
inline constexpr Problem kUnreadable{"database.readable", "database.readable"};
inline constexpr Problem kNotPermitted{"database.readable", "database.not_permitted"};
inline constexpr Problem kOwner{"database.owner", "database.owner"};
inline constexpr Problem kSpace{"database.space", "database.space"};
inline constexpr Problem kReplaced{"database.replaced", "database.replaced"};
inline constexpr Problem kLocked{"database.writable", "database.locked"};
inline constexpr Problem kReadOnly{"database.writable", "database.read_only"};
inline constexpr Problem kSchema{"database.schema", "database.schema"};
inline constexpr Problem kOtherTables{"database.schema", "database.other_tables"};
inline constexpr Problem kNotTakenOver{"database.taken_over", "database.taken_over"};
inline constexpr Problem kLostReference{"database.references", "database.lost_reference"};
inline constexpr Problem kNoPrimaryKey{"database.references", "database.no_primary_key"};
inline constexpr Problem kDamaged{"database.integrity", "database.integrity"};

// Rows that the daemon does not understand; rows.cpp has the names of the others.
inline constexpr Problem kAllMail{"rules.all_mail", "rules.all_mail"};

// Rows without effect, or with another one than meant.
inline constexpr Problem kOrphan{"rules.orphans", "rules.orphans"};
inline constexpr Problem kNoLimit{"rules.empty", "rules.no_limit"};
inline constexpr Problem kLimitsOff{"rules.empty", "rules.limits_off"};
inline constexpr Problem kEmptyPolicy{"rules.empty", "rules.empty_policy"};
inline constexpr Problem kNoMembers{"rules.empty", "rules.no_members"};
inline constexpr Problem kLastQuota{"rules.last_quota", "rules.last_quota"};
inline constexpr Problem kAccessControl{"rules.access_control", "rules.access_control"};
inline constexpr Problem kClients{"rules.clients", "rules.clients"};
inline constexpr Problem kNames{"rules.names", "rules.names"};
inline constexpr Problem kOutside{"rules.outside", "rules.outside"};
inline constexpr Problem kBounces{"rules.bounces", "rules.bounces"};
inline constexpr Problem kExampleGroup{"rules.example_groups", "rules.example_groups"};
inline constexpr Problem kNoGroup{"rules.groups", "rules.no_group"};
inline constexpr Problem kGroupOff{"rules.groups", "rules.group_off"};
inline constexpr Problem kEmptyGroup{"rules.groups", "rules.empty_group"};
inline constexpr Problem kOpenNetworks{"rules.groups", "rules.open_networks"};
inline constexpr Problem kSwapped{"rules.columns", "rules.swapped"};
inline constexpr Problem kNullText{"rules.columns", "rules.null_text"};
inline constexpr Problem kDisabledWord{"rules.columns", "rules.disabled_word"};
inline constexpr Problem kOddSwitch{"rules.columns", "rules.odd_switch"};
inline constexpr Problem kBlacklist{"rules.columns", "rules.blacklist"};
inline constexpr Problem kEqualMembers{"rules.duplicates", "rules.equal_members"};
inline constexpr Problem kTwoOfAType{"rules.duplicates", "rules.two_of_a_type"};
inline constexpr Problem kEqualLimits{"rules.duplicates", "rules.equal_limits"};
inline constexpr Problem kNeverReached{"rules.rates", "rules.never_reached"};
inline constexpr Problem kEmptySender{"rules.doubtful", "rules.empty_sender"};
inline constexpr Problem kHostName{"rules.doubtful", "rules.host_name"};
inline constexpr Problem kBareDomain{"rules.doubtful", "rules.bare_domain"};
inline constexpr Problem kNetworkAmongDomains{"rules.doubtful", "rules.network_among_domains"};
inline constexpr Problem kDomainAmongNetworks{"rules.doubtful", "rules.domain_among_networks"};
inline constexpr Problem kNoRecipients{"rules.doubtful", "rules.no_recipients"};
inline constexpr Problem kMisspelt{"rules.doubtful", "rules.misspelt"};
inline constexpr Problem kPermitted{"rules.access_control", "rules.permitted"};
inline constexpr Problem kStepsInvalid{"rules.steps", "rules.steps_invalid"};
inline constexpr Problem kSignalInvalid{"rules.steps", "rules.signal_invalid"};
inline constexpr Problem kAnswersStalled{"answers.run", "answers.stalled"};
inline constexpr Problem kCountriesUnread{"answers.countries", "answers.countries_unread"};
inline constexpr Problem kMailLogUnread{"answers.mail_log", "answers.mail_log_unread"};
inline constexpr Problem kBlockOff{"rules.blocked", "rules.block_off"};
inline constexpr Problem kHeloOfLogins{"rules.helo", "rules.helo_of_logins"};
inline constexpr Problem kRoaming{"rules.roaming", "rules.roaming"};
inline constexpr Problem kNamedOtherwise{"rules.names", "rules.named_otherwise"};

// The daemon.
inline constexpr Problem kServiceOff{"service.enabled", "service.enabled"};
inline constexpr Problem kNoConfiguration{"daemon.configuration", "daemon.no_configuration"};
inline constexpr Problem kConfiguration{"daemon.configuration", "daemon.configuration"};
inline constexpr Problem kConfigurationLine{"daemon.configuration", "daemon.configuration_line"};
inline constexpr Problem kPaused{"daemon.pause", "daemon.paused"};
inline constexpr Problem kPauseFile{"daemon.pause", "daemon.pause_file"};
inline constexpr Problem kQuotasOff{"daemon.quotas", "daemon.quotas"};
inline constexpr Problem kNotRunning{"daemon.running", "daemon.running"};
inline constexpr Problem kOtherProgram{"daemon.running", "daemon.other_program"};
inline constexpr Problem kForeignProgram{"daemon.running", "daemon.foreign_program"};
inline constexpr Problem kNoAnswer{"daemon.answers", "daemon.answers"};
inline constexpr Problem kRefusedRequests{"daemon.requests", "daemon.requests"};
inline constexpr Problem kOldRules{"daemon.rules", "daemon.rules"};
inline constexpr Problem kTrouble{"daemon.trouble", "daemon.trouble"};
inline constexpr Problem kOtherDatabase{"daemon.database", "daemon.database"};
inline constexpr Problem kOtherModules{"daemon.modules", "daemon.modules"};
inline constexpr Problem kLog{"daemon.log", "daemon.log"};
inline constexpr Problem kLostLines{"daemon.log_lines", "daemon.log_lines"};
inline constexpr Problem kPidFile{"daemon.pid_file", "daemon.pid_file"};

// Other MTAs.
inline constexpr Problem kClusterAlone{"mta.others", "cluster.alone"};
inline constexpr Problem kClusterEngine{"cluster.engine", "cluster.engine"};
inline constexpr Problem kClusterRules{"cluster.rules", "cluster.rules"};
inline constexpr Problem kClusterClock{"cluster.clock", "cluster.clock"};
inline constexpr Problem kClusterMemory{"cluster.memory", "cluster.memory"};

// Notices.
inline constexpr Problem kNoticesOff{"notices.run", "notices.off"};
inline constexpr Problem kNoticesStalled{"notices.run", "notices.stalled"};
inline constexpr Problem kNoticesNotSent{"notices.sent", "notices.not_sent"};

// Postfix.
inline constexpr Problem kNeverAsks{"postfix.asks", "postfix.never_asks"};
inline constexpr Problem kAsksAnother{"postfix.asks", "postfix.asks_another"};
inline constexpr Problem kAsksEarly{"postfix.asks", "postfix.asks_early"};
inline constexpr Problem kOnlyWarns{"postfix.asks", "postfix.only_warns"};
inline constexpr Problem kUnknownWord{"postfix.asks", "postfix.unknown_word"};
inline constexpr Problem kPermits{"postfix.permits", "postfix.permits"};
inline constexpr Problem kEndOfData{"postfix.end_of_data", "postfix.end_of_data"};
inline constexpr Problem kDelimiter{"postfix.delimiter", "postfix.delimiter"};
inline constexpr Problem kOrigin{"postfix.origin", "postfix.origin"};
inline constexpr Problem kSenders{"postfix.senders", "postfix.senders"};
inline constexpr Problem kNullSender{"postfix.senders", "postfix.null_sender"};

}  // namespace limits::problem
