# SPDX-License-Identifier: Apache-2.0
"""Holds docs/ORDERING.md and the headers' own lists of edges to the ordered accesses in the code.

    python3 check_ordering.py SOURCE_DIR

The convention: an end of an edge is `what(label)` in `function`. Each ordered access in the code
stands in the table in the row of its own label; it may stand in further rows, of whose edges it is
an end as well. Every row has both ends; fences of all orders pair with each other only. A comment
in a function that speaks of two edges (or sides) names rows that list the function.
"""
import re
import sys

sys.dont_write_bytecode = True  # the sources stay as they are
import common

SIDES = {
    "store_release": "release",
    "fence_release": "release",
    "load_acquire": "acquire",
    "fence_acquire": "acquire",
    "fence_seq_cst": "both",
}
MACROS = {
    "CROSSVM_STORE_RELEASE": "store_release",
    "CROSSVM_FENCE_RELEASE": "fence_release",
    "CROSSVM_LOAD_ACQUIRE": "load_acquire",
    "CROSSVM_FENCE_ACQUIRE": "fence_acquire",
    "CROSSVM_FENCE_SEQ_CST": "fence_seq_cst",
}


def ends_in_code(functions):
    """(what, label, function) of every ordered access."""
    found = set()
    for function in functions:
        for macro, label in re.findall(r"\b(CROSSVM_\w+)\(\s*(\w+)\s*,", function.body):
            if macro in MACROS:
                found.add((MACROS[macro], label, function.name))
    return found


def count_in_code(text):
    code = common.without_directives(common.without_comments(text))
    return sum(len(re.findall(rf"\b{macro}\(", code)) for macro in MACROS)


def ends_in_comments(comment):
    """A header's own list: the labels that begin a line of it, and all that it speaks of."""
    part = re.search(r"^Ordering edges?\b.*", comment, re.S | re.M)
    if not part:
        return set(), set()
    listed = set()
    for line in part.group(0).splitlines():
        match = re.match(r"  ((?:[a-z]+(?:_[a-z]+)+(?:, )?)+)(?: |$)", line)
        if match:
            listed |= set(match.group(1).split(", "))
    spoken_of = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", part.group(0)))
    return listed, spoken_of


def table_of(document):
    """edge: (release ends, acquire ends); an end is (what, label, function)."""
    rows = {}
    for _, header, body in common.markdown_tables(document):
        if header != ["edge", "release side", "acquire side"]:
            continue
        for edge, release, acquire in body:
            rows[edge.strip("`")] = tuple(
                set(re.findall(r"`(\w+)\((\w+)\)` in `(\w+)`", cell))
                for cell in (release, acquire))
    return rows


def show(end):
    return f"{end[0]}({end[1]}) in {end[2]}"


def check_table(report, rows, code):
    for edge, sides in sorted(rows.items()):
        where = f"docs/ORDERING.md, {edge}"
        for side, ends in zip(("release", "acquire"), sides):
            if not ends:
                report.wrong(where, f"no {side} side")
            for end in sorted(ends):
                if end not in code:
                    report.wrong(where, f"{show(end)}: not in the headers")
                if SIDES.get(end[0]) not in (side, "both"):
                    report.wrong(where, f"{show(end)}: cannot be a {side} side")
        kinds = [{end[0] == "fence_seq_cst" for end in ends} for ends in sides]
        if kinds[0] != kinds[1] or len(kinds[0]) > 1:
            report.wrong(where, "a fence of all orders pairs with another one only")
        if not any(end[1] == edge for ends in sides for end in ends):
            report.wrong(where, "no access in the code bears this label")
    for end in sorted(code):
        sides = rows.get(end[1], (set(), set()))
        if end not in sides[0] | sides[1]:
            report.wrong("docs/ORDERING.md", f"{show(end)} is not in the row of its label")


def check_shared_ends(report, functions, rows):
    """A comment that speaks of two edges names them, and the table agrees."""
    for function in functions:
        comments = re.findall(r"/\*.*?\*/", function.text, re.S)
        for comment in comments:
            if not re.search(r"\btwo\s+(?:\*\s+)?(?:edges|release sides|acquire sides)\b", comment,
                             re.I):
                continue
            named = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", comment)) & set(rows)
            if len(named) < 2:
                report.wrong(function.name, "speaks of two edges, but does not name two")
            for edge in named:
                if function.name not in {end[2] for ends in rows[edge] for end in ends}:
                    report.wrong(function.name, f"speaks of {edge}, whose row does not list it")


def check_lists(report, headers, rows):
    """Each header's comment lists the edges that its code has; together they list them all."""
    listed_anywhere = set()
    for name, text in headers:
        functions = common.functions(text)
        listed, spoken_of = ends_in_comments(common.first_comment(text))
        listed_anywhere |= listed
        for label in sorted({end[1] for end in ends_in_code(functions)} - spoken_of):
            report.wrong(name, f"uses {label}, which its list of ordering edges does not mention")
        for label in sorted(listed - set(rows)):
            report.wrong(name, f"lists {label}, which docs/ORDERING.md does not have")
    for label in sorted(set(rows) - listed_anywhere):
        report.wrong(label, "is in no header's list of ordering edges")


def check_sections(report, document, rows):
    """Each edge has a section with a schedule of what goes wrong."""
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", document, re.S | re.M))
    for edge in sorted(set(rows) ^ set(sections)):
        report.wrong("docs/ORDERING.md", f"{edge} is not both in the table and a section")
    for edge, section in sections.items():
        blocks = re.findall(r"^```\n(.*?)^```", section, re.S | re.M)
        if not blocks:
            report.wrong("docs/ORDERING.md", f"{edge} has no schedule")
        for block in blocks:
            if "(late)" not in block:
                report.wrong("docs/ORDERING.md", f"{edge}: nothing in its schedule is late")


def main():
    source = common.source_dir()
    report = common.Report()
    headers = [(name, path.read_text(encoding="utf-8")) for name, path in common.headers(source)]
    functions = [f for name, text in headers if name != "atomic.h" for f in common.functions(text)]
    code = ends_in_code(functions)
    document = (source / "docs/ORDERING.md").read_text(encoding="utf-8")
    rows = table_of(document)
    if not code or not rows:
        report.wrong("docs/ORDERING.md", "no edges were found")
    for name, text in headers:
        uses = sum(len(re.findall(rf"\b{macro}\(", f.body)) for f in common.functions(text)
                   for macro in MACROS)
        if uses != count_in_code(text):
            report.wrong(name, "an ordered access outside every function")
    check_table(report, rows, code)
    check_shared_ends(report, functions, rows)
    check_lists(report, headers, rows)
    check_sections(report, document, rows)
    return report.finish(f"{len(rows)} edges, {len(code)} ends in the code: all paired and listed")


if __name__ == "__main__":
    sys.exit(main())
