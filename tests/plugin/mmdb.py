# SPDX-License-Identifier: AGPL-3.0-only
"""Writes files of countries in MaxMind's format (version 2), with IPv4 networks only."""

import ipaddress
import struct

MARKER = b"\xab\xcd\xefMaxMind.com"


def encoded(value):
    if isinstance(value, str):
        data = value.encode()
        return bytes([2 << 5 | len(data)]) + data
    if isinstance(value, dict):
        return bytes([7 << 5 | len(value)]) + b"".join(
            encoded(key) + encoded(each) for key, each in value.items())
    if isinstance(value, list):
        return bytes([len(value), 11 - 7]) + b"".join(encoded(each) for each in value)
    kind, number = value  # an unsigned number of 16, 32 or 64 bits
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    if kind == 64:
        return bytes([len(data), 9 - 7]) + data
    return bytes([{16: 5, 32: 6}[kind] << 5 | len(data)]) + data


def written(countries):
    """`countries`: {"203.0.113.0/24": "DE"}."""
    nodes = [[None, None]]
    data, places = b"", {}
    for network, country in countries.items():
        if country not in places:
            places[country] = len(data)
            data += encoded({"country": {"iso_code": country}})
        network = ipaddress.ip_network(network)
        bits = f"{int(network.network_address):032b}"[:network.prefixlen]
        at = 0
        for bit in bits[:-1]:
            if nodes[at][int(bit)] is None:
                nodes.append([None, None])
                nodes[at][int(bit)] = len(nodes) - 1
            at = nodes[at][int(bit)]
        nodes[at][int(bits[-1])] = country
    count = len(nodes)
    tree = b""
    for node in nodes:
        for child in node:
            record = count if child is None else child
            if isinstance(child, str):
                record = count + 16 + places[child]
            tree += struct.pack(">I", record)
    about = {"node_count": (32, count), "record_size": (16, 32), "ip_version": (16, 4),
             "database_type": "Test-Country", "languages": ["en"],
             "binary_format_major_version": (16, 2), "binary_format_minor_version": (16, 0),
             "build_epoch": (64, 1_700_000_000), "description": {"en": "test"}}
    return tree + bytes(16) + data + MARKER + encoded(about)
