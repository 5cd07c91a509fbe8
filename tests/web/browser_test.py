#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""The page in headless Chromium, beside a real daemon with real refusals: every button of it is
pressed, in light, in dark and on a phone; axe-core finds nothing. PICTURE=docs/page.png
makes the picture of README; PICTURES=FOLDER keeps one of each test."""

import hashlib
import json
import os
import pathlib
import re
import sys
import time
import unittest

for other in ("plugin", "cluster"):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / other))

from cluster_case import Engine  # noqa: E402
from web_case import Case, eventually, free_port  # noqa: E402
from webdriver import ENTER, TAB, Browser, is_here  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
AXE = (HERE / "axe-core/axe.min.js").read_text()
AXE_SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
PICTURE = HERE.parents[1] / "docs/page.png"
ALICE = "alice@example.org"
MALLORY = "mallory@example.org"

LABELS = """return [...document.querySelectorAll("button")]
  .filter(one => one.checkVisibility()).map(one => one.textContent.trim())"""
CHECK = """const done = arguments[arguments.length - 1];
  axe.run(document).then(found => done(found.violations.map(violation =>
    `${violation.id}: ${violation.help}: ` +
    violation.nodes.map(node => node.html + " " + node.failureSummary).join(" | "))), done)"""


def button(text, inside="//body"):
    return f"{inside}//button[normalize-space()='{text}']"


def tab(title):
    return f"//nav/a[.='{title}']"


def row(text):
    return f"//tr[contains(., '{text}')]"


DIALOG = "//dialog[@open]"


@unittest.skipUnless(is_here(), "no chromium with chromedriver here")
class InBrowser(Case):
    def setUp(self):
        super().setUp()
        self.pressed, self.seen = set(), set()
        self.browser = Browser(free_port())
        self.addCleanup(self.browser.end)
        self.addCleanup(self.keep_picture)
        self.browser.look()

    def keep_picture(self):
        """How the page was at the end, for who wants to look at it."""
        if "PICTURES" in os.environ:
            pathlib.Path(os.environ["PICTURES"], f"{self.id()}.png").write_bytes(
                self.browser.picture())

    def sign_in(self, *words):
        self.browser.open(self.link(*words))
        self.wait_for_page("now")

    def wait_for_page(self, name):
        self.browser.find(f"//main[@data-shown='{name}']")
        self.note_buttons()

    def note_buttons(self):
        self.seen |= set(self.browser.run(LABELS))

    def press(self, text, inside="//body"):
        self.note_buttons()
        self.browser.click(button(text, inside))
        self.pressed.add(text)

    def go(self, title):
        self.browser.click(tab(title))
        self.wait_for_page(title.lower())
        self.check()

    def check(self):
        """Nothing to complain of: names, contrast, order, width, console."""
        self.note_buttons()
        self.browser.run(AXE)
        self.assertEqual(self.browser.run_async(CHECK), [])
        wide = self.browser.run("return document.documentElement.scrollWidth - innerWidth")
        self.assertLessEqual(wide, 0, "it is wider than the window")
        self.assertEqual(self.browser.complaints(), [])

    def limits(self):
        return self.daemon.command("export").stdout

    def blocked(self):
        said = json.loads(self.daemon.command("blocked", "--json").stdout)
        return [row["who"] for row in said["blocked"] if row["in_force"]]

    def answer_preview(self, yes):
        self.browser.find(DIALOG)
        self.check()
        self.press(yes, DIALOG)
        self.browser.wait(lambda: not self.browser.all(DIALOG), "the dialog stays")

    def change_and_undo(self, press):
        """What it previews is what it does, and what it does can be undone."""
        before = self.limits()
        press()
        self.answer_preview("Cancel")
        self.assertEqual(self.limits(), before)
        press()
        self.answer_preview("Do it")
        self.browser.find("//main//p[@role='status']" + button("Undo", ""))
        self.check()
        self.assertNotEqual(self.limits(), before)
        self.press("Undo")
        self.browser.shows("Undone.", "//main//p[@role='status']")
        self.assertEqual(sorted(self.limits().splitlines()), sorted(before.splitlines()))


class BrowserTest(InBrowser):
    def sections(self):
        return {"cluster": {"node": "mta1.example.org"}}  # in the picture, too

    def block_and_undo(self, press, who):
        press()
        self.browser.shows(f"Would block {who} until", DIALOG)
        self.answer_preview("Cancel")
        self.assertEqual(self.blocked(), [])
        press()
        self.answer_preview("Do it")
        self.browser.shows(f"Blocked {who} until", "//main//p[@role='status']")
        self.check()
        self.assertEqual(self.blocked(), [who])
        self.press("Undo")
        self.browser.shows(f"Unblocked {who}", "//main//p[@role='status']")
        self.assertEqual(self.blocked(), [])

    def drive_now(self):
        self.browser.find(row(ALICE))
        self.check()
        self.assertIn("limit 3", self.browser.text(row(ALICE)))
        self.press("Explain")
        self.assertIn("refused", self.browser.text(DIALOG + "/h2"))
        self.check()
        self.press("Close", DIALOG)
        self.block_and_undo(lambda: self.press("Block", row(ALICE)), ALICE)
        self.press("Allow again")
        self.browser.shows("No sender is refused now.")
        self.browser.find(row(ALICE))  # in the last hour
        self.assertEqual(self.daemon.ask(), "DUNNO")
        self.assertEqual(self.daemon.ask(), "DUNNO")
        self.assertEqual(self.daemon.ask(), "DEFER later")
        self.press("Pause limits")
        self.answer_preview("Cancel")
        self.press("Pause limits")
        self.answer_preview("Pause")
        self.browser.shows("Limits are paused until", "//*[@id='banner']")
        self.check()
        self.assertTrue(eventually(lambda: self.daemon.ask() == "DUNNO"))
        self.press("End the pause")
        self.browser.wait(lambda: not self.browser.all("//*[@id='banner']/p"), "the banner stays")
        self.assertTrue(eventually(lambda: self.daemon.ask() == "DEFER later"))

    def drive_usage(self):
        self.go("Usage")
        self.browser.find(row(ALICE) + "//meter")
        self.browser.find(row(ALICE) + "//*[local-name()='svg'][@role='img']")
        self.browser.click("//select[@id='kind']/option[.='clients']")
        self.browser.shows("Nothing is counted.")
        self.browser.click("//select[@id='kind']/option[.='senders']")
        self.browser.find(row(ALICE))
        self.browser.type("//input[@id='who']", "bob@example.org")
        self.press("Show")
        self.browser.wait(lambda: ALICE not in self.browser.text("//table"), "Alice is still shown")
        self.browser.shows("bob@example.org", "//table")
        self.browser.type("//input[@id='who']", ALICE)
        self.press("Show")
        self.browser.click(row(ALICE) + "//a")
        self.wait_for_page("person")
        self.check()
        for text in (ALICE, "Limits that apply", "Sent in the last week", "Clients"):
            self.assertIn(text, self.browser.text("//main"))
        self.browser.click("//select[@id='block-for']/option[.='1 hour']")
        self.press("Block")
        self.answer_preview("Do it")
        self.browser.shows("Blocked since", "//main")
        self.check()
        self.assertEqual(self.blocked(), [ALICE])
        self.press("Unblock")
        self.answer_preview("Do it")
        self.browser.shows(f"Unblocked {ALICE}", "//main//p[@role='status']")
        self.browser.find("//input[@id='block-who']")
        self.assertEqual(self.blocked(), [])
        self.press("Clear")
        self.browser.shows("Nothing is counted now.")
        self.assertEqual(self.daemon.ask(), "DUNNO")

    def drive_blocked(self):
        self.go("Blocked")
        self.browser.shows("No one is blocked.")
        self.browser.find(row("networks"))
        self.browser.shows(ALICE, row("rate"))
        self.check()

        def block():
            self.browser.type("//input[@id='block-who']", MALLORY)
            self.browser.click("//select[@id='block-for']/option[.='8 hours']")
            self.press("Block")
        self.block_and_undo(block, MALLORY)
        self.browser.find("//tr[contains(., 'mallory') and contains(., 'unblocked')]")
        # There is no Carbonio whose account could be locked, which is said; the rest is done.
        self.browser.type("//input[@id='block-who']", MALLORY)
        self.browser.click("//input[@id='block-account']")
        self.press("Block")
        self.answer_preview("Do it")
        self.browser.shows("the block itself is in force", "//main//p[@role='alert']")
        [complaint] = self.browser.complaints()
        self.assertIn("409", complaint)
        self.assertIn("in force", self.browser.text(row(MALLORY)))
        self.check()
        self.assertTrue(self.daemon.ask(sender=MALLORY).startswith("REJECT Sending is blocked"))
        self.press("Unblock", row(MALLORY))
        self.answer_preview("Do it")
        self.browser.shows("No one is blocked.")
        self.assertEqual(self.blocked(), [])

    def drive_limits(self):
        self.daemon.command("send", "500/h", "--user", "dora@example.org", "--per",
                            "account", "--then", "notify,block:1h")
        self.go("Limits")
        self.assertIn("notify,block:1h", self.browser.text(row("dora@example.org")))
        quota = "//tr[th[.='3']]"
        self.assertIn("2 messages an hour", self.browser.text(quota))

        def figures():
            self.browser.type(quota + "//input", "7/h")
            self.press("Change", quota)
        figures()
        self.browser.shows("it would have refused 2 (22 %), of 1 of 1 account;", DIALOG)
        self.assertIn("9 of 7/h", self.browser.text(DIALOG + row(ALICE)))
        self.browser.find(DIALOG + "//img[@alt]")
        self.assertTrue(self.browser.run(
            "const picture = document.querySelector('dialog img');"
            "return picture.complete && picture.naturalWidth > 700"))
        self.answer_preview("Cancel")
        self.change_and_undo(figures)
        self.change_and_undo(lambda: self.press("Off", quota))
        self.change_and_undo(lambda: self.press("Remove", "//tr[contains(., '2 messages an hour')]"))

        def new():
            self.browser.type("//input[@id='new-figures']", "9/h, 20 messages/day")
            self.browser.click("//select[@id='new-target']/option[@value='user']")
            self.browser.type("//input[@id='new-name']", "carl@example.org")
            self.browser.click("//select[@id='new-verdict']/option[@value='reject']")
            self.browser.type("//input[@id='new-message']", "not now")
            self.browser.type("//input[@id='new-then']", "notify")
            self.press("See what changes")
            self.browser.shows("would have refused none", DIALOG)
        self.change_and_undo(new)
        self.daemon.command("off", self.id_of("2 messages an hour"))
        self.go("Usage")
        self.go("Limits")
        self.change_and_undo(lambda: self.press("On", "//tr[contains(., '2 messages an hour')]"))
        self.browser.type("//input[@id='filter']", "no such limit")
        self.browser.shows("There are no such limits.")

    def id_of(self, sentence):
        return self.browser.text(f"//tr[contains(., '{sentence}')]/th")

    def drive_history(self):
        self.assertTrue(eventually(lambda: "limits paused" in self.daemon.command("changes").stdout))
        self.go("History")
        for text in (ALICE, "limit 3", "signed in as", "limits paused", "counters cleared"):
            self.assertIn(text, self.browser.text("//main"))
        bars = self.browser.all("//*[local-name()='svg'][contains(@aria-label, 'by hour')]/*")
        self.assertEqual(len(bars), 30 * 24)

    def drive_hosts(self):
        self.go("Hosts")
        self.browser.shows("this MTA counts alone")
        self.browser.shows("running, version")

    def drive(self):
        self.refuse()
        self.refuse("bob@example.org")
        self.daemon.command("reset", "bob@example.org")
        self.daemon.ask(sender="bob@example.org")
        self.tracked(9, ALICE)
        self.sign_in("--write")
        self.drive_now()
        self.drive_history()
        self.drive_usage()
        self.drive_hosts()
        self.drive_blocked()
        self.drive_limits()
        self.press("Sign out")
        self.browser.shows("You are signed out.")
        self.assertEqual(self.seen - self.pressed, set(), "buttons that nobody pressed")

    def test_light(self):
        self.drive()

    def test_dark(self):
        self.browser.look(dark=True)
        self.drive()
        back = self.browser.run("return getComputedStyle(document.body).backgroundColor")
        self.assertLess(sum(map(int, re.findall(r"\d+", back)[:3])), 200, back)

    def test_phone(self):
        self.browser.look(phone=True)
        self.drive()

    def test_reduced_motion(self):
        self.refuse()
        self.sign_in()
        moving = "return getComputedStyle(document.querySelector('button')).transitionDuration"
        self.assertEqual(self.browser.run(moving), "0s")
        self.browser.look(still=False)
        self.assertNotEqual(self.browser.run(moving), "0s")

    def test_a_reader_has_no_buttons_that_change(self):
        self.refuse()
        self.sign_in()
        self.daemon.command("block", MALLORY)
        for title in ("Now", "Usage", "Limits", "Blocked", "History", "Hosts"):
            self.browser.click(tab(title))
            self.wait_for_page(title.lower())
        self.assertEqual(self.seen, {"Sign out", "Explain", "Show"})

    def test_without_script(self):
        self.refuse()
        self.browser.developer("Emulation.setScriptExecutionDisabled", value=True)
        self.browser.open(self.link("--write"))
        self.browser.find(row(ALICE))
        self.browser.click(button("Allow again", row(ALICE)))
        self.browser.find("//p[@role='status']")
        self.browser.shows("No sender is refused now.")
        self.assertEqual(self.daemon.ask(), "DUNNO")

    def test_a_size_is_shown_as_a_share(self):
        """It is counted in KiB, in which nobody thinks."""
        self.sign_in()
        used = ("const done = arguments[3]; import('/text.js').then(text => "
                "done(text.usedOf(arguments[0], arguments[1], arguments[2])))")
        for words, shown in (((1600, 1024, "1M/h"), "156 % of 1M/h"), ((15, 10, "10/h"), "15 of 10/h"),
                             ((15, 10, "10 messages/h"), "15 of 10 messages/h")):
            self.assertEqual(self.browser.run_async(used, *words), shown)

    def test_it_refreshes_by_itself(self):
        self.sign_in()
        self.browser.shows("No sender is refused now.")
        self.refuse()
        self.browser.find(row(ALICE))

    def test_the_keyboard_is_enough(self):
        self.refuse()
        self.sign_in("--write")
        self.browser.press(TAB)
        focus = "return document.activeElement.textContent"
        self.assertEqual(self.browser.run(focus), "Skip to the content")
        for _ in range(40):
            self.browser.press(TAB)
            if self.browser.run(focus) == "Allow again":
                break
        self.browser.press(ENTER)
        self.browser.shows("No sender is refused now.")
        self.browser.find("//main//p[@role='status']")
        self.assertEqual(self.browser.run("return document.activeElement.id"), "main")
        self.browser.press(TAB)
        self.assertTrue(self.browser.run("return document.activeElement.closest('main') !== null"))

    def test_what_was_chosen_stays(self):
        """The page shows itself again every five seconds."""
        self.sign_in("--write")
        self.browser.click("//select[@id='pause-for']/option[@value='4h']")
        self.browser.run("document.activeElement.blur()")
        time.sleep(7)
        self.assertEqual(self.browser.run("return document.getElementById('pause-for').value"), "4h")

    def test_names_of_strangers_are_text(self):
        name = "\"><img src=x onerror='hit=1'><script>hit=1</script>\x1b[31m\u202e@example.org"
        now = int(time.time() * 1000)
        self.daemon.sql(
            "INSERT INTO limits_events (Minute, Kind, Module, RowID, TrackKey, Verdict, FirstSeen, "
            "LastSeen, Times, Client, Sender, Recipient, Who, Detail) "
            f"SELECT {now // 60000}, k, 'Quotas', 4, 'Sender:' || n, 'defer', {now}, {now}, 1, n, n, n, "
            f"n, n FROM (SELECT CAST(x'{name.encode().hex()}' AS TEXT) AS n), "
            "(SELECT 'refused' AS k UNION SELECT 'watched' UNION SELECT 'reset' "
            "UNION SELECT 'locked');")
        self.daemon.sql(
            "INSERT INTO quotas_tracking (QuotasLimitsID, TrackKey, LastUpdate, Counter) SELECT 4, "
            f"'Sender:' || CAST(x'{name.encode().hex()}' AS TEXT), {now // 1000}, 2;")
        self.sign_in("--write")
        for title in ("Now", "History", "Blocked", "Usage"):
            self.browser.click(tab(title))
            self.wait_for_page(title.lower())
            self.browser.shows("<script>hit=1</script>", "//main")
            self.assertNotIn("\x1b", self.browser.run("return document.body.textContent"))
            self.assertNotIn("\u202e", self.browser.run("return document.body.textContent"))
            self.assertEqual(self.browser.run("return typeof hit"), "undefined")
            self.check()
        self.browser.click("//tr[contains(., 'onerror')]//a")
        self.browser.find("//main[@data-shown='person']")
        self.assertEqual(self.browser.run("return typeof hit"), "undefined")

    def test_the_picture_of_the_readme(self):
        for words in (("hook", "domain-created", "example.org"),
                      ("hook", "network-added", "192.0.2.0/24"), ("remove", "3"),
                      ("send", "2/h"), ("send", "1/h", "--verdict", "none", "--domain", "example.org")):
            self.daemon.command(*words)
        for sender in (ALICE, "newsletter@example.org", "scanner@example.org"):
            self.assertTrue(eventually(lambda who=sender: self.daemon.ask(sender=who)[:5] == "DEFER"))
        self.assertTrue(eventually(lambda: "scanner" in self.daemon.command("refused").stdout))
        self.sign_in("--write")
        self.browser.find(row(ALICE))
        self.browser.shows("well")
        picture = self.browser.picture()
        self.assertLess(len(picture), 200_000)
        if "PICTURE" in os.environ:
            pathlib.Path(os.environ["PICTURE"]).write_bytes(picture)
        kept = PICTURE.read_bytes()
        self.assertTrue(kept.startswith(b"\x89PNG"))
        self.assertLess(len(kept), 200_000)


class HostsTest(InBrowser):
    def sections(self, node="mta1"):
        if node == "mta1":
            self.engine = Engine()
            self.addCleanup(self.engine.remove)
        return {"cluster": {"url": self.engine.url, "node": node, "timeout": 1000}}

    def test_each_mta_with_its_version_of_the_limits(self):
        other = self.make_daemon(self.RULES, options=self.sections("mta2"))
        self.assertTrue(eventually(lambda: self.versions().get("mta1", 0) == self.versions().get("mta2")))
        self.sign_in()
        self.go("Hosts")
        self.assertEqual(self.browser.all("//main//*[@class='wrong']"), [])
        before = self.versions()["mta1"]
        mtas = "//table[caption='MTAs of the cluster']"
        self.assertIn(f"version {before}", self.browser.text(mtas + row("mta2")))
        other.stop()
        self.daemon.command("set", "3", "7/h")
        self.assertTrue(eventually(lambda: self.versions()["mta1"] > before))
        self.go("Usage")
        self.go("Hosts")
        self.assertIn(f"version {before + 1}", self.browser.text(mtas + row("mta1")))
        self.browser.find(mtas + row("mta2") + f"//*[@class='wrong'][.='version {before}']")

    def versions(self):
        said = json.loads(self.daemon.command("cluster", "status", "--json", check=False).stdout)
        return {mta["node"]: mta["rules"] for mta in said.get("mtas", [])}


class Vendored(unittest.TestCase):
    def test_axe_core_is_the_file_that_was_released(self):
        self.assertEqual(hashlib.sha256(AXE.encode()).hexdigest(), AXE_SHA256)


if __name__ == "__main__":
    if not is_here():
        print("skipped: no chromium with chromedriver here")
        sys.exit(77)
    unittest.main()
