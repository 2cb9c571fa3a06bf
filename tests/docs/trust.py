#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/TRUST.md and docs/SAFETY.md hold together.

In TRUST.md every row of a table says in its last column what shows it: tests that exist, "By
construction", or a dash; a row that says prevented or detected is more than a dash. In SAFETY.md,
where tests are in *italics*, every row of a table names a test that exists or an assumption of use;
in the tables of faults every cell does, or says "by construction".

Every assumption has a number of its own, without gaps. Whatever is marked as **yours** refers to
one, and every reference leads to one. Each assumption names the sections of TRUST.md that refer to
it, no others; one that no section needs is referred to in SAFETY.md.

usage: trust.py SOURCE_DIR [CC]      Status 0 or 1.
"""
import pathlib
import re
import sys

sys.dont_write_bytecode = True  # the sources stay as they are
import claims

CLAIM = re.compile(r"\*\*(?:prevented|detected)\*\*", re.IGNORECASE)
YOURS = re.compile(r"\*\*yours\.?\*\*", re.IGNORECASE)
REFERENCE = re.compile(r"\[AoU-(\d+)\]\(([^)]*)\)")
BARE = re.compile(r"(?<![\[>\w-])AoU-\d+")
DEFINED = re.compile(r'<a id="aou-(\d+)"></a>AoU-(\d+)$')
NEEDED_BY = re.compile(r"\[[^\]]*\]\(TRUST\.md#([^)]*)\)")
ITALICS = re.compile(r"(?<!\*)\*([a-z][a-z0-9_/]*)\*(?!\*)")
BY_CONSTRUCTION = re.compile(r"by construction", re.IGNORECASE)
RULE = re.compile(r"\|(?:\s*:?-+:?\s*\|)+")


class Document:
    """A document's lines as paragraphs and rows of tables, each below its heading."""

    def __init__(self, root, name):
        self.root = root
        self.name = name
        self.path = root / name
        self.rows = []  # number, heading, heads of the columns, cells
        self.paragraphs = []  # number, heading, text; a row is one, too
        heading, heads, begun = "", None, False
        for number, line in enumerate(self.path.read_text().splitlines(), start=1):
            if line.startswith("#"):
                heading = fragment(line)
            if line.startswith("|"):
                cells = [cell.strip() for cell in line.strip()[1:-1].split("|")]
                if heads is None:
                    heads = cells
                elif not RULE.fullmatch(line.strip()):
                    self.rows.append((number, heading, heads, cells))
                    self.paragraphs.append((number, heading, line))
                begun = False
                continue
            heads = None
            if not line.strip() or line.startswith("#"):
                begun = False
            elif begun and not re.match(r"\s*- ", line):
                first, _, text = self.paragraphs[-1]
                self.paragraphs[-1] = (first, heading, f"{text} {line}")
            else:
                self.paragraphs.append((number, heading, line))
                begun = True

    def at(self, number, what):
        return f"{self.name}:{number}: {what}"


def fragment(line):
    """What a heading is called in a link."""
    return re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower()).replace(" ", "-")


def wrong_names(document, number, names):
    for name in names:
        if not claims.exists(document.root, name):
            yield document.at(number, f"there is no test {name}")


def trust_rows(trust):
    """What is wrong with what shows the rows of TRUST.md."""
    for number, _, heads, cells in trust.rows:
        shown = cells[-1]
        if heads[-1] != "shown by":
            yield trust.at(number, "a table without a last column \"shown by\"")
        elif len(cells) != len(heads):
            yield trust.at(number, "not as many cells as columns")
        elif not shown:
            yield trust.at(number, "nothing is said of what shows it")
        elif re.fullmatch("-+", shown):
            if CLAIM.search(" ".join(cells[:-1])):
                yield trust.at(number, "a claim with a dash")
        elif shown != "By construction":
            yield from wrong_names(trust, number, re.split(r",\s*", shown))


def safety_rows(safety):
    """The same of SAFETY.md."""
    for number, _, heads, cells in safety.rows:
        if DEFINED.match(cells[0]):
            continue
        if len(cells) != len(heads):
            yield safety.at(number, "not as many cells as columns")
        for cell in cells[1:] if heads[0] == "fault" else [" ".join(cells)]:
            names = ITALICS.findall(cell)
            yield from wrong_names(safety, number, names)
            if not names and not REFERENCE.search(cell) and not BY_CONSTRUCTION.search(cell):
                yield safety.at(number, f"neither test nor assumption: {cell[:60]}")


def assumptions(safety):
    """The assumptions by number, each with its line and the sections that need it; what is wrong."""
    found, problems = {}, []
    for number, _, _, cells in safety.rows:
        defined = DEFINED.match(cells[0])
        if not defined:
            if heads_an_assumption(cells[0]):
                problems.append(safety.at(number, "an assumption without its anchor"))
            continue
        if defined[1] != defined[2]:
            problems.append(safety.at(number, "the anchor is another one's"))
        if int(defined[2]) in found:
            problems.append(safety.at(number, f"AoU-{defined[2]} stands here again"))
        found[int(defined[2])] = (number, set(NEEDED_BY.findall(cells[-1])))
    if sorted(found) != list(range(1, len(found) + 1)):
        problems.append(f"{safety.name}: the numbers of the assumptions have gaps")
    return found, problems


def heads_an_assumption(cell):
    return re.match(r"(?:<[^>]*>)*AoU-\d+$", cell) is not None


def references(document, known, target):
    """The references of a document, by section; and what is wrong with them."""
    found, problems = [], []
    for number, heading, text in document.paragraphs:
        numbers = REFERENCE.findall(text)
        for which, goal in numbers:
            found.append((heading, int(which)))
            if int(which) not in known:
                problems.append(document.at(number, f"there is no AoU-{which}"))
            if goal != f"{target}#aou-{which}":
                problems.append(document.at(number, f"AoU-{which} is a link to {goal}"))
        for bare in BARE.findall(text):
            problems.append(document.at(number, f"{bare} is no link"))
    return found, problems


def yours(document):
    """What is left to the user without saying what that is to a review."""
    for number, _, text in document.paragraphs:
        explains = text.lstrip().startswith("- **yours**:")
        if YOURS.search(text) and not explains and not REFERENCE.search(text):
            yield document.at(number, "**yours** without an assumption of use")


def both_ways(known, safety, of_trust, of_safety):
    """Where an assumption and the sections that need it do not say the same."""
    for which, (number, sections) in sorted(known.items()):
        referring = {heading for heading, other in of_trust if other == which}
        for section in sorted(referring - sections):
            yield safety.at(number, f"AoU-{which} does not name TRUST.md#{section}")
        for section in sorted(sections - referring):
            yield safety.at(number, f"TRUST.md#{section} does not refer to AoU-{which}")
        if not referring and not any(other == which for _, other in of_safety):
            yield safety.at(number, f"nothing refers to AoU-{which}")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: trust.py SOURCE_DIR [CC]")
    root = pathlib.Path(sys.argv[1]).resolve()
    trust = Document(root, "docs/TRUST.md")
    safety = Document(root, "docs/SAFETY.md")
    known, problems = assumptions(safety)
    of_trust, wrong_in_trust = references(trust, known, "SAFETY.md")
    of_safety, wrong_in_safety = references(safety, known, "")
    problems += [*trust_rows(trust), *safety_rows(safety), *wrong_in_trust, *wrong_in_safety,
                 *yours(trust), *both_ways(known, safety, of_trust, of_safety)]
    for problem in problems:
        print(problem)
    print(f"{len(trust.rows)} rows of TRUST.md, {len(safety.rows)} of SAFETY.md, "
          f"{len(known)} assumptions, {len(of_trust) + len(of_safety)} references to them")
    return 1 if problems or not known or not trust.rows else 0


if __name__ == "__main__":
    sys.exit(main())
