# SPDX-License-Identifier: Apache-2.0
"""Holds the public functions of layers 2 to 5 to the test programs that have to have each of them.

    python3 check_harness.py SOURCE_DIR

Each harness below is a folder of C files, with tables in which the functions stand by name, in
strings, and a list of those that need not be there: a name a line, two blanks, the reason. What can
be checked of that is: a function in a table is called somewhere there, or in tests/support; one
that is said to store nothing reaches no store of shared memory by any call. slots.h is layer 1;
where loads are what counts its functions belong in, too.
"""
import re
import sys

sys.dont_write_bytecode = True  # the sources stay as they are
import common
from check_layers import LAYERS

# What stores in shared memory says so to the hook (atomic.h, copy.h); and of what is called through
# a pointer nobody knows what it stores.
STORES = re.compile(r"\bCROSSVM_I_HOOK\(CROSSVM_ACCESS_(?:STORE|COPY_OUT|CAS)\b"
                    r"|\bCROSSVM_STORE_RELEASE\(|(?:->|\.)\w+\s*\(")

# Of a row in a list: the function reaches a store, and nevertheless stores nothing that counts.
NEVERTHELESS = "nevertheless: "

# Name, folder, list of those that need not be there (in the folder), whether these store nothing,
# headers of other layers that belong in. A function with an entry cannot be in the list, too.
HARNESSES = [
    ("crash images", "tests/crash", "not_mutating.txt", True, ()),
    ("hostile peers", "tests/fuzz", "not_fuzzed.txt", False, ("slots.h",)),
    ("fetched once", "tests/fetch", "not_audited.txt", False, ("slots.h",)),
]


class Library:
    """The functions of the headers: which are public, and what each reaches."""

    def __init__(self, source):
        self.bodies = {}
        self.public = {}
        for name, path in common.headers(source):
            layer = LAYERS[name][0] if name in LAYERS else None
            if layer is None:
                continue
            for function in common.functions(path.read_text(encoding="utf-8")):
                self.bodies[function.name] = function.body
                internal = function.name.startswith("crossvm_i_")
                if not internal and "##" not in function.name:
                    self.public[function.name] = name
        self.calls = {name: set(re.findall(r"\bcrossvm_\w+", body)) & self.bodies.keys() - {name}
                      for name, body in self.bodies.items()}

    def of(self, also):
        """The public functions of layers 2 to 5, and of some other headers."""
        return {function: header for function, header in self.public.items()
                if LAYERS[header][0] in (2, 3, 4, 5) or header in also}

    def store_from(self, name):
        """The calls that lead from a function to a store, or None."""
        seen = {name}
        paths = [[name]]
        while paths:
            path = paths.pop()
            if STORES.search(self.bodies[path[-1]]):
                return path
            for callee in sorted(self.calls[path[-1]] - seen):
                seen.add(callee)
                paths.append(path + [callee])
        return None


def c_texts(folder):
    """Name and text, without comments and directives, of a folder's C files."""
    for path in sorted(folder.glob("*.[ch]")):
        text = common.without_only_comments(path.read_text(encoding="utf-8"))
        yield path.name, re.sub(r"^[ \t]*#.*", "", text, flags=re.M)


def entries(folder):
    """Names of functions in the strings of a folder's C files, each with the file."""
    found = {}
    for name_of_file, text in c_texts(folder):
        for string in re.findall(r'"((?:\\.|[^"\\\n])*)"', text):
            if re.fullmatch(r"crossvm_\w+(?: crossvm_\w+)*", string):
                for name in string.split():
                    found.setdefault(name, name_of_file)
    return found


def called(folders):
    """Names of functions that are called, or handed to a macro, in the C files of some folders."""
    found = set()
    for folder in folders:
        for _, text in c_texts(folder):
            found |= set(re.findall(r"\b(crossvm_\w+)\s*[,(]", text))
    return found


def rows(path, report):
    """A list: name -> reason."""
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(r"(crossvm_\w+)  (\S.*)", line)
        if not match:
            report.wrong(f"{path.name}:{number}", "expected a name, two blanks, a reason")
        elif match.group(1) in found:
            report.wrong(f"{path.name}:{number}", f"{match.group(1)} a second time")
        else:
            found[match.group(1)] = match.group(2)
    return found


def check_row(library, name, reason, where, report):
    path = library.store_from(name)
    if path and not reason.startswith(NEVERTHELESS):
        report.wrong(where, f"{name} can store, by {' -> '.join(path)}")
    if not path and reason.startswith(NEVERTHELESS):
        report.wrong(where, f"{name} cannot store: then it is said without '{NEVERTHELESS}'")


def check(source, library, harness, report):
    title, folder, listed, store_nothing, also = harness
    public = library.of(also)
    there = entries(source / folder)
    calls = called([source / folder, source / "tests/support"])
    left_out = rows(source / folder / listed, report)
    for name in sorted(public):
        if name not in there and name not in left_out:
            path = library.store_from(name)
            how = f"stores, by {' -> '.join(path)}" if path else "stores nothing"
            report.wrong(f"{title}: {public[name]}",
                         f"{name} has no entry in {folder} and no row in {listed} ({how})")
        if name in there and name in left_out:
            report.wrong(f"{title}: {there[name]}", f"{name} has an entry and a row in {listed}")
    for name in sorted(there.keys() | left_out.keys()):
        if name not in public:
            report.wrong(f"{title}: {there.get(name, listed)}", f"{name}: no such function")
    for name in sorted(there.keys() - calls):
        report.wrong(f"{title}: {there[name]}", f"{name} is named, and not called")
    for name in sorted(left_out.keys() & public.keys() if store_nothing else ()):
        check_row(library, name, left_out[name], f"{title}: {listed}", report)
    return f"{title}: {len(there)} functions with an entry, {len(left_out)} in {listed}"


def main():
    source = common.source_dir()
    report = common.Report()
    library = Library(source)
    summaries = [check(source, library, harness, report) for harness in HARNESSES]
    return report.finish("; ".join(summaries))


if __name__ == "__main__":
    sys.exit(main())
