#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""The manual pages say every subcommand and option that the programs' own help says, and no other;
they render without a warning. The completion knows them too."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "daemon"))

import json_keys  # noqa: E402
from daemon_case import DaemonTest, eventually, policy, quota  # noqa: E402

BIN_DIR = pathlib.Path(os.environ.get("BIN_DIR", "build/release/bin")).resolve()
PAGES = pathlib.Path(__file__).resolve().parents[2] / "packaging/man"


# The daemon's own will do only.
NO_DATABASE = {"enable", "pause", "resume", "service", "cluster", "metrics", "notify",
               "web"}


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60,
                          env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"}).stdout


def help_of(program, *words):
    return run(BIN_DIR / program, *words, "--help")


def options_in_help(text):
    return set(re.findall(r"^  (--[\w-]+)", text, re.MULTILINE))


def page(name):
    return (PAGES / name).read_text()


def options_in_page(text):
    return {"--" + option.replace("\\-", "-")
            for option in re.findall(r"^\.It Fl \\-([\w\\-]+)", text, re.MULTILINE)}


def subcommands():
    part = help_of("carbonio-limits").split("Subcommands:")[1].split("\n\n")[0]
    return re.findall(r"^  (\w+) ", part, re.MULTILINE)


class Manual(unittest.TestCase):
    def test_each_subcommand_with_all_its_options(self):
        text = page("carbonio-limits.8")
        common, *sections = re.split(r"^\.Ss ", text, flags=re.MULTILINE)
        pages = {section.split()[0]: section for section in sections}
        self.assertEqual(set(pages), set(subcommands()))
        known = options_in_page(common)
        self.assertEqual(known, options_in_help(help_of("carbonio-limits")))
        refuse = common.split("Not accepted by\n")[1].split("which use")[0]
        self.assertEqual(set(re.findall(r"^\.Cm (\w+)", refuse, re.MULTILINE)), NO_DATABASE)
        for command in subcommands():
            common = known - {"--database"} if command in NO_DATABASE else known
            self.assertEqual(options_in_page(pages[command]) | common,
                             options_in_help(help_of("carbonio-limits", command)), command)

    def test_help_and_pages_fit_a_terminal(self):
        texts = {command: help_of("carbonio-limits", command) for command in subcommands()}
        texts[""] = help_of("carbonio-limits")
        texts["cbpolicyd"] = help_of("cbpolicyd")
        if shutil.which("man") and shutil.which("groff"):
            for name in ("carbonio-limits.8", "cbpolicyd.8"):
                texts[name] = run("man", "-l", PAGES / name)
        for name, text in texts.items():
            for line in text.splitlines():
                self.assertLessEqual(len(line), 80, f"{name}: {line}")

    def test_the_daemon(self):
        self.assertEqual(options_in_page(page("cbpolicyd.8")),
                         options_in_help(help_of("cbpolicyd")))

    @unittest.skipUnless(shutil.which("man") and shutil.which("groff"), "no man or groff here")
    def test_renders_without_warnings(self):
        for name in ("carbonio-limits.8", "cbpolicyd.8"):
            done = subprocess.run(["man", "--warnings", "-l", str(PAGES / name)], text=True,
                                  capture_output=True, check=True, timeout=60,
                                  env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"})
            self.assertEqual(done.stderr, "", name)
            self.assertGreater(len(done.stdout), 500)


class Json(DaemonTest):
    def test_the_page_names_what_is_printed_and_nothing_else(self):
        daemon = self.make_daemon(policy() + quota(1))
        daemon.ask()
        daemon.ask()
        daemon.sql("INSERT INTO quotas (PolicyID, Name, Track, Period) VALUES (6, 'q', '', 0);")

        def printed(*words):
            return json.loads(daemon.command(*words, "--json", check=False).stdout)

        self.assertTrue(eventually(lambda: printed("usage")["refusals"]))
        explain = ("explain", "--from", "b@example.org", "--to", "c@example.org")
        for command, *outputs in (
                ("list", printed("list")), ("show", printed("show", "3")),
                ("usage", printed("usage")), ("doctor", printed("doctor")),
                ("explain", printed(*explain))):
            keys = json_keys.keys_of(outputs)
            if command == "explain":
                keys |= {"until", "counted"}  # of a pause; see pause_test
            if command == "list":  # which refers to show
                keys -= json_keys.documented("show") - {"limits", "warnings"}
            self.assertEqual(keys, json_keys.documented(command), command)
        # Some of these are there only where it is wrong, or has a supervisor.
        self.assertLessEqual(json_keys.keys_of(printed("service", "status")),
                             json_keys.documented("service status") |
                             json_keys.documented("cluster status"))


class Completion(unittest.TestCase):
    def complete(self, *words):
        program = BIN_DIR / "carbonio-limits"
        typed = " ".join(f"'{word}'" for word in ("carbonio-limits", *words))
        return run("bash", "-c", f"source <({program} completion); COMP_WORDS=({typed}); "
                   f"COMP_CWORD={len(words)}; _carbonio_limits; "
                   "printf '%s\\n' \"${COMPREPLY[@]}\"").split()

    def test_subcommands_options_and_values(self):
        self.assertLessEqual(set(subcommands()), set(self.complete("")))
        self.assertEqual(self.complete("rec"), ["receive"])
        self.assertEqual(self.complete("send", "1/h", "--per", "ac"), ["account"])
        self.assertEqual(self.complete("receive", "1/h", "--verdict", "ho"), ["hold"])
        self.assertEqual(self.complete("postscreen", "en"), ["enable"])
        self.assertEqual(self.complete("hook", "domain-c"), ["domain-created"])
        for command in subcommands():
            self.assertEqual(set(self.complete(command, "--")) | {"--version"},
                             options_in_help(help_of("carbonio-limits", command)), command)
        self.assertEqual(self.complete("simulate", "rec"), ["receive"])
        self.assertEqual(self.complete("suggest", "receive", "--per", "do"), ["domain"])
        for words in (("import",), ("simulate", "2/h"), ("simulate", "--against"),
                      ("simulate", "2/h", "--svg"), ("simulate", "2/h", "--html"), ("suggest",),
                      ("history", "anna", "--mail-log")):
            self.assertIn(__file__, self.complete(*words, __file__[:-2]), words)


if __name__ == "__main__":
    unittest.main()
