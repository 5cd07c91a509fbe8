# SPDX-License-Identifier: AGPL-3.0-only
"""The log, whose lines people parse, and the signals: SIGHUP reloads the configuration, SIGUSR1 logs
statistics."""

import os
import re
import signal
import unittest
from datetime import datetime, timedelta, timezone

from daemon_case import (
    ALICE, KIB, DaemonTest, always, article, eventually, limit, policy, quota)

LINE = re.compile(r"^\[(\d{4}/\d\d/\d\d-\d\d:\d\d:\d\d) - (\d+)\] \[CORE\] "
                  r"(ERROR|WARNING|NOTICE|INFO|DEBUG): (.*)$")
MAIL = "host=192.0.2.10, helo=client.example.net, from=alice@example.org, to=bob@example.com"
LIMIT = f"policy=6, quota=3, limit=4, track={ALICE}, counter=MessageCount"


class LogTest(DaemonTest):
    def lines(self, daemon):
        """(level, text) of each line; each must have the form."""
        found = []
        for line in daemon.log().splitlines():
            match = LINE.match(line)
            self.assertIsNotNone(match, f"a line of another form: {line!r}")
            found.append((match[3], match[4]))
        return found

    def texts(self, daemon, *needles, count=1):
        daemon.wait_for_log(*needles, count=count)
        return [text for _, text in self.lines(daemon) if all(part in text for part in needles)]

    def rewrite(self, daemon, old, new):
        text = daemon.config.read_text()
        self.assertIn(old, text)
        daemon.config.write_text(text.replace(old, new))

    def reload(self, daemon):
        daemon.process.send_signal(signal.SIGHUP)


class Lines(LogTest):
    def test_create_update_and_refusal_to_the_letter(self):
        daemon = self.make_daemon(article.POLICY + article.SEND)
        self.ask_many(daemon, 11)
        self.assertEqual(self.texts(daemon, "module=Quotas", count=11), [
            f"module=Quotas, mode=create, {MAIL}, reason=quota_create, {LIMIT}, quota=1.00/10 (10.0%)",
            *(f"module=Quotas, mode=update, {MAIL}, reason=quota_update, {LIMIT},"
              f" quota={used}.00/10 ({used}0.0%)" for used in range(2, 11)),
            f"module=Quotas, action=defer, {MAIL}, reason=quota_match, {LIMIT}, quota=10.00/10 (100.0%)",
        ])
        self.assertEqual({level for level, text in self.lines(daemon) if "module=" in text}, {"INFO"})

    def test_a_line_begins_with_local_time_and_pid(self):
        daemon = self.make_daemon(policy() + quota(5), environment={"TZ": "UTC-05:30"})
        daemon.ask()
        time_of_line, pid, *_ = LINE.match(daemon.wait_for_log("module=Quotas")[0]).groups()
        self.assertEqual(int(pid), daemon.process.pid)
        there = datetime.now(timezone.utc).replace(tzinfo=None) + timedelta(hours=5, minutes=30)
        written = datetime.strptime(time_of_line, "%Y/%m/%d-%H:%M:%S")
        self.assertLess(abs(there - written), timedelta(seconds=30))

    def test_a_refusal_names_its_verdict(self):
        for verdict in ("DEFER", "REJECT", "HOLD", "DISCARD", "FILTER", "REDIRECT"):
            with self.subTest(verdict=verdict):
                daemon = self.make_daemon(always("smtp:x@example.org", verdict=verdict))
                daemon.ask()
                text = self.texts(daemon, "reason=quota_match")[0]
                self.assertTrue(text.startswith(f"module=Quotas, action={verdict.lower()}, {MAIL}, "
                                                "reason=quota_match, policy=6, quota=3, limit=4, "
                                                "track=Policy, counter=MessageCumulativeSize, "
                                                "quota="), text)

    def test_an_empty_verdict_is_logged_as_none(self):
        daemon = self.make_daemon(policy() + quota(1, verdict=None))
        self.ask_many(daemon, 2)
        text = self.texts(daemon, "action=none")[0]
        self.assertTrue(text.startswith(f"module=Quotas, action=none, {MAIL}, reason=no_verdict, "
                                        f"{LIMIT}, quota="), text)

    def test_an_unknown_verdict_is_logged(self):
        daemon = self.make_daemon(policy() + quota(1, verdict="EXPLODE"))
        self.ask_many(daemon, 2)
        self.texts(daemon, "module=Quotas, action=explode", "reason=quota_match", LIMIT)
        self.texts(daemon, "module=Quotas, action=none", "reason=invalid_verdict")

    def test_sizes(self):
        daemon = self.make_daemon(policy() + quota(250, "MessageCumulativeSize"))
        for state in ("RCPT", "END-OF-MESSAGE"):
            daemon.ask(instance="a", protocol_state=state, size=str(4 * KIB))
        self.assertEqual(self.texts(daemon, "module=Quotas", "counter=MessageCumulativeSize"), [
            f"module=Quotas, mode=create, {MAIL}, reason=quota_create, policy=6, quota=3, limit=4, "
            f"track={ALICE}, counter=MessageCumulativeSize, quota=4.00/250 (1.6%)"])

    def test_a_refusals_figures_are_those_of_the_exceeded_limit(self):
        daemon = self.make_daemon(policy() + quota(100) + limit(1) + limit(50))
        self.ask_many(daemon, 2)
        text = self.texts(daemon, "reason=quota_match")[0]
        self.assertIn("limit=5, ", text)
        self.assertTrue(text.endswith("quota=1.00/1 (100.0%)"), text)

    def test_a_repeated_question_is_not_counted_in_the_log_either(self):
        daemon = self.make_daemon(policy() + quota(100))
        for instance in "aaab":
            daemon.ask(instance=instance)
        daemon.wait_for_log("mode=update")
        self.assertEqual(len(self.texts(daemon, "module=Quotas")), 2)

    def test_one_line_stays_one_line(self):
        daemon = self.make_daemon(policy() + quota(100))
        daemon.ask(helo_name="x\r[2026/01/01-00:00:00 - 1] [CORE] INFO: forged\x1b[2J\x7f\t")
        daemon.wait_for_log("module=Quotas")
        self.lines(daemon)
        self.assertFalse(re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", daemon.log_file.read_bytes()))

    def test_start_and_stop_are_logged(self):
        daemon = self.make_daemon()
        self.assert_serving(daemon)
        daemon.stop()
        levels = [level for level, _ in self.lines(daemon)]
        self.assertGreaterEqual(levels.count("NOTICE"), 2)
        self.assertNotIn("ERROR", levels)
        self.assertNotIn("WARNING", levels)


class File(LogTest):
    def test_copytruncate_is_survived(self):
        daemon = self.make_daemon(policy() + quota(100))
        self.ask_many(daemon, 20)
        daemon.wait_for_log("module=Quotas", count=20)
        os.truncate(daemon.log_file, 0)
        daemon.ask()
        daemon.wait_for_log("quota=21.00/100")
        # Beside it there may be a line about the backup.
        self.assertEqual(len(self.texts(daemon, "module=")), 1)
        self.assertTrue(daemon.log_file.read_bytes().startswith(b"["), "there is no hole at the start")

    def test_an_earlier_log_is_continued(self):
        daemon = self.make_daemon(start=False)
        daemon.log_file.write_text("from yesterday\n")
        daemon.give_to_service_user()
        daemon.start()
        self.assert_serving(daemon)
        daemon.wait_for_log("started, pid")
        self.assertTrue(daemon.log().startswith("from yesterday\n["))

    def test_log_level(self):
        for level, present, absent in [(0, set(), {"WARNING", "NOTICE", "INFO", "DEBUG"}),
                                       (1, {"WARNING"}, {"NOTICE", "INFO", "DEBUG"}),
                                       (2, {"WARNING", "NOTICE"}, {"INFO", "DEBUG"}),
                                       (3, {"WARNING", "NOTICE", "INFO"}, {"DEBUG"}),
                                       (4, {"WARNING", "NOTICE", "INFO"}, set())]:
            with self.subTest(log_level=level):
                daemon = self.make_daemon(policy() + quota(5), log_level=level)
                daemon.ask()
                with daemon.connect() as connection:
                    connection.send(b"nonsense\n")  # a warning
                    self.assert_closed(connection)
                daemon.ask(sender="@malformed")  # an error
                daemon.wait_for_log("ERROR")
                found = {level for level, _ in self.lines(daemon)}
                self.assertLessEqual(present, found)
                self.assertFalse(absent & found)


    def test_log_detail_modules_says_at_level_4_what_each_module_left(self):
        for level, detail, there in ((4, "modules", True), (3, "modules", False), (4, "", False)):
            with self.subTest(log_level=level, log_detail=detail):
                daemon = self.make_daemon(policy() + quota(1), log_level=level,
                                          modules=("CheckHelo", "Quotas"),
                                          options={"server": {"log_detail": detail}})
                for number in (1, 2):
                    daemon.ask(instance=f"a.{number}")
                daemon.ask(instance="a.1", protocol_state="END-OF-MESSAGE")
                daemon.wait_for_log("reason=quota_match")
                daemon.stop()
                mail = "from=alice@example.org, to=bob@example.com"
                self.assertEqual(
                    [line for line in self.lines(daemon) if line[1].startswith("state=")],
                    [("DEBUG", f"state=RCPT, instance=a.1, {mail}: CheckHelo dunno, Quotas dunno"),
                     ("DEBUG", f"state=RCPT, instance=a.2, {mail}: CheckHelo dunno, Quotas defer "
                      "(final)"),
                     ("DEBUG", f"state=END-OF-MESSAGE, instance=a.1, {mail}: CheckHelo dunno, Quotas "
                      "dunno")] if there else [])


class Signals(LogTest):
    def test_sighup_changes_the_log_level(self):
        daemon = self.make_daemon(policy() + quota(100))
        daemon.ask()
        daemon.wait_for_log("mode=create")
        self.rewrite(daemon, "log_level=3", "log_level=2")
        self.reload(daemon)
        daemon.wait_for_log("NOTICE: configuration reloaded")
        self.ask_many(daemon, 3)
        self.rewrite(daemon, "log_level=2", "log_level=3")
        self.reload(daemon)
        self.assertTrue(eventually(lambda: daemon.ask() == "DUNNO" and "mode=update" in daemon.log()))
        self.assertNotIn("quota=2.00/100", daemon.log())

    def test_sighup_switches_a_module_off_and_on(self):
        daemon = self.make_daemon(always("refused"))
        with daemon.connect() as connection:
            self.assertEqual(connection.ask(), "REJECT refused")
            for value, answer in (("0", "DUNNO"), ("1", "REJECT refused")):
                self.rewrite(daemon, f"[Quotas]\nenable={1 - int(value)}", f"[Quotas]\nenable={value}")
                self.reload(daemon)
                self.assertTrue(eventually(lambda: daemon.ask() == answer))
                connection.send(self.request())
                self.assertEqual(connection.answer(), answer, "on a connection from before")

    def test_sighup_with_a_broken_configuration_keeps_the_old_one(self):
        daemon = self.make_daemon(always("refused"))
        good = daemon.config.read_text()
        self.assertEqual(daemon.ask(), "REJECT refused")
        for broken in (good.replace("[Quotas]\nenable=1", "[Quotas]\nenable=0").replace(
                           "bypass_mode=tempfail", "bypass_mode=maybe"), None):
            with self.subTest(missing=broken is None):
                errors = daemon.log().count("] ERROR: ")
                if broken is None:
                    daemon.config.unlink()
                else:
                    daemon.config.write_text(broken)
                self.reload(daemon)
                daemon.wait_for_log("] ERROR: ", str(daemon.config), count=errors + 1)
                self.assertEqual(daemon.ask(), "REJECT refused")
        daemon.config.write_text(good.replace("[Quotas]\nenable=1", "[Quotas]\nenable=0"))
        self.reload(daemon)
        self.assertTrue(eventually(lambda: daemon.ask() == "DUNNO"))

    def test_sighup_loses_no_count_and_no_connection(self):
        daemon = self.make_daemon(article.POLICY + article.SEND)
        answers = []
        with daemon.connect() as connection:
            for _ in range(11):
                connection.send(self.request())
                answers.append(connection.answer())
                self.reload(daemon)
        self.assertEqual(answers, ["DUNNO"] * 10 + [f"DEFER {article.SEND_TEXT}"])

    def test_sigusr1_writes_statistics(self):
        daemon = self.make_daemon(policy() + quota(5))
        self.ask_many(daemon, 7)
        daemon.wait_for_log("module=Quotas", count=7)
        daemon.process.send_signal(signal.SIGUSR1)
        self.assertRegex(self.texts(daemon, "statistics:")[0], r"\b7\b", "seven requests")
        self.assert_serving(daemon)

    def test_sigpipe_and_the_like_do_not_end_it(self):
        daemon = self.make_daemon()
        self.assert_serving(daemon)
        daemon.process.send_signal(signal.SIGPIPE)
        self.assert_serving(daemon)


if __name__ == "__main__":
    unittest.main()
