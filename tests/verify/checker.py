# SPDX-License-Identifier: Apache-2.0
"""What run.py and evidence.py share: the list of jobs, the ends of the edges, the model checker, and
what it found, as a file."""
import dataclasses
import functools
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True  # the sources stay as they are
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "build"))
import check_ordering
import common
import make_include

# C11 with its repairs; and the model between C11 and processors, which takes twenty times longer for
# the large programs: those are run under the first alone.
MODELS = ("rc11", "imm")
SLOW_GROUPS = ("epoch", "spsc", "link", "region", "directory", "hostile")
LIMIT = 900  # seconds for one run: guards against hanging
MAKER = "tests/verify/make_include.py"
SCRIPTS = ("tests/build/check_ordering.py", "tests/build/common.py", "tests/verify/checker.py",
           MAKER)
EVIDENCE = "tests/verify/evidence"


# ---- jobs --------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Job:
    group: str
    program: str
    defines: tuple
    options: tuple

    def __str__(self):
        return " ".join((self.program, *self.defines, *self.options))

    def models(self):
        return MODELS[:1] if self.group in SLOW_GROUPS else MODELS


def read_jobs(source):
    """The lines of tests/verify/jobs, one job for each death."""
    jobs = []
    for line in (source / "tests/verify/jobs").read_text(encoding="utf-8").splitlines():
        words = line.split("#")[0].split()
        if not words:
            continue
        group, program, *rest = words
        options = tuple(word for word in rest if word.startswith("--"))
        defines = [word for word in rest if word.startswith("-D")]
        deaths = [word for word in rest if word.startswith("DIE=")]
        if len(options) + len(defines) + len(deaths) != len(rest) or len(deaths) > 1:
            sys.exit(f"tests/verify/jobs: cannot read: {line}")
        if not deaths:
            jobs.append(Job(group, program, tuple(defines), options))
            continue
        first, last = (int(number) for number in deaths[0][len("DIE="):].split(".."))
        for death in range(first, last + 1):
            more = [f"-DDIE={death}"] + (["-DLIVES"] if death == last else [])
            jobs.append(Job(group, program, tuple(defines + more), options))
    if len(set(jobs)) != len(jobs):
        sys.exit("tests/verify/jobs: a job stands there twice")
    return jobs


# ---- mutants -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, order=True)
class End:
    """One ordered access: what(label) in function, the number-th of its kind there."""
    what: str
    label: str
    function: str
    number: int = 1

    def __str__(self):
        return f"{self.what}({self.label}) in {self.function}" + (
            f", {self.number}" if self.number > 1 else "")

    def alone(self):
        """The label that it bears in the checker's copy of the headers."""
        return f"{self.label}_in_{self.function}" + (
            f"_{self.number}" if self.number > 1 else "")

    def define(self):
        return f"-DCROSSVM_MUTANT_{self.alone()}_{self.what}=1"


ACCESS = re.compile(r"\b(" + "|".join(check_ordering.MACROS) + r")\((\w+),")


def ends_of(text):
    """The ends in a header, and its text with a label of its own for each."""
    lines = text.split("\n")
    ends = []
    for function in common.functions(text):
        seen = {}

        def rename(match):
            what, label = check_ordering.MACROS[match.group(1)], match.group(2)
            seen[what, label] = seen.get((what, label), 0) + 1
            ends.append(End(what, label, function.name, seen[what, label]))
            return f"{match.group(1)}({ends[-1].alone()},"

        for i in range(function.line - 1, function.last_line):
            lines[i] = ACCESS.sub(rename, lines[i])
    return ends, "\n".join(lines)


def all_ends(source):
    return sorted(end for name, path in common.headers(source) if name != "atomic.h"
                  for end in ends_of(path.read_text(encoding="utf-8"))[0])


@dataclasses.dataclass(frozen=True, order=True)
class Pair:
    """An edge and one of its ends, which is weakened."""
    edge: str
    end: End

    def __str__(self):
        return f"{self.edge}: {self.end}"


def all_pairs(source):
    """Of each row of docs/ORDERING.md, its ends as they stand in the headers."""
    ends = all_ends(source)
    document = (source / "docs/ORDERING.md").read_text(encoding="utf-8")
    return sorted(Pair(edge, end) for edge, sides in check_ordering.table_of(document).items()
                  for what, label, function in sides[0] | sides[1] for end in ends
                  if (end.what, end.label, end.function) == (what, label, function))


def make_copy(source, target):
    """The headers as the checker takes them, with every end weakened by a macro of its own."""
    make_include.copy(source / "include", target)
    for name, path in common.headers(source):
        if name != "atomic.h":
            copy = target / "crossvm" / name
            copy.write_text(ends_of(copy.read_text(encoding="utf-8"))[1], encoding="utf-8")


# ---- the checker -------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Result:
    verdict: str  # ok, FAIL, or what else went wrong
    executions: int
    why: str

    def __str__(self):
        return f"{self.verdict}, {self.executions} executions" + (f": {self.why}" if self.why else "")


def tool():
    """The checker's version, or None where there is none."""
    if not shutil.which("genmc"):
        return None
    out = subprocess.run(["genmc", "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"GenMC v(\S+)", out)
    llvm = re.search(r"Built with LLVM (\S+)", out)
    return f"GenMC {version.group(1) if version else '?'}, LLVM {llvm.group(1) if llvm else '?'}"


def genmc(source, include, job, model, mutant=None):
    programs = source / "tests/verify/programs"
    command = ["genmc", f"--{model}", "--disable-estimation", "--disable-spin-assume",
               "--disable-instruction-caching", *job.options,
               "--", "-DCROSSVM_MODEL", "-include", str(programs / "prelude.h"), f"-I{include}",
               *job.defines, *([mutant.define()] if mutant else []), str(programs / job.program)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return Result("timeout", 0, "")
    out = run.stdout + run.stderr
    number = re.search(r"complete executions explored: (\d+)", out)
    number = int(number.group(1)) if number else 0
    why = re.search(r"^Assertion violation: (.*)$", out, re.M) or re.search(
        r"^Error: (.*)$", out, re.M)
    if run.returncode == 0 and number > 0:
        return Result("ok", number, "")
    if run.returncode == 42 and why:
        return Result("FAIL", number, why.group(1).strip())
    return Result(f"no result ({run.returncode})", number, "")


# ---- what was found ----------------------------------------------------------------------------


def plain(path, text):
    """Of a C text the code alone: comments gone, white space folded within lines."""
    if path.suffix not in (".h", ".c"):
        return text
    lines = common.without_only_comments(text).splitlines()
    return "\n".join(" ".join(line.split()) for line in lines if line.strip())


@functools.lru_cache(maxsize=None)
def parts_of(path):
    """The code of a file by the name of its function; what stands between them is called \"\". Only
    a header of the library comes apart."""
    text = path.read_text(encoding="utf-8")
    parts = {"": plain(path, text)}
    if "include" not in path.parts:
        return parts
    lines = text.split("\n")
    for function in common.functions(text):
        mine = slice(function.line - 1, function.last_line)
        code = plain(path, "\n".join(lines[mine]))
        parts[function.name] = parts.get(function.name, "") + code
        lines[mine] = [""] * (mine.stop - mine.start)
    parts[""] = plain(path, "\n".join(lines))
    return parts


def includes_of(source, name, seen=None):
    """A file and everything of this project that it includes, as names below the top folder."""
    seen = set() if seen is None else seen
    if name in seen or not (source / name).exists():
        return seen
    seen.add(name)
    text = common.without_only_comments((source / name).read_text(encoding="utf-8"))
    for system, quoted in re.findall(r'^\s*#\s*include\s+(?:<(crossvm/[^>]+)>|"([^"]+)")', text, re.M):
        if system:
            includes_of(source, f"include/{system}", seen)
        else:
            below = os.path.normpath(str(pathlib.PurePosixPath(name).parent / quoted))
            includes_of(source, below, seen)
    return seen


@functools.lru_cache(maxsize=None)
def code_of(source, program):
    """What a result of a program depends on: (file, function) pairs and the code of each. Of a
    header that is what stands between its functions, and each function that somebody in here
    names; one that nobody names cannot change what is checked."""
    names = includes_of(source, f"tests/verify/programs/{program}")
    parts = {name: parts_of(source / name)
             for name in names | {"tests/verify/programs/prelude.h", *SCRIPTS}}
    reached = {}
    waiting = [(name, "") for name in parts]
    while waiting:
        name, function = waiting.pop()
        reached[name, function] = parts[name][function]
        words = set() if name in SCRIPTS else set(re.findall(r"\w+", reached[name, function]))
        waiting += {(other, word) for other in parts for word in words & parts[other].keys()
                    } - reached.keys() - set(waiting)
    return reached


def hashes(source, jobs):
    """Of all that any result depends on, by a name that bears no blank."""
    code = {}
    for program in {job.program for job in jobs}:
        code.update(code_of(source, program))
    return {name_of(part): hashlib.sha256(text.encode()).hexdigest()[:16]
            for part, text in code.items()}


def name_of(part):
    return ":".join(word for word in part if word)


class Evidence:
    """tests/verify/evidence: which code was checked, by what, and what came out."""

    def __init__(self):
        self.tool = ""
        self.code = {}  # file or file:function: hash
        self.jobs = {}  # (model, job as text): Result
        self.mutants = {}  # pair as text: (job as text, why)

    @staticmethod
    def read(path):
        found = Evidence()
        if not path.exists():
            return found
        for line in path.read_text(encoding="utf-8").splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "tool":
                found.tool = rest
            elif kind == "code":
                name, value = rest.split()
                found.code[name] = value
            elif kind == "job":
                what, result = rest.split(" -> ", 1)
                model, job = what.split(" ", 1)
                verdict, number, why = re.fullmatch(
                    r"(.+?), (\d+) executions(?:: (.*))?", result).groups()
                found.jobs[model, job] = Result(verdict, int(number), why or "")
            elif kind == "mutant":
                end, job, why = re.fullmatch(r"(.*) -> (?:rejected by (.*?): (.*)|SURVIVES)",
                                             rest).groups()
                found.mutants[end] = (job, why)
        return found

    def write(self, path):
        lines = ["# What the model checker found on these headers. Made by: python3 tests/verify/run.py record",
                 f"tool {self.tool}"]
        lines += [f"code {name} {value}" for name, value in sorted(self.code.items())]
        lines += [f"job {model} {job} -> {result}" for (model, job), result in sorted(
            self.jobs.items())]
        lines += [f"mutant {end} -> " + (f"rejected by {job}: {why}" if job else "SURVIVES")
                  for end, (job, why) in sorted(self.mutants.items())]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
