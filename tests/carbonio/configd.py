#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""Stands in for carbonio-configd: on `REWRITE cbpolicyd mta` it generates conf/cbpolicyd.conf and
Postfix's restrictions from the attributes that the stand-in for `carbonio` keeps.

    with Configd(home, server) as configd:      # on configd.port of 127.0.0.1
        configd.requests                        # the lines that it received

The older version answers after it has rewritten, the newer one (`newer=True`) before. Faults:
`silent` never answers, `lazy` answers and rewrites nothing, `rude` answers something else.

By hand: configd.py HOME SERVER PORT [POLICY_PORT]"""

import grp
import os
import pathlib
import pwd
import shutil
import socketserver
import sys
import threading
import time

# main.cf's names for the attributes, as with Postfix 3.6 and newer.
POSTSCREEN = {"zimbraMtaPostscreenGreetAction": "postscreen_greet_action",
              "zimbraMtaPostscreenDnsblAction": "postscreen_dnsbl_action",
              "zimbraMtaPostscreenDnsblSites": "postscreen_dnsbl_sites",
              "zimbraMtaPostscreenBlacklistAction": "postscreen_denylist_action"}

MODULES = {"AccessControl": "FALSE", "Accounting": "FALSE", "Amavis": "FALSE",
           "CheckHelo": "FALSE", "CheckSPF": "FALSE", "Greylisting": "FALSE", "Quotas": "TRUE"}

CONF = """\
[server]
protocols=<<EOT
Postfix
Bizanga
EOT
modules=<<EOT
Core
{modules}
EOT
{user}pid_file={home}/run/cbpolicyd.pid
cache_file={home}/data/cbpolicyd/cbpolicyd.cache
background=yes
min_servers=4
min_spare_servers=4
max_spare_servers=12
max_servers=25
max_requests=1000
log_level=3
log_file={home}/log/cbpolicyd.log
log_mail=main
log_detail=modules
host=localhost
port={port}
timeout_idle=1020
timeout_busy=120
[database]
DSN=DBI:SQLite:dbname={home}/data/cbpolicyd/db/cbpolicyd.sqlitedb
bypass_mode=tempfail
bypass_timeout=30
"""


class Configd:
    def __init__(self, home, server, port=0, policy_port=10031, user=None, write_postfix=None,
                 newer=False):
        """`write_postfix` is called with the text that precedes Postfix's restrictions."""
        self.home, self.server, self.policy_port = pathlib.Path(home), server, policy_port
        self.user, self.write_postfix = user, write_postfix
        self.newer, self.fault, self.requests = newer, "", []
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                outer.serve(self)

        socketserver.ThreadingTCPServer.allow_reuse_address = True
        self.listener = socketserver.ThreadingTCPServer(("127.0.0.1", port), Handler)
        self.listener.daemon_threads = True
        self.port = self.listener.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.listener.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown()
        self.listener.server_close()

    def serve(self, connection):
        line = connection.rfile.readline(1024).decode(errors="replace").strip()
        self.requests.append(line)
        words = line.split()
        if self.fault == "silent":
            connection.rfile.read(1)  # until the other side gives up
        elif words == ["STATUS"]:
            connection.wfile.write(b"SUCCESS ACTIVE\n")
        elif not words or words[0] != "REWRITE" or self.fault == "rude":
            connection.wfile.write(b"ERROR UNKNOWN COMMAND\n")
        elif self.newer:
            connection.wfile.write(b"SUCCESS REWRITES COMPLETE\n")
            connection.wfile.flush()
            connection.connection.close()
            time.sleep(1)
            self.rewrite(words[1:])
        else:
            self.rewrite(words[1:])
            connection.wfile.write(b"SUCCESS REWRITES COMPLETE\n")

    def rewrite(self, sections):
        if self.fault == "lazy":
            return
        if "cbpolicyd" in sections:
            self.write_conf()
        if "mta" in sections and self.write_postfix:
            enabled = "cbpolicyd" in self.values("zimbraServiceEnabled")
            self.write_postfix(f"check_policy_service inet:localhost:{self.policy_port},"
                               if enabled else "")

    def postscreen(self):
        """Lines of main.cf."""
        return "".join(f"{name} = {', '.join(self.values(attribute))}\n"
                       for attribute, name in POSTSCREEN.items() if self.values(attribute))

    def values(self, attribute):
        for name in (f"servers/{self.server}", "global"):
            lines = (self.home / "state" / name).read_text().splitlines()
            found = [line.partition(": ")[2] for line in lines
                     if line.partition(": ")[0] == attribute]
            if found:
                return found
        return []

    def write_conf(self):
        user = ""
        if self.user:
            group = pwd.getpwnam(self.user).pw_gid
            user = f"user={self.user}\ngroup={grp.getgrgid(group).gr_name}\n"
        text = CONF.format(home=self.home, modules="\n".join(MODULES), user=user,
                           port=self.policy_port)
        for module, default in MODULES.items():
            value = (self.values(f"zimbraCBPolicyd{module}Enabled") or [default])[0]
            text += f"[{module}]\nenable={1 if value == 'TRUE' else 0}\n"
        fresh = self.home / "conf/cbpolicyd.conf.new"
        fresh.write_text(text)
        fresh.chmod(0o640)
        if self.user and os.geteuid() == 0:
            shutil.chown(fresh, self.user)
        fresh.rename(self.home / "conf/cbpolicyd.conf")


if __name__ == "__main__":
    with Configd(sys.argv[1], sys.argv[2], int(sys.argv[3]),
                 *map(int, sys.argv[4:5])) as running:
        threading.Event().wait()
