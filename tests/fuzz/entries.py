#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every public function of layers 2 to 5 has an enemy: entries.py SOURCE_DIR.

Each is named in the array `entries` of a target in tests/fuzz, and called there, or stands in
tests/fuzz/not_fuzzed.txt with the reason. Nothing stands in both, no reason is left for what is not
there any more, and no target names what it does not call.
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
    excused = {}
    for line in (source / "tests" / "fuzz" / "not_fuzzed.txt").read_text().splitlines():
        if line.startswith("#") or not line.strip():
            continue
        name, _, reason = line.partition(" ")
        excused[name] = reason.strip()
        if not excused[name]:
            report.wrong("not_fuzzed.txt", f"{name} has no reason")
        if name not in functions:
            report.wrong("not_fuzzed.txt", f"{name} is no public function of layers 2 to 5")
        if name in entered:
            report.wrong("not_fuzzed.txt", f"{name} is called by {entered[name]}")
    for name in sorted(functions - set(entered) - set(excused)):
        report.wrong(name, "is neither an entry of a fuzz target nor in not_fuzzed.txt")
    return report.finish(f"{len(entered)} functions have an enemy, {len(excused)} need none")


if __name__ == "__main__":
    sys.exit(main())
