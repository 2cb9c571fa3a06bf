#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the model-checking programs.

  run.py all [INCLUDE]          every program once; a table
  run.py mutants [INCLUDE [EDGE...]]  every mutant (of edges that begin so) against the programs of its edge; a table
  run.py models [INCLUDE]       every program under --imm and --tso as well
  run.py GROUP [INCLUDE]        the programs of one group
INCLUDE: a directory that make_include.py made, by default digest-last."""
import concurrent.futures
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT = 900  # seconds for one run: guards against hanging


def program(group, line):
    parts = line.split()
    return {"group": group, "line": line, "file": parts[0],
            "options": [p for p in parts[1:] if p.startswith("--")],
            "defines": [p for p in parts[1:] if not p.startswith("--")]}


PROGRAMS = [program(group, line) for group, lines in {
    "slots": """slots.c
        slots.c -DSTART=0
        slots.c -DCOUNT=4
        slots.c -DSTART=0x7ffffffe -DCOUNT=4
        slots.c -DSTART=0xfffffffeull -DCOUNT=4
        slots.c -DOLDER
        slots.c -DOLDER -DSTART=0x7ffffffe
        slots.c -DOLDER -DSTART=0xfffffffeull
        slots_wrap.c
        snapshot.c
        snapshot.c -DSTART=0x7ffffffe
        snapshot.c -DSTART=0xfffffffeull
        """ + "\n".join(f"slots_restart.c -DDIE={die}{more}" for die in range(7)
                         for more in ("", " -DOLDER", " -DSTART=0x7ffffffe")),
    "epoch": """epoch_snapshot.c
        epoch_snapshot.c -DOTHER_WRITER
        epoch_snapshot.c -DMODEL_WIDE
        epoch_snapshot.c -DSTART=0x80000000ull
        epoch_snapshot.c -DSTART=0x100000000ull
        epoch_snapshot.c -DSTART=0x100000006ull
        epoch_bytes.c""",
    "spsc": """spsc.c
        spsc.c -DPUSHES=6 -DPOPS=6
        spsc.c -DCAPACITY=1
        spsc.c -DCAPACITY=4 -DPREFILL=2 -DPUSHES=5 -DPOPS=5
        spsc.c -DBATCH -DPUSHES=3 -DPOPS=4
        spsc.c -DIN_PLACE
        spsc.c -DCAPACITY=8 -DPREFILL=6 -DPUSHES=5 -DPOPS=6 -DSTART=0xfffffffau""",
    "spsc_limit": """spsc_renew.c
        spsc_renew.c --disable-race-detection""",
    "link": """link.c
        link.c -DFIRST=8u
        link.c -DANSWERED
        link.c -DANSWERED -DFIRST=8u
        link.c -DAFTER=0 -DTX_LINKS=2
        link.c -DBEFORE=1 -DAFTER=0
        link.c -DFIRST=8u -DBEFORE=1 -DAFTER=0
        link.c -DFIRST=16u -DLAST=8u -DLAST_LEN=16u -DAFTER=0
        link_renew.c
        link_renew.c -DFIRST=32u
        """ + "\n".join(f"link_rx_restart.c -DDIE={die}" for die in (0, 1, 2, 3, 6, 9)) + "\n"
            + "\n".join(f"link_rx_restart.c -DANSWERED -DDIE={die}" for die in (2, 9)) + "\n"
            + "\n".join(f"link_tx_restart.c -DDIE={die}{more}" for die in (1, 2, 3, 5, 8, 9)
                         for more in ("", " -DREFUSES")),
    "peer": """incarnation.c
        incarnation.c -DDIE=0
        incarnation.c -DDIE=1
        incarnation.c -DDIE=2
        incarnation.c -DDIE=0 -DSAME
        incarnation.c -DDIE=1 -DSAME
        incarnation.c -DDIE=2 -DSAME""",
    "wake": """wake.c
        wake.c -DWANT=2
        wake.c -DWANT=3 -DONE_KICK
        wake.c -DALWAYS
        wake.c -DAGAIN=1
        wake.c -DAGAIN=2
        sleep_both.c
        sleep_both.c -DPUSH
        sleep_both.c -DPEER_WAITS
        sleep_one.c
        sleep_one.c -DWANT=2
        sleep_one.c -DPRODUCER
        sleep_one.c -DPRODUCER -DWANT=2
        sleep_one.c -DPRODUCER -DCAPACITY=8 -DWORK=4 -DWANT=2""",
    "region": """region.c
        region.c -DFIRST
        region.c -DLIST
        region.c -DMAJOR
        """ + "\n".join(f"format_restart.c -DDIE={die}" for die in (1, 2, 50, 150, 250, 300, 400)),
}.items() for line in (text.strip() for text in lines.splitlines()) if line]

# Which groups can notice a mutant of an edge.
GROUPS = {"slot": ("slots", "epoch"), "chunk": ("epoch",), "region": ("region",),
          "chunk_wipe": ("epoch", "region"), "wake": ("wake",), "spsc_tail": ("spsc",), "spsc_head": ("spsc",),
          "spsc_incarnation": ("peer",), "spsc": ("link",), "doorbell": ()}


def genmc(one, include, extra=()):
    command = ["genmc", "--disable-estimation", "--disable-spin-assume", *one["options"],
               *[e for e in extra if e.startswith("--")], "--", "-DCROSSVM_MODEL",
               "-include", f"{HERE}/programs/prelude.h", f"-I{include}", *one["defines"],
               *[e for e in extra if not e.startswith("--")], f"{HERE}/programs/{one['file']}"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
        out, code = run.stdout + run.stderr, run.returncode
    except subprocess.TimeoutExpired:
        out, code = "", "timeout"
    number = re.search(r"complete executions explored: (\d+)", out)
    number = int(number.group(1)) if number else 0
    why = re.search(r"^Assertion violation: (.*)$", out, re.M) or re.search(r"^Error: (.*)$", out, re.M)
    verdict = "ok" if code == 0 and number > 0 else "FAIL" if code == 42 else f"?? {code}"
    return verdict, number, why.group(1) if why else ""


def show(job):
    one, include, extra = job
    verdict, number, why = genmc(one, include, extra)
    return f"{verdict:<6}{number:>8}  {one['line']} {' '.join(extra)}{'  <- ' + why if why else ''}"


def mutants_of(include):
    found = set()
    for name in sorted(os.listdir(f"{include}/crossvm")):
        if name.endswith(".h") and name != "atomic.h":
            text = open(f"{include}/crossvm/{name}", encoding="utf-8").read()
            for kind, edge in re.findall(
                    r"CROSSVM_(LOAD_ACQUIRE|STORE_RELEASE|FENCE_[A-Z_]+)\((\w+),", text):
                found.add((edge, kind.lower()))
    return sorted(found)


# Of the linking programs, which run a fraction of a minute each, those that mutants are tried on.
LINK_MUTANTS = ("link.c -DANSWERED -DFIRST=8u", "link.c -DFIRST=8u", "link.c -DAFTER=0 -DTX_LINKS=2",
                "link.c -DFIRST=8u -DBEFORE=1 -DAFTER=0", "link_renew.c",
                "link.c -DFIRST=16u -DLAST=8u -DLAST_LEN=16u -DAFTER=0",
                "link_rx_restart.c -DDIE=2", "link_tx_restart.c -DDIE=9 -DREFUSES")


def programs_of(edge):
    best = max((key for key in GROUPS if edge.startswith(key)), key=len)
    return [one for one in PROGRAMS if one["group"] in GROUPS[best]
            and (one["group"] != "link" or one["line"] in LINK_MUTANTS)]


def try_mutant(job):
    (edge, kind), include, passing = job
    killers = []
    for one in programs_of(edge):
        if one["line"] not in passing:
            continue
        verdict, _, why = genmc(one, include, (f"-DCROSSVM_MUTANT_{edge}_{kind}=1",))
        if verdict != "ok":
            killers.append(f"{one['line']} [{verdict}: {why}]")
            if len(killers) == 1:
                break
    return f"{'killed' if killers else 'SURVIVES':<10}{edge} {kind}" + "".join(
        f"\n            {killer}" for killer in killers)


def main():
    what = sys.argv[1]
    include = os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else f"{HERE}/digest-last")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        if what not in ("mutants", "models"):
            jobs = [(one, include, ()) for one in PROGRAMS if what in ("all", one["group"])]
            for line in pool.map(show, jobs):
                print(line, flush=True)
        elif what == "models":
            jobs = [(one, include, (model,)) for one in PROGRAMS for model in ("--imm", "--tso")]
            for line in pool.map(show, jobs):
                print(line, flush=True)
        else:
            passing = set()
            edges = [edge for edge, _ in mutants_of(include)
                     if edge.startswith(tuple(sys.argv[3:]) or ("",))]
            tried = [one for one in PROGRAMS if any(one in programs_of(edge) for edge in edges)]
            for one, line in zip(tried, pool.map(show, [(one, include, ()) for one in tried])):
                if line.startswith("ok"):
                    passing.add(one["line"])
            begin = tuple(sys.argv[3:]) or ('',)
            jobs = [(mutant, include, passing) for mutant in mutants_of(include)
                    if mutant[0].startswith(begin)]
            for line in pool.map(try_mutant, jobs):
                print(line, flush=True)


if __name__ == "__main__":
    main()
