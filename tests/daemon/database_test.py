# SPDX-License-Identifier: AGPL-3.0-only
"""The database belongs to the admin: changes made with the real sqlite3 program apply to the running
daemon by the next request, and a database of the Perl daemon is taken over."""

import os
import pwd
import time
import unittest

from daemon_case import (
    ALICE, ATTRIBUTES, SANITIZED, DaemonTest, always, article, eventually, insert, policy, quota,
    service_user)

DEFERRED = f"DEFER {article.SEND_TEXT}"
DEFAULT_POLICIES = [(1, "Default"), (2, "Default Outbound"), (3, "Default Inbound"),
                    (4, "Default Internal"), (5, "Test")]


class TypedByHand(DaemonTest):
    def setUp(self):
        super().setUp()
        self.daemon = self.make_daemon()
        self.connection = self.daemon.connect()  # one that was open before the change, as Postfix's
        self.addCleanup(self.connection.close)

    def ask(self, count=1, **attributes):
        answers = []
        for _ in range(count):
            self.connection.send(self.request(**attributes))
            answers.append(self.connection.answer())
        return answers

    def test_the_articles_sql_is_in_force_by_the_next_request(self):
        self.assertEqual(self.ask(12), ["DUNNO"] * 12)
        self.daemon.sql(article.POLICY)
        self.assertEqual(self.ask(), ["DUNNO"])
        self.daemon.sql(article.SEND)
        self.assertEqual(self.ask(11), ["DUNNO"] * 10 + [DEFERRED])

    def test_a_changed_limit_counts_from_what_is_used(self):
        self.daemon.sql(article.POLICY + article.SEND)
        self.ask(5)
        for counter_limit, answers in ((5, [DEFERRED]), (6, ["DUNNO", DEFERRED]), (2, [DEFERRED]),
                                       (8, ["DUNNO", "DUNNO", DEFERRED])):
            with self.subTest(limit=counter_limit):
                self.daemon.sql(f"UPDATE quotas_limits SET CounterLimit={counter_limit} WHERE ID=4;")
                self.assertEqual(self.ask(len(answers)), answers)

    def test_a_changed_text_and_verdict(self):
        self.daemon.sql(always("old text"))
        self.assertEqual(self.ask(), ["REJECT old text"])
        self.daemon.sql("UPDATE quotas SET Verdict='HOLD', Data='new text' WHERE ID=3;")
        self.assertEqual(self.ask(), ["HOLD new text"])

    def test_disabling_and_enabling(self):
        self.daemon.sql(always("refused"))
        for disabled, answer in ((0, "REJECT refused"), (1, "DUNNO"), (0, "REJECT refused")):
            self.daemon.sql(f"UPDATE quotas SET Disabled = {disabled} WHERE ID = 3;")
            self.assertEqual(self.ask(), [answer])

    def test_deleting(self):
        for table, row in (("quotas_limits", 4), ("quotas", 3), ("policy_members", 6),
                           ("policies", 6)):
            with self.subTest(table=table):
                daemon = self.make_daemon(always("refused"))
                self.assertEqual(daemon.ask(), "REJECT refused")
                daemon.sql(f"DELETE FROM {table} WHERE ID = {row};")
                self.assertEqual(daemon.ask(), "DUNNO")

    def test_members_and_groups(self):
        self.daemon.sql(always("refused", source="%blocked"))
        self.assertEqual(self.ask(), ["DUNNO"])
        self.daemon.sql(insert("policy_groups", ID=70, Name="blocked"))
        self.assertEqual(self.ask(), ["DUNNO"])
        self.daemon.sql(insert("policy_group_members", PolicyGroupID=70, Member="@example.org"))
        self.assertEqual(self.ask(), ["REJECT refused"])
        self.daemon.sql("UPDATE policy_group_members SET Member='@other.example'"
                        " WHERE PolicyGroupID=70;")
        self.assertEqual(self.ask(), ["DUNNO"])

    def test_a_transaction_that_is_rolled_back_changes_nothing(self):
        self.daemon.sql("BEGIN;" + always("refused") + "ROLLBACK;")
        self.assertEqual(self.ask(), ["DUNNO"])

    def test_a_counter_edited_by_hand_counts_as_left(self):
        self.daemon.sql(article.POLICY + article.SEND)
        self.ask(3)
        for counter, passed in ((8, 2), (0, 10), (9.5, 0), (100, 0), (7, 3)):
            with self.subTest(counter=counter):
                self.daemon.sql(f"UPDATE quotas_tracking SET Counter={counter}"
                                f" WHERE TrackKey='{ALICE}';")
                self.assertEqual(self.ask(passed + 1), ["DUNNO"] * passed + [DEFERRED])

    def test_a_time_edited_by_hand_counts_as_left(self):
        self.daemon.sql(article.POLICY + article.SEND)
        self.ask(10)
        self.daemon.sql("UPDATE quotas_tracking SET LastUpdate = LastUpdate - 3600;")
        self.assertEqual(self.ask(11), ["DUNNO"] * 10 + [DEFERRED])

    def test_a_deleted_counter_is_0(self):
        self.daemon.sql(article.POLICY + article.SEND)
        for _ in range(2):
            self.assertEqual(self.ask(11), ["DUNNO"] * 10 + [DEFERRED])
            self.daemon.sql("DELETE FROM quotas_tracking;")

    def test_a_counter_typed_before_the_first_question_counts(self):
        self.daemon.sql(article.POLICY + article.SEND +
                        insert("quotas_tracking", QuotasLimitsID=4, TrackKey=ALICE,
                               LastUpdate=int(time.time()), Counter=8))
        self.assertEqual(self.ask(3), ["DUNNO", "DUNNO", DEFERRED])

    def test_with_thousands_of_rows_within_a_second(self):
        rows = "".join(
            insert("policies", ID=1000 + number, Name=f"p{number}", Priority=1, Description="") +
            insert("policy_members", PolicyID=1000 + number, Source=f"u{number}@many.example",
                   Destination="any") for number in range(3000))
        self.daemon.sql("BEGIN;" + rows + "COMMIT;")
        self.wait_for_rules(self.daemon)
        for text in ("one", "two", "three"):
            with self.subTest(text=text):
                self.daemon.sql("DELETE FROM quotas WHERE ID >= 3;" +
                                always(text, source="u2999@many.example"))
                start = time.monotonic()
                self.assertTrue(eventually(
                    lambda: self.ask(sender="u2999@many.example") == [f"REJECT {text}"]))
                if not SANITIZED:
                    self.assertLess(time.monotonic() - start, 2, "promised is a second")

    def test_counters_change_no_rules_version(self):
        self.daemon.sql(article.POLICY + article.SEND)
        before = self.daemon.query("SELECT Version FROM limits_rules_version")
        self.ask(12)
        self.assertEqual(self.daemon.query("SELECT Version FROM limits_rules_version"), before)


class TakenOver(DaemonTest):
    """The schema as the Perl daemon left it: nothing of ours in it, not in WAL mode."""

    def make_perl_database(self, more=""):
        self.daemon = daemon = self.make_daemon(start=False)
        ours = daemon.query("SELECT type, name FROM sqlite_master WHERE name LIKE 'limits\\_%'"
                            " ESCAPE '\\' AND type IN ('trigger', 'table') ORDER BY type DESC")
        self.assertTrue(ours)
        daemon.sql("".join(f"DROP {kind} {name};" for kind, name in ours) +
                   "ALTER TABLE quotas_tracking DROP COLUMN State;"
                   "PRAGMA journal_mode=DELETE;" + article.POLICY + article.SEND + more)
        daemon.give_to_service_user()

    def counter_row(self, counter, seconds_ago=0):
        return insert("quotas_tracking", QuotasLimitsID=4, TrackKey=ALICE,
                      LastUpdate=int(time.time()) - seconds_ago, Counter=counter)

    def test_its_counters_continue(self):
        for counter, seconds_ago, passed in ((7, 0, 3), (3.87, 0, 6), (10, 0, 0), (21, 0, 0),
                                             (10, 120, 10), (4, -3600, 6)):
            with self.subTest(counter=counter, seconds_ago=seconds_ago):
                self.make_perl_database(self.counter_row(counter, seconds_ago))
                self.daemon.start()
                self.assertEqual(self.ask_many(self.daemon, passed + 1),
                                 ["DUNNO"] * passed + [DEFERRED])

    def test_its_rows_stay(self):
        tables = ("policies", "policy_members", "policy_groups", "policy_group_members", "quotas",
                  "quotas_limits", "session_tracking", "amavis_rules", "checkhelo_blacklist")
        self.make_perl_database(insert("session_tracking", Instance="old.1", UnixTimestamp=1,
                                       Sender="a@b.example", Size=3, RecipientData="/<x@y>#0=1;"))
        before = {table: self.daemon.query(f"SELECT * FROM {table}") for table in tables}
        self.daemon.start()
        self.daemon.ask()
        for table in tables:
            with self.subTest(table=table):
                after = self.daemon.query(f"SELECT * FROM {table}")
                self.assertEqual([row for row in after if row in before[table]], before[table])

    def test_it_is_in_wal_mode_then_and_changes_apply_at_once(self):
        self.make_perl_database()
        self.daemon.start()
        self.assertEqual(self.daemon.sql("PRAGMA journal_mode;"), "wal\n")
        self.assertEqual(self.daemon.ask(), "DUNNO")
        self.daemon.sql("UPDATE quotas_limits SET CounterLimit = 1 WHERE ID = 4;")
        self.assertEqual(self.daemon.ask(), DEFERRED)

    def test_it_can_be_taken_over_twice(self):
        self.make_perl_database(self.counter_row(5))
        self.daemon.start()
        self.daemon.ask()
        self.daemon.restart()
        self.assertEqual(self.daemon.counter(ALICE), 6)
        self.assertEqual(self.ask_many(self.daemon, 5), ["DUNNO"] * 4 + [DEFERRED])

    def test_the_perl_daemon_could_use_it_again(self):
        """Its statements name their columns, so ours may exist, and may become outdated."""
        self.make_perl_database()
        self.daemon.start()
        self.ask_many(self.daemon, 3)
        self.daemon.stop()
        self.daemon.sql(f"UPDATE quotas_tracking SET Counter = 9.5, LastUpdate = {int(time.time())}"
                        f" WHERE QuotasLimitsID = 4 AND TrackKey = '{ALICE}';")
        self.daemon.start()
        self.assertEqual(self.daemon.ask(), DEFERRED)


class Made(DaemonTest):
    def test_a_database_is_made_where_there_is_none(self):
        daemon = self.make_daemon(database=False)
        self.assertEqual(daemon.ask(), "DUNNO")
        self.assertEqual(daemon.query("SELECT ID, Name FROM policies ORDER BY ID"), DEFAULT_POLICIES)
        self.assertEqual(daemon.sql("PRAGMA journal_mode;"), "wal\n")
        if service_user():
            self.assertEqual(daemon.database.stat().st_uid, pwd.getpwnam(service_user()).pw_uid)
        else:
            self.assertEqual(daemon.database.stat().st_uid, os.geteuid())

    def test_the_articles_numbers_fit_it(self):
        daemon = self.make_daemon(database=False)
        daemon.ask()  # it listens before it has made the database
        daemon.sql(article.POLICY + article.SEND)
        self.assertEqual(self.ask_many(daemon, 11), ["DUNNO"] * 10 + [DEFERRED])

    def test_strange_names_are_only_values(self):
        daemon = self.make_daemon(policy() + quota(2))
        sender = "o'brien\";--%s{}@example.org"
        self.assertEqual(self.ask_many(daemon, 3, sender=sender), ["DUNNO"] * 2 + ["DEFER later"])
        self.assertEqual(daemon.counter(f"Sender:{sender}"), 2)
        self.assertEqual(daemon.ask(sender="a" * 5000 + "@example.org"), "DUNNO")
        self.assertEqual(daemon.ask(helo_name="'; DROP TABLE quotas; --"), "DUNNO")
        self.assertEqual(daemon.ask(sender=ATTRIBUTES["sender"]), "DUNNO")


if __name__ == "__main__":
    unittest.main()
