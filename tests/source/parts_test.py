#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""scripts/parts, which scripts/test is made of: logs, times, failures, and what --resume leaves out."""

import subprocess
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Parts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / ".gitignore").write_text("/build/\n")
        (self.folder / "source").write_text("1\n")

    def make_repository(self):
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
            subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *words],
                           cwd=self.folder, check=True)

    def run_parts(self, *commands, resume=False, stop="no"):
        """Runs parts named a, b, ... that append their names to build/ran; (status, ran, output)."""
        (self.folder / "build").mkdir(exist_ok=True)
        ran = self.folder / "build/ran"
        ran.write_text("")
        text = f"set -euo pipefail\nparts_stop={stop}\nsource {ROOT}/scripts/parts\n"
        text += f"begin_parts build/full {'resume' if resume else ''}\n"
        for name, command in zip("abc", commands):
            text += f"do_{name}() {{\n  echo {name} >>build/ran\n  {command}\n}}\npart {name} do_{name}\n"
        done = subprocess.run(["bash", "-c", text + "end_parts"], cwd=self.folder, text=True,
                              capture_output=True, timeout=60, check=False)
        self.assertEqual(done.stderr, "")
        return done.returncode, ran.read_text().split(), done.stdout

    def test_all_pass(self):
        self.make_repository()
        status, ran, output = self.run_parts("true", "echo words")
        self.assertEqual((status, ran), (0, ["a", "b"]))
        self.assertRegex(output, r"== a +passed in \d+ s\n== b +passed in \d+ s\n\npart +seconds\n"
                                 r"a +\d+\nb +\d+\ntotal +\d+\n$")
        self.assertNotIn("words", output)

    def test_a_failure_lets_the_others_run_and_fails_the_run(self):
        self.make_repository()
        status, ran, output = self.run_parts("echo broken; false; echo unreached", "false", "true")
        self.assertEqual((status, ran), (1, ["a", "b", "c"]))
        self.assertIn("broken", output)
        self.assertNotIn("unreached", output)
        self.assertRegex(output, r"\na +failed\nb +failed\nc +\d+\ntotal +\d+\n"
                                 r"\na FAILED, see build/full/\w{40}/a\.log\n"
                                 r"b FAILED, see build/full/\w{40}/b\.log\n$")

    def test_a_failure_ends_the_run_with_its_name_and_the_end_of_its_log(self):
        self.make_repository()
        status, ran, output = self.run_parts("true", "echo broken; false; echo unreached", "true", stop="yes")
        self.assertEqual((status, ran), (1, ["a", "b"]))
        self.assertIn("broken", output)
        self.assertNotIn("unreached", output)
        self.assertRegex(output, r"\nb +failed\n")
        self.assertRegex(output.splitlines()[-1], r"^b FAILED, see build/full/\w{40}/b\.log$")

    def test_resume_leaves_out_what_has_passed(self):
        self.make_repository()
        self.run_parts("true", "false", "true")
        status, ran, output = self.run_parts("true", "true", "true", resume=True)
        self.assertEqual((status, ran), (0, ["b"]))
        self.assertRegex(output, r"== a +passed before\n")
        self.assertEqual(self.run_parts("true", "true", "true")[1], ["a", "b", "c"])

    def test_resume_runs_everything_after_any_change_of_the_sources(self):
        self.make_repository()
        for name, text in (("source", "2\n"), ("new_file", "1\n"), ("source", "1\n")):
            with self.subTest(name=name, text=text):
                self.run_parts("true")
                (self.folder / name).write_text(text)
                self.assertEqual(self.run_parts("true", resume=True)[1], ["a"])
                self.assertEqual(self.run_parts("true", resume=True)[1], [])

    def test_a_part_during_which_the_sources_change_has_not_passed(self):
        self.make_repository()
        status, _, output = self.run_parts("echo 2 >source")
        self.assertEqual(status, 0)
        self.assertIn("the sources changed", output)
        (self.folder / "source").write_text("1\n")
        self.assertEqual(self.run_parts("true", resume=True)[1], ["a"])

    def test_without_git(self):
        self.run_parts("true")
        self.assertEqual(self.run_parts("true", resume=True)[1], [])
        (self.folder / "source").write_text("2\n")
        self.assertEqual(self.run_parts("true", resume=True)[1], ["a"])

    def test_a_failure_of_either_ends_a_run_that_stops(self):
        self.make_repository()
        for lane, rest in (("part x sleep 1; part y false; part z true", "part a true"),
                           ("part x sleep 1000", "part a false"),
                           ("true", "sleep 1; part a false")):
            with self.subTest(lane=lane):
                script = self.beside(lane, rest + "\njoin_beside\npart b true\nend_parts", stop="yes")
                output, _ = script.communicate(timeout=60)
                self.assertEqual(script.returncode, 1, output)
                self.assertNotRegex(output, r"== [bz] ")
                self.assertRegex(output.splitlines()[-1], "^[ya] FAILED, see ")
                self.assertEqual(output.count("part  "), 1, output)

    def test_what_runs_beside_and_dies_fails_the_run(self):
        self.make_repository()
        for lane in ("part x true; kill -9 $BASHPID; part y true", "part x true; false; part y true"):
            for stop in ("no", "yes"):
                with self.subTest(lane=lane, stop=stop):
                    script = self.beside(lane, "part a true\nend_parts", stop=stop)
                    output, _ = script.communicate(timeout=60)
                    self.assertEqual(script.returncode, 1, output)
                    self.assertRegex(output.splitlines()[-1],
                                     r"^beside FAILED, see build/full/\w{40}/beside\.log$")

    def beside(self, lane, rest, stop="no"):
        """A script that runs the parts `lane` beside `rest`."""
        (self.folder / "build").mkdir(exist_ok=True)
        text = (f"set -euo pipefail\nparts_stop={stop}\nsource {ROOT}/scripts/parts\nbegin_parts build/full\n"
                f"lane() {{\n{lane}\n}}\nbeside lane\n{rest}\n")
        return subprocess.Popen(["bash", "-c", text], cwd=self.folder, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def test_parts_beside_run_at_the_lowest_priority_and_are_waited_for(self):
        self.make_repository()
        niceness = 'bash -c "sleep 1; ps -o ni= -p \\$PPID >build/ni"'
        script = self.beside(f"part x {niceness}\npart y false", "part a true\nend_parts")
        output, _ = script.communicate(timeout=60)
        self.assertEqual(script.returncode, 1, output)
        self.assertEqual((self.folder / "build/ni").read_text().split(), ["19"])
        self.assertRegex(output, r"== a +begins\n")
        self.assertRegex(output, r"== x +passed in \d+ s\n(.*\n)*\npart +seconds\n")
        self.assertRegex(output, r"\ny +failed\n")
        self.assertRegex(output, r"\ny FAILED, see build/full/\w{40}/y\.log\n$")

    def test_what_runs_beside_ends_with_the_script(self):
        self.make_repository()
        for number, signal in enumerate((None, "TERM", "INT")):
            with self.subTest(signal=signal):
                marker = f"1000.{number}{id(self)}"
                wait = "until [[ -e build/begun ]]; do sleep 0.1; done\n"
                (self.folder / "build/begun").unlink(missing_ok=True)
                script = self.beside(f"touch build/begun\npart x sleep {marker}",
                                     wait + ("exit 3" if signal is None else f"kill -{signal} $$; sleep 9"))
                script.communicate(timeout=60)
                self.assertNotEqual(script.returncode, 0)
                # On a busy machine it has no time to end at once.
                for _ in range(300):
                    left = subprocess.run(["pgrep", "-f", f"^sleep {marker}"], check=False,
                                          capture_output=True).stdout
                    if not left:
                        break
                    time.sleep(0.1)
                self.assertEqual(left, b"")

    def test_wrong_use_of_scripts_test(self):
        for words in (["--ful"], ["--resume"], ["--full", "--again"], ["x"]):
            with self.subTest(words=words):
                done = subprocess.run([ROOT / "scripts/test", *words], capture_output=True, text=True,
                                      timeout=60, check=False)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertTrue(done.stderr.startswith("usage: "), done.stderr)


if __name__ == "__main__":
    unittest.main()
