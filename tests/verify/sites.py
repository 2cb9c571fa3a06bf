#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mutants of single places: an edge's label may stand at several places, and a label's mutant
weakens all of them. sites.py INCLUDE: weakens one place after the other in a copy and says whether
a program of its edge notices."""
import os
import re
import shutil
import sys

import run

HERE = run.HERE
source = os.path.abspath(sys.argv[1])
places = {}
for name in ("bytes.h", "region.h", "slots.h", "spsc.h", "wake.h"):
    for number, line in enumerate(open(f"{source}/crossvm/{name}", encoding="utf-8")):
        hit = re.search(r"CROSSVM_(LOAD_ACQUIRE|STORE_RELEASE|FENCE_[A-Z_]+)\((\w+),", line)
        if hit:
            places.setdefault((hit.group(2), hit.group(1)), []).append((name, number))

for (edge, kind), sites in sorted(places.items()):
    if len(sites) < 2:
        continue
    for name, number in sites:
        target = f"{HERE}/site"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
        path = f"{target}/crossvm/{name}"
        lines = open(path, encoding="utf-8").read().split("\n")
        lines[number] = lines[number].replace(f"({edge},", "(this_place,", 1)
        open(path, "w", encoding="utf-8").write("\n".join(lines))
        killer = ""
        for one in run.programs_of(edge):
            verdict, _, why = run.genmc(one, target,
                                        (f"-DCROSSVM_MUTANT_this_place_{kind.lower()}=1",))
            if verdict != "ok":
                killer = f"{one['line']} [{verdict}: {why}]"
                break
        print(f"{'killed' if killer else 'SURVIVES':<10}{edge} {kind.lower()} at {name}:"
              f"{number + 1}  {killer}", flush=True)
