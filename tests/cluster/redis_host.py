# SPDX-License-Identifier: AGPL-3.0-only
"""A host of README with Redis and Sentinel, as on Debian, on addresses of this machine."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from cluster_case import free_port, public_folder, run_redis

EXAMPLES = Path(__file__).resolve().parents[2] / "packaging/redis"
ADMIN = "J7dfQw2x"
# What /etc/redis/redis.conf of Debian sets, of what matters here.
DEBIAN = "bind 127.0.0.1 -::1\nprotected-mode yes\nport {port}\ndir {folder}\nappendonly no\n"


def copy_examples(folder, words, here):
    """With the words in capitals replaced; `here` is what is another on this machine."""
    pattern = re.compile("|".join(re.escape(word) for word in (*words, *here)))
    for example in EXAMPLES.iterdir():
        text = re.sub(r"^[#;].*\n", "", example.read_text(), flags=re.MULTILINE)  # they name the words
        text = pattern.sub(lambda found: {**words, **here}[found[0]], text)
        (folder / example.name).write_text(text)


def check_packages(line):
    assert set(line.split()[2:]) <= {"redis-server", "redis-sentinel", "stunnel4"}, line


def run_stunnel(file):
    """As its unit does."""
    return subprocess.Popen(["stunnel4", file], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)


class RedisHost:
    """A host of README, 10.0.0.x, with Redis and Sentinel on 127.0.0.x and free ports."""

    def __init__(self, address, password):
        self.address = address
        self.own = address.replace("10.0.0.", "127.0.0.")
        self.port, self.sentinel_port, self.tls_port = free_port(), free_port(), free_port()
        self.password = password
        self.folder = public_folder("redis-host-")
        (self.folder / "stunnel").mkdir()
        self.processes = {}
        (self.folder / "redis.conf").write_text(DEBIAN.format(port=self.port, folder=self.folder))

    def copy_examples(self, master):
        """As README says; paths and ports are this machine's."""
        self.copies = self.folder / "copies"
        self.copies.mkdir()
        copy_examples(
            self.copies, {"ADDRESS": self.own, "MASTER": master.own, "MTA_PASSWORD": self.password,
                          "ADMIN_PASSWORD": ADMIN},
            {" 6379 ": f" {master.port} ", "127.0.0.1:6379": f"127.0.0.1:{self.port}",
             "26379": str(self.sentinel_port), ":6380": f":{self.tls_port}",
             "/var/lib/redis": str(self.folder), "/var/log/redis": str(self.folder),
             "/etc/stunnel": f"{self.folder}/stunnel"})

    def type(self, line, hosts):
        """`systemctl restart` starts them as the units do; of apt only the names are checked."""
        if line.startswith("apt install "):
            check_packages(line)
        elif line == "systemctl enable --now stunnel@redis":
            self.processes["stunnel"] = run_stunnel(self.folder / "stunnel/redis.conf")
        elif line.startswith("systemctl restart "):
            for name in line.split()[2:]:
                self.restart(name)
        else:
            line = line.replace("/etc/redis", str(self.folder))
            line = line.replace("/etc/stunnel", f"{self.folder}/stunnel")
            for host in hosts:
                line = line.replace(f"{host.address} 6379", f"{host.own} {host.port}")
            subprocess.run(["bash", "-ec", line], cwd=self.copies, check=True, capture_output=True)

    def restart(self, name):
        self.kill(name)
        file = {"redis-server": "redis.conf", "redis-sentinel": "sentinel.conf"}[name]
        self.processes[name] = run_redis(name, self.folder / file)

    def kill(self, name):
        if process := self.processes.pop(name, None):
            process.send_signal(signal.SIGKILL)
            process.wait()

    def knows(self, others):
        """Whether Sentinel has found so many replicas, and Sentinels."""
        words = self.ask("sentinel", "master", "limits", port=self.sentinel_port).split("\n")
        facts = dict(zip(words[::2], words[1::2]))
        return facts.get("num-slaves") == facts.get("num-other-sentinels") == str(others)

    def ask(self, *words, port=None):
        return subprocess.run(["redis-cli", "-h", self.own, "-p", str(port or self.port), *words],
                              env={**os.environ, "REDISCLI_AUTH": ADMIN}, text=True, timeout=30,
                              capture_output=True).stdout.strip()

    def remove(self):
        for name in list(self.processes):
            self.kill(name)
        shutil.rmtree(self.folder)
