#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""Undo on the page: what it brings back is what was, also of limits that no command expresses; where
it cannot, that is said before the change."""

import json
import sys
import unittest

from browser_test import DIALOG, InBrowser, button, is_here
from daemon_case import limit, policy, quota

CANNOT = "This cannot be undone here."
TWO = quota(20, period=3600) + limit(800, "MessageCumulativeSize")
STATUS = "//main//p[@role='status']"


class Undo(InBrowser):
    # Two that are equal, which no command expresses; the examples are limits 1 and 2.
    RULES = InBrowser.RULES + (policy("a*@example.org,!b@example.org", "@example.net") + TWO) * 2 + (
        policy("c*@example.org,!d@example.org") + quota(5, period=3600) + "UPDATE quotas SET Disabled = 1 WHERE ID = "
        "(SELECT MAX(ID) FROM quotas);")

    def check(self):
        """Here is no mail log for a trial, of which the console complains."""
        self.note_buttons()

    def listed(self, by_id=True):
        out = json.loads(self.daemon.command("list", "--json").stdout)["limits"]
        for one in out:  # rows that are made again have other IDs
            one.pop("policy_id")
            if not by_id:
                one.pop("id")
            for rate in one["rates"]:
                rate.pop("quota_id"), rate.pop("limit_id")
        return out

    def open_limits(self):
        self.sign_in("--write")
        self.go("Limits")

    def of(self, number):
        return f"//tr[th[.='{number}']]"

    def figures(self, number, text):
        self.browser.type(self.of(number) + "//input", text)
        self.press("Change", self.of(number))

    def undone(self, press, by_id=True):
        """What the limits are after the change, which is undone."""
        before = self.listed(by_id)
        press()
        self.assertNotIn(CANNOT, self.browser.text(DIALOG))
        self.answer_preview("Do it")
        self.browser.find(STATUS + button("Undo", ""))
        changed = self.listed(by_id)
        self.assertNotEqual(changed, before)
        self.press("Undo")
        self.browser.shows("Undone.", STATUS)
        self.assertEqual(self.listed(by_id), before)
        return changed

    def not_undone(self, press):
        before = self.listed()
        press()
        self.browser.shows(CANNOT, DIALOG)
        self.answer_preview("Do it")
        self.browser.find(STATUS)
        self.assertEqual(self.browser.all(button("Undo")), [])
        self.assertNotEqual(self.listed(), before)

    def test_limits_that_no_command_expresses(self):
        self.assertEqual([one["typed"] is None for one in self.listed()], [True] * 2 + [False] + [True] * 3)
        self.open_limits()
        for number in (1, 4, 5):
            self.undone(lambda: self.press("Off", self.of(number)))
            self.undone(lambda: self.figures(number, "3/h"))
        self.undone(lambda: self.press("On", self.of(6)))
        self.daemon.command("off", "1")
        self.go("Usage")
        self.go("Limits")
        self.undone(lambda: self.press("On", self.of(1)))
        self.not_undone(lambda: self.press("Remove", self.of(4)))
        self.assertEqual([one["id"] for one in self.listed()], [1, 2, 3, 5, 6])

    def test_a_limit_that_is_on_in_part(self):
        self.daemon.sql("UPDATE quotas_limits SET Disabled = 1 WHERE ID = 1;")
        self.open_limits()
        self.not_undone(lambda: self.press("On", self.of(1)))

    def test_texts_that_differ(self):
        self.daemon.command("send", "5/h,50/day", "--user", "eve@example.org")
        self.daemon.sql("UPDATE quotas SET Data = 'enough for today' WHERE Period = 86400;")
        self.open_limits()
        self.not_undone(lambda: self.figures(7, "6/h"))

    def test_figures_that_no_command_sets(self):
        self.daemon.sql("UPDATE quotas SET Period = 86400 * 4000 WHERE ID = 1;")
        self.open_limits()
        self.not_undone(lambda: self.figures(1, "6/h"))

    def test_a_limit_that_changes_its_id(self):
        self.daemon.command("send", "5/min,50/h", "--user", "eve@example.org", "--message", "slowly")
        self.open_limits()
        self.undone(lambda: self.figures(7, "50/h"), by_id=False)

    def test_a_new_limit_that_replaces_one(self):
        self.daemon.command("send", "5/h", "--user", "eve@example.org", "--verdict", "hold",
                            "--message", "slowly", "--off")
        self.open_limits()

        def new(names):
            self.browser.type("//input[@id='new-figures']", "9/h")
            self.browser.click("//select[@id='new-target']/option[@value='user']")
            self.browser.type("//input[@id='new-name']", names)
            self.press("See what changes")
        changed = self.undone(lambda: new("eve@example.org, frank@example.org"))
        self.assertEqual([one["id"] for one in changed], [1, 2, 3, 4, 5, 6, 7, 8])
        # With a verdict of its own it is one that no command expresses.
        self.daemon.sql("UPDATE quotas SET Data = 'x' || ID, Verdict = 'hold' WHERE ID >= 7;")
        self.daemon.command("set", "7", "5/h,50/day")
        self.daemon.sql("UPDATE quotas SET Data = 'x' || ID WHERE ID >= 7;")
        self.go("Usage")
        self.go("Limits")
        self.not_undone(lambda: new("eve@example.org"))

    def test_a_limit_that_changed_meanwhile(self):
        self.open_limits()
        self.daemon.command("set", "3", "4/h")
        before = self.listed()
        self.figures(3, "9/h")
        self.answer_preview("Do it")
        self.press("Undo")
        self.browser.shows("Undone.", STATUS)
        self.assertEqual(self.listed(), before)

    def test_equal_figures_change_nothing(self):
        self.open_limits()
        self.figures(3, "2/60min")
        self.answer_preview("Do it")
        self.browser.shows("Nothing to change", STATUS)
        self.assertEqual(self.browser.all(button("Undo")), [])


if __name__ == "__main__":
    if not is_here():
        print("skipped: no chromium with chromedriver here")
        sys.exit(77)
    unittest.main()
