#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Says what changed between two revisions: bytes in shared memory, and what programs are compiled
against.

    python3 tools/compare-revisions.py [--cc CC] OLD NEW

OLD and NEW are git revisions of this repository, or directories with a source tree. All headers of
each are compiled with debug information, and what the compiler made of them is compared:

- shared bytes: sizes, offsets and types in every struct crossvm_..._shm; the values of enumerators
  and constants that stand in shared memory. A change needs another format version (version.h):
  without one it is marked as an error. Something new beside the old is no change.
- source: public functions, structs, enumerators, constants and macros.

Status 0: the same; 1: something differs; 2: bad usage, or a revision does not compile.
Needs git for revisions, a C compiler, and readelf.
"""
import argparse
import io
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

sys.dont_write_bytecode = True  # the sources stay as they are
TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests/build"))
import common

# Enums whose numbers stand in shared memory.
SHARED_ENUMS = {"crossvm_kind", "crossvm_status", "crossvm_wake_mode", "crossvm_clock_kind"}
# Constants that are each side's own affair.
OWN_CONSTANTS = re.compile(r"CROSSVM_(?:VERSION_|FORMAT_|\w+_TRIES$|FUTEX_VECTORS$|MEMFD_MAX$)")
NUMBER = re.compile(r"(?:0x[0-9a-fA-F]+|\d+)[uUlL]*")


class Unusable(Exception):
    """A revision cannot be had or compiled."""


# ---- getting a revision ------------------------------------------------------------------------


def run(*command, **options):
    return subprocess.run(command, capture_output=True, check=False, **options)


def tree_of(name, work):
    """The source tree of a directory or of a git revision."""
    path = pathlib.Path(name)
    if path.is_dir():
        tree = path.resolve()
    else:
        archive = run("git", "-C", str(TOP), "archive", "--format=tar", name, "include")
        if archive.returncode != 0:
            said = archive.stderr.decode(errors="replace").strip()
            raise Unusable(f"{name}: expected a directory or a git revision ({said})")
        tree = pathlib.Path(work)
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            tar.extractall(tree)
    if not (tree / "include/crossvm/version.h").is_file():
        raise Unusable(f"{name}: expected include/crossvm/version.h in it")
    return tree


# ---- compiling it ------------------------------------------------------------------------------


class Names:
    """What the headers define, by their text: the compiler is asked about each."""

    def __init__(self, tree):
        self.headers = [name for name, _ in common.headers(tree)]
        self.tags = []
        self.functions = []
        self.constants = []
        self.macros = {}
        for _, path in common.headers(tree):
            text = path.read_text(encoding="utf-8")
            self.tags += [(kind, tag) for kind, tag, _ in common.tags(text)
                          if re.match(r"crossvm_(?!i_)", tag)]
            self.functions += [f.name for f in common.functions(text)
                               if re.match(r"crossvm_(?!i_)", f.name)]
            self._take_macros(common.without_comments(text))

    def _take_macros(self, code):
        define = r"^#define (CROSSVM_(?!I_)\w+)(\([^)]*\))?[ \t]*((?:[^\n\\]|\\\n|\\.)*)"
        for name, arguments, value in re.findall(define, code, re.M):
            if arguments:
                self.macros[name] = re.sub(r"\s+", " ", arguments)
            elif NUMBER.fullmatch(value.strip()):
                self.constants.append(name)


def probe(names):
    """A source that makes the compiler describe every name."""
    lines = [f"#include <crossvm/{header}>" for header in names.headers]
    lines += [f"{kind} {tag} probe_of_{tag};" for kind, tag in names.tags]
    lines.append("enum probe_of_constants {")
    lines += [f"    probe_of_{name} = {name}," for name in sorted(set(names.constants))]
    lines += ["} probe_of_every_constant;", "void (*const probe_of_functions[])(void) = {"]
    lines += [f"    (void (*)(void)){name}," for name in names.functions]
    return "\n".join(lines + ["};", ""])


def dwarf_of(name, tree, compiler, work):
    """The debug information of a revision, as readelf prints it."""
    source = pathlib.Path(work) / "probe.c"
    source.write_text(probe(Names(tree)), encoding="utf-8")
    # In place of the headers of RTOSes.
    stand_ins = [f"-isystem{TOP}/tests/rtos/{system}/include" for system in ("zephyr", "freertos")]
    built = run(compiler, "-std=gnu11", "-g", "-O0", "-w", "-D_GNU_SOURCE", *stand_ins, "-I",
                str(tree / "include"), "-c", str(source), "-o", f"{work}/probe.o")
    if built.returncode != 0:
        raise Unusable(f"{name}: does not compile\n{built.stderr.decode(errors='replace')}")
    printed = run("readelf", "--debug-dump=info", "--wide", f"{work}/probe.o", text=True)
    if printed.returncode != 0:
        raise Unusable(f"readelf: {printed.stderr}")
    return printed.stdout


# ---- reading the debug information --------------------------------------------------------------


class Entry:
    def __init__(self, tag):
        self.tag = tag
        self.attributes = {}
        self.children = []

    def name(self):
        return self.attributes.get("name", "")

    def number(self, key, default=None):
        found = re.match(r"-?(?:0x[0-9a-f]+|\d+)", self.attributes.get(key, ""))
        return int(found.group(0), 0) if found else default


class Dwarf:
    def __init__(self, text):
        self.entries = {}
        self.top = []
        stack = []
        entry = None
        for line in text.splitlines():
            begins = re.match(r"\s*<(\w+)><(\w+)>: Abbrev Number: \d+ \(DW_TAG_(\w+)\)", line)
            says = re.match(r"\s*<\w+>\s+DW_AT_(\w+)\s*: (.*)", line)
            if begins:
                depth = int(begins.group(1), 16)
                entry = Entry(begins.group(3))
                self.entries[begins.group(2)] = entry
                del stack[depth:]
                (stack[-1].children if stack else self.top).append(entry)
                stack.append(entry)
            elif says and entry is not None:
                # In front may stand the form: "(strp) ", "(indirect string, offset: 0x1): ".
                value = re.sub(r"^(?:\([^)]*\) ?)*:? *", "", says.group(2))
                entry.attributes[says.group(1)] = value.strip()

    def of(self, tag):
        return [entry for entry in self.entries.values() if entry.tag == tag]

    def spelled(self, entry):
        """The type that an entry refers to, as C writes it."""
        at = re.match(r"<0x(\w+)>", entry.attributes.get("type", ""))
        if not at:
            return "void"
        kind = self.entries[at.group(1)]
        plain = {"structure_type": "struct ", "union_type": "union ", "enumeration_type": "enum ",
                 "base_type": "", "typedef": ""}
        if kind.tag in plain:
            return plain[kind.tag] + kind.name()
        if kind.tag == "pointer_type":
            return self.spelled(kind) + " *"
        if kind.tag in ("const_type", "volatile_type"):
            word = kind.tag.split("_", maxsplit=1)[0]
            return f"{self.spelled(kind)} {word}"
        if kind.tag == "array_type":
            sizes = [(c.number("upper_bound", -1) + 1) or c.number("count", 0)
                     for c in kind.children if c.tag == "subrange_type"]
            return self.spelled(kind) + "".join(f"[{size}]" for size in sizes)
        if kind.tag == "subroutine_type":
            return f"{self.spelled(kind)} ({self.parameters(kind)})"
        raise Unusable(f"the debug information has a {kind.tag}, which is not understood")

    def parameters(self, entry):
        return ", ".join(self.spelled(c) for c in entry.children
                         if c.tag == "formal_parameter") or "void"


class Revision:
    """What the compiler made of one revision."""

    def __init__(self, name, compiler):
        with tempfile.TemporaryDirectory(prefix="crossvm-compare-") as work:
            tree = tree_of(name, work)
            self.name = name
            self.macros = Names(tree).macros
            dwarf = Dwarf(dwarf_of(name, tree, compiler, work))
        self.structs = {}
        self.enums = {}
        self.constants = {}
        self.functions = {}
        for entry in dwarf.of("structure_type"):
            if self._is_public(entry.name()) and "byte_size" in entry.attributes:
                self.structs[entry.name()] = (entry.number("byte_size"), [
                    (m.name(), m.number("data_member_location", 0), dwarf.spelled(m))
                    for m in entry.children if m.tag == "member"])
        for entry in dwarf.of("enumeration_type"):
            values = {c.name(): c.number("const_value") for c in entry.children}
            if entry.name() == "probe_of_constants":
                self.constants = {n[len("probe_of_"):]: v for n, v in values.items()}
            elif self._is_public(entry.name()):
                self.enums[entry.name()] = values
        for entry in dwarf.of("subprogram"):
            if self._is_public(entry.name()):
                self.functions[entry.name()] = (f"{dwarf.spelled(entry)} "
                                                f"({dwarf.parameters(entry)})")
        if not self.functions or not self.shared_structs():
            raise Unusable(f"{name}: the debug information was not understood")

    @staticmethod
    def _is_public(name):
        return re.match(r"crossvm_(?!i_)", name) is not None

    def shared_structs(self):
        return {n: s for n, s in self.structs.items() if self.is_shared(n)}

    @staticmethod
    def is_shared(struct):
        return struct.endswith("_shm") or struct == "crossvm_le32"

    def format_version(self):
        return (self.constants["CROSSVM_FORMAT_MAJOR"], self.constants["CROSSVM_FORMAT_MINOR"])

    def title(self):
        library = ".".join(str(self.constants[f"CROSSVM_VERSION_{part}"])
                           for part in ("MAJOR", "MINOR", "PATCH"))
        return f"{self.name}: library {library}, format {self.format_version()[0]}." \
               f"{self.format_version()[1]}"


# ---- comparing ---------------------------------------------------------------------------------


class Difference:
    def __init__(self):
        self.changed = []  # of what was there
        self.added = []

    def all(self):
        return self.changed + [f"new: {what}" for what in self.added]


def compare_values(old, new, kind, difference):
    """Numbers, or texts like a function's type."""
    for name, value in old.items():
        if name not in new:
            difference.changed.append(f"{kind}{name} is gone (was {value})")
        elif new[name] != value:
            difference.changed.append(f"{kind}{name} was {value}, is {new[name]}")
    difference.added += [f"{kind}{name}: {new[name]}" for name in new if name not in old]


def compare_struct(name, old, new, with_offsets, difference):
    """One struct; in one that is not shared, offsets and sizes are the compiler's affair."""
    size, members = old
    new_size, new_members = new
    if with_offsets and size != new_size:
        difference.changed.append(f"struct {name} had {size} bytes, has {new_size}")
    now = {member: (off, kind) for member, off, kind in new_members}
    for member, off, kind in members:
        where = f"struct {name}: {member}"
        if member not in now:
            difference.changed.append(f"{where} is gone" + (f" (was at {off})" if with_offsets
                                                              else ""))
            continue
        if with_offsets and now[member][0] != off:
            difference.changed.append(f"{where} was at {off}, is at {now[member][0]}")
        if now[member][1] != kind:
            difference.changed.append(f"{where} was {kind}, is {now[member][1]}")
    before = {member for member, _, _ in members}
    for member, off, _ in new_members:
        if member not in before and with_offsets:
            # Its bytes meant something else before.
            difference.changed.append(f"struct {name}: {member} at {off} is new")
        elif member not in before:
            difference.added.append(f"struct {name}: {member}")


def compare_structs(old, new, with_offsets, difference):
    for name, struct in old.items():
        if name not in new:
            difference.changed.append(f"struct {name} is gone")
        else:
            compare_struct(name, struct, new[name], with_offsets, difference)
    difference.added += [f"struct {name}" for name in new if name not in old]


def split_enums(revision):
    shared = {}
    own = {}
    for enum, values in revision.enums.items():
        (shared if enum in SHARED_ENUMS else own).update(values)
    for name, value in revision.constants.items():
        (own if OWN_CONSTANTS.match(name) else shared)[name] = value
    return shared, own


def compare(old, new):
    shared = Difference()
    source = Difference()
    compare_structs(old.shared_structs(), new.shared_structs(), True, shared)
    old_shared, old_own = split_enums(old)
    new_shared, new_own = split_enums(new)
    compare_values(old_shared, new_shared, "", shared)
    compare_structs({n: s for n, s in old.structs.items() if not old.is_shared(n)},
                    {n: s for n, s in new.structs.items() if not new.is_shared(n)}, False, source)
    compare_values(old_own, new_own, "", source)
    compare_values(old.functions, new.functions, "", source)
    compare_values(old.macros, new.macros, "macro ", source)
    return shared, source


def report(old, new):
    """Prints what differs; whether anything does."""
    shared, source = compare(old, new)
    print(f"old  {old.title()}\nnew  {new.title()}")
    for title, lines in (("Shared bytes", shared.all()), ("Source", source.all())):
        if lines:
            print(f"\n{title}:")
            print("\n".join(f"  {line}" for line in lines))
    if shared.changed and old.format_version() == new.format_version():
        print("\nERROR: shared bytes changed, and the format version (version.h) did not.")
    if not shared.all() and not source.all():
        print(f"\nThe same: {len(old.shared_structs())} shared structs, "
              f"{len(old.functions)} functions.")
        return False
    return True


def main():
    parser = argparse.ArgumentParser(description="Compares two revisions of crossvm.")
    parser.add_argument("--cc", default="cc", help="the C compiler (default: cc)")
    parser.add_argument("old", metavar="OLD", help="git revision or directory")
    parser.add_argument("new", metavar="NEW", help="git revision or directory")
    arguments = parser.parse_args()
    try:
        return 1 if report(Revision(arguments.old, arguments.cc),
                           Revision(arguments.new, arguments.cc)) else 0
    except (Unusable, FileNotFoundError) as error:
        print(f"compare-revisions.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
