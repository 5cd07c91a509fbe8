#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""The folders and the order in which they may include each other (README, "The life of a request")."""

import re
import unittest
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# From what knows nothing of the others to what knows them all: a folder includes itself and those
# before it.
ORDER = """
    daemon/base daemon/names daemon/loop daemon/log daemon/sqlite daemon/config daemon/protocol
    daemon/rules/match daemon/rules daemon/session daemon/counting daemon/store
    daemon/store/recovery daemon/store/sqlite daemon/events daemon/dns daemon/modules/text
    daemon/modules/message daemon/modules
    daemon/cluster daemon/cluster/count daemon/cluster/greylist daemon/cluster/rules
    daemon/cluster/reset
    daemon/cluster/member daemon/engine
    daemon/net daemon/status
    daemon/cleanup daemon/process daemon
    hooks/system hooks/carbonio hooks/service
    plugin/terminal plugin/cli plugin/database plugin/limit plugin/rows plugin/limit_text
    plugin/maillog plugin/usage plugin/events plugin/block plugin/cluster plugin/explain plugin/postfix
    plugin/answers plugin/notify plugin/simulate plugin/doctor/evident plugin/doctor
    plugin/doctor/rules plugin/host plugin/web plugin/commands plugin
""".split()
ALLOWED = {
    ("daemon/main.cpp", "hooks/service/supervisor.hpp"),  # main.cpp wires
}
MAX_FILES = {"daemon": 4, "plugin": 4, "plugin/commands": 99}  # others: 24
ONE_HEADER_FOR_ALL = {"plugin/commands", "plugin/doctor", "plugin/doctor/rules"}  # one file a subcommand, or a check


def sources(*folders):
    return [path.relative_to(ROOT) for folder in folders for path in sorted((ROOT / folder).rglob("*"))
            if path.suffix in (".cpp", ".hpp", ".js", ".lua", ".sql", ".in")]


class Layering(unittest.TestCase):
    def test_includes_go_one_way(self):
        for path in sources("daemon", "hooks", "plugin"):
            for included in re.findall(r'^#include "((?:daemon|hooks|plugin)/.+)"',
                                       (ROOT / path).read_text(), re.MULTILINE):
                if (str(path), included) not in ALLOWED:
                    with self.subTest(path=str(path), included=included):
                        self.assertLessEqual(ORDER.index(str(Path(included).parent)),
                                             ORDER.index(str(path.parent)))

    def test_folders_stay_small(self):
        for folder, count in Counter(str(path.parent) for path in
                                     sources("daemon", "hooks", "plugin", "tests")).items():
            with self.subTest(folder=folder):
                self.assertLessEqual(count, MAX_FILES.get(folder, 24))

    def test_each_source_has_a_header_of_its_name(self):
        for path in sources("daemon", "hooks", "plugin"):
            if path.suffix == ".cpp" and path.name != "main.cpp" \
                    and str(path.parent) not in ONE_HEADER_FOR_ALL:
                with self.subTest(path=str(path)):
                    self.assertTrue((ROOT / path).with_suffix(".hpp").exists())

    def test_local_functions_of_a_folder_differ_by_name(self):
        # Files of a folder are compiled together (UNITY in CMakeLists.txt), where a function of a
        # neighbour could be called without a word.
        alone = re.search(r"set\(UNITY_ALONE(.*?)\)", (ROOT / "CMakeLists.txt").read_text(),
                          re.DOTALL)[1].split()
        seen = {}
        for path in sources("daemon", "hooks", "plugin", "tests/unit"):
            if path.suffix != ".cpp" or str(path) in alone or path.name == "main.cpp":
                continue
            local = re.findall(r"^namespace \{$(.*?)^\}  // namespace$", (ROOT / path).read_text(),
                               re.DOTALL | re.MULTILINE)
            for name in set(re.findall(r"^(?=\w)[\w:<>,&*\[\] ]+[ &*](\w+)\(", "\n".join(local),
                                       re.MULTILINE)):
                with self.subTest(path=str(path), name=name):
                    self.assertEqual(seen.setdefault((path.parent, name), path), path)

    def test_unit_tests_lie_in_folders_of_the_same_names(self):
        for path in sources("tests/unit"):
            with self.subTest(path=str(path)):
                self.assertIn(str(path.parent.relative_to("tests/unit")), ORDER)


if __name__ == "__main__":
    unittest.main()
