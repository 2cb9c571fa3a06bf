#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every public function of layers 2 to 5 has an enemy, and its loads are counted: entries.py
SOURCE_DIR.

Each is named in the array `entries` of a target in tests/fuzz, and called there, or stands in
tests/fuzz/not_fuzzed.txt with the reason. Each of those that have an enemy is audited in
tests/fetch/fetch.c, or stands in tests/fetch/not_audited.txt with the reason. Nothing stands in
both, no reason is left for what is not there any more, and no target names what it does not call.
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "build"))
import common  # noqa: E402  (the folder is named in front of it)

# Layers 2 to 5; slots.h is layer 1, and its calls read shared words, too.
HEADERS = ("slots.h", "layout.h", "region.h", "wake.h", "snapshot.h", "spsc.h", "exchange.h",
           "broadcast.h", "pool.h", "mpsc.h", "fanin.h", "bytes.h", "peer.h", "notify.h",
           "clock.h")


def public(source):
    names = set()
    for name, path in common.headers(source):
        if name in HEADERS or name.startswith("service/"):
            names |= {function.name for function in common.functions(path.read_text())
                      if not function.name.startswith("crossvm_i_")}
    return {name for name in names if name.startswith("crossvm_")}


def excuses(path, functions, done, report):
    """The functions that a list excuses, each with its reason."""
    excused = {}
    for line in path.read_text().splitlines():
        if line.startswith("#") or not line.strip():
            continue
        name, _, reason = line.partition(" ")
        excused[name] = reason.strip()
        if not excused[name]:
            report.wrong(path.name, f"{name} has no reason")
        if name not in functions:
            report.wrong(path.name, f"{name} is no public function of layers 2 to 5")
        if name in done:
            report.wrong(path.name, f"{name} is in {done[name]}")
    return excused


def main():
    source = common.source_dir()
    report = common.Report()
    functions = public(source)
    entered = {}
    for path in sorted((source / "tests" / "fuzz").glob("*.c")):
        text = path.read_text()
        array = re.search(r"\bentries\[\] = \{(.*?)\};", text, re.S)
        if array is None:
            report.wrong(path.name, "has no array of entries")
            continue
        rest = text[array.end():]
        for name in re.findall(r'"(\w+)"', array.group(1)):
            entered.setdefault(name, path.name)
            if not re.search(rf"\b{name}\b\s*[,(]", rest):
                report.wrong(path.name, f"names {name} and does not call it")
            if name not in functions:
                report.wrong(path.name, f"names {name}, which is no public function of its layers")
    excused = excuses(source / "tests" / "fuzz" / "not_fuzzed.txt", functions, entered, report)
    for name in sorted(functions - set(entered) - set(excused)):
        report.wrong(name, "is neither an entry of a fuzz target nor in not_fuzzed.txt")
    text = (source / "tests" / "fetch" / "fetch.c").read_text()
    audited = {name: "fetch.c" for name in re.findall(r'AUDIT\(\s*"(\w+)"', text)}
    for name in sorted(set(audited) - functions):
        report.wrong("fetch.c", f"audits {name}, which is no public function of its layers")
    unaudited = excuses(source / "tests" / "fetch" / "not_audited.txt", functions, audited, report)
    for name in sorted(set(entered) - set(audited) - set(unaudited)):
        report.wrong(name, "is neither audited by fetch.c nor in not_audited.txt")
    return report.finish(f"{len(entered)} functions have an enemy, {len(excused)} need none; "
                         f"the loads of {len(audited)} are counted, those of {len(unaudited)} "
                         "need not be")


if __name__ == "__main__":
    sys.exit(main())
