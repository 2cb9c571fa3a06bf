#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/FAQ.md has one entry for each status, and no other.

Each enumerator of enum crossvm_status is a heading with its number, below the heading of its
family; each entry says what it means, its causes and what to do. Under CORRUPT each rule's name
stands in the table of rules. Numbers, families and names are what the compiled library says.

usage: faq.py SOURCE_DIR [CC]      Status 0, 1, or 77: no compiler.
"""
import pathlib
import re
import subprocess
import sys

sys.dont_write_bytecode = True  # the sources stay as they are
SOURCE = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
sys.path.insert(0, str(SOURCE / "tests/build"))
import common

FAMILIES = ("RESULT", "AGAIN", "CALLER", "STALE", "PEER", "SYSTEM")


def program(names):
    """Prints each status with number and family, then each rule's name."""
    lines = ["#include <crossvm/status.h>", "#include <stdio.h>", "int main(void)", "{"]
    for name in names:
        lines.append(f'    printf("{name} %d %d\\n", {name}, (int)crossvm_status_family({name}));')
    lines += ["    for (uint32_t i = 1; i < CROSSVM_RULE_COUNT; i++) {",
              '        printf("rule %s\\n", crossvm_rule_name(i));', "    }", "    return 0;", "}"]
    return "\n".join(lines) + "\n"


def what_the_library_says(compiler):
    """Statuses as (number, family's name), and the names of the rules."""
    header = (SOURCE / "include/crossvm/status.h").read_text(encoding="utf-8")
    body = next(body for _, tag, body in common.tags(header) if tag == "crossvm_status")
    with common.work_dir() as work:
        source = pathlib.Path(work) / "faq.c"
        source.write_text(program(common.enumerators(body)), encoding="utf-8")
        binary = pathlib.Path(work) / "faq"
        subprocess.run([compiler, "-std=c11", "-I", str(SOURCE / "include"), str(source), "-o",
                        str(binary)], check=True)
        printed = subprocess.run([str(binary)], check=True, capture_output=True, text=True).stdout
    statuses = {}
    rules = set()
    for line in printed.splitlines():
        first, rest = line.split(" ", 1)
        if first == "rule":
            rules.add(rest)
        else:
            number, family = rest.split()
            statuses[first] = (int(number), f"CROSSVM_FAMILY_{FAMILIES[int(family)]}")
    return statuses, rules


def entries(text):
    """What the document has: (family, status, number, its text)."""
    family = None
    for part in re.split(r"^(?=##)", text, flags=re.M):
        heading = part.split("\n", 1)[0]
        named = re.search(r"`(CROSSVM_FAMILY_\w+)`:", part)
        if heading.startswith("## ") and named:
            family = named.group(1)
        match = re.match(r"### (\w+) \((-?\d+)\)$", heading)
        if match:
            yield family, match.group(1), int(match.group(2)), part
        elif heading.startswith("### "):
            yield family, heading[4:], None, part


def check_entry(entry, statuses, rules, report):
    family, name, number, text = entry
    if name not in statuses or statuses[name][0] != number:
        report.wrong("docs/FAQ.md", f"{name} ({number}) is no status")
        return
    if family != statuses[name][1]:
        report.wrong("docs/FAQ.md", f"{name} stands under {family}, not {statuses[name][1]}")
    for word in ("Means", "Causes", "Do"):
        if len(re.findall(rf"^\*\*{word}:\*\* \S", text, re.M)) != 1:
            report.wrong("docs/FAQ.md", f"{name}: expected one paragraph **{word}:**")
    if name == "CROSSVM_CORRUPT":
        rows = {row[0] for _, _, body in common.markdown_tables(text) for row in body}
        for rule in sorted(rows ^ rules):
            report.wrong("docs/FAQ.md", f"the rule {rule!r} stands in one of table and status.h")


def main():
    if len(sys.argv) < 2:
        print("usage: faq.py SOURCE_DIR [CC]")
        return 2
    compilers = common.compilers()
    if not compilers:
        print("skipped: no compiler")
        return 77
    report = common.Report()
    statuses, rules = what_the_library_says(compilers[0])
    seen = []
    for entry in entries((SOURCE / "docs/FAQ.md").read_text(encoding="utf-8")):
        seen.append(entry[1])
        check_entry(entry, statuses, rules, report)
    for name in statuses:
        if seen.count(name) != 1:
            report.wrong("docs/FAQ.md", f"{name} has {seen.count(name)} entries")
    return report.finish(f"{len(seen)} statuses and {len(rules)} rules have their entries")


if __name__ == "__main__":
    sys.exit(main())
