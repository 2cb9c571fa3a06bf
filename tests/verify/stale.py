#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Evidence does not go stale silently: evidence.py is run on copies of the sources in which one
thing was changed.

    stale.py SOURCE_DIR
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import pathlib

import checker
from checker import common


def change(path, old, new):
    text = path.read_text(encoding="utf-8")
    if old not in text:
        sys.exit(f"{path}: {old!r} is not in it: this test has to change")
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def drop(path, begin):
    """The first line that begins so is taken out."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if line.startswith(begin))
    path.write_text("".join(lines[:at] + lines[at + 1 :]), encoding="utf-8")


def resurrect(path):
    """The first mutant survives."""
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"^(mutant .*) -> rejected.*", r"\1 -> SURVIVES", text, count=1,
                           flags=re.M), encoding="utf-8")


WAKE = "include/crossvm/wake.h"
PROGRAM = "tests/verify/programs/slots.c"
CASES = [
    ("nothing", True, lambda top: None),
    ("a comment of a header", True,
     lambda top: change(top / WAKE, "/* ---- waiter ", "/* ---- the waiter ")),
    ("a comment of a program", True, lambda top: change(top / PROGRAM, "N slots", "Some slots")),
    ("a header's code", False,
     lambda top: change(top / WAKE, "publisher->fresh = true;", "publisher->fresh = 1;")),
    ("code between a header's functions", False,
     lambda top: change(top / WAKE, "\nstruct ", "\nstruct crossvm_other;\nstruct ")),
    ("a function that no program reaches", True, lambda top: change(
        top / "include/crossvm/status.h", "switch (rule) {", "switch (+rule) {")),
    ("a function that only some programs reach", False, lambda top: change(
        top / "include/crossvm/region.h", "is_ring && ", "true && is_ring && ")),
    ("a program's code", False, lambda top: change(top / PROGRAM, "i < 2;", "i < 1;")),
    ("an ordered access, and its hash", False, lambda top: change(
        top / WAKE, "CROSSVM_FENCE_SEQ_CST(wake_kick", "CROSSVM_FENCE_SEQ_CST(wake_other")),
    ("the checker's copy of the headers", False,
     lambda top: change(top / checker.MAKER, "    to->kind = from->kind;\n", "")),
    ("the checker's options", False, lambda top: change(
        top / "tests/verify/checker.py", '"--disable-estimation", ', "")),
    ("a job of the list", False, lambda top: drop(top / "tests/verify/jobs", "slots ")),
    ("a job of the evidence", False, lambda top: drop(top / checker.EVIDENCE, "job ")),
    ("a mutant of the evidence", False, lambda top: drop(top / checker.EVIDENCE, "mutant ")),
    ("a mutant that survives", False, lambda top: resurrect(top / checker.EVIDENCE)),
    ("a mutant that no job rejected", False,
     lambda top: change(top / checker.EVIDENCE, "-> rejected by ", "-> rejected by no_")),
    ("a mutant that another edge's job rejected", False, lambda top: change(
        top / checker.EVIDENCE, "-> rejected by doorbell.c", "-> rejected by slots.c")),
    ("another checker", False,
     lambda top: change(top / checker.EVIDENCE, "tool GenMC 0.11", "tool GenMC 0.9")),
    ("a job that failed", False, lambda top: change(top / checker.EVIDENCE, "-> ok", "-> FAIL")),
    ("a figure of the document", False,
     lambda top: change(top / "docs/VERIFICATION.md", "| slots.c | ", "| slots.c | 1")),
]


def evidence_holds(top):
    """Without GenMC, wherever this runs."""
    path = os.pathsep.join(folder for folder in os.environ.get("PATH", "").split(os.pathsep)
                           if not (pathlib.Path(folder) / "genmc").exists())
    run = subprocess.run([sys.executable, top / "tests/verify/evidence.py", top],
                         env={**os.environ, "PATH": path}, capture_output=True, text=True,
                         check=False)
    return run.returncode == 0, run.stdout + run.stderr


def main():
    source = common.source_dir()
    report = common.Report()
    for name, holds, act in CASES:
        with tempfile.TemporaryDirectory(prefix="crossvm-stale-") as folder:
            top = pathlib.Path(folder)
            for part in ("include", "docs", "tests/verify", "tests/build"):
                shutil.copytree(source / part, top / part)
            act(top)
            held, out = evidence_holds(top)
            print(f"{'holds' if held else 'refused'}: {name}")
            if held != holds:
                report.wrong(name, "changed; evidence.py said:\n" + out)
    return report.finish(f"{len(CASES)} changes")


if __name__ == "__main__":
    sys.exit(main())
