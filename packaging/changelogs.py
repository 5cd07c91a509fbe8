#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""changelogs.py VERSION DEB RPM: writes what Debian and rpm each call a changelog. It has one entry,
of this version, which points to CHANGELOG.md; its time is SOURCE_DATE_EPOCH."""

import datetime
import os
import pathlib
import sys

version, deb, rpm = sys.argv[1:]
when = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")),
                                       datetime.timezone.utc)
who = "carbonio-limits maintainers <maintainers@carbonio-limits.example>"
what = "What is new is in /usr/share/doc/carbonio-limits/changelog.gz."
pathlib.Path(deb).write_text(f"carbonio-limits ({version}-1) stable; urgency=medium\n\n  * {what}\n\n"
                             f" -- {who}  {when:%a, %d %b %Y %H:%M:%S +0000}\n")
pathlib.Path(rpm).write_text(f"* {when:%a %b %d %Y} {who} - {version}-1\n- {what}\n")
