#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/FAQ.md has one entry for each status, and no other.

Each enumerator of enum crossvm_status is a heading with its number, below the heading of its family
as crossvm_status_family has it; each entry says what it means, its causes and what to do. Under
CORRUPT each name of crossvm_rule_name stands in the table of rules.

usage: faq.py SOURCE_DIR      Status 0 or 1.
"""
import pathlib
import re
import sys

sys.dont_write_bytecode = True  # the sources stay as they are
SOURCE = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
sys.path.insert(0, str(SOURCE / "tests/build"))
import common

NOT_A_RULE = {"none", "?"}


def numbers(header):
    """Each status and its number."""
    body = next(body for _, tag, body in common.tags(header) if tag == "crossvm_status")
    return {name: int(value) for name, value in re.findall(r"(\w+) = (-?\d+)", body)}


def families(header, statuses):
    """Each status and its family, by the comparisons of crossvm_status_family."""
    function = next(f for f in common.functions(header) if f.name == "crossvm_status_family")
    steps = re.findall(r"status (>=?) (\w+)\) \{\s*return (\w+);", function.body)
    last = re.findall(r"return (\w+);", function.body)[-1]
    found = {}
    for name, value in statuses.items():
        found[name] = last
        for sign, limit, family in steps:
            bound = statuses.get(limit, 0)
            if value > bound or (sign == ">=" and value == bound):
                found[name] = family
                break
    return found


def rules(header):
    function = next(f for f in common.functions(header) if f.name == "crossvm_rule_name")
    text = function.text[function.text.index("switch") :]
    return set(re.findall(r'return "([^"]+)"', text)) - NOT_A_RULE


def entries(text):
    """What the document has: (family, status, number, its text)."""
    family = None
    for part in re.split(r"^(?=##)", text, flags=re.M):
        heading = part.split("\n", 1)[0]
        if re.match(r"## CROSSVM_FAMILY_", heading):
            family = heading[3:].strip()
        match = re.match(r"### (\w+) \((-?\d+)\)$", heading)
        if match:
            yield family, match.group(1), int(match.group(2)), part
        elif heading.startswith("### "):
            yield family, heading[4:], None, part


def main():
    if len(sys.argv) < 2:
        print("usage: faq.py SOURCE_DIR")
        return 2
    report = common.Report()
    header = (SOURCE / "include/crossvm/status.h").read_text(encoding="utf-8")
    document = (SOURCE / "docs/FAQ.md").read_text(encoding="utf-8")
    statuses = numbers(header)
    family_of = families(header, statuses)
    seen = []
    for family, name, number, text in entries(document):
        seen.append(name)
        if statuses.get(name) != number or name not in statuses:
            report.wrong("docs/FAQ.md", f"{name} ({number}) is no status")
            continue
        if family != family_of[name]:
            report.wrong("docs/FAQ.md", f"{name} stands under {family}, not {family_of[name]}")
        for word in ("Means", "Causes", "Do"):
            if len(re.findall(rf"^\*\*{word}:\*\* \S", text, re.M)) != 1:
                report.wrong("docs/FAQ.md", f"{name}: expected one paragraph **{word}:**")
        if name == "CROSSVM_CORRUPT":
            rows = {row[0] for _, _, body in common.markdown_tables(text) for row in body}
            for rule in sorted(rows ^ rules(header)):
                report.wrong("docs/FAQ.md", f"the rule {rule!r} is not in both, table and status.h")
    for name in statuses:
        if seen.count(name) != 1:
            report.wrong("docs/FAQ.md", f"{name} has {seen.count(name)} entries")
    if len(statuses) < 10 or len(rules(header)) < 10:
        report.wrong("status.h", "was not understood")
    return report.finish(f"{len(seen)} statuses and {len(rules(header))} rules have their entries")


if __name__ == "__main__":
    sys.exit(main())
