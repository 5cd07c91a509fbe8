# SPDX-License-Identifier: AGPL-3.0-only
"""What the tests of carbonio-limits have in common: the real program, on a database in a folder of
its own that the real sqlite3 program reads and writes. BIN_DIR is the folder with the programs."""

import hashlib
import os
import pathlib
import subprocess
import tempfile
import unittest

import json_keys

BIN_DIR = pathlib.Path(os.environ.get("BIN_DIR", "build/release/bin")).resolve()
PROGRAM = BIN_DIR / "carbonio-limits"
NOBODY = 65534

ARTICLE = """
INSERT INTO policies (Name,Priority,Description) VALUES('\u0421arbonio CBPolicyD', 0, 'Carbonio CBPolicyD');
INSERT INTO policy_members (PolicyID,Source,Destination) VALUES(6,'any','any');
INSERT INTO quotas (PolicyID,Name,Track,Period,Verdict,Data) VALUES (6,'Sender:user@domain',
  'Sender:user@domain', 60, 'DEFER', 'Deferring: Too many messages sent in last 60 seconds');
INSERT INTO quotas_limits (QuotasID,Type,CounterLimit) VALUES(3,'MessageCount',10);
INSERT INTO quotas (PolicyID,Name,Track,Period,Verdict,Data) VALUES (6,'Recipient:@domain',
  'Recipient:@domain', 60, 'REJECT', 'Rejecting: Too many messages received in last 60 seconds');
INSERT INTO quotas_limits (QuotasID,Type,CounterLimit) VALUES(4,'MessageCount',125);
"""


class Plugin(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="carbonio-limits-")
        self.addCleanup(folder.cleanup)
        self.home = pathlib.Path(folder.name)
        self.home.chmod(0o755)
        self.database = self.home / "data/cbpolicyd/db/cbpolicyd.sqlitedb"

    def run_it(self, *arguments, status=0, program=PROGRAM, **more):
        environment = {"PATH": os.environ["PATH"], "ZEXTRAS_HOME": str(self.home)}
        done = subprocess.run([program, *arguments], capture_output=True, timeout=60,
                              env=environment, **more)
        out = done.stdout.decode()
        err = done.stderr.decode()
        self.assertEqual(done.returncode, status, f"{arguments}: {out}{err}")
        if status != 0:
            self.assertEqual(err.count("\n"), 1, err)
            self.assertEqual(out, "")
            return err
        self.assertEqual(err, "")
        self.assertEqual(json_keys.undocumented(arguments, out), set())
        return out

    def init(self):
        self.run_it("init", "--no-prov")

    def sql(self, text, database=None):
        done = subprocess.run(["sqlite3", "-bail", str(database or self.database)], input=text,
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), text)
        return done.stdout.splitlines()

    def dump(self, database=None):
        """What is in the database, but for how often its rules were changed, and by whom."""
        return [line for line in self.sql(".dump", database)
                if not line.startswith(("INSERT INTO limits_rules_version",
                                        "INSERT INTO limits_events"))]

    def files(self):
        """All files of the database's folder, with a hash of each."""
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in self.database.parent.iterdir()}
