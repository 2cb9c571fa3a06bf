#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every test that docs/TRUST.md names as showing a claim exists: the last column of a table whose
heading is "shown by", and sentences "Shown by NAME.", name programs of tests/unit/ or scripts of
tests/system/; verify/NAME is a program for the model checker, build/NAME a check of the sources.
"By construction" and a dash name nothing (trust.py says where they may stand).

usage: claims.py SOURCE_DIR [CC]      Status 0 or 1.
"""
import pathlib
import re
import sys

SENTENCE = re.compile(r"Shown by ([a-z_0-9/, ]+)\.")
NO_TEST = re.compile(r"-+|By construction")

# Where a test may lie: below tests/, by the folder that it is named with.
PLACES = {
    "": ("unit/{}.c", "unit/{}.cpp", "system/{}.py", "system/{}.sh"),
    "verify": ("verify/programs/{}.c",),
    "build": ("build/{}.py", "build/{}.sh"),
    "rtos": ("rtos/{}.sh",),
}


def named_tests(text):
    """Pairs of a line's number and a test's name."""
    in_claims = False
    for number, line in enumerate(text.splitlines(), start=1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            in_claims = False
            names = ",".join(SENTENCE.findall(line))
        elif cells[-1] == "shown by":
            in_claims = True
            continue
        else:
            names = cells[-1] if in_claims else ""
        for name in re.split(r",\s*", names):
            if name and not NO_TEST.fullmatch(name):
                yield number, name


def exists(root, name):
    """Whether there is a test of this name."""
    folder, _, topic = name.rpartition("/")
    return any((root / "tests" / place.format(topic)).is_file()
               for place in PLACES.get(folder, ()))


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: claims.py SOURCE_DIR [CC]")
    root = pathlib.Path(sys.argv[1]).resolve()
    claims = list(named_tests((root / "docs/TRUST.md").read_text()))
    failed = not claims
    for number, name in claims:
        if not exists(root, name):
            print(f"docs/TRUST.md:{number}: there is no test {name}")
            failed = True
    print(f"{len(claims)} times a test is named")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
