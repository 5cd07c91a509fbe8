# SPDX-License-Identifier: AGPL-3.0-only
"""The keys of what --json prints, and those that carbonio-limits(8) names: the tests compare them
wherever they read JSON, so that the page stays whole."""

import json
import pathlib
import re

PAGE = pathlib.Path(__file__).resolve().parents[2] / "packaging/man/carbonio-limits.8"
COMMANDS = ("list", "show", "usage", "simulate", "suggest", "refused", "history", "block", "unblock",
            "blocked", "changes", "signal", "explain", "doctor", "service status", "cluster status")
INSIDE = {"list": ["show"], "block": ["blocked"], "unblock": ["blocked"],
          "service status": ["cluster status"]}  # have the fields of these, too


def documented(command: str) -> set:
    """What section JSON says of a command: `.Va` lines of its item."""
    section = PAGE.read_text().split("\n.Sh JSON\n")[1].split("\n.Sh ")[0]
    for item in section.split("\n.It ")[1:]:
        if rf"Cm {command} Fl \-json" in item.splitlines()[0]:
            lines = re.findall(r"^\.Va (.*)$", item, re.MULTILINE)
            return {word for line in lines for word in re.findall(r"\w+", line)}
    raise AssertionError(f"section JSON of the manual page has no {command}")


def keys_of(value) -> set:
    if isinstance(value, dict):
        return set(value) | {key for inner in value.values() for key in keys_of(inner)}
    if isinstance(value, list):
        return {key for inner in value for key in keys_of(inner)}
    return set()


def undocumented(words, output: str) -> set:
    """Of what a command printed; nothing where it was not asked for JSON, or printed none."""
    words = [str(word) for word in words]
    if "--json" not in words or not output.startswith("{"):
        return set()
    [command] = [name for name in COMMANDS if name.split()[0] in words]
    known = documented(command)
    for inner in INSIDE.get(command, ()):
        known |= documented(inner)
    return keys_of(json.loads(output)) - known
