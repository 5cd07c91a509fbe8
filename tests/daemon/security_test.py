#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""Which privileges the daemon keeps, and who may access the files it creates."""

import stat
import unittest
from pathlib import Path

from daemon_case import DaemonTest, lasting, needs_root, policy, quota


def status_of(pid) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


class Security(DaemonTest):
    @needs_root
    def test_nothing_is_left_of_root(self):
        daemon = self.make_daemon(policy() + quota())
        daemon.ask()
        owner = daemon.database.parent.stat().st_uid
        self.assertNotEqual(owner, 0)
        for thread in Path(f"/proc/{daemon.process.pid}/task").iterdir():
            said = status_of(thread.name)
            self.assertEqual(set(said["Uid"].split()), {str(owner)})
            self.assertNotIn("0", said["Gid"].split())
            self.assertNotIn("0", said["Groups"].split())
            for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
                self.assertEqual(int(said[name], 16), 0, name)

    def test_what_it_makes_only_its_owner_may_write(self):
        daemon = self.make_daemon(policy() + quota())
        daemon.ask()
        self.wait_for_backup(daemon)
        files = [daemon.log_file, daemon.pid_file, daemon.status_file,
                 *lasting(daemon.database.parent.iterdir())]
        self.assertGreater(len(files), 4)
        for file in files:
            self.assertEqual(stat.S_IMODE(file.stat().st_mode) & 0o022, 0, file)


if __name__ == "__main__":
    unittest.main()
