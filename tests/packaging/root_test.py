#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""The .deb in a Debian system with Carbonio's stand-ins, under systemd and under zmcontrol: path, owner
and mode of every file; replacing the Perl daemon and restoring it; upgrades with mail flowing;
removal, purge, reinstallation; and failures halfway."""

import re
import subprocess
import threading

import fakes
from package_case import (DATABASE, FOLDER, LIMITS, MARK, SOURCE, UNIT, PackageTest, main,
                          older_deb, our_deb)
from root import eventually

# What our package installs on Debian. Folders shared with other packages are left out.
INSTALLED = {
    "/opt/zextras/bin/carbonio-limits": "root:root 755",
    "/opt/zextras/bin/zmcbpolicydctl": "root:root 755",
    "/opt/zextras/bin/zmcbpadmin": "root:root 755",
    "/opt/zextras/libexec/zmcbpolicydinit": "root:root 755",
    "/opt/zextras/libexec/carbonio-limits-setup": "root:root 755",
    "/opt/zextras/common/bin/cbpolicyd": "root:root 755",
    "/opt/zextras/common/bin/cbpadmin": "root:root 777 cbpolicyd",
    "/opt/zextras/conf/carbonio-limits.conf": "root:root 644",
    "/etc/cron.d/carbonio-limits": "root:root 644",
    "/usr/lib/tmpfiles.d/carbonio-limits.conf": "root:root 644",
    "/usr/lib/sysusers.d/carbonio-limits.conf": "root:root 644",
    "/usr/lib/systemd/system/carbonio-limits-answer.service": "root:root 644",
    "/usr/lib/systemd/system/carbonio-limits-answer.timer": "root:root 644",
    "/usr/lib/systemd/system/carbonio-limits-notify.service": "root:root 644",
    "/usr/lib/systemd/system/carbonio-limits-notify.timer": "root:root 644",
    "/usr/lib/systemd/system/carbonio-limits-sync.service": "root:root 644",
    "/usr/lib/systemd/system/carbonio-limits-sync.timer": "root:root 644",
    "/usr/lib/systemd/system/carbonio-limits-web.service": "root:root 644",
    "/usr/lib/systemd/system/carbonio-policyd.service.d": "root:root 755",
    "/usr/lib/systemd/system/carbonio-policyd.service.d/carbonio-limits.conf": "root:root 644",
    "/usr/lib/systemd/system/carbonio-mta.target.wants": "root:root 755",
    "/usr/lib/systemd/system/carbonio-mta.target.wants/carbonio-policyd.service":
        "root:root 777 ../carbonio-policyd.service",
    "/usr/lib/systemd/system/timers.target.wants/carbonio-limits-answer.timer":
        "root:root 777 ../carbonio-limits-answer.timer",
    "/usr/lib/systemd/system/timers.target.wants/carbonio-limits-notify.timer":
        "root:root 777 ../carbonio-limits-notify.timer",
    "/usr/lib/systemd/system/timers.target.wants/carbonio-limits-sync.timer":
        "root:root 777 ../carbonio-limits-sync.timer",
    "/usr/share/bash-completion/completions/carbonio-limits": "root:root 644",
    "/usr/share/lintian/overrides/carbonio-limits": "root:root 644",
    "/usr/share/man/man8/carbonio-limits.8.gz": "root:root 644",
    "/usr/share/man/man8/cbpolicyd.8.gz": "root:root 644",
    "/usr/share/doc/carbonio-limits": "root:root 755",
    "/usr/share/doc/carbonio-limits/LICENSE": "root:root 644",
    "/usr/share/doc/carbonio-limits/README.md": "root:root 644",
    "/usr/share/doc/carbonio-limits/changelog.Debian.gz": "root:root 644",
    "/usr/share/doc/carbonio-limits/changelog.gz": "root:root 644",
    "/usr/share/doc/carbonio-limits/copyright": "root:root 644",
    "/usr/share/doc/carbonio-limits/examples": "root:root 755",
    "/usr/share/doc/carbonio-limits/examples/carbonio-limits-dashboard.json": "root:root 644",
    "/usr/share/doc/carbonio-limits/examples/carbonio-limits.yml": "root:root 644",
    "/usr/share/doc/carbonio-limits/examples/logrotate": "root:root 644",
    "/usr/share/doc/carbonio-limits/examples/redis.conf": "root:root 644",
    "/usr/share/doc/carbonio-limits/examples/sentinel.conf": "root:root 644",
    "/usr/share/doc/carbonio-limits/examples/stunnel-mta.conf": "root:root 644",
    "/usr/share/doc/carbonio-limits/examples/stunnel-redis.conf": "root:root 644",
}
COPY = re.compile(re.escape(DATABASE) + r"\.\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d")


def readme_commands():
    """The commands of README's section on installation, unchanged."""
    section = (SOURCE / "README.md").read_text().split("## Installation on a Carbonio host", 1)[1]
    return [line.strip() for line in section.split("\n## ", 1)[0].splitlines()
            if line.startswith("    ")]


class Files(PackageTest):
    maxDiff = None

    def test_installs_each_file_and_leaves_none_after_purge(self):
        self.host(boot=False)
        before = self.files()
        output = self.dpkg("-i", our_deb())
        self.assertIn(f"{LIMITS} enable", output)
        after = self.files()
        diverted = [name.removesuffix(".distrib") for name in after if name.endswith(".distrib")]
        self.assertEqual(sorted(diverted), sorted(set(INSTALLED) & set(before)))
        self.assertEqual({name: what for name, what in after.items() if name in diverted
                          or name not in before and not name.endswith(".distrib")}, INSTALLED)
        for path in diverted:  # unchanged, beside ours
            self.assertEqual(after[f"{path}.distrib"], before[path])
        # Nothing else has changed, nothing was started, and no database was created.
        changed = {name for name in before if after.get(name) != before[name]}
        self.assertLessEqual(changed, {"/opt/zextras/common/bin/cbpadmin"})
        self.assertEqual(self.who_answers(), "nobody")

        self.dpkg("--purge", "carbonio-limits")
        self.assertEqual(self.files(), before)

    def test_the_alert_rules_are_where_carbonios_prometheus_reads_them(self):
        self.host(boot=False)
        name = "/etc/carbonio/carbonio-prometheus/rules/carbonio-limits.yml"
        rules = self.root.path(name)
        rules.parent.mkdir(parents=True)
        before = self.files()
        self.assertIn("carbonio-prometheus reads it", self.dpkg("-i", our_deb()))
        self.assertIn("alert: PolicyDaemonDown", self.root.shell(f"cat {name}"))
        self.assertNotIn("carbonio-prometheus", self.dpkg("-i", our_deb()))
        self.dpkg("--purge", "carbonio-limits")
        self.assertEqual(self.files(), before)
        rules.write_text("groups: []\n")
        self.dpkg("-i", our_deb())
        self.dpkg("--purge", "carbonio-limits")
        self.assertEqual(rules.read_text(), "groups: []\n")

    def test_an_edited_configuration_stays(self):
        self.host(boot=False)
        self.dpkg("-i", older_deb())
        config = self.root.path("/opt/zextras/conf/carbonio-limits.conf")
        config.write_text("[Quotas]\nalgorithm=decay\n")
        self.dpkg("-i", our_deb())
        self.assertEqual(config.read_text(), "[Quotas]\nalgorithm=decay\n")
        self.dpkg("-r", "carbonio-limits")
        self.assertTrue(config.exists())
        self.dpkg("--purge", "carbonio-limits")
        self.assertFalse(config.exists())


class UnderSystemd(PackageTest):
    def with_perl(self):
        self.host(boot=True)
        self.make_perl_database()
        self.root.run("systemctl", "start", UNIT)
        self.eventually_answers("perl")

    def test_replaces_the_perl_daemon_and_restores_it(self):
        self.with_perl()
        before = self.sql(".dump")
        self.assertIn("was restarted", self.dpkg("-i", our_deb()))
        self.eventually_answers("ours")
        copy, = [name for name in self.files() if COPY.fullmatch(name)]
        self.assertEqual(self.zextras("sqlite3", copy, ".dump").split("\n")[:-1], before)
        self.assertEqual([answer[:6] for answer in map(self.verdict, self.ask(11))],
                         ["DUNNO"] * 10 + ["DEFER "])
        owners = self.root.shell("find /opt/zextras/data/cbpolicyd /opt/zextras/log /run/carbonio "
                                 "-printf '%u:%g\\n' | sort -u")
        self.assertEqual(owners, "zextras:zextras\n")

        # It runs again after a reboot, with an empty /run.
        self.root.reboot()
        self.eventually_answers("ours")
        self.assertTrue(self.verdict(self.ask()[0]).startswith("DEFER"))

        # The Perl daemon's package can be upgraded meanwhile.
        self.dpkg("-i", fakes.policyd_deb(FOLDER, "2.1.0.1"))
        self.root.run("systemctl", "restart", UNIT)
        self.eventually_answers("ours")

        self.assertIn("is running again", self.dpkg("-r", "carbonio-limits"))
        self.eventually_answers("perl")
        self.assertEqual(self.sql("PRAGMA journal_mode; SELECT CounterLimit FROM quotas_limits "
                                  "WHERE ID = 4"), ["delete", "10"])
        self.assertEqual([name for name in self.files() if "distrib" in name
                          and name.startswith("/opt")], [])
        self.assertNotIn("Drop-In", self.root.try_run("systemctl", "status", UNIT).stdout)
        self.root.reboot()
        self.eventually_answers("perl")

        # Reinstalled and purged: the database and its copies stay.
        self.dpkg("-i", our_deb())
        self.eventually_answers("ours")
        self.dpkg("--purge", "carbonio-limits")
        self.eventually_answers("perl")
        self.assertFalse(self.root.path(MARK).exists())
        self.assertTrue(self.root.path(copy).exists())
        self.assertEqual(self.sql("SELECT count(*) FROM policies"), ["6"])

    @staticmethod
    def verdict(answer):
        return answer.removeprefix("action=")

    def test_upgrade_while_mail_flows(self):
        self.with_perl()
        self.dpkg("-i", older_deb())
        self.eventually_answers("ours")
        self.start_postfix()
        flow = self.start_flow()
        for package in (our_deb(), older_deb(), our_deb()):
            self.wait_for_mail(3)
            self.dpkg("-i", package)
        self.wait_for_mail(3)
        self.end_flow(flow)

    def start_flow(self):
        self.root.shell("touch /root/flow")
        done = []
        thread = threading.Thread(target=lambda: done.append(self.root.run(
            "python3", "/usr/local/bin/mailer.py", "flow", "/root/flow", timeout=600)))
        thread.start()
        return thread, done

    def wait_for_mail(self, more):
        """Waits until `more` mails have been counted."""
        count = "SELECT count(*) FROM quotas_tracking WHERE TrackKey LIKE 'Sender:user%'"
        before = int(self.sql(count)[0])
        eventually(lambda: int(self.sql(count)[0]) >= before + more)

    def end_flow(self, flow):
        thread, done = flow
        self.root.shell("rm /root/flow")
        thread.join()
        *others, sent = done[0].splitlines()
        self.assertEqual(others, [])
        self.assertGreater(int(sent), 10)

    def test_commands_of_the_readme(self):
        self.host(boot=True)
        self.root.shell("mkdir /root/install")
        subprocess.run(["cp", our_deb(), self.root.path("/root/install")], check=True)
        *commands, last = readme_commands()
        self.assertIn("carbonio-limits send 100/h", commands)
        done = self.root.try_run("bash", "-e", stdin="\n".join(["cd /root/install", *commands]),
                                 timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        doctor = self.root.try_run("bash", stdin=f"PATH=$PATH:/opt/zextras/bin\n{last}")
        self.assertIn(doctor.returncode, (0, 3), doctor.stderr)  # Postfix is not Carbonio's here
        self.assertNotIn("policy daemon", doctor.stdout)
        self.eventually_answers("ours")
        answers = self.ask(101)
        self.assertEqual(answers[:100], ["action=DUNNO"] * 100)
        self.assertTrue(answers[100].startswith("action=DEFER"), answers[100])
        self.assertIn("alice@example.com", self.zextras(LIMITS, "usage"))
        self.root.reboot()
        self.eventually_answers("ours")
        self.assertTrue(self.ask()[0].startswith("action=DEFER"))

    def test_units_are_valid(self):
        self.host(boot=True)
        self.dpkg("-i", our_deb())
        for unit in (UNIT, "carbonio-limits-sync.service", "carbonio-limits-sync.timer",
                     "carbonio-limits-notify.service", "carbonio-limits-notify.timer",
                     "carbonio-limits-answer.service", "carbonio-limits-answer.timer",
                     "carbonio-limits-web.service"):
            self.assertEqual(self.root.run("systemd-analyze", "verify", "--man=no", unit), "", unit)
        self.assertEqual(self.root.run("systemctl", "is-active", "carbonio-limits-sync.timer"),
                         "active\n")


class UnderZmcontrol(PackageTest):
    def zmcontrol(self, word):
        return self.zextras("/opt/zextras/bin/zmcontrol", word)

    def test_replaces_the_perl_daemon_and_restores_it(self):
        self.host(boot=False)
        self.make_perl_database()
        self.assertEqual(self.zmcontrol("start"), "Starting policyd...Done.\n")
        self.eventually_answers("perl")
        self.assertIn("was restarted", self.dpkg("-i", our_deb()))
        self.eventually_answers("ours")
        self.assertEqual(self.zmcontrol("status"), "policyd Running\n")
        self.assertEqual(self.zmcontrol("stop"), "Stopping policyd...Done.\n")
        self.assertEqual(self.who_answers(), "nobody")
        self.assertEqual(self.zmcontrol("status"),
                         "policyd Stopped\n        policyd is not running.\n")
        self.assertEqual(self.zmcontrol("start"), "Starting policyd...Done.\n")
        self.eventually_answers("ours")
        self.assertIn("Must use -force",
                      self.zextras("/opt/zextras/libexec/zmcbpolicydinit", status=1))
        self.zextras("/opt/zextras/bin/zmcbpadmin", "--cleanup")

        self.dpkg("-i", older_deb())  # a downgrade works like an upgrade
        self.eventually_answers("ours")

        self.assertIn("is running again", self.dpkg("-r", "carbonio-limits"))
        self.eventually_answers("perl")
        self.assertEqual(self.zmcontrol("status"), "policyd Running\n")
        self.assertEqual(self.zmcontrol("stop"), "Stopping policyd...Done.\n")
        self.assertEqual(self.sql("PRAGMA journal_mode"), ["delete"])


class BadMoments(PackageTest):
    def test_disk_full_during_installation(self):
        self.host(boot=False, carbonio=False)
        # Carbonio is on a small disk of its own, without room for our package.
        self.root.shell("mkdir -p /opt && mount -t tmpfs -o size=3m none /opt")
        self.dpkg("-i", fakes.core_deb(FOLDER), fakes.policyd_deb(FOLDER))
        self.make_perl_database()
        self.zextras("/opt/zextras/bin/zmcontrol", "start")
        self.eventually_answers("perl")
        before = self.root.shell("cd /opt && find . -type f -o -type l | sort")
        self.assertIn("No space left on device", self.dpkg("-i", our_deb(), status=1))
        self.eventually_answers("perl")
        self.assertEqual(self.root.shell("cd /opt && find . -type f -o -type l | sort"), before)
        self.root.shell("mount -o remount,size=100m /opt")
        self.assertIn("was restarted", self.dpkg("-i", our_deb()))
        self.eventually_answers("ours")

    def test_no_room_for_the_copy_of_the_database(self):
        self.host(boot=False)
        self.root.shell("mount -t tmpfs -o size=1m none /opt/zextras/data/cbpolicyd/db && "
                        "chown zextras:zextras /opt/zextras/data/cbpolicyd/db")
        self.make_perl_database()
        self.root.shell("head -c 900000 /dev/zero >/opt/zextras/data/cbpolicyd/db/filler || true")
        self.zextras("/opt/zextras/bin/zmcontrol", "start")
        output = self.dpkg("-i", our_deb(), status=1)
        self.assertIn("cannot copy", output)
        self.assertIn("dpkg --configure carbonio-limits", output)
        self.eventually_answers("perl")
        self.root.shell("rm /opt/zextras/data/cbpolicyd/db/filler")
        self.assertIn("was restarted", self.dpkg("--configure", "carbonio-limits"))
        self.eventually_answers("ours")

    def test_installs_over_a_half_finished_installation(self):
        self.host(boot=False)
        self.dpkg("--unpack", our_deb())
        self.assertIn("send 100/h", self.dpkg("-i", our_deb()))
        self.assertEqual(self.root.shell("dpkg -l carbonio-limits | tail -n 1 | cut -c1-2"), "ii\n")
        # Killed while unpacking: the next installation fixes whatever is left.
        self.dpkg("--purge", "carbonio-limits")
        before = self.files()
        dpkg = subprocess.Popen([*self.root.enter(), "sh", "-c", "dpkg -i /root/carbonio-limits_*.deb"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: self.root.path("/opt/zextras/common/bin/cbpolicyd.distrib").exists())
        self.root.run("pkill", "-KILL", "dpkg")
        dpkg.wait()
        self.dpkg("-i", our_deb())
        self.assertEqual(self.root.shell("dpkg -l carbonio-limits | tail -n 1 | cut -c1-2"), "ii\n")
        self.dpkg("--purge", "carbonio-limits")
        self.assertEqual(self.files(), before)

    def test_a_removal_that_fails(self):
        self.host(boot=True)
        self.make_perl_database()
        self.root.run("systemctl", "start", UNIT)
        self.dpkg("-i", our_deb())
        self.eventually_answers("ours")
        # As if another package depended on ours and dpkg refused to remove it.
        prerm = self.root.path("/var/lib/dpkg/info/carbonio-limits.prerm")
        text = prerm.read_text()
        prerm.write_text(text + "\nexit 1\n")
        self.dpkg("-r", "carbonio-limits", status=1)
        self.eventually_answers("ours")
        prerm.write_text(text)
        self.dpkg("-r", "carbonio-limits")
        self.eventually_answers("perl")

    def test_a_reader_holds_the_database_during_removal(self):
        self.host(boot=False)
        self.make_perl_database()
        self.zextras("/opt/zextras/bin/zmcontrol", "start")
        self.dpkg("-i", our_deb())
        self.eventually_answers("ours")
        reader = subprocess.Popen(
            [*self.root.enter(), "runuser", "-u", "zextras", "--", "sqlite3", DATABASE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        reader.stdin.write("BEGIN; SELECT count(*) FROM policies;\n")
        reader.stdin.flush()
        self.assertEqual(reader.stdout.readline(), "6\n")
        output = self.dpkg("-r", "carbonio-limits")
        reader.communicate("ROLLBACK;\n")
        self.assertIn("PRAGMA journal_mode=DELETE", output)
        command = re.search(r"run: (runuser.*)", output).group(1)
        self.assertEqual(self.root.shell(command), "delete\n")
        self.assertEqual(self.zextras("/opt/zextras/bin/zmcontrol", "start"),
                         "Starting policyd...Done.\n")


if __name__ == "__main__":
    main()
