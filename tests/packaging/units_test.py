#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""The units as text: the unit and the drop-in agree, and systemd-analyze rates them better than the
unit that Carbonio ships (skipped without systemd-analyze)."""

import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

UNITS = pathlib.Path(__file__).resolve().parents[2] / "packaging/systemd"
UNIT = UNITS / "carbonio-policyd.service"
DROP_IN = UNITS / "carbonio-policyd.service.d/carbonio-limits.conf"
SHIPPED = pathlib.Path(__file__).resolve().parent / "shipped-policyd.service"


def lines(path, section):
    text = re.split(r"^\[(\w+)\]$", path.read_text(), flags=re.MULTILINE)
    body = dict(zip(text[1::2], text[2::2]))[section]
    return [line for line in body.splitlines() if line and not line.startswith("#")]


class Texts(unittest.TestCase):
    def test_the_drop_in_makes_another_unit_ours(self):
        drop_in = lines(DROP_IN, "Service")
        self.assertEqual([line for line in drop_in if not re.fullmatch(r"\w+=", line)
                          or line in lines(UNIT, "Service")], lines(UNIT, "Service"))
        # If lines add up, the other unit's are removed first.
        added_up = {line.partition("=")[0] for line in lines(SHIPPED, "Service")} & {
            "ExecStartPre", "ExecStart", "ExecReload", "ReadWritePaths", "RestrictAddressFamilies"}
        for key in added_up | {"ExecReload"}:
            first = next(line for line in drop_in if line.startswith(f"{key}="))
            self.assertEqual(first, f"{key}=")
        self.assertLessEqual(set(lines(DROP_IN, "Unit")), set(lines(UNIT, "Unit")))
        self.assertIn("ConditionPathExists=/opt/zextras/data/cbpolicyd/enabled",
                      lines(DROP_IN, "Unit"))

    def test_notices_may_run_a_setgid_program(self):
        """postdrop is one. For a service that is not root's these imply NoNewPrivileges=
        (systemd.exec)."""
        forbidden = re.compile(r"(NoNewPrivileges|DynamicUser|LockPersonality|MemoryDenyWriteExecute|"
                               r"PrivateDevices|Protect(Clock|Hostname|Kernel\w+)|Restrict\w+|"
                               r"SystemCall\w+)=(?!no$)")
        for name in ("notify", "answer"):
            for line in lines(UNITS / f"carbonio-limits-{name}.service", "Service"):
                self.assertIsNone(forbidden.match(line), line)
        self.assertIsNotNone(forbidden.match("PrivateDevices=yes"))

    def test_sudo_keeps_its_capabilities_where_steps_are_taken(self):
        for line in lines(UNITS / "carbonio-limits-answer.service", "Service"):
            self.assertFalse(line.startswith(("CapabilityBoundingSet=", "User=root")), line)

    def test_without_notices_their_timer_does_not_run(self):
        for kind in ("timer", "service"):
            self.assertIn("ConditionPathExists=/opt/zextras/data/cbpolicyd/notify",
                          lines(UNITS / f"carbonio-limits-notify.{kind}", "Unit"))

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze here")
    def test_systemd_rates_ours_better(self):
        def score(path):
            with tempfile.TemporaryDirectory() as folder:  # by its name systemd knows it
                copy = shutil.copy(path, pathlib.Path(folder) / "carbonio-policyd.service")
                done = subprocess.run(["systemd-analyze", "security", "--offline=true",
                                       "--no-pager", copy], capture_output=True, text=True)
            found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
            if not found:
                self.skipTest(f"this systemd-analyze cannot work offline: {done.stderr}")
            return float(found[1])

        ours = score(UNIT)
        shipped = score(SHIPPED)
        print(f"exposure: ours {ours}, shipped {shipped}", flush=True)
        self.assertLess(ours, shipped / 2)


if __name__ == "__main__":
    unittest.main()
