#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every crossvm_... and CROSSVM_... that README.md and docs/*.md mention exists in include/.

A name that ends in an underscore (crossvm_spsc_tx_*, CROSSVM_MUTANT_<edge>) is the beginning of at
least one. A crossvm::... of C++ is declared in a header that is C++ alone.
CROSSVM_MUTANT_<edge>_<what> is put together by atomic.h: its edge has to be one that an access in
include/ names. A kernel module is called like its source in tools/. CROSSVM_WITH_<NAME> asks the one header of cmake/amalgamate.sh for a backend, which
has to be one. Options of the build (CROSSVM_BUILD_TESTS) may stand in a CMake file, and variables
of the tests (CROSSVM_TEST_SCALE) in tests/, instead.

usage: identifiers.py SOURCE_DIR [CC]      Status 0 or 1.
"""
import pathlib
import re
import sys

NAME = re.compile(r"(?<![A-Za-z0-9_])(?:crossvm|CROSSVM)_[A-Za-z0-9_]*")
QUALIFIED = re.compile(r"\bcrossvm::(\w+)")
DECLARED = re.compile(r"\b(?:class|struct|using) (\w+)(?: =| :|\n\{)")
EDGE = re.compile(r"CROSSVM_(LOAD_ACQUIRE|STORE_RELEASE|FENCE_[A-Z_]+)\((\w+)")


def names_in(files):
    names = set()
    for file in files:
        names.update(NAME.findall(file.read_text()))
    return names


def mutants(files):
    """The macros that weaken one side of one edge."""
    edges = {found for file in files for found in EDGE.findall(file.read_text())}
    return {f"CROSSVM_MUTANT_{edge}_{what.lower()}" for what, edge in edges}


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: identifiers.py SOURCE_DIR [CC]")
    root = pathlib.Path(sys.argv[1]).resolve()
    headers = list(root.glob("include/**/*.h"))
    backends = root.glob("include/crossvm/backend/*.h*")
    known = names_in(headers) | mutants(headers)
    known |= {f"CROSSVM_WITH_{backend.stem.upper()}" for backend in backends}
    known.add("CROSSVM_WITH_CXX")
    known |= {module.stem for module in root.glob("tools/uio/*.c")}
    of_cxx = set(DECLARED.findall("".join(f.read_text() for f in root.glob("include/**/*.hpp"))))
    of_cxx.add("crossvm")  # CMake's target
    build = [root / "CMakeLists.txt", root / "CMakePresets.json", *root.glob("cmake/*.cmake")]
    tests = [root / "tests/CMakeLists.txt", root / "tests/check.h", *root.glob("tests/*.sh")]
    settings = {name for name in names_in(f for f in build + tests if f.exists()) if name.isupper()}
    documents = [f for f in [root / "README.md", *sorted(root.glob("docs/*.md"))] if f.exists()]
    failed = not documents or not known
    for document in documents:
        for number, line in enumerate(document.read_text().splitlines(), start=1):
            for name in set(QUALIFIED.findall(line)) - of_cxx:
                print(f"{document.relative_to(root)}:{number}: there is no crossvm::{name}")
                failed = True
            for name in NAME.findall(line):
                if name in known or name in settings:
                    continue
                if name.endswith("_") and any(other.startswith(name) for other in known):
                    continue
                print(f"{document.relative_to(root)}:{number}: {name} is not in include/")
                failed = True
    print(f"{len(documents)} documents, {len(known)} names in include/")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
