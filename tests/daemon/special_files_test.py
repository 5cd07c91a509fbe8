# SPDX-License-Identifier: AGPL-3.0-only
"""Files that are no files: a FIFO where the log, the pid file, the status, the database, the
configuration or a copy should be. Nothing waits for its other end."""

import os
import shutil
import subprocess
import time
import unittest

from daemon_case import DaemonTest, article, bin_dir, eventually

SOON_S = 20


class Fifo(DaemonTest):
    def stop_soon(self, daemon):
        start = time.monotonic()
        daemon.stop()
        self.assertLess(time.monotonic() - start, SOON_S)

    def test_the_log(self):
        daemon = self.make_daemon(start=False)
        os.mkfifo(daemon.log_file)
        os.chmod(daemon.log_file, 0o666)
        daemon.start()
        self.assertEqual(daemon.ask(), "DUNNO")
        self.assertTrue(eventually(lambda: "is neither a file nor a device" in daemon.output()))
        self.stop_soon(daemon)
        daemon.log_file.unlink()

    def test_the_log_after_a_reload(self):
        daemon = self.make_daemon()
        fifo = daemon.log_file.with_name("fifo")
        os.mkfifo(fifo)
        os.chmod(fifo, 0o666)
        daemon.config.write_text(daemon.config.read_text().replace(str(daemon.log_file), str(fifo)))
        daemon.process.send_signal(1)
        daemon.wait_for_log("ERROR", str(fifo), "is neither a file nor a device")
        self.assertEqual(daemon.ask(), "DUNNO")
        self.stop_soon(daemon)

    def test_standard_error_that_nobody_reads(self):
        daemon = self.make_daemon(start=False, options={"server": {"log_file": ""}}, log_level=4)
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        daemon.process = subprocess.Popen(
            [bin_dir() / "cbpolicyd", "--config", daemon.config, "--fg"],
            stdin=subprocess.DEVNULL, stdout=writing, stderr=writing)
        os.close(writing)
        daemon.sql(article.POLICY + article.SEND)
        self.assertTrue(eventually(lambda: self.accepts(daemon)))
        for number in range(1000):  # more lines than a pipe holds
            self.assertIn(daemon.ask(sender=f"u{number}@example.org"), ("DUNNO", "DEFER"))
        self.stop_soon(daemon)

    def accepts(self, daemon):
        try:
            return daemon.connect().close() is None
        except OSError:
            return False

    def test_the_pid_file(self):
        daemon = self.make_daemon(start=False)
        os.mkfifo(daemon.pid_file)
        os.chmod(daemon.pid_file, 0o666)
        daemon.start()
        self.assertEqual(daemon.ask(), "DUNNO")
        daemon.wait_for_log("WARNING", "cannot write the pid file", "it is not a regular file")
        self.assertIn(daemon.command("service", "status", check=False).returncode, (0, 3))
        daemon.command("doctor", check=False)
        self.stop_soon(daemon)

    def test_the_status(self):
        daemon = self.make_daemon(start=False)
        os.mkfifo(daemon.status_file)
        daemon.spawn()
        self.assertTrue(eventually(lambda: daemon.status_file.is_file()), "it is replaced")
        self.stop_soon(daemon)

    def test_the_configuration(self):
        daemon = self.make_daemon(start=False)
        ours = daemon.config.with_name("carbonio-limits.conf")
        os.mkfifo(ours)
        done = subprocess.run([bin_dir() / "cbpolicyd", "--config", daemon.config, "--check-config"],
                              capture_output=True, text=True, timeout=SOON_S)
        self.assertEqual(done.returncode, 2)
        self.assertIn("it is not a regular file", done.stderr)

    def test_the_database(self):
        daemon = self.make_daemon(start=False)
        kept = daemon.database.with_name("kept")
        shutil.move(daemon.database, kept)
        os.mkfifo(daemon.database)
        daemon.spawn()
        self.assertTrue(eventually(lambda: self.accepts(daemon)))
        self.assertTrue(daemon.ask().startswith("DEFER Mail limits cannot be read"))
        daemon.wait_for_log("ERROR", "is not a regular file, so not a database")
        done = daemon.command("list", check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("is not a regular file", done.stderr)
        daemon.database.unlink()
        shutil.move(kept, daemon.database)
        daemon.give_to_service_user()
        self.assertTrue(eventually(lambda: daemon.ask() == "DUNNO", SOON_S))
        self.stop_soon(daemon)

    def test_a_copy_to_restore(self):
        daemon = self.make_daemon()
        fifo = daemon.folder / "fifo"
        os.mkfifo(fifo)
        os.chmod(fifo, 0o666)
        done = daemon.command("restore", str(fifo), check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("is not a regular file; give a copy", done.stderr)


class FullLog(DaemonTest):
    """As on a full disk."""

    def test_lost_lines_are_counted_and_said(self):
        daemon = self.make_daemon(options={"server": {"log_file": "/dev/full"}})
        for _ in range(5):
            daemon.ask()
        self.assertTrue(eventually(lambda: "lines lost so far: " in daemon.command(
            "doctor", check=False).stdout))
        self.assertIn("No space left on device", daemon.command("doctor", check=False).stdout)


class LargestFile(DaemonTest):
    def test_a_limit_on_file_sizes_does_not_end_it(self):
        daemon = self.make_daemon(article.POLICY + article.SEND, start=False)
        daemon.process = subprocess.Popen(
            ["bash", "-c", 'ulimit -S -f 400; exec "$0" "$@"', bin_dir() / "cbpolicyd", "--config",
             daemon.config, "--fg"], stdin=subprocess.DEVNULL, env={**os.environ,
                                                                   **daemon.environment})
        daemon.wait_until_ready()
        with daemon.connect() as connection:
            for number in range(0, 4000, 200):
                connection.send(b"".join(self.request(sender=f"u{number + at}@example.org")
                                         for at in range(200)))
                for _ in range(200):
                    self.assertEqual(connection.answer(), "DUNNO")
        self.assertIsNone(daemon.process.poll())
        daemon.stop()


if __name__ == "__main__":
    unittest.main()
