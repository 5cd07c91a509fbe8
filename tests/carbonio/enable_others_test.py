#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""`enable` for other servers: only those are switched on whose daemon is known to run, from a real
redis-server to which real daemons report. The other hosts are the same folder with another name."""

import os
import subprocess
import sys
import unittest
from pathlib import Path

from carbonio_case import SERVER
from enable_case import ON, EnableCase, eventually

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cluster"))

from cluster_case import Engine  # noqa: E402
from daemon_case import Daemon  # noqa: E402

MTA2, MTA3 = "mta2.example.com", "mta3.example.com"
OFF = ["zimbraServiceEnabled: mta"]


class Others(EnableCase):
    def setUp(self):
        super().setUp()
        for server in (MTA2, MTA3):
            self.put(f"servers/{server}", *OFF)

    def on(self):
        return [server for server in (SERVER, MTA2, MTA3) if self.attributes(server) == ON]

    def typed(self, out):
        """The commands to be typed on other hosts, as (host, words)."""
        lines = [line.strip() for line in out.splitlines() if line.startswith("  on ")]
        return [(line.split()[1].rstrip(":"), line.partition(": ")[2].split()[1:]) for line in lines]

    def type_there(self, host, words):
        """On a host of that name, as far as Carbonio is concerned."""
        self.local_config(zimbra_server_hostname=host)
        self.own()
        out = self.switch(*words)
        self.local_config()
        self.own()
        return out


class WithoutACluster(Others):
    def test_all_mta_leaves_the_others_out_and_says_what_to_type_there(self):
        out, err = self.switch("enable", "--all-mta", status=2)
        self.assertEqual(self.on(), [SERVER])
        self.assertEqual(self.attributes(MTA2), OFF)
        self.assert_runs()
        self.assertIn("The policy service is switched on.", out)
        self.assertIn(f"Left out: {MTA2} and {MTA3}.", out)
        self.assertIn("this host is in no cluster, so nothing is known of other hosts", out)
        self.assertIn("carbonio-limits cluster join redis://HOST", out)
        self.assertIn("3 hosts are 3 counts", out)
        self.assertIn(f"{MTA2} and {MTA3} were not switched on, since the policy daemon may not run "
                      "there; run 'carbonio-limits enable' on each of these hosts, or use "
                      "--even-if-not-running", err)
        typed = self.typed(out)
        self.assertEqual(typed, [(MTA2, ["enable"]), (MTA3, ["enable"])])
        for host, words in typed:
            self.type_there(host, words)
        self.assertEqual(self.on(), [SERVER, MTA2, MTA3])
        # Those that are on need nothing, whether or not they run.
        out, _ = self.switch("enable", "--all-mta")
        self.assertIn("Nothing to change", out)
        self.assertNotIn("Left out", out)
        self.assertEqual(self.switch("disable", "--all-mta")[1], "")
        self.assertEqual(self.on(), [])

    def test_only_others(self):
        before = self.tree()
        out, err = self.switch("enable", "--server", MTA2, status=2)
        self.assertIn("may not run there, and nothing was changed; run 'carbonio-limits enable' on "
                      "that host", err)
        self.assertNotIn("Nothing to change", out)
        self.assertNotIn("  done", out)
        self.assertEqual(self.tree(), before)

    def test_a_dry_run_says_the_same(self):
        out, _ = self.switch("enable", "--server", MTA2, SERVER, "--dry-run")
        self.assertIn(f"carbonio prov ms {SERVER} ", out)
        self.assertNotIn(f"carbonio prov ms {MTA2} ", out)
        self.assertIn(f"Left out: {MTA2}.", out)
        out, _ = self.switch("enable", "--server", MTA2, "--dry-run", "--even-if-not-running")
        self.assertIn(f"carbonio prov ms {MTA2} ", out)
        self.assertNotIn("Left out", out)
        self.assertEqual(self.on(), [])

    def test_even_if_not_running(self):
        out, _ = self.switch("enable", "--all-mta", "--even-if-not-running")
        self.assertEqual(self.on(), [SERVER, MTA2, MTA3])
        self.assertIn(f"on {MTA2} and {MTA3} this changes only the attributes. If the daemon does "
                      "not run there, Postfix then answers 451 to all mail: run 'carbonio-limits "
                      "enable' there at once", out)
        out, _ = self.switch("enable", "--server", MTA2, "--even-if-not-running")
        self.assertIn("Nothing to change", out)

    def test_a_module_for_hosts_that_are_on(self):
        """Postfix asks there already, so this is no more dangerous than it was."""
        self.put(f"servers/{MTA2}", *ON)
        self.switch("enable", "--server", MTA2, "--greylisting")
        self.assertIn("zimbraCBPolicydGreylistingEnabled: TRUE", self.attributes(MTA2))

    def test_this_host_fails(self):
        """What holds for the others is said all the same."""
        self.put("fault", f"refuse:{SERVER}")
        out, err = self.switch("enable", "--all-mta", status=2)
        self.assertIn(f"{SERVER} was not changed", err)
        self.assertIn("Left out: ", out)


class InACluster(Others):
    def setUp(self):
        super().setUp()
        self.engine = Engine()
        self.addCleanup(self.engine.remove)
        self.switch("enable")
        self.switch("cluster", "join", self.engine.url, "--node", "here")
        self.addCleanup(self.switch, "service", "stop")

    def other_host(self, node):
        """A daemon that reports to the engine under that name."""
        daemon = Daemon(options={"server": {"background": "yes"}})
        self.addCleanup(daemon.remove)
        self.addCleanup(self.say, daemon, "service", "stop")
        self.say(daemon, "service", "start")
        self.say(daemon, "cluster", "join", self.engine.url, "--node", node)
        self.assertTrue(eventually(lambda: node in self.engine.ask("HKEYS", "carbonio-limits:nodes")))
        return daemon

    def say(self, daemon, *words):
        done = subprocess.run([daemon.programs / "carbonio-limits", *words], text=True, timeout=120,
                              capture_output=True,
                              env={**os.environ, "ZEXTRAS_HOME": str(daemon.folder)})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_those_that_run_are_switched_on(self):
        self.other_host("MTA2.example.com")
        self.other_host("mta3")
        out, _ = self.switch("enable", "--all-mta")
        self.assertEqual(self.on(), [SERVER, MTA2, MTA3])
        self.assertIn(f"on {MTA2} and {MTA3} this changes only the attributes: to have the daemon "
                      "start there at boot", out)
        self.assertNotIn("separately", out)
        self.assertNotIn("import", out)
        self.assertNotIn("Left out", out)

    def test_those_that_do_not_are_left_out(self):
        daemon = self.other_host("mta2")
        out, err = self.switch("enable", "--server", MTA2, MTA3, status=2)
        self.assertEqual(self.on(), [SERVER, MTA2])
        self.assertIn("the cluster does not see it", out)
        self.assertIn(f"{MTA3} was not switched on", err)
        # The engine is on this host's loopback address, which is no address for others.
        self.assertEqual(self.typed(out), [(MTA3, ["enable"]),
                                           (MTA3, ["cluster", "join", "redis://HOST"])])
        self.switch("disable", "--server", MTA2)
        self.say(daemon, "service", "stop")
        self.assertTrue(eventually(lambda: f"Left out: {MTA2}." in self.switch(
            "enable", "--server", MTA2, "--dry-run")[0]))

    def test_a_short_name_that_two_servers_have(self):
        self.put("servers/mta2.example.org", *OFF)
        self.other_host("mta2")
        _, err = self.switch("enable", "--server", MTA2, status=2)
        self.assertIn("and nothing was changed", err)

    def test_a_host_under_another_name(self):
        daemon = self.other_host("blue")
        out, _ = self.switch("enable", "--server", MTA2, status=2)
        self.assertIn("the cluster has a host blue, and Carbonio no server of that name", out)
        words = out.partition("type there: carbonio-limits ")[2].splitlines()[0].split()
        self.assertEqual(words, ["cluster", "join", "--node", MTA2])
        self.say(daemon, *words)
        self.switch("enable", "--server", MTA2)
        self.assertEqual(self.on(), [SERVER, MTA2])
        # And the name that it had is not a host more.
        self.assertEqual(sorted(self.engine.ask("HKEYS", "carbonio-limits:nodes").split()),
                         ["here", MTA2])

    def test_without_the_engine_nothing_is_known(self):
        self.other_host("mta2")
        self.engine.kill()
        out, err = self.switch("enable", "--server", MTA2, status=2)
        self.assertIn("the cluster cannot be asked: ", out)
        self.assertIn("nothing was changed", err)
        self.switch("enable", "--server", MTA2, "--even-if-not-running")
        self.assertEqual(self.on(), [SERVER, MTA2])

    def test_the_groups_have_the_networks_of_all(self):
        """Each host's sync writes the same, since the groups are shared."""
        self.put(f"servers/{MTA2}", *OFF, "zimbraMtaMyNetworks: 192.0.2.0/24 hash:/x")
        self.put("servers/mailbox.example.com", "zimbraServiceEnabled: mailbox",
                 "zimbraMtaMyNetworks: 198.51.100.0/24")
        everywhere = ["127.0.0.0/8", "192.0.2.0/24", "::1/128"]
        out, _ = self.switch("sync")
        self.assertIn("internal_ips: 1 added, 0 removed", out)
        self.assertIn("skipped 'hash:/x'", out)
        self.assertEqual(self.members("internal_ips"), everywhere)
        out, _ = self.type_there(MTA2, ["sync"])
        self.assertIn("internal_ips: 0 added, 0 removed", out)
        out, _ = self.switch("enable")
        self.assertEqual(self.members("internal_ips"), everywhere)
        self.switch("cluster", "leave")
        self.switch("sync")
        self.assertEqual(self.members("internal_ips"), ["127.0.0.0/8", "::1/128"])


if __name__ == "__main__":
    unittest.main()
