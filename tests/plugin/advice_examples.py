# SPDX-License-Identifier: AGPL-3.0-only
"""An example, or several, of each problem that doctor can find in the rows of a database, with what
its fix changes: advice_test.py types it. Those of files, the daemon and Postfix are in
advice_host_test.py."""

import re
from dataclasses import dataclass, field

from daemon_case import insert, last, limit, quota


@dataclass
class Example:
    sql: str = ""
    changes: list = field(default_factory=list)
    limits: list = field(default_factory=list)  # the IDs of those that `list` shows otherwise
    typed: object = None  # from a sentence to commands
    count: int = 1
    also: tuple = ()  # other problems of this database


def policy(source="%internal_domains,$*", destination="any", name="a policy", priority=0):
    return (insert("policies", Name=name, Priority=priority, Description="") +
            insert("policy_members", PolicyID=last("policies"), Source=source,
                   Destination=destination))


def of_policy(table, **columns):
    return insert(table, PolicyID=last("policies"), Name="a row", **columns)


def with_limit(**columns):
    return policy() + quota(**{"track": "Policy", **columns})


def listed(source, destination="any"):
    return policy(source, destination) + quota(track="Policy")


def group(name, member):
    return (insert("policy_groups", Name=name) +
            insert("policy_group_members", PolicyGroupID=last("policy_groups"), Member=member))


def put(**values):
    """Completes a sentence: the command in it, with these words replaced."""
    def typed(fix):
        command = re.search(r"sqlite3 \S+ (\"[^\"]*\"|'[^']*')", fix)[0]
        for word, value in values.items():
            word = word.replace("__", ".").replace("_at_", "@")
            assert word in command, fix
            command = command.replace(word, value)
        return [command]
    return typed


def parts(*patterns):
    """Completes a sentence: the commands in it that match."""
    def typed(fix):
        return [re.search(pattern, fix)[0] for pattern in patterns]
    return typed


def hook(**values):
    """Completes a sentence: the command of `hook` in it, with its capital word replaced."""
    def typed(fix):
        command = re.search(r"'(carbonio-limits hook [^']*)'", fix)[1]
        [(word, value)] = values.items()
        assert command.endswith(" " + word), fix
        return [command.removesuffix(word) + value]
    return typed


OWNED = ", Comment From Carbonio, kept by carbonio-limits sync"
KEPT = 4096  # characters of an answer
GREY = dict(Track="SenderIP:/24", GreylistPeriod=60)
ACCOUNTING = dict(Track="Policy", AccountingPeriod=0, MessageCountLimit=5, Verdict="DEFER")

EXAMPLES = {
    "rules.all_mail": [
        Example(policy("any") + quota(track="user@example.tk"),
                ["quotas 3: Disabled 0 -> 1"], [3]),
        Example(policy("any") + quota(track="SenderIP:24"),
                ["quotas 3: Track SenderIP:24 -> SenderIP:/24"], [3], also=("rules.clients",)),
        Example(policy(None, None) + quota(0, track="Policy"), ["quotas 3: Disabled 0 -> 1"], []),
        Example(policy("any") + of_policy("greylisting", **{**GREY, "Track": "Sender"}),
                ["greylisting 1: Disabled 0 -> 1"]),
        Example(policy("any") + of_policy("checkhelo", UseHRP=1),
                ["checkhelo 1: UseHRP 1 -> None"], count=2, also=("rules.helo_of_logins",)),
        # A table without NOT NULL.
        Example("PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, "
                "'Track VARCHAR(255) NOT NULL', 'Track VARCHAR(255)') WHERE name = 'greylisting'; "
                "PRAGMA writable_schema = RESET;\n" +
                policy("any") + of_policy("greylisting", UseGreylisting=1, GreylistPeriod=60),
                ["greylisting 1: UseGreylisting 1 -> 0"]),
        Example(policy("any") + of_policy("access_control", Verdict="DEFER"),
                ["access_control 1: Disabled 0 -> 1"]),
        Example(policy("any") + of_policy("accounting", **{**ACCOUNTING, "Track": "Client"}),
                ["accounting 1: Disabled 0 -> 1"]),
        Example(policy("any") + quota("0.5", track="Policy", verdict="REJECT"),
                ["quotas 3: Disabled 0 -> 1"], []),
    ],
    "rows.policies.priority": [
        Example(policy(priority="'1 000'") + quota(track="Policy") +
                "UPDATE policies SET Priority = '1 000' WHERE ID = 6;",
                ["policies 6: Priority 1 000 -> 1000"]),
        Example(with_limit() + "UPDATE policies SET Priority = 'high' WHERE ID = 6;",
                ["policies 6: Priority high -> 7"], typed=put(VALUE="7")),
    ],
    "rows.quotas.track": [
        Example(with_limit(track="SenderIP:24"),
                ["quotas 3: Track SenderIP:24 -> SenderIP:/24"], [3], also=("rules.clients",)),
        Example(with_limit(track="Sender: user@domain"),
                ["quotas 3: Track Sender: user@domain -> Sender:user@domain"], [3]),
        Example(with_limit(track="sasl_username"),
                ["quotas 3: Track sasl_username -> SASLUsername"], [3]),
        Example(with_limit(track="Sender"), ["quotas 3: Track Sender -> Policy"], [3],
                typed=put(VALUE="Policy")),
    ],
    "rows.quotas.verdict": [
        Example(with_limit(verdict="DEFFER"), ["quotas 3: Verdict DEFFER -> DEFER"], [3]),
        Example(with_limit(verdict="reject "), ["quotas 3: Verdict reject  -> REJECT"], [3]),
        Example(with_limit(verdict="OK"), ["quotas 3: Verdict OK -> DEFER"], [3],
                typed=put(VALUE="DEFER")),
    ],
    "rows.quotas.period": [
        Example(with_limit(period="1h"), ["quotas 3: Period 1h -> 3600"], [3]),
        Example(with_limit(period="3,600"), ["quotas 3: Period 3,600 -> 3600"], [3]),
        Example(with_limit(period="soon"), ["quotas 3: Period soon -> 60"], [3],
                typed=put(VALUE="60")),
    ],
    "rows.quotas.no_period": [
        Example(with_limit(period=0), ["quotas 3: Period 0 -> 60"], [3], typed=put(VALUE="60")),
        Example(with_limit(period=None), ["quotas 3: Period None -> 60"], [3],
                typed=put(VALUE="60")),
    ],
    "rows.quotas_limits.type": [
        Example(with_limit(kind="MesageCount"),
                ["quotas_limits 4: Type MesageCount -> MessageCount"], [3]),
        Example(with_limit(kind="Bytes"), ["quotas_limits 4: Type Bytes -> MessageCount"], [3],
                typed=put(VALUE="MessageCount")),
    ],
    "rows.quotas_limits.counter_limit": [
        Example(with_limit(counter_limit="1,000"),
                ["quotas_limits 4: CounterLimit 1,000 -> 1000"], [3]),
        Example(with_limit(counter_limit="many"),
                ["quotas_limits 4: CounterLimit many -> 5"], [3], typed=put(VALUE="5")),
        Example(with_limit(kind="DistinctRecipients", counter_limit=1001),
                ["quotas_limits 4: CounterLimit 1001 -> 5"], [3], typed=put(VALUE="5")),
    ],
    "rows.quotas_limits.no_counter_limit": [
        Example(with_limit(counter_limit=0), ["quotas_limits 4: CounterLimit 0 -> 5"], [3],
                typed=put(VALUE="5")),
        Example(with_limit(counter_limit=None), ["quotas_limits 4: CounterLimit None -> 5"], [3],
                typed=put(VALUE="5")),
    ],
    "rows.quotas_limits.below_one": [
        Example(with_limit(counter_limit="0.5"), ["quotas_limits 4: CounterLimit 0.5 -> 5"], [3],
                typed=put(VALUE="5")),
        Example(policy("any") + quota("0.2", "SizePerMessage", "Policy", verdict=None),
                ["quotas_limits 4: CounterLimit 0.2 -> 2048"], [3], typed=put(VALUE="2048")),
    ],
    "rows.accounting.track": [
        Example(policy() + of_policy("accounting", **{**ACCOUNTING, "Track": "Sender:user@doman"}),
                ["accounting 1: Track Sender:user@doman -> Sender:user@domain"]),
    ],
    "rows.accounting.verdict": [
        Example(policy() + of_policy("accounting", **{**ACCOUNTING, "Verdict": "REJCT"}),
                ["accounting 1: Verdict REJCT -> REJECT"]),
    ],
    "rows.accounting.period": [
        Example(policy() + of_policy("accounting", **{**ACCOUNTING, "AccountingPeriod": "week"}),
                ["accounting 1: AccountingPeriod week -> 1"]),
        Example(policy() + of_policy("accounting", **{**ACCOUNTING, "AccountingPeriod": 86400}),
                ["accounting 1: AccountingPeriod 86400 -> 0"]),
        Example(policy() + of_policy("accounting", **{**ACCOUNTING, "AccountingPeriod": 7}),
                ["accounting 1: AccountingPeriod 7 -> 2"], typed=put(VALUE="2")),
    ],
    "rows.accounting.number": [
        Example(policy() + of_policy("accounting", **{**ACCOUNTING, "MessageCountLimit": "1,000"}),
                ["accounting 1: MessageCountLimit 1,000 -> 1000"]),
    ],
    "rows.access_control.verdict": [
        Example(policy() + of_policy("access_control", Verdict="REJCT"),
                ["access_control 1: Verdict REJCT -> REJECT"]),
        Example(policy() + of_policy("access_control", Verdict="DEFER"),
                ["access_control 1: Verdict DEFER -> REJECT"], typed=put(VALUE="REJECT")),
    ],
    "rows.checkhelo.number": [
        Example(policy() + of_policy("checkhelo", UseHRP=1, HRPPeriod=60, HRPLimit="1,000"),
                ["checkhelo 1: HRPLimit 1,000 -> 1000"], also=("rules.helo_of_logins",)),
        Example(policy("$-") + of_policy("checkhelo", UseHRP=1, HRPPeriod="1h", HRPLimit=3),
                ["checkhelo 1: HRPPeriod 1h -> 3600"]),
        Example(policy("$-") + of_policy("checkhelo", UseBlacklist=1, BlacklistPeriod="1 day"),
                ["checkhelo 1: BlacklistPeriod 1 day -> 86400"]),
        Example(policy("$-") + of_policy("checkhelo", RejectIP="yes"),
                ["checkhelo 1: RejectIP yes -> 1"]),
        # On, it would defer all mail: HRPPeriod is not set.
        Example(policy("$-") + of_policy("checkhelo", UseHRP="yes"),
                ["checkhelo 1: UseHRP yes -> 0"], typed=put(VALUE="0")),
        Example(policy("$-") + of_policy("checkhelo", RejectIP="maybe"),
                ["checkhelo 1: RejectIP maybe -> 1"], typed=put(VALUE="1")),
    ],
    "rows.checkspf.number": [
        Example(policy() + of_policy("checkspf", UseSPF="yes"), ["checkspf 1: UseSPF yes -> 1"]),
    ],
    "rows.greylisting.number": [
        Example(policy() + of_policy("greylisting", **{**GREY, "GreylistPeriod": "5 min"}),
                ["greylisting 1: GreylistPeriod 5 min -> 300"]),
        Example(policy() + of_policy("greylisting", UseAutoWhitelist="off", **GREY),
                ["greylisting 1: UseAutoWhitelist off -> 0"]),
    ],
    "rows.greylisting.track": [
        Example(policy() + of_policy("greylisting", **{**GREY, "Track": "SenderIP/24"}),
                ["greylisting 1: Track SenderIP/24 -> SenderIP:/24"]),
        Example(policy() + of_policy("greylisting", **{**GREY, "Track": "Sender:user@domain"}),
                ["greylisting 1: Track Sender:user@domain -> SenderIP:/24"],
                typed=put(VALUE="SenderIP:/24")),
    ],
    "rows.checkhelo_whitelist.source": [
        Example(insert("checkhelo_whitelist", Source="192.0.2.0/24"),
                ["checkhelo_whitelist 1: Source 192.0.2.0/24 -> SenderIP:192.0.2.0/24"]),
        Example(insert("checkhelo_whitelist", Source="mx.example.org"),
                ["checkhelo_whitelist 1: Source mx.example.org -> SenderIP:192.0.2.1"],
                typed=put(VALUE="SenderIP:192.0.2.1")),
        Example(insert("checkhelo_whitelist", Source="SenderIP:192.0.2.1/40"),
                ["checkhelo_whitelist 1: Source SenderIP:192.0.2.1/40 -> SenderIP:192.0.2.1"],
                typed=put(VALUE="SenderIP:192.0.2.1")),
    ],
    "rows.greylisting_whitelist.source": [
        Example(insert("greylisting_whitelist", Source="SenderIP: 192.0.2.1"),
                ["greylisting_whitelist 1: Source SenderIP: 192.0.2.1 -> SenderIP:192.0.2.1"]),
        Example(insert("greylisting_whitelist", Source="192.0.2.0/33"),
                ["greylisting_whitelist 1: Source 192.0.2.0/33 -> SenderIP:192.0.2.0/23"],
                typed=put(VALUE="SenderIP:192.0.2.0/23")),
        Example(insert("greylisting_whitelist", Source="SenderIP:192.0.2.1") +
                insert("greylisting_whitelist", Source="192.0.2.1"),
                ["greylisting_whitelist 2 is gone"]),
    ],
    "rows.unfit_data": [
        Example(with_limit(verdict="REDIRECT", data="<a@mine.example>"),
                ["quotas 3: Data <a@mine.example> -> a@mine.example"], [3]),
        Example(with_limit(verdict="REDIRECT", data="0"),
                ["quotas 3: Verdict REDIRECT -> DEFER", "quotas 3: Data 0 -> None"], [3]),
        Example(policy() + of_policy("access_control", Verdict="FILTER", Data="smtp"),
                ["access_control 1: Data smtp -> smtp:[127.0.0.1]"],
                typed=put(VALUE="smtp:[127.0.0.1]")),
    ],
    "rows.too_long": [
        Example(with_limit(data="x" * 9000), ["quotas 3: Data " + "x" * 9000 + " -> " + "x" * KEPT],
                [3]),
    ],
    "rows.missing": [
        Example(policy() + of_policy("greylisting", UseAutoWhitelist=1, **GREY),
                ["greylisting 1: UseAutoWhitelist 1 -> None"]),
        Example(policy() + of_policy("checkhelo", UseHRP=1, HRPLimit=3),
                ["checkhelo 1: UseHRP 1 -> None"], also=("rules.helo_of_logins",)),
    ],
    "rows.missing_for_some": [
        Example(policy("$*") + of_policy("checkhelo", HRPPeriod=60, HRPLimit=3) +
                policy("any") + of_policy("checkhelo", UseHRP=1),
                ["checkhelo 2: UseHRP 1 -> None"], count=2, also=("rules.helo_of_logins",)),
    ],
    "rows.broken_group": [
        Example(insert("policy_groups", Name="loop") +
                insert("policy_group_members", PolicyGroupID=last("policy_groups"),
                       Member="@loop.example") +
                insert("policy_group_members", PolicyGroupID=last("policy_groups"),
                       Member="%loop") + listed("%loop"),
                ["policy_group_members 7 is gone"]),
        # Without it the group would be empty.
        Example(group("staff", "%staff") + listed("%staff,$*"),
                ["policy_group_members 6: Member %staff -> anna@mine.example"], [3],
                typed=put(VALUE="anna@mine.example")),
        # One fix for a circle, which other groups are broken by.
        Example(group("above", "%loop") + group("loop", "%other") +
                group("other", "%loop,anna@mine.example") + listed("$*,!%above"),
                ["policy_group_members 8: Member %loop,anna@mine.example -> anna@mine.example"], [3],
                typed=put()),
    ],
    "rows.line_break": [
        Example(listed("anna@mine.example\nbob@mine.example"),
                ["policy_members 6: Source anna@mine.example\nbob@mine.example -> @mine.example"],
                [3], typed=put(VALUE="@mine.example")),
    ],
    "rows.empty_item": [
        Example(listed("$*,,anna@mine.example"),
                ["policy_members 6: Source $*,,anna@mine.example -> $*,anna@mine.example"], [3]),
    ],
    "rows.empty_list": [
        Example(listed(""), ["policy_members 6: Source  -> @mine.example"], [3],
                typed=put(VALUE="@mine.example")),
        Example(listed(","), ["policy_members 6: Source , -> @mine.example"], [3],
                typed=put(VALUE="@mine.example")),
        Example(listed("$*", ""), ["policy_members 6: Destination  -> any"], [3],
                typed=put(VALUE="any")),
    ],
    "rows.invalid_network": [
        Example(listed("300.1.1.1"), ["policy_members 6: Source 300.1.1.1 -> 30.1.1.1"], [3],
                typed=put(VALUE="30.1.1.1")),
        Example(group("above", "%wrong") + group("wrong", "300.1.1.1") + listed("$*,!%above"),
                ["policy_group_members 7: Member 300.1.1.1 -> 30.1.1.1"], [3],
                typed=put(VALUE="30.1.1.1")),
    ],
    "rows.long_prefix": [
        Example(listed("192.168.1.0/33"),
                ["policy_members 6: Source 192.168.1.0/33 -> 192.168.1.0/23"], [3],
                typed=put(VALUE="192.168.1.0/23")),
    ],
    "rows.mapped_network": [
        Example(listed("::ffff:192.0.2.0/24"),
                ["policy_members 6: Source ::ffff:192.0.2.0/24 -> 192.0.2.0/24"], [3]),
        Example(listed("@mine.example,::FFFF:10.0.0.0/40"),
                ["policy_members 6: Source @mine.example,::FFFF:10.0.0.0/40 -> @mine.example,::ffff:10.0.0.0/104"], [3],
                typed=put(VALUE="@mine.example,::ffff:10.0.0.0/104")),
    ],
    "rows.unknown_item": [
        Example(listed("Anna <anna@mine.example>"),
                ["policy_members 6: Source Anna <anna@mine.example> -> anna@mine.example"], [3]),
        Example(listed("$*", "example.net"),
                ["policy_members 6: Destination example.net -> @example.net"], [3]),
        Example(listed("192.168.1.0-192.168.1.255"),
                ["policy_members 6: Source 192.168.1.0-192.168.1.255 -> 192.168.1.0/24"], [3],
                typed=put(VALUE="192.168.1.0/24")),
        Example(listed("$anna;$bob"),
                ["policy_members 6: Source $anna;$bob -> $anna",
                 "policy_members 7 is new: PolicyID 6, Source $bob, Destination any"], [3]),
        Example(listed("192.168.1.*"), ["policy_members 6: Source 192.168.1.* -> 192.168.1"], [3]),
        Example(listed("anna@mine.example, bob@mine.example"),
                ["policy_members 6: Source anna@mine.example, bob@mine.example -> "
                 "anna@mine.example",
                 "policy_members 7 is new: PolicyID 6, Source bob@mine.example, Destination any"],
                [3]),
        Example(listed("$*,foo bar"), ["policy_members 6: Source $*,foo bar -> @mine.example"], [3],
                typed=put(VALUE="@mine.example")),
        Example(insert("policy_group_members", PolicyGroupID=2, Member=" @more.example "),
                ["policy_group_members 6: Member  @more.example  -> @more.example"]),
    ],
    "rows.no_address": [
        Example(listed("<anna@mine.example>"),
                ["policy_members 6: Source <anna@mine.example> -> anna@mine.example"], [3]),
        Example(listed("a@mine.example;b@mine.example"),
                ["policy_members 6: Source a@mine.example;b@mine.example -> a@mine.example",
                 "policy_members 7 is new: PolicyID 6, Source b@mine.example, Destination any"],
                [3]),
        Example(insert("policy_group_members", PolicyGroupID=2,
                       Member="@a.example;@b.example"),
                ["policy_group_members 6: Member @a.example;@b.example -> @a.example,@b.example"]),
        Example(listed("mailto:anna@mine.example"),
                ["policy_members 6: Source mailto:anna@mine.example -> anna@mine.example"], [3]),
        Example(listed("\u201canna@mine.example\u201d"),
                ["policy_members 6: Source \u201canna@mine.example\u201d -> anna@mine.example"], [3]),
        Example(insert("policy_group_members", PolicyGroupID=2,
                       Member="\u201canna@mine.example\u201d"),
                ["policy_group_members 6: Member \u201canna@mine.example\u201d -> "
                 "anna@mine.example"]),
        Example(listed("@mine..example"),
                ["policy_members 6: Source @mine..example -> @mine.example"], [3],
                typed=put(VALUE="@mine.example")),
        Example(listed("!!@mine.example"),
                ["policy_members 6: Source !!@mine.example -> !@mine.example"], [3],
                typed=put(VALUE="!@mine.example")),
        Example(listed("anna@@mine.example"),
                ["policy_members 6: Source anna@@mine.example -> anna@mine.example"], [3],
                typed=put(VALUE="anna@mine.example")),
    ],
    "rows.never_together": [
        Example(listed("anna@mine.example,bob@mine.example"),
                ["policy_members 6: Source anna@mine.example,bob@mine.example -> "
                 "anna@mine.example",
                 "policy_members 7 is new: PolicyID 6, Source bob@mine.example, Destination any"],
                [3]),
        Example(listed("$*", "@a.example,@b.example"),
                ["policy_members 6: Destination @a.example,@b.example -> @a.example",
                 "policy_members 7 is new: PolicyID 6, Source $*, Destination @b.example"], [3]),
        # Not divided: that would match all mail, or nearly.
        *(Example(listed(source), [f"policy_members 6: Source {source} -> @mine.example"],
                  [3], typed=put(VALUE="@mine.example"))
          for source in ("$-,$anna", "::/0,10.0.0.0/8", "0.0.0.0/0,2001:db8::/32", "$*,$-",
                         "$anna,!$*", "a@mine.example,!@mine.example",
                         "192.0.2.9,!192.0.2.0/24")),
        Example(listed("a@*,b@*"),
                ["policy_members 6: Source a@*,b@* -> a@*",
                 "policy_members 7 is new: PolicyID 6, Source b@*, Destination any"], [3]),
        Example(listed("$*", "*@a.example,@*.net"),
                ["policy_members 6: Destination *@a.example,@*.net -> *@a.example",
                 "policy_members 7 is new: PolicyID 6, Source $*, Destination @*.net"], [3]),
        Example(listed("@mine.example,!@mine.example"),
                ["policy_members 6: Source @mine.example,!@mine.example -> @mine.example"], [3],
                typed=put(VALUE="@mine.example")),
    ],
    "rows.unknown_group": [
        Example(listed("%internal_domians,$*"),
                ["policy_members 6: Source %internal_domians,$* -> %internal_domains,$*"], [3]),
        Example(listed("%staff"), ["policy_members 6: Source %staff -> %internal_domains"], [3],
                typed=put(VALUE="%internal_domains")),
        # The groups of these names would contain themselves.
        Example(group("staff", "%Staff") + listed("%staff,$*"),
                ["policy_group_members 6: Member %Staff -> anna@mine.example"],
                typed=put(VALUE="anna@mine.example")),
        Example(group("sales", "%staff") + group("staff", "%Sales") + listed("%staff,$*"),
                ["policy_group_members 7: Member %Sales -> anna@mine.example"],
                typed=put(VALUE="anna@mine.example")),
    ],
    "rows.empty_member": [
        Example(insert("policy_group_members", PolicyGroupID=1, Member=""),
                ["policy_group_members 6 is gone"]),
        Example(group("staff", ",") + listed("%staff,$*"),
                ["policy_group_members 6: Member , -> anna@mine.example"],
                typed=put(VALUE="anna@mine.example")),
    ],
    "rules.orphans": [
        Example(insert("quotas", PolicyID=66, Name="q", Track="Policy", Period=60, Verdict="DEFER",
                       Data="") + limit(5) + insert("policy_members", PolicyID=66, Source="any"),
                ["policy_members 6 is gone", "quotas 3 is gone", "quotas_limits 4 is gone"]),
        Example(with_limit() + insert("quotas_limits", QuotasID=77, Type="MessageCount",
                                      CounterLimit=5) +
                insert("quotas_limits", QuotasID=None, Type="MessageCount", CounterLimit=5),
                ["quotas_limits 5 is gone", "quotas_limits 6 is gone"], count=2),
    ],
    "rules.no_limit": [
        Example(with_limit() + of_policy("quotas", Track="Policy", Period=60, Verdict="DEFER"),
                ["quotas 4 is gone"]),
        Example(policy() + of_policy("quotas", Track="Policy", Period=60, Verdict="DEFER"),
                ["policies 6 is gone", "policy_members 6 is gone", "quotas 3 is gone"]),
    ],
    "rules.limits_off": [
        Example(with_limit() + "UPDATE quotas_limits SET Disabled = 1 WHERE ID = 4;",
                ["quotas 3: Disabled 0 -> 1"]),
    ],
    "rules.empty_policy": [
        Example(insert("policies", Name="left", Priority=0), ["policies 6 is gone"]),
        Example(policy(), ["policies 6 is gone", "policy_members 6 is gone"]),
    ],
    "rules.no_members": [
        Example(insert("policies", Name="p", Priority=0) + quota(track="Policy"),
                ["policy_members 6 is new: PolicyID 6, Source @mine.example, Destination any"], [3],
                typed=put(SOURCE="@mine.example", DESTINATION="any")),
    ],
    "rules.last_quota": [
        Example("UPDATE policies SET Disabled = 1 WHERE ID = 5;" +
                policy("any") + quota(track="SASLUsername", last_quota=1) +
                policy("$*", priority=5) + quota(track="Policy"),
                ["quotas 3: LastQuota 1 -> 0"]),
    ],
    "rules.block_off": [
        Example(policy("$anna", name="carbonio-limits block anna") +
                of_policy("access_control", Verdict="REJECT") +
                "UPDATE policies SET Disabled = 1 WHERE Name = 'carbonio-limits block anna';\n",
                ["policies 6: Disabled 1 -> 0"]),
    ],
    "rules.steps_invalid": [
        Example(with_limit() + "UPDATE quotas SET Comment = 'then=blok:1h; for Anna' WHERE ID = 3;\n",
                ["quotas 3: Comment then=blok:1h; for Anna -> then=notify; for Anna"], [3],
                also=("answers.stalled",)),
    ],
    "rules.signal_invalid": [
        Example(insert("policies", Name="carbonio-limits signal networks many then notify",
                       Priority=0, Disabled=1) +
                of_policy("access_control", Verdict="REJECT", Disabled=1),
                ["access_control 1 is gone", "policies 6 is gone"]),
    ],
    "rules.access_control": [
        Example(policy("any") + of_policy("access_control", Verdict="OK"),
                ["access_control 1: Disabled 0 -> 1"]),
    ],
    "rules.clients": [
        Example(policy("any") + quota(track="SenderIP:/32"),
                ["quotas 3: Track SenderIP:/32 -> SenderIP:/128"], [3]),
    ],
    "rules.names": [
        Example(policy(name="\u0421arbonio") + quota(track="Policy"),
                ["policies 6: Name \u0421arbonio -> Carbonio"], [3]),
        Example(insert("policy_groups", Name="s\u0430les") +
                insert("policy_group_members", PolicyGroupID=last("policy_groups"),
                       Member="@sales.example") + listed("%s\u0430les,$*"),
                ["policy_groups 3: Name s\u0430les -> sales",
                 "policy_members 6: Source %s\u0430les,$* -> %sales,$*"], [3]),
    ],
    "rules.outside": [
        Example(policy("anna@mine.example") + quota(verdict="REJECT", data="Stop."),
                ["policy_members 6: Source anna@mine.example -> anna@mine.example,$*",
                 "policy_members 7 is new: PolicyID 6, Source anna@mine.example,%internal_ips, "
                 "Destination any"], [3]),
        Example(policy("@mine.example") + quota() + quota(5, track="Sender:@domain", period=600) +
                quota(track="Recipient:@domain"),
                ["policies 7 is new: Name a policy",
                 "policy_members 7 is new: PolicyID 7, Source @mine.example,$*, Destination any",
                 "policy_members 8 is new: PolicyID 7, Source @mine.example,%internal_ips, "
                 "Destination any",
                 "quotas 3: PolicyID 6 -> 7", "quotas 4: PolicyID 6 -> 7"], [3, 4]),
    ],
    "rules.bounces": [
        Example(policy("any") + quota() + quota(125, track="Recipient:@domain", verdict="REJECT"),
                ["policies 7 is new: Name a policy",
                 "policy_members 7 is new: PolicyID 7, Source $*, Destination any",
                 "policy_members 8 is new: PolicyID 7, Source %internal_ips, Destination any",
                 "quotas 3: PolicyID 6 -> 7"], [3]),
    ],
    "rules.example_groups": [
        Example(policy() + quota(track="Policy") +
                "DELETE FROM policy_group_members WHERE PolicyGroupID = 2;",
                ["policy_group_members 6 is new: PolicyGroupID 2, Member @mine.example" + OWNED],
                typed=hook(DOMAIN="mine.example")),
        *(Example("UPDATE policy_group_members SET ID = 1, Member = '10.0.0.0/8' WHERE ID = 4;" +
                  listed("%internal_ips,$*"),
                  ["policy_group_members 1 is gone",
                   f"policy_group_members 6 is new: PolicyGroupID 1, Member {network}" + OWNED],
                  typed=hook(NETWORK=network)) for network in ("10.0.0.0/8", "192.0.2.0/24")),
    ],
    "rules.no_group": [
        Example("DELETE FROM policy_groups WHERE ID = 1;"
                "DELETE FROM policy_group_members WHERE PolicyGroupID = 1;" +
                listed("%internal_ips,$*"),
                ["policy_group_members 6 is new: PolicyGroupID 3, Member 127.0.0.0/8" + OWNED,
                 "policy_groups 3 is new: Name internal_ips"],
                typed=hook(NETWORK="127.0.0.0/8")),
    ],
    "rules.group_off": [
        Example("UPDATE policy_groups SET Disabled = 1 WHERE ID = 2;" + listed("%internal_domains"),
                ["policy_groups 2: Disabled 1 -> 0"]),
    ],
    "rules.empty_group": [
        Example(insert("policy_groups", Name="staff") + listed("%staff,$*"),
                ["policy_group_members 6 is new: PolicyGroupID 3, Member anna@mine.example"],
                typed=put(MEMBER="anna@mine.example")),
    ],
    "rules.open_networks": [
        Example("UPDATE policy_group_members SET Member = '0.0.0.0/0' WHERE ID = 4;" +
                listed("%internal_ips,$*"),
                ["policy_group_members 4: Member 0.0.0.0/0 -> 127.0.0.0/8"],
                typed=put()),
    ],
    "rules.swapped": [
        Example(with_limit(data="0", last_quota="Too many mails.") +
                quota(20, track="Policy", period=600, data="0", last_quota="Too many mails."),
                ["quotas 3: Data 0 -> Too many mails.", "quotas 3: LastQuota Too many mails. -> 0",
                 "quotas 4: Data 0 -> Too many mails.", "quotas 4: LastQuota Too many mails. -> 0"],
                [3]),
        *(Example(with_limit(data=data, last_quota="Too many mails."),
                  [f"quotas 3: Data {'' if data == '' else None} -> Too many mails.",
                   "quotas 3: LastQuota Too many mails. -> 0"], [3]) for data in ("", None)),
        Example(with_limit(data="1", last_quota=""),
                ["quotas 3: Data 1 -> ", "quotas 3: LastQuota  -> 0"], [3]),
        Example(policy() + of_policy("accounting", Data="0", LastAccounting="Enough.", **ACCOUNTING),
                ["accounting 1: Data 0 -> Enough.", "accounting 1: LastAccounting Enough. -> 0"]),
    ],
    "rules.null_text": [
        Example(with_limit(data="NULL"), ["quotas 3: Data NULL -> None"], [3]),
        Example(policy() + of_policy("access_control", Verdict="REJECT", Data="null"),
                ["access_control 1: Data null -> None"]),
    ],
    "rules.disabled_word": [
        Example(with_limit() + with_limit(counter_limit=20) +
                "UPDATE quotas SET Disabled = 'NULL' WHERE ID = 3;",
                ["quotas 3: Disabled NULL -> 0"], [3]),
        # What else is off by that word is no finding of its own.
        Example(with_limit() + "UPDATE quotas_limits SET Disabled = 'false' WHERE ID = 4;",
                ["quotas_limits 4: Disabled false -> 0"], [3]),
        Example(with_limit() + "UPDATE quotas_limits SET Disabled = 'NULL' WHERE ID = 4;",
                ["quotas_limits 4: Disabled NULL -> 0"], [3]),
        Example(with_limit() + "UPDATE policy_members SET Disabled = 'no' WHERE ID = 6;",
                ["policy_members 6: Disabled no -> 0"], [3]),
        Example("UPDATE checkhelo_blacklist SET Disabled = 'no' WHERE ID = 3;",
                ["checkhelo_blacklist 3: Disabled no -> 0"]),
        Example(with_limit() + "UPDATE quotas SET Disabled = 2 WHERE ID = 3;",
                ["quotas 3: Disabled 2 -> 1"]),
        Example(with_limit() + "UPDATE quotas SET Disabled = 0.5 WHERE ID = 3;",
                ["quotas 3: Disabled 0.5 -> 1"]),
        Example(with_limit() + "UPDATE policy_members SET Disabled = 'maybe' WHERE ID = 4;",
                ["policy_members 4: Disabled maybe -> 1"], typed=put(VALUE="1")),
    ],
    "rules.odd_switch": [
        Example(policy("$-") + of_policy("checkhelo", RejectIP=2),
                ["checkhelo 1: RejectIP 2 -> 1"], typed=put(VALUE="1")),
        Example(policy() + of_policy("checkspf", UseSPF=-1), ["checkspf 1: UseSPF -1 -> 1"],
                typed=put(VALUE="1")),
        Example(policy() + of_policy("greylisting", UseGreylisting=2, **GREY),
                ["greylisting 1: UseGreylisting 2 -> 0"], typed=put(VALUE="0")),
        Example(policy() + of_policy("accounting", LastAccounting="no", Data="Enough.",
                                     **ACCOUNTING), ["accounting 1: LastAccounting no -> 0"]),
    ],
    "rules.blacklist": [
        *(Example(insert("checkhelo_blacklist", Helo=helo),
                  [f"checkhelo_blacklist 5: Helo {helo} -> evil.example"])
          for helo in (" evil.example ", "evil.example\n")),
        Example(insert("checkhelo_blacklist", Helo="localhost "), ["checkhelo_blacklist 5 is gone"]),
        Example(insert("checkhelo_blacklist", Helo="*.bad.example"),
                ["checkhelo_blacklist 5: Helo *.bad.example -> mail.bad.example"],
                typed=put(VALUE="mail.bad.example")),
    ],
    "rules.equal_members": [
        Example(policy() + insert("policy_members", PolicyID=6, Source="%Internal_domains,$*",
                                  Destination=None).replace("Internal", "internal") +
                quota(track="Policy"), ["policy_members 7 is gone"], [3]),
        Example(insert("policy_group_members", PolicyGroupID=2, Member="@Mine.example") +
                insert("policy_group_members", PolicyGroupID=2, Member="@mine.example"),
                ["policy_group_members 6 is gone", "policy_group_members 7 is gone"]),
    ],
    "rules.two_of_a_type": [
        Example(with_limit() + limit(5), ["quotas_limits 4 is gone"], [3]),
    ],
    "rules.equal_limits": [
        Example(with_limit() + with_limit(),
                ["policies 7 is gone", "policy_members 7 is gone", "quotas 4 is gone",
                 "quotas_limits 5 is gone"], [4]),
    ],
    "rules.never_reached": [
        Example(with_limit(counter_limit=500, period=3600) +
                quota(100, track="Policy", period=86400),
                ["quotas 3 is gone", "quotas_limits 4 is gone"], [3, 4]),
        Example(with_limit(counter_limit=100, period=3600) +
                quota(2400, track="Policy", period=86400),
                ["quotas 4 is gone", "quotas_limits 5 is gone"], [3]),
    ],
    "rules.empty_sender": [
        Example(listed("@"), ["policy_members 6: Comment None -> bounces"],
                typed=parts(r"sqlite3 \S+ \"UPDATE policy_members SET Comment[^\"]*\"")),
    ],
    "rules.host_name": [
        Example(listed("example.net"), ["policy_members 6: Source example.net -> @example.net"], [3],
                typed=parts(r"sqlite3 \S+ \"UPDATE policy_members SET Source[^\"]*\"")),
    ],
    "rules.bare_domain": [
        Example(insert("policy_group_members", PolicyGroupID=2, Member="more.example"),
                ["policy_group_members 6: Member more.example -> @more.example"]),
        Example(insert("policy_group_members", PolicyGroupID=2, Member="mine.example"),
                ["policy_group_members 6 is gone"]),
    ],
    "rules.network_among_domains": [
        Example(insert("policy_group_members", PolicyGroupID=2, Member="192.0.2.0/24"),
                ["policy_group_members 6: PolicyGroupID 2 -> 1"]),
    ],
    "rules.domain_among_networks": [
        Example(insert("policy_group_members", PolicyGroupID=1, Member="@more.example"),
                ["policy_group_members 6: PolicyGroupID 1 -> 2"],
                typed=parts(r"sqlite3 \S+ \"UPDATE[^\"]*\"")),
        Example(insert("policy_group_members", PolicyGroupID=1, Member="@more.example"),
                ["policy_group_members 6 is gone"],
                typed=parts(r"sqlite3 \S+ 'DELETE[^']*'")),
    ],
    "rules.permitted": [
        Example(policy("!%internal_ips,!%internal_domains", "%internal_domains") +
                of_policy("access_control", Verdict="OK") +
                policy("any", "%internal_domains") + quota(track="Recipient:@domain"),
                ["access_control 1: Verdict OK -> PASS"]),
        Example(insert("policy_group_members", PolicyGroupID=2, Member="@two.example") +
                policy("@two.example") + of_policy("access_control", Verdict="OK") +
                policy() + quota(track="Policy"),
                ["access_control 1: Verdict OK -> PASS"]),
    ],
    "rules.helo_of_logins": [
        Example(policy("%internal_domains") + of_policy("checkhelo", RejectInvalid=1),
                ["policy_members 6: Source %internal_domains -> %internal_domains,$-"]),
        Example(policy("any") + of_policy("checkhelo", RejectInvalid=1),
                ["policy_members 6: Source any -> $-"]),
    ],
    "rules.roaming": [
        Example(policy("%internal_ips,%internal_domains") + quota(track="Policy"),
                ["policy_members 7 is new: PolicyID 6, Source $*,%internal_domains, "
                 "Destination any"], [3]),
    ],
    "rules.named_otherwise": [
        Example(with_limit(track="Recipient:@domain") +
                "UPDATE quotas SET Name = 'Sender:user@domain' WHERE ID = 3;",
                ["quotas 3: Name Sender:user@domain -> Recipient:@domain"],
                typed=parts(r"sqlite3 \S+ 'UPDATE quotas SET Name[^']*'")),
    ],
    "rules.no_recipients": [
        Example(listed("$*", "%internal_ips"),
                ["policy_members 6: Destination %internal_ips -> %internal_domains"], [3],
                typed=put(VALUE="%internal_domains")),
    ],
    "rules.misspelt": [
        Example(policy("$anna@mime.example") + quota(track="SASLUsername"),
                ["policy_group_members 6 is new: PolicyGroupID 2, Member @mime.example" + OWNED],
                typed=parts(r"carbonio-limits hook domain-created [^']+")),
        Example(policy("@mime.example,$*") + "UPDATE policies SET Name = 'x' WHERE ID = 6;" +
                insert("policy_members", PolicyID=6, Source="@mime.example,%internal_ips",
                       Destination="any") + quota(),
                ["policy_group_members 6 is new: PolicyGroupID 2, Member @mime.example, "
                 "Comment From Carbonio, kept by carbonio-limits sync"],
                typed=parts(r"carbonio-limits hook domain-created [^']+")),
    ],
    "database.lost_reference": [
        Example(with_limit() + "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = "
                "replace(sql, 'REFERENCES quotas(', 'REFERENCES tmp_quotas(') WHERE name = "
                "'quotas_limits'; PRAGMA writable_schema = OFF;"),
    ],
    "database.no_primary_key": [
        Example(with_limit() + "CREATE TABLE old AS SELECT * FROM quotas; DROP TABLE quotas;"
                "ALTER TABLE old RENAME TO quotas;"),
    ],
}
