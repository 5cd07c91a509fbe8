# SPDX-License-Identifier: AGPL-3.0-only
"""A small DNS server on a loopback port, for tests.

    with DnsServer({"example.org": {"TXT": ["v=spf1 -all"]}}) as dns:
        dns.address                        # "127.0.0.1:40053"
        dns.questions                      # [("example.org", "TXT"), ...] as they came

Names are in lower case. A zone's value may be `SERVFAIL`, `REFUSED` or `SILENT` instead of records;
a name that is not there gets NXDOMAIN. A CNAME is given for whatever type is asked, with the
records of its target behind it.
"""

import ipaddress
import socket
import struct
import threading

SERVFAIL, NXDOMAIN, REFUSED, SILENT = 2, 3, 5, -1
TYPES = {1: "A", 5: "CNAME", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA"}
NUMBERS = {name: number for number, name in TYPES.items()}


def encode_name(name: str) -> bytes:
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def decode_name(message: bytes, at: int) -> tuple[str, int]:
    labels = []
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode("latin-1"))
        at += 1 + message[at]
    return ".".join(labels).lower(), at + 1


def encode_data(kind: str, value) -> bytes:
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if kind == "MX":
        return struct.pack("!H", 10) + encode_name(value)
    if kind == "TXT":
        text = value.encode() if isinstance(value, str) else value
        parts = [text[i:i + 255] for i in range(0, len(text), 255)] or [b""]
        return b"".join(bytes([len(part)]) + part for part in parts)
    return encode_name(value)


def record(name: str, kind: str, value) -> bytes:
    data = encode_data(kind, value)
    return encode_name(name) + struct.pack("!HHIH", NUMBERS[kind], 1, 60, len(data)) + data


class DnsServer:
    def __init__(self, zones: dict):
        self.zones = zones
        self.questions = []
        self._udp, self._tcp = self._same_port()
        self.address = "127.0.0.1:%d" % self._udp.getsockname()[1]

    @staticmethod
    def _same_port():
        """Both sockets on one port that is free for both."""
        while True:
            tcp = socket.create_server(("127.0.0.1", 0))
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                udp.bind(tcp.getsockname())
                return udp, tcp
            except OSError:
                tcp.close()
                udp.close()

    def __enter__(self):
        for serve in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._udp.close()
        self._tcp.close()

    def _serve_udp(self):
        while True:
            try:
                message, client = self._udp.recvfrom(4096)
                answer = self.answer(message)
                if answer is None:
                    continue
                if len(answer) > 512:  # truncated: the client comes by TCP
                    end = decode_name(message, 12)[1] + 4
                    answer = message[:2] + struct.pack("!HHHHH", 0x8380, 1, 0, 0, 0) + message[12:end]
                self._udp.sendto(answer, client)
            except OSError:
                return

    def _serve_tcp(self):
        while True:
            try:
                connection, _ = self._tcp.accept()
                with connection:
                    size, = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))
                    answer = self.answer(connection.recv(size, socket.MSG_WAITALL))
                    if answer is not None:
                        connection.sendall(struct.pack("!H", len(answer)) + answer)
                        connection.recv(1)
            except (OSError, struct.error):
                if self._tcp.fileno() < 0:
                    return

    def answer(self, message: bytes) -> bytes | None:
        name, at = decode_name(message, 12)
        kind = TYPES.get(struct.unpack("!H", message[at:at + 2])[0], "?")
        self.questions.append((name, kind))
        code, records = self._find(name, kind)
        if code == SILENT:
            return None
        header = message[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(records), 0, 0)
        return header + message[12:at + 4] + b"".join(records)

    def _find(self, name: str, kind: str) -> tuple[int, list]:
        zone = self.zones.get(name, NXDOMAIN)
        if isinstance(zone, int):
            return zone, []
        if "CNAME" in zone:
            target = zone["CNAME"][0]
            return 0, [record(name, "CNAME", target)] + self._find(target, kind)[1]
        return 0, [record(name, kind, value) for value in zone.get(kind, [])]
