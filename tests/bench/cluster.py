# SPDX-License-Identifier: AGPL-3.0-only
"""How long count.lua takes in the installed redis-server, by its own account (INFO commandstats), with
appendonly everysec: for batches of several sizes, about counters in which so many hosts have a part."""

import random
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from servers import free_port  # first, since it says where the tests' own modules are
from report import spread

SCRIPT = Path(__file__).resolve().parents[2] / "daemon/cluster/count/count.lua"
HOSTS = (1, 3, 10)
BATCHES = (1, 16, 64, 256)
SENDERS = 2000
PAIRS = 2  # of each host's part
# Of a bare prototype, in microseconds a question.
AIMS = {1: (17, 8.2, 7.5, 7.2), 3: (19, 9.4, 8.6, 8.0), 10: (22, 12.6, 11.7, 10.9)}


class Client:
    """Of a server of its own."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="bench-redis-")
        port = free_port()
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", self.folder, "--save", "",
             "--appendonly", "yes", "--appendfsync", "everysec"], stdout=subprocess.DEVNULL)
        for _ in range(500):
            try:
                self.socket = socket.create_connection(("127.0.0.1", port))
                break
            except OSError:
                time.sleep(0.01)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)

    def send(self, *words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(words) +
                            b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))

    def read(self):
        line = self.file.readline()
        kind, value = line[:1], line[1:-2]
        if kind == b"-":
            raise SystemExit(f"redis-server: {value.decode()}")
        if kind == b"$":
            return None if value == b"-1" else self.file.read(int(value) + 2)[:-2]
        if kind == b"*":
            return [self.read() for _ in range(int(value))]
        return int(value) if kind == b":" else value

    def ask(self, *words):
        self.send(*words)
        return self.read()


def part(now: float) -> bytes:
    return b"".join(struct.pack("<dd", now - 1000 * i, 1) for i in reversed(range(PAIRS)))


def microseconds(client: Client, script: bytes, hosts: int, batch: int, calls: int) -> float:
    """Of a call with one question, or else of a question; each counts in a counter of its own."""
    client.ask("FLUSHALL")
    client.ask("SET", "b:epoch", "e")
    now = int(time.time() * 1000)
    keys = [f"b:c:4:Sender:user{number:05d}@example.org" for number in range(SENDERS)]
    for key in keys:
        for host in range(1, hosts):
            client.send("HSET", key, f"mta{host}.example.org", struct.pack("<d", PAIRS) + part(now))
    for _ in range(SENDERS * (hosts - 1)):
        client.read()
    client.ask("CONFIG", "RESETSTAT")
    for _ in range(calls):
        senders = random.sample(keys, batch)
        numbers = [PAIRS, 1_000_000, 3_600_000] * batch
        for place in range(batch):
            numbers += [1, place + 1, 1, 1]
        reply = client.ask("EVALSHA", script, 1 + batch, "b:epoch", *senders, "mta0.example.org", "e",
                           struct.pack(f"<{len(numbers)}d", *numbers), *[part(now)] * batch)
        if reply[1] != [-1] * batch:
            raise SystemExit(f"the script refuses: {reply[1]}")
    for line in client.ask("INFO", "commandstats").decode().splitlines():
        if line.startswith("cmdstat_evalsha:"):
            return int(line.split("usec=")[1].split(",")[0]) / calls / batch
    raise SystemExit("redis-server has no figures of the script")


def measure_script(rounds: int, stack) -> list[dict] | None:
    if shutil.which("redis-server") is None:
        return None
    client = Client()
    stack.callback(client.close)
    script = client.ask("SCRIPT", "LOAD", SCRIPT.read_bytes())
    cells = [(hosts, batch) for hosts in HOSTS for batch in BATCHES]
    times = {cell: [] for cell in cells}
    for _ in range(rounds):
        for hosts, batch in cells:
            calls = max(50, min(2000, 20_000 // batch))
            times[hosts, batch].append(microseconds(client, script, hosts, batch, calls))
    return [{"hosts": hosts, "batch": batch, "us": spread(times[hosts, batch]),
             "aim": AIMS[hosts][BATCHES.index(batch)]} for hosts, batch in cells]
