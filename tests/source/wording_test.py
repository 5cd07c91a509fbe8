#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""What users read is plain English: the words below stay out of strings, scripts and pages
(CONTRIBUTING.md, "Words")."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BANNED = re.compile(r"\b(mend(s|ed|ing)?|somebody|nobody|whoever|anew|is none|goes on|as it was|look(s|ed)? at|"
                    r"said yes|makes no sense|in front of|behind|no more(?! than)|so many|so long)\b", re.IGNORECASE)
NOT_OUR_WORDS = ("user=nobody", "-o nobody",  # a user of the system
                 "instead of `mend`",  # a key that was renamed
                 "behind-proxy", r"behind\-proxy")  # an option
GLOSSARY = "| say | not |"  # the table in CONTRIBUTING.md
LITERAL = re.compile(r'//[^\n]*|/\*.*?\*/|#include[^\n]*|\'(?:\\.|[^\'\\])\'|'
                     r'R"(\w*)\((?P<raw>.*?)\)\1"|"(?P<plain>(?:\\.|[^"\\])*)"', re.DOTALL)


def strings(source):
    """The string literals of C++ source; adjacent ones are one, as for the compiler."""
    texts, previous = [""], 0
    for match in LITERAL.finditer(source):
        text = match["raw"] if match["plain"] is None else match["plain"]
        if text is not None:
            if LITERAL.sub("", source[previous:match.start()]).strip():
                texts.append("")
            texts[-1] += text
            previous = match.end()
    return texts


class Wording(unittest.TestCase):
    def check(self, path, texts):
        name = str(path.relative_to(ROOT))
        for text in texts:
            for words in NOT_OUR_WORDS:
                text = text.replace(words, "")
            text = " ".join(text.split())
            for match in BANNED.finditer(text):
                with self.subTest(file=name, words=match[0]):
                    self.fail(text[max(0, match.start() - 60):match.end() + 60])

    def test_strings_of_the_programs(self):
        for folder in ("daemon", "hooks", "plugin"):
            for path in sorted((ROOT / folder).rglob("*.[ch]pp")):
                self.check(path, strings(path.read_text()))

    def test_scripts_and_pages(self):
        for pattern in ("scripts/*", "packaging/man/*.8", "packaging/conf/*", "*.md",
                        "plugin/web/pages/*.js"):
            for path in sorted(ROOT.glob(pattern)):
                paragraphs = re.split(r"\n\n|\n\.", path.read_text())
                self.check(path, [text for text in paragraphs if not text.startswith(GLOSSARY)])


if __name__ == "__main__":
    unittest.main()
