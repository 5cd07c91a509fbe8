# SPDX-License-Identifier: AGPL-3.0-only
"""Rows that an attacker, a faulty script or a damaged copy may leave in the rule tables: mail is answered
according to CBPolicyD's rules, each row is logged once with its table and ID, and no other row is
affected: the limit of a bystander keeps counting exactly."""

import collections
import re
import sqlite3
import unittest
from dataclasses import dataclass

from daemon_case import DaemonTest, insert, stay_within_the_day

MODULES = ("AccessControl", "CheckHelo", "Greylisting", "Quotas", "Accounting")
HUGE = 2**63 - 1
RULE_TABLES = ("policies", "policy_members", "policy_groups", "policy_group_members", "quotas",
               "quotas_limits", "access_control", "accounting", "checkhelo", "checkspf", "greylisting",
               "checkhelo_whitelist", "greylisting_whitelist")
NOT_UTF8 = "CAST(x'fffe41c328' AS TEXT)"
LONG = "hex(zeroblob(5000))"  # 10,000 characters
MEGABYTE = "hex(zeroblob(500000))"
LONGEST_ANSWER = 4096


def rows(table: str, **columns) -> str:
    """Like `insert`, but the values are SQL."""
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(map(str, columns.values()))});"


def victim(source="'@hostile.example'", destination="'any'", number=60, **columns) -> str:
    """The policy of the hostile rows. It comes before the bystander's."""
    columns = {"Priority": 1, "Name": "'hostile'", **columns}
    return (rows("policies", ID=number, **columns) +
            rows("policy_members", ID=number, PolicyID=number, Source=source, Destination=destination))


def quota(**columns) -> str:
    columns = {"Track": "'Sender:user@domain'", "Period": 3600, "Verdict": "'DEFER'", "Data": "'over'",
               "Name": "'q'", **columns}
    limit = {key: columns.pop(key) for key in ("Type", "CounterLimit") if key in columns}
    limit = {"Type": "'MessageCount'", "CounterLimit": 2, **limit}
    return (rows("quotas", ID=61, PolicyID=60, **columns) +
            rows("quotas_limits", ID=62, QuotasID=61, **limit))


def accounting(**columns) -> str:
    return rows("accounting", **{"ID": 61, "PolicyID": 60, "Name": "'a'", "Track": "'Policy'",
                                 "AccountingPeriod": 0, "MessageCountLimit": 2, "Verdict": "'DEFER'",
                                 "Data": "'over'", **columns})


def greylisting(**columns) -> str:
    return rows("greylisting", **{"ID": 61, "PolicyID": 60, "Name": "'g'", "UseGreylisting": 1,
                                  "GreylistPeriod": 0, "Track": "'SenderIP:/32'", **columns})


def helo(**columns) -> str:
    return rows("checkhelo", **{"ID": 61, "PolicyID": 60, "Name": "'h'", **columns})


def access(**columns) -> str:
    return rows("access_control", **{"ID": 61, "PolicyID": 60, "Name": "'a'", "Verdict": "'REJECT'",
                                     "Data": "'no'", **columns})


@dataclass
class Case:
    name: str
    sql: str
    answers: list  # for three mails from the victim; a str for three equal ones
    logged: tuple = ()  # the (table, ID) pairs in the log


PASSES, DEFERS = "DUNNO", "DEFER"
AT_TWO = ["DUNNO", "DUNNO", "DEFER over"]
GREYLISTED_ONCE = [re.compile("451 4.7.1 .+"), "DUNNO", "DUNNO"]
Q, L, A, G, H, C, P, M = ((table, number) for table, number in (
    ("quotas", 61), ("quotas_limits", 62), ("accounting", 61), ("greylisting", 61), ("checkhelo", 61),
    ("access_control", 61), ("policies", 60), ("policy_members", 60)))

QUOTAS = [
    Case(f"quotas: {name}", victim() + quota(**columns), answers, logged)
    for name, columns, answers, logged in [
        ("a Track of 10,000 characters", {"Track": LONG}, DEFERS, (Q,)),
        ("a Track without UTF-8", {"Track": NOT_UTF8}, DEFERS, (Q,)),
        ("a Track that is a blob", {"Track": "x'00ff00'"}, DEFERS, (Q,)),
        ("Track NULL", {"Track": "NULL"}, DEFERS, (Q,)),
        ("a negative Period", {"Period": -3600}, ["DUNNO", "DEFER", "DEFER"], (Q,)),
        ("Period NULL", {"Period": "NULL"}, ["DUNNO", "DEFER", "DEFER"], (Q,)),
        ("text in Period", {"Period": "'an hour'"}, ["DUNNO", "DEFER", "DEFER"], (Q,)),
        ("text behind a number in Period", {"Period": "'3600 s'"}, AT_TWO, (Q,)),
        ("the largest Period", {"Period": HUGE}, AT_TWO, ()),
        ("a Period beyond integers", {"Period": "1e300"}, AT_TWO, ()),
        ("a negative CounterLimit", {"CounterLimit": -5}, DEFERS, (L,)),
        ("CounterLimit NULL", {"CounterLimit": "NULL"}, DEFERS, (L,)),
        ("text in CounterLimit", {"CounterLimit": "'many'"}, DEFERS, (L,)),
        ("the largest CounterLimit", {"CounterLimit": HUGE}, PASSES, ()),
        ("a CounterLimit beyond integers", {"CounterLimit": "9e999"}, PASSES, ()),
        ("a Type of 10,000 characters", {"Type": LONG}, PASSES, (L,)),
        ("Type NULL", {"Type": "NULL"}, PASSES, (L,)),
        ("a Verdict of a megabyte", {"Verdict": MEGABYTE}, ["DUNNO", "DUNNO", "DEFER"], (Q,)),
        ("a Verdict without UTF-8", {"Verdict": NOT_UTF8}, ["DUNNO", "DUNNO", "DEFER"], (Q,)),
        ("Data of a megabyte", {"Data": MEGABYTE},
         ["DUNNO", "DUNNO", re.compile(f"DEFER 0{{100,{LONGEST_ANSWER}}}")], (Q,)),
        ("Data of a megabyte of placeholders", {"Data": "replace(hex(zeroblob(50000)), '0', '{used}')"},
         ["DUNNO", "DUNNO", re.compile(f"DEFER [12]{{100,{LONGEST_ANSWER}}}{{use")], (Q,)),
        ("Data with lines and zeros", {"Data": "CAST(x'410a0a616374696f6e3d4f4b0d00420a' AS TEXT)"},
         ["DUNNO", "DUNNO", re.compile(r"DEFER A[^\n]*")], ()),
        ("Name NULL", {"Name": "NULL"}, AT_TWO, ()),
        ("LastQuota NULL", {"LastQuota": "NULL"}, AT_TWO, ()),
        ("Disabled NULL", {"Disabled": "NULL"}, PASSES, ()),
        ("text in Disabled", {"Disabled": "'no'"}, PASSES, ()),
    ]
]
MONITORED = [Case("quotas: Verdict NULL", victim() + quota(Verdict="NULL"), PASSES)]

ACCOUNTING = [
    Case(f"accounting: {name}", victim() + accounting(**columns), answers, logged)
    for name, columns, answers, logged in [
        ("a Track of 10,000 characters", {"Track": LONG}, DEFERS, (A,)),
        ("Track NULL", {"Track": "NULL"}, DEFERS, (A,)),
        ("an unknown AccountingPeriod", {"AccountingPeriod": 3}, DEFERS, (A,)),
        ("a negative AccountingPeriod", {"AccountingPeriod": -1}, DEFERS, (A,)),
        ("AccountingPeriod NULL", {"AccountingPeriod": "NULL"}, DEFERS, (A,)),
        ("text in AccountingPeriod", {"AccountingPeriod": "'day'"}, DEFERS, (A,)),
        ("a negative limit", {"MessageCountLimit": -1}, PASSES, ()),
        ("text in a limit", {"MessageCountLimit": "'two'"}, PASSES, (A,)),
        ("the largest limits",
         {"MessageCountLimit": HUGE, "MessageCumulativeSizeLimit": HUGE}, PASSES, ()),
        ("an unknown Verdict", {"Verdict": NOT_UTF8}, ["DUNNO", "DUNNO", "DEFER"], (A,)),
        ("Data of a megabyte", {"Data": MEGABYTE},
         ["DUNNO", "DUNNO", re.compile(f"DEFER 0{{100,{LONGEST_ANSWER}}}")], (A,)),
    ]
]

OTHERS = [
    Case(name, victim() + row, answers, logged)
    for name, row, answers, logged in [
        ("access_control: Verdict of 10,000 characters", access(Verdict=LONG), DEFERS, (C,)),
        ("access_control: an empty Verdict", access(Verdict="''"), DEFERS, (C,)),
        ("access_control: Verdict NULL", access(Verdict="NULL"), PASSES, ()),
        ("access_control: Verdict a number", access(Verdict=7), DEFERS, (C,)),
        ("access_control: Data NULL", access(Data="NULL"), "REJECT", ()),
        ("access_control: Data of a megabyte", access(Data=MEGABYTE),
         [re.compile(f"REJECT 0{{100,{LONGEST_ANSWER}}}")] * 3, (C,)),
        ("greylisting: Track of 10,000 characters", greylisting(Track=LONG), DEFERS, (G,)),
        ("greylisting: Track by sender", greylisting(Track="'Sender:user@domain'"), DEFERS, (G,)),
        ("greylisting: Track NULL", greylisting(Track="NULL"), DEFERS, (G,)),
        ("greylisting: a negative period", greylisting(GreylistPeriod=-HUGE), GREYLISTED_ONCE, ()),
        ("greylisting: text in GreylistPeriod", greylisting(GreylistPeriod="'x'"), GREYLISTED_ONCE, (G,)),
        ("greylisting: the largest period", greylisting(GreylistPeriod=HUGE),
         [re.compile("451 4.7.1 .+")] * 3, ()),
        ("greylisting: text in UseGreylisting", greylisting(UseGreylisting="'yes'"), PASSES, (G,)),
        ("greylisting: a whitelist without its period", greylisting(UseAutoWhitelist=1), DEFERS, (G,)),
        ("greylisting: a blacklist with a negative period",
         greylisting(UseAutoBlacklist=1, AutoBlacklistPeriod=-1), DEFERS, (G,)),
        ("greylisting: NULL everywhere",
         greylisting(UseGreylisting="NULL", GreylistPeriod="NULL", Name="NULL"), GREYLISTED_ONCE, ()),
        ("greylisting: an invalid whitelist row",
         rows("greylisting_whitelist", ID=61, Source=LONG) + greylisting(), GREYLISTED_ONCE,
         (("greylisting_whitelist", 61),)),
        ("checkhelo: HRP without its figures", helo(UseHRP=1), DEFERS, (H,)),
        ("checkhelo: HRP with negative figures", helo(UseHRP=1, HRPPeriod=-1, HRPLimit=-1), DEFERS, (H,)),
        ("checkhelo: HRP with the largest figures", helo(UseHRP=1, HRPPeriod=HUGE, HRPLimit=HUGE),
         PASSES, ()),
        ("checkhelo: text in number columns",
         helo(UseBlacklist="'on'", RejectInvalid="'true'", RejectIP=NOT_UTF8), PASSES, (H,)),
        ("checkhelo: a negative BlacklistPeriod", helo(UseBlacklist=1, BlacklistPeriod=-HUGE), PASSES, ()),
        ("checkhelo: an invalid whitelist row",
         rows("checkhelo_whitelist", ID=61, Source="'192.0.2.0/24'") + helo(RejectInvalid=1), DEFERS,
         (("checkhelo_whitelist", 61),)),
        ("checkspf: text in number columns",
         rows("checkspf", ID=61, PolicyID=60, Name="'s'", UseSPF="'yes'"), PASSES, (("checkspf", 61),)),
    ]
]

CIRCLE = "".join(
    rows("policy_groups", ID=number, Name=f"'{name}'") +
    rows("policy_group_members", ID=number, PolicyGroupID=number, Member=f"'{member}'")
    for number, name, member in ((70, "one", "%two"), (71, "two", "%three"), (72, "three", "%one")))
DEEP = "".join(
    rows("policy_groups", ID=1000 + n, Name=f"'g{n}'") +
    rows("policy_group_members", ID=1000 + n, PolicyGroupID=1000 + n,
         Member=f"'%g{n + 1}'" if n < 999 else "'@hostile.example'") for n in range(1000))
MATCHING = [
    Case(f"matching: {name}", sql + quota(), answers, logged)
    for name, sql, answers, logged in [
        ("groups in a circle", CIRCLE + victim("'%one'"), PASSES, (("policy_groups", "7[012]"),)),
        ("groups in a circle, negated", CIRCLE + victim("'!%one'"), PASSES,
         (("policy_groups", "7[012]"),)),
        ("a group that contains itself", rows("policy_groups", ID=70, Name="'self'") +
         rows("policy_group_members", ID=70, PolicyGroupID=70, Member="'%self'") + victim("'%self'"),
         PASSES, (("policy_groups", 70),)),
        ("1,000 groups, one in another", DEEP + victim("'%g0'"), AT_TWO, ()),
        ("members of 100 KB", rows("policy_groups", ID=70, Name="'long'") +
         rows("policy_group_members", ID=70, PolicyGroupID=70, Member="hex(zeroblob(50000))") +
         rows("policy_group_members", ID=71, PolicyGroupID=70,
              Member="hex(zeroblob(50000)) || '@hostile.example'") +
         rows("policy_group_members", ID=72, PolicyGroupID=70, Member="'@hostile.example'") +
         victim("'%long'"), AT_TWO, (("policy_group_members", 70),)),
        ("a list of 100 KB", victim("replace(hex(zeroblob(3000)), '0', '@hostile.example,')"), AT_TWO, ()),
        ("a pattern of 100 KB of stars",
         victim("replace(hex(zeroblob(50000)), '0', '*') || '@hostile.example'"), AT_TWO, ()),
        ("a pattern of stars and letters",
         victim("replace(hex(zeroblob(20000)), '00', '*o') || '@hostile.example'"), PASSES, ()),
        ("an impossible octet", victim("'@hostile.example,!300.1.1.1'"), PASSES, (M,)),
        ("no UTF-8", victim(NOT_UTF8), PASSES, (M,)),
        ("an invalid item, negated", victim(f"'!' || {NOT_UTF8} || ',@hostile.example'"), AT_TWO, (M,)),
        ("a blob", victim("x'0001ff'"), PASSES, (M,)),
        ("a number", victim("7"), PASSES, ()),
        ("Source empty", victim("''"), PASSES, (M,)),
        ("a group that does not exist", victim("'%nowhere'"), PASSES, (M,)),
        ("Member NULL", rows("policy_groups", ID=70, Name="'empty'") +
         rows("policy_group_members", ID=70, PolicyGroupID=70, Member="NULL") + victim("'%empty'"),
         PASSES, (("policy_group_members", 70),)),
        ("a group without a Name", rows("policy_groups", ID=70, Name="NULL") +
         rows("policy_group_members", ID=70, PolicyGroupID=70, Member="'%one'") + victim(), AT_TWO,
         (("policy_group_members", 70),)),
        ("PolicyID NULL and text", victim() +
         rows("policy_members", ID=71, PolicyID="NULL", Source="'any'") +
         rows("policy_members", ID=72, PolicyID="'sixty'", Source="'any'"), AT_TWO, ()),
        ("Priority NULL", victim(Priority="NULL"), AT_TWO, ()),
        ("text in Priority", victim(Priority="'first'"), AT_TWO, (P,)),
        ("the largest Priority", victim(Priority=HUGE), AT_TWO, ()),
        ("the smallest Priority", victim(Priority=-HUGE - 1), AT_TWO, ()),
        ("Disabled NULL", victim(Disabled="NULL"), PASSES, ()),
        ("a Name of a megabyte", victim(Name=MEGABYTE), AT_TWO, ()),
    ]
]


def loosen(database):
    """Rule tables created carelessly: nothing is NOT NULL and no ID is a key."""
    with sqlite3.connect(database) as db:
        for table in RULE_TABLES:
            (sql,) = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
            kept = db.execute(f"SELECT * FROM {table}").fetchall()
            db.execute(f"DROP TABLE {table}")
            db.execute(sql.replace(" NOT NULL", ""))
            for row in kept:
                db.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(row))})", row)
    db.close()


class HostileRows(DaemonTest):
    LIMIT = 3

    def make(self, **settings):
        self.daemon = self.make_daemon(start=False, modules=MODULES, **settings)
        loosen(self.daemon.database)
        self.daemon.give_to_service_user()
        self.daemon.sql(
            "DELETE FROM policies; DELETE FROM policy_members;" +
            insert("policies", ID=500, Name="bystander", Priority=50) +
            insert("policy_members", ID=500, PolicyID=500, Source="@bystander.example") +
            insert("quotas", ID=500, PolicyID=500, Name="q", Track="Sender:user@domain", Period=3600,
                   Verdict="REJECT", Data="enough") +
            insert("quotas_limits", ID=500, QuotasID=500, Type="MessageCount", CounterLimit=self.LIMIT))
        self.daemon.start()
        self.daemon.ask()
        tables = [*RULE_TABLES, "quotas_tracking", "accounting_tracking", "greylisting_tracking"]
        self.clean = "".join(f"DELETE FROM {table} WHERE rowid <> 500 AND rowid >= 60;" for table in
                             RULE_TABLES) + "".join(f"DELETE FROM {t};" for t in tables[-3:])

    def apply(self, sql: str):
        """Runs it in one transaction and waits until it is in force: many rows are read on another
        thread."""
        self.daemon.sql(f"BEGIN;{sql}COMMIT;")
        self.daemon.ask(sender="x@elsewhere.example")
        self.wait_for_rules(self.daemon)

    def complaints(self) -> list[str]:
        """The warnings and errors so far, without time and pid."""
        return [line.split("] ", 2)[2] for line in self.daemon.log().splitlines()
                if re.match(r"\[[^]]+\] \[[^]]+\] (WARNING|ERROR): ", line)]

    def check_log(self, before: list[str], logged: tuple):
        new = self.complaints()[len(before):]
        for text, times in collections.Counter(new).items():
            self.assertEqual(times, 1, text[:200])
            self.assertLess(len(text), 5000)
        for table, number in logged:
            name = {"quotas": "quota"}.get(table, table)
            named = re.compile(rf"{table} {number}: |\b{name}={number}\b")
            self.assertTrue([text for text in new if named.search(text)], f"{table} {number}: {new}")
        if not logged:
            self.assertEqual([text[:200] for text in new], [], "no row has a problem")

    def check_bystander(self, number: int):
        sender = f"b{number}@bystander.example"
        answers = self.ask_many(self.daemon, self.LIMIT + 1, sender=sender)
        self.assertEqual(answers, ["DUNNO"] * self.LIMIT + ["REJECT enough"])
        self.assertAlmostEqual(self.daemon.counter(f"Sender:{sender}", 500), self.LIMIT, 1)
        # Log lines follow the answers, in the same order.
        self.daemon.wait_for_log("action=reject", f"from={sender}, ")

    def check(self, cases):
        for number, case in enumerate(cases):
            with self.subTest(case.name):
                self.apply(self.clean)
                before = self.complaints()
                self.apply(case.sql)
                answers = self.ask_many(self.daemon, 3, sender="x@hostile.example")
                wanted = [case.answers] * 3 if isinstance(case.answers, str) else case.answers
                for answer, want in zip(answers, wanted):
                    if isinstance(want, str):
                        self.assertEqual(answer[:200], want)
                    else:
                        self.assertTrue(want.fullmatch(answer), answer[:200])
                self.check_bystander(number)
                self.check_log(before, case.logged)

    def test_quotas(self):
        self.make()
        self.check(QUOTAS + MONITORED)

    def test_quotas_with_decay(self):
        """It lets one more mail through than the limit."""
        self.make(options={"Quotas": {"algorithm": "decay"}})
        self.daemon.sql("UPDATE quotas_limits SET CounterLimit = CounterLimit - 1 WHERE ID = 500;")
        self.check([Case(case.name, case.sql + "UPDATE quotas_limits SET CounterLimit = 1 "
                         "WHERE ID = 62 AND CounterLimit = 2;", case.answers, case.logged)
                    for case in QUOTAS])

    def test_accounting(self):
        stay_within_the_day()
        self.make()
        self.check(ACCOUNTING)

    def test_the_other_modules(self):
        self.make()
        self.check(OTHERS)

    def test_matching(self):
        self.make()
        self.check(MATCHING)

    def test_the_largest_ids(self):
        self.make()
        for number in (HUGE, -HUGE - 1, -1, 0):
            with self.subTest(ID=number):
                before = self.complaints()
                self.apply(self.clean + "".join(
                    rows(table, ID=number, **columns) for table, columns in (
                        ("policies", {"Name": "'p'", "Priority": 1}),
                        ("policy_members", {"PolicyID": number, "Source": "'%largest'"}),
                        ("policy_groups", {"Name": "'largest'"}),
                        ("policy_group_members", {"PolicyGroupID": number,
                                                  "Member": "'@hostile.example'"}),
                        ("quotas", {"PolicyID": number, "Name": "'q'", "Track": "'Policy'",
                                    "Period": 60, "Verdict": "'DEFER'", "Data": "'over'"}),
                        ("quotas_limits", {"QuotasID": number, "Type": "'MessageCount'",
                                           "CounterLimit": 2}),
                        ("accounting", {"PolicyID": number, "Name": "'a'", "Track": "'Policy'",
                                        "AccountingPeriod": 0, "MessageCountLimit": 100}))))
                self.assertEqual(self.ask_many(self.daemon, 3, sender="x@hostile.example"), AT_TWO)
                self.assertEqual(self.daemon.counter("Policy", number), 2)
                self.check_bystander(abs(number) % 1000)
                self.check_log(before, ())
                self.daemon.sql("".join(f"DELETE FROM {table} WHERE ID = {number};"
                                        for table in RULE_TABLES))

    def test_an_error_is_logged_once_and_not_for_each_mail(self):
        self.make()
        self.daemon.sql(victim() + access(Verdict="'EXPLODE'"))
        self.assertEqual(self.ask_many(self.daemon, 20, sender="x@hostile.example"), ["DEFER"] * 20)
        self.check_bystander(1)
        invalid = ("'EXPLODE' is not a valid Verdict; use HOLD, REJECT, DISCARD, FILTER, REDIRECT, "
                   "OK or PASS")
        self.assertEqual([text for text in self.complaints() if "EXPLODE" in text],
                         [f"WARNING: access_control 61: {invalid}",
                          f"ERROR: module=AccessControl, access_control=61: {invalid}"])


if __name__ == "__main__":
    unittest.main()
