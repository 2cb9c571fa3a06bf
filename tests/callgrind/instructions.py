# SPDX-License-Identifier: Apache-2.0
"""Instructions an operation, counted by callgrind and held to tests/callgrind/baseline.

    python3 instructions.py SOURCE_DIR [CC]            compare with the baseline
    python3 instructions.py SOURCE_DIR [CC] --write    bring these compilers' rows up to date

An operation that has grown by more than 10 % (and by 2 instructions), that calls the C library more
often, or that stands on one side alone, fails. One that has shrunk is only told. The figures belong
to compilers of one version and machine: others are skipped, with their table printed.

Each operation is a function of its own in a file of its own (operations/, measured.h). What counts
are the instructions in and below it, and the calls that leave the program: what memcpy itself takes
depends on the processor, and is left out.
"""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True  # the sources stay as they are
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "build"))
import common

FOLDER = "tests/callgrind"
BASELINE = f"{FOLDER}/baseline"

# What Debian's compilers do without being told; others' differ.
DEFAULTS = ["-fPIE", "-fcf-protection=none", "-fno-stack-protector", "-U_FORTIFY_SOURCE"]
FLAGS = ["-std=c11", "-O2", *DEFAULTS, "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow",
         "-Werror"]
# Without lazy binding the first call of memcpy is like all others.
LINK_FLAGS = ["-pie", "-Wl,-z,now"]
CALLGRIND = ["valgrind", "--command-line-only=yes", "--quiet", "--tool=callgrind",
             "--toggle-collect=*_measured", "--skip-plt=no", "--combine-dumps=yes",
             "--compress-strings=no", "--compress-pos=no"]

GROWTH = 0.10
LEAST = 2  # instructions: an operation of five does not fail for one
PLANTED = "spsc_push_64"  # the operation that -DPLANTED makes longer


class Broken(Exception):
    """Nothing could be measured."""


class Skipped(Exception):
    """Something that is needed is not here."""


# ---- building --------------------------------------------------------------------------------


def identify(cc):
    """Compiler, full version and machine, as the baseline names them."""
    said = run([cc, "--version"]).stdout
    clang = re.search(r"clang version (\d+\.\d+\.\d+)", said)
    machine = run([cc, "-dumpmachine"]).stdout.split("-")[0].strip()
    if clang:
        return f"clang {clang.group(1)} {machine}"
    return f"gcc {run([cc, '-dumpfullversion']).stdout.strip()} {machine}"


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise Broken(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done


class Builder:
    def __init__(self, source, cc, work):
        self.source = source
        self.cc = cc
        self.work = work

    def has_header(self):
        text = "#include <valgrind/callgrind.h>\n"
        return subprocess.run([self.cc, "-E", "-"], input=text, capture_output=True, text=True,
                              check=False).returncode == 0

    def compile(self, name, file, *flags):
        built = self.work / f"{name}.o"
        run([self.cc, *FLAGS, *flags, "-I", self.source / "include", "-c",
             self.source / FOLDER / file, "-o", built])
        return built

    def operation(self, prefix, name, file, *flags):
        return self.compile(prefix + name, file, f"-DOPERATION={name}", *flags)

    def link(self, name, objects):
        program = self.work / name
        run([self.cc, *LINK_FLAGS, *objects, "-o", program])
        return program

    def jobs(self):
        """Arguments of operation() for each one, and again for copies that have a strict path."""
        found = []
        for path in sorted((self.source / FOLDER / "operations").glob("*.c")):
            file = f"operations/{path.name}"
            for copy, name in re.findall(r"^MEASURED(_COPY)?\((\w+),",
                                         path.read_text(encoding="utf-8"), re.M):
                found.append(("", name, file))
                if copy:
                    found.append(("strict_", name, file, "-DCROSSVM_STRICT_C11"))
        return found

    def build(self):
        """The program with all operations, and the one whose only operation has grown."""
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            common_part = [pool.submit(self.compile, file, f"{file}.c")
                           for file in ("main", "subject")]
            planted = pool.submit(self.operation, "planted_", PLANTED, "operations/queue.c",
                                  "-DPLANTED")
            operations = [pool.submit(self.operation, *job) for job in self.jobs()]
            shared = [future.result() for future in common_part]
            whole = self.link("whole", shared + [future.result() for future in operations])
            return whole, self.link("planted", shared + [planted.result()])


# ---- counting --------------------------------------------------------------------------------


def is_ours(program, place, function):
    """Whether a function is one of the program's; entries of the linkage table have no name."""
    return place == str(program) and re.fullmatch(r"[A-Za-z_][\w.]*", function) is not None


def count(program, dump):
    """Instructions in the program's own functions, and calls from them to others."""
    instructions = 0
    calls = 0
    place = function = callee_place = callee = ""
    lines = iter(dump.splitlines())
    for line in lines:
        key, _, value = line.partition("=")
        if key == "ob":
            place = callee_place = value
        elif key == "fn":
            function = value
            callee_place = place
        elif key == "cob":
            callee_place = value
        elif key == "cfn":
            callee = value
        elif key == "calls":
            next(lines)  # what the call took, which stands with the function called, too
            if is_ours(program, place, function) and not is_ours(program, callee_place, callee):
                calls += int(value.split()[0])
            callee_place = place
        elif re.fullmatch(r"\d+ \d+", line) and is_ours(program, place, function):
            instructions += int(line.split()[1])
    return instructions, calls


def measure(program):
    """Runs the program: a pair of instructions and calls for each operation, in their order."""
    out = program.with_suffix(".callgrind")
    done = run([*CALLGRIND, f"--callgrind-out-file={out}", program],
               env={"PATH": os.environ["PATH"], "LC_ALL": "C"})
    n_calls = dict(line.split() for line in done.stdout.splitlines())
    text = out.read_text(encoding="utf-8")
    table = {}
    for dump in re.split(r"^part: \d+$", text, flags=re.M):
        named = re.search(r"^desc: Trigger: Client Request: (\w+)$", dump, re.M)
        if named:
            name = named.group(1)
            table[name] = tuple(round(n / int(n_calls[name]), 1) for n in count(program, dump))
    if set(table) != set(n_calls) or not all(row[0] > 0 for row in table.values()):
        raise Broken(f"{program}: callgrind counted {table}")
    return table


# ---- the baseline ----------------------------------------------------------------------------


def format_row(name, row):
    return f"{name:<30} {row[0]:>9.1f} {row[1]:>6.1f}"


def read_baseline(path):
    """The comment in front, and a table for each compiler."""
    comment = []
    tables = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            comment.append(line)
        elif re.match(r"\w+ [\d.]+ \w+$", line) and not line.startswith(" "):
            table = tables.setdefault(line, {})
        elif line:
            name, *row = line.split()
            table[name] = tuple(map(float, row))
    return comment, tables


def write_baseline(path, comment, tables):
    lines = list(comment)
    for compiler in sorted(tables):
        lines += ["", compiler]
        lines += ["  " + format_row(name, row) for name, row in tables[compiler].items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


# ---- comparing -------------------------------------------------------------------------------


def grown(old, new):
    return (new[0] > old[0] * (1 + GROWTH) and new[0] - old[0] >= LEAST or
            new[1] > old[1] * (1 + GROWTH))


def shrunk(old, new):
    return new[0] < old[0] * (1 - GROWTH) and old[0] - new[0] >= LEAST or new[1] < old[1]


def change(old, new):
    return f"{old[0]:.1f} -> {new[0]:.1f} instructions, {old[1]:.1f} -> {new[1]:.1f} calls"


def compare(baseline, measured):
    """What is wrong, and what is only to be told."""
    wrong = [f"{name}: in the baseline, but not measured" for name in baseline
             if name not in measured]
    told = []
    for name, row in measured.items():
        if name not in baseline:
            wrong.append(f"{name}: measured, but not in the baseline")
        elif grown(baseline[name], row):
            wrong.append(f"{name}: has grown: {change(baseline[name], row)}")
        elif shrunk(baseline[name], row):
            told.append(f"{name}: has shrunk: {change(baseline[name], row)}; lower the baseline")
    return wrong, told


def self_check(table, planted):
    """Whether the comparison can fail: an operation with a loop put in, and one that is missing."""
    row = {PLANTED: table[PLANTED]}
    noticed = compare(row, planted)[0] and compare(row, {})[0] and compare({}, row)[0]
    print(f"with growth planted, to see the comparison fail: {PLANTED}: "
          f"{change(table[PLANTED], planted[PLANTED])}")
    return [] if noticed else ["the comparison did not notice what was planted"]


# ---- all of it -------------------------------------------------------------------------------


def measure_compiler(source, cc):
    with common.work_dir() as work:
        builder = Builder(source, cc, pathlib.Path(work).resolve())
        if not builder.has_header():
            raise Skipped(f"no valgrind/callgrind.h for {cc} here")
        whole, planted = builder.build()
        return measure(whole), measure(planted)


def check_compiler(compiler, tables, table, planted):
    """Prints a table and what is to be said of it: the problems, or None without a baseline."""
    print(f"{compiler + ':':<30} instructions calls")
    for name, row in table.items():
        print(format_row(name, row))
    wrong = self_check(table, planted)
    if compiler not in tables:
        print(f"skipped: {BASELINE} has no rows for {compiler}; --write adds them")
        return wrong or None
    problems, told = compare(tables[compiler], table)
    print("\n".join(told + problems + wrong) or f"{compiler}: as in the baseline")
    print()
    return problems + wrong


def check(source, write):
    path = source / BASELINE
    comment, tables = read_baseline(path)
    results = []
    for cc in common.compilers():
        compiler = identify(cc)
        table, planted = measure_compiler(source, cc)
        results.append(check_compiler(compiler, tables, table, planted))
        if write:
            tables[compiler] = table
    if write:
        write_baseline(path, comment, tables)
        return 0
    if any(results):
        print(f"not as {BASELINE} says: if it has to be so, --write raises the rows, in a commit\n"
              "of its own that gives the reason")
        return 1
    return 0 if any(result is not None for result in results) else 77


def main():
    write = "--write" in sys.argv
    if write:
        sys.argv.remove("--write")
    source = common.source_dir()
    try:
        if not shutil.which("valgrind"):
            raise Skipped("no valgrind here")
        if not common.compilers():
            raise Skipped("no such compiler here")
        return check(source, write)
    except Skipped as why:
        print(f"skipped: {why}")
        return 77
    except Broken as why:
        print(why)
        return 1


if __name__ == "__main__":
    sys.exit(main())
