#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What compilers make of every end of an edge: the instructions that gcc and clang emit for it, held
against what it has to order.

    python3 edges.py SOURCE_DIR [CC]              checks
    python3 edges.py SOURCE_DIR [CC] --list       prints the instructions of every end
    python3 edges.py SOURCE_DIR [CC] --markdown   prints the table of docs/ORDERING.md

Each end (what(label), as check_ordering.py finds them in the headers) is compiled alone, between
accesses that it has to order, and its accesses and ordering instructions are read from the
compiler's assembly. A build in which every end is weakened (CROSSVM_MUTANT_...) must be found
wanting at every end. Some operations are compiled whole: in them the ordering instructions stand
in the order of the source.
"""
import pathlib
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True  # the sources stay as they are
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "build"))
import check_ordering
import common

MODES = ("--list", "--markdown")
BEGIN, END = "<!-- edges: begin -->", "<!-- edges: end -->"
KINDS = ("load_acquire", "store_release", "fence_acquire", "fence_release", "fence_seq_cst")

# ---- what is needed --------------------------------------------------------------------------

# Pairs are written in program order: LS is a load before a store.
ALL = {"LL", "LS", "SL", "SS"}
TSO = {"LL", "LS", "SS"}
# Which accesses in front of the end have to be ordered with which behind it.
NEEDS = {
    "load_acquire": {"LL", "LS"},
    "store_release": {"LS", "SS"},
    "fence_acquire": {"LL", "LS"},
    "fence_release": {"LS", "SS"},
    "fence_seq_cst": ALL,
}


class Architecture:
    """How to read a family of processors. `implicit`: pairs that are in order by themselves;
    barriers: what an instruction orders; system: the barrier for all kinds of memory."""

    def __init__(self, implicit, barriers, system, loads, stores, memory, stack):
        self.implicit = implicit
        self.barriers = [(re.compile(pattern), orders) for pattern, orders in barriers]
        self.system = re.compile(system)
        self.loads = re.compile(loads)
        self.stores = re.compile(stores)
        self.memory = re.compile(memory)
        self.stack = stack

    def barrier(self, text):
        """The pairs that an instruction orders, or None if it is no barrier."""
        fence = re.fullmatch(r"fence ([iorw]+),([iorw]+)", text)
        if fence:
            before = {"r": "L", "w": "S"}
            return {before[p] + before[s] for p in fence.group(1) if p in "rw"
                    for s in fence.group(2) if s in "rw"}
        for pattern, orders in self.barriers:
            if pattern.fullmatch(text):
                return orders
        return None


ARM_BARRIERS = [(r"d[ms]b (ish|sy|osh)", ALL), (r"d[ms]b (ishld|ld|oshld)", {"LL", "LS"}),
                (r"d[ms]b (ishst|st|oshst)", {"SS"})]
X86 = Architecture(TSO, [("mfence", ALL), (r"lock .*", ALL), (r"xchgl? .*\(.*", ALL)],
                   "mfence|lock add",
                   r"(?!mov|lea|lock|xchg|call|jmp)\w+|movl", r"movl",
                   r"(?P<off>-?\d*)\(%(?P<base>\w+)\)", {"esp", "rsp"})
AARCH64 = Architecture(set(), ARM_BARRIERS, "dsb sy", r"ldu?r|ldp|ldap?u?r", r"stu?r|stp|stlu?r",
                       r"\[(?P<base>\w+)(?:, #?(?P<off>-?\d+))?\]", {"sp"})
ARMV7 = Architecture(set(), ARM_BARRIERS, "dsb sy", r"ldr|ldrd|lda", r"str|strd|stl",
                     r"\[(?P<base>\w+)(?:, #(?P<off>-?\d+))?\]", {"sp"})
RISCV = Architecture(set(), [(r"fence\.tso", TSO)], "fence iorw,iorw",
                     r"l[wd]u?", r"s[wd]|amoswap\.w(\.\w+)?",
                     r"(?P<off>-?\d*)\((?P<base>\w+)\)", {"sp"})
POWER = Architecture(set(), [("sync|hwsync", ALL), ("lwsync", TSO), ("bne isync", {"LL", "LS"})],
                     "sync", r"lwz|lwa|ld", r"stw|std", r"(?P<off>-?\d+)\((?P<base>\d+)\)", {"1"})
S390 = Architecture(TSO, [(r"bcr 1[45], ?(%r)?0", ALL)], r"bcr 1[45]",
                    r"l|lrv|llgf|lgf|ly|x", r"st|strv|mvhi|sty",
                    r"(?P<off>-?\d+)\(%(?P<base>r\d+)\)", {"r15"})

# Name, family, Debian's compiler, clang's target, flags.
TARGETS = [
    ("x86-64", X86, "x86_64-linux-gnu-gcc", "x86_64-linux-gnu", []),
    ("aarch64", AARCH64, "aarch64-linux-gnu-gcc", "aarch64-linux-gnu", ["-march=armv8-a"]),
    ("aarch64, LSE", AARCH64, "aarch64-linux-gnu-gcc", "aarch64-linux-gnu", ["-march=armv8.1-a"]),
    ("aarch64, RCpc", AARCH64, "aarch64-linux-gnu-gcc", "aarch64-linux-gnu", ["-march=armv8.3-a"]),
    ("armv7", ARMV7, "arm-linux-gnueabihf-gcc", "armv7-linux-gnueabihf", []),
    ("riscv64", RISCV, "riscv64-linux-gnu-gcc", "riscv64-linux-gnu", ["-march=rv64gc"]),
    ("ppc64el", POWER, "powerpc64le-linux-gnu-gcc", "powerpc64le-linux-gnu", []),
    ("s390x", S390, "s390x-linux-gnu-gcc", "s390x-linux-gnu", []),
    ("i386", X86, "i686-linux-gnu-gcc", "i686-linux-gnu", []),
]
CLANGS = ("clang", "clang-19")

# ---- the ends, as C --------------------------------------------------------------------------

# Words 64 bytes apart: the edge's own at 0, others that are loaded and stored.
ENDS = {
    "load_acquire": """
    uint32_t edge = CROSSVM_LOAD_ACQUIRE({label}, words);
    uint32_t other = crossvm_load_relaxed(words + 16);
    crossvm_store_relaxed(words + 32, value);
    return edge ^ other;""",
    "store_release": """
    uint32_t other = crossvm_load_relaxed(words + 16);
    crossvm_store_relaxed(words + 32, value);
    CROSSVM_STORE_RELEASE({label}, words, value);
    return other;""",
    "fence_acquire": """
    uint32_t edge = crossvm_load_relaxed(words);
    CROSSVM_FENCE_ACQUIRE({label}, words);
    uint32_t other = crossvm_load_relaxed(words + 16);
    crossvm_store_relaxed(words + 32, value);
    return edge ^ other;""",
    "fence_release": """
    uint32_t other = crossvm_load_relaxed(words + 16);
    crossvm_store_relaxed(words + 32, value);
    CROSSVM_FENCE_RELEASE({label}, words);
    crossvm_store_relaxed(words, value);
    return other;""",
    "fence_seq_cst": """
    uint32_t first = crossvm_load_relaxed(words + 16);
    crossvm_store_relaxed(words + 32, value);
    CROSSVM_FENCE_SEQ_CST({label}, words);
    uint32_t second = crossvm_load_relaxed(words);
    crossvm_store_relaxed(words + 48, value);
    return first ^ second;""",
}
# What stands in front of and behind the end: access and offset.
ACCESSES = {
    "load_acquire": ([("L", 0)], [("L", 64), ("S", 128)]),
    "store_release": ([("L", 64), ("S", 128)], [("S", 0)]),
    "fence_acquire": ([("L", 0)], [("L", 64), ("S", 128)]),
    "fence_release": ([("L", 64), ("S", 128)], [("S", 0)]),
    "fence_seq_cst": ([("L", 64), ("S", 128)], [("L", 0), ("S", 192)]),
}

# Operations whole: declaration, body, and the ends in the order of the source.
WHOLE = {
    "slots_begin": ("struct crossvm_slot_shm *{name}(struct crossvm_slots *slots, uint64_t v)",
                    "return crossvm_slots_writer_begin(slots, v);",
                    ["store_release", "store_release", "fence_release"]),
    "slots_commit": ("void {name}(struct crossvm_slots *slots, struct crossvm_slot_shm *slot, "
                     "uint64_t v)", "crossvm_slots_writer_commit(slots, slot, v);",
                     ["store_release", "store_release"]),
    "slots_open": ("int {name}(const struct crossvm_slots *slots, struct crossvm_slot_ticket *t)",
                   "return crossvm_slots_reader_open(slots, t);",
                   ["load_acquire", "load_acquire", "load_acquire"]),
    "slots_close": ("int {name}(const struct crossvm_slots *slots, "
                    "const struct crossvm_slot_ticket *t)",
                    "return crossvm_slots_reader_close(slots, t);",
                    ["fence_acquire", "load_acquire"]),
    "push": ("int {name}(struct crossvm_spsc_tx *tx, const uint64_t *element)",
             "return crossvm_i_spsc_tx_push(tx, element, 8);", ["store_release"]),
    "pop": ("int {name}(struct crossvm_spsc_rx *rx, uint64_t *element)",
            "return crossvm_i_spsc_rx_pop(rx, element, 8);", ["store_release"]),
    "push_and_kick": ("int {name}(struct crossvm_le32 *tail, "
                      "struct crossvm_wake_publisher *kick, uint32_t index, uint64_t *again_ns)",
                      "CROSSVM_STORE_RELEASE(spsc_tail, tail, index);"
                      "return crossvm_wake_due(kick, index, 0, again_ns);",
                      ["store_release", "fence_seq_cst"]),
    "arm_and_nudge": ("int {name}(const struct crossvm_wake_waiter *waiter, "
                      "struct crossvm_wake_publisher *kick, uint32_t event)",
                      "(void)crossvm_wake_at(waiter, event, 0);"
                      "return crossvm_wake_nudge(kick);", ["fence_seq_cst"]),
    "arm_and_look": ("uint32_t {name}(const struct crossvm_wake_waiter *waiter, "
                     "const struct crossvm_le32 *tail, uint32_t event)",
                     "(void)crossvm_wake_at(waiter, event, 0);"
                     "return CROSSVM_LOAD_ACQUIRE(spsc_tail, tail);",
                     ["fence_seq_cst", "load_acquire"]),
    "arm_always": ("uint32_t {name}(const struct crossvm_wake_waiter *waiter, "
                   "const struct crossvm_le32 *tail)",
                   "(void)crossvm_wake_always(waiter);"
                   "return CROSSVM_LOAD_ACQUIRE(spsc_tail, tail);",
                   ["fence_seq_cst", "load_acquire"]),
}
# In these the fence of all orders stands between a store of these offsets and a load of those.
STORE_FENCE_LOAD = {
    "push_and_kick": ([0], [12]),
    "arm_and_look": ([8, 12], [0]),
    "arm_always": ([12], [0]),
}


def source_text(ends):
    out = ["#include <crossvm/crossvm.h>"]
    for kind, label in ends:
        declaration = f"uint32_t end_{kind}__{label}(struct crossvm_le32 *words, uint32_t value)"
        out.append(f"{declaration};\n{declaration}\n{{{ENDS[kind].format(label=label)}\n}}")
    for name, (declaration, body, _) in WHOLE.items():
        declaration = declaration.format(name=f"whole_{name}")
        out.append(f"{declaration};\n{declaration}\n{{\n{body}\n}}")
    return "\n".join(out) + "\n"


# ---- reading assembly ------------------------------------------------------------------------


class Event:
    """An access or a barrier. kind: L, S or B; orders: pairs, of a B; sides: how an access is
    ordered with all that stands in front of it or behind it."""

    def __init__(self, kind, text, offset=None, orders=frozenset(), before=False, behind=False):
        self.kind = kind
        self.text = text
        self.offset = offset
        self.orders = orders
        self.before = before
        self.behind = behind


def instructions(assembly):
    """name: instructions, tabs and blanks made one, of each function that is ours. A part that the
    compiler split off is not looked at."""
    found = {}
    name = None
    for line in assembly.splitlines():
        label = re.match(r"([A-Za-z_][\w.]*):", line)
        if label:
            name = label.group(1)
            found.setdefault(name, [])
        text = re.sub(r"(^|\s)(//|[#@]( |$)).*", "", line) if not label else ""
        text = re.sub(r"\s+", " ", text).strip()
        if name is None or not text or text.startswith(".") or text.endswith(":"):
            continue
        for part in text.split(";"):
            found[name].append(part.strip())
    return found


def joined(lines):
    """A lock prefix that stands alone belongs to the next one; a branch in front of an isync."""
    out = []
    for line in lines:
        if out and out[-1] in ("lock", "rep"):
            out[-1] += " " + line
        elif out and line == "isync" and out[-1].startswith("bne"):
            out[-1] = "bne isync"
        else:
            out.append(line)
    return out


def events_of(architecture, lines):
    """The accesses and barriers of a function, in their order."""
    offsets = {}
    found = []
    for line in joined(lines):
        name, _, rest = line.partition(" ")
        text = line
        if name == "fence":
            text = f"fence {rest.replace(' ', '') or 'iorw,iorw'}"
        orders = architecture.barrier(text)
        if orders is not None:
            found.append(Event("B", short_barrier(text), orders=orders))
            continue
        moved = re.match(r"(?:mov|mv|mr|adds?|addi) (\w+), ?(\w+)(?:, ?#?(-?\d+))?$", line)
        if moved:
            offsets[moved.group(1)] = offsets.get(moved.group(2), 0) + int(moved.group(3) or 0)
            continue
        place = architecture.memory.search(line)
        if not place or place.group("base") in architecture.stack:
            continue
        offset = int(place.group("off") or 0) + offsets.get(place.group("base"), 0)
        advance = re.search(r"\], #?(-?\d+)$", line)  # of the base register, behind the access
        if advance:
            offsets[place.group("base")] = offset + int(advance.group(1))
        elif line.endswith("]!"):
            offsets[place.group("base")] = offset
        last = line.endswith(place.group(0))
        if architecture is X86:
            is_store = name.startswith("mov") and last
            is_load = not is_store and bool(architecture.loads.fullmatch(name))
        else:
            is_store = bool(architecture.stores.fullmatch(name))
            is_load = bool(architecture.loads.fullmatch(name))
        if is_load:
            found.append(Event("L", name, offset,
                               behind=bool(re.match(r"(ldar|ldapu?r|lda)$", name))))
        elif is_store:
            release = bool(re.search(r"^(stlu?r|stl)$|\.(aq)?rl$", name))
            found.append(Event("S", name, offset, before=release))
    return found


def short_barrier(text):
    """Without operands that say nothing."""
    return re.sub(r"^(lock (?:or|add)|bcr 1[45]).*", r"\1", text)


def is_ordered(architecture, events, first, second):
    """Whether the accesses events[first] and events[second] take effect in this order."""
    one, two = events[first], events[second]
    pair = one.kind + two.kind
    if first > second:
        return False
    if pair in architecture.implicit or one.behind or two.before:
        return True
    return any(pair in e.orders for e in events[first:second] if e.kind == "B")


def places(events, wanted):
    """Where the accesses stand, or None if one is missing or stands there twice."""
    found = []
    for kind, offset in wanted:
        at = [i for i, e in enumerate(events) if (e.kind, e.offset) == (kind, offset)]
        if len(at) != 1:
            return None
        found.append(at[0])
    return found


def check_end(architecture, kind, events, system):
    """What is wrong with an end, or nothing."""
    front, behind = (places(events, side) for side in ACCESSES[kind])
    if front is None or behind is None:
        return "its accesses are not what was written: " + show(events)
    for one in front:
        for two in behind:
            pair = events[one].kind + events[two].kind
            if pair in NEEDS[kind] and not is_ordered(architecture, events, one, two):
                return f"{pair} is not ordered: {show(events)}"
    between = [e.text for e in events[max(front) : min(behind)] if e.kind == "B"]
    if system and not any(architecture.system.fullmatch(text) for text in between):
        return f"no barrier of the system: {show(events)}"
    return ""


def show(events):
    return "; ".join(e.text for e in events)


def cell(kind, events):
    """The instructions of an end alone: its barriers, and its own access."""
    front, behind = (places(events, side) for side in ACCESSES[kind])
    if front is None or behind is None:
        return "?"
    own = {"load_acquire": front[0], "store_release": behind[0]}.get(kind)
    parts = [e.text for i, e in enumerate(events)
             if i == own or (e.kind == "B" and max(front) < i < min(behind))]
    return "; ".join(parts) if parts else "nothing"


def ordering_only(events):
    """Barriers, and accesses that order."""
    return [e.text for e in events if e.kind == "B" or e.before or e.behind]


def check_whole(name, kinds, events, single):
    """The ordering instructions of the ends, in the order of the source, stand in the function."""
    wanted = [text for kind in kinds for text in single[kind]]
    rest = iter(ordering_only(events))
    if not all(any(text == seen for seen in rest) for text in wanted):
        return f"wanted {' | '.join(wanted) or 'nothing'}: {show(events)}"
    if name in STORE_FENCE_LOAD:
        stores, loads = STORE_FENCE_LOAD[name]
        full = [i for i, e in enumerate(events) if e.kind == "B" and e.orders == ALL]
        for fence in full:
            front = {e.offset for e in events[:fence] if e.kind == "S"}
            behind = {e.offset for e in events[fence:] if e.kind == "L"}
            if front >= set(stores) and behind >= set(loads):
                return ""
        return f"no fence of all orders between store and load: {show(events)}"
    return ""


# ---- compilers -------------------------------------------------------------------------------


class Compiler:
    def __init__(self, label, command):
        self.label = label
        self.command = command


def version_of(command):
    text = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"(\d+\.\d+\.\d+)", text).group(1)


def compilers_of(target, native):
    """The compilers of a target that are here, and the names of those that are not."""
    _, _, gcc, triplet, flags = target
    if not shutil.which(gcc) and gcc.startswith("x86_64") and native:
        gcc = native
    found, missing = [], []
    if shutil.which(gcc):
        # Equal functions stay functions of their own.
        found.append(Compiler(f"gcc {version_of(gcc)}", [gcc, *flags, "-fno-ipa-icf"]))
    else:
        missing.append(gcc)
    for clang in CLANGS:
        if shutil.which(clang):
            command = [clang, f"--target={triplet}", *flags]
            found.append(Compiler(f"clang {version_of(clang)}", command))
        elif clang == CLANGS[0]:
            missing.append(clang)
    return found, missing


def compile_all(compiler, source, work, defines=()):
    """The functions of the source text as this compiler makes them."""
    command = [*compiler.command, "-std=c11", "-ffreestanding", "-O2", "-S", "-w",
               "-fno-asynchronous-unwind-tables", "-fno-stack-protector", "-fno-pic",
               f"-I{source / 'include'}", *defines, "-o", "-", str(work / "ends.c")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(done.stderr)
        return None
    return instructions(done.stdout)


class Results:
    """What one compiler made of all ends for one target."""

    def __init__(self, target, compiler, system, ends, functions):
        self.target = target
        self.compiler = compiler
        self.system = system
        self.events = {end: events_of(target[1], functions.get(f"end_{end[0]}__{end[1]}", []))
                       for end in ends}
        self.whole = {name: events_of(target[1], functions.get(f"whole_{name}", []))
                      for name in WHOLE}

    def wrong(self):
        """(end, what is wrong) of every end that does not order what it has to."""
        found = []
        for end, events in self.events.items():
            problem = check_end(self.target[1], end[0], events, self.system)
            if problem:
                found.append((end, problem))
        return found

    def wrong_whole(self):
        single = {}
        for (kind, _), events in self.events.items():
            single[kind] = ordering_only(events)
        found = []
        for name, (_, _, kinds) in WHOLE.items():
            problem = check_whole(name, kinds, self.whole[name], single)
            if problem:
                found.append((name, problem))
        return found

    def cells(self):
        """For each kind what its ends became: all the same, or it says so."""
        out = []
        for kind in KINDS:
            texts = {cell(kind, events) for end, events in self.events.items() if end[0] == kind}
            out.append(" or ".join(sorted(texts)))
        return out


def native_gcc():
    cc = sys.argv[2] if len(sys.argv) > 2 and not sys.argv[2].startswith("--") else "gcc"
    for candidate in (cc, "gcc"):
        if shutil.which(candidate) and "clang" not in pathlib.Path(candidate).name:
            machine = subprocess.run([candidate, "-dumpmachine"], capture_output=True, text=True,
                                     check=False).stdout
            if machine.startswith("x86_64"):
                return candidate
    return None


def all_results(source, work, ends):
    """Results of every target and compiler that is here, and what is not here."""
    results, missing = [], set()
    for target in TARGETS:
        found, not_here = compilers_of(target, native_gcc())
        missing |= {name for name in not_here}
        for compiler in found:
            for system in (False, True):
                defines = ["-DCROSSVM_SYSTEM_FENCES"] if system else []
                functions = compile_all(compiler, source, work, defines)
                if functions is None:
                    missing.add(f"{compiler.command[0]} for {target[0]}")
                    continue
                results.append(Results(target, compiler, system, ends, functions))
    return results, sorted(missing)


def check_mutants(report, work, source, ends, results):
    """Every end, weakened, is found wanting where the processor needs an instruction for it."""
    defines = [f"-DCROSSVM_MUTANT_{label}_{kind}=1" for kind, label in ends]
    n = 0
    for result in results:
        if result.system:
            continue
        functions = compile_all(result.compiler, source, work, defines) or {}
        weak = Results(result.target, result.compiler, False, ends, functions)
        flagged = {end for end, _ in weak.wrong()}
        for end in ends:
            if NEEDS[end[0]] <= result.target[1].implicit:
                continue
            n += 1
            if end not in flagged:
                report.wrong(f"{result.target[0]}, {result.compiler.label}",
                             f"the mutant of {end[0]}({end[1]}) is not noticed")
    return n


# ---- the document ----------------------------------------------------------------------------


def versions(results):
    labels = {r.compiler.label for r in results}
    return ", ".join(sorted(labels, key=lambda label: (not label.startswith("gcc"), label)))


def markdown(results):
    out = [f"Made with {versions(results)}.", "",
           "| processor | compiler | " + " | ".join(KINDS) + " |", "|---" * (len(KINDS) + 2) + "|"]
    for system in (False, True):
        rows = {}
        for result in results:
            if result.system == system:
                name = result.target[0] + (", system fences" if system else "")
                rows.setdefault((name, tuple(result.cells())), []).append(result.compiler.label)
        for (name, cells), labels in rows.items():
            shown = [c if c == "nothing" else f"`{c}`" for c in cells]
            out.append(f"| {name} | {', '.join(labels)} | {' | '.join(shown)} |")
    return "\n".join(out)


def check_document(report, source, results):
    text = (source / "docs/ORDERING.md").read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        report.wrong("docs/ORDERING.md", f"no table between {BEGIN} and {END}")
        return
    table = text.split(BEGIN)[1].split(END)[0].strip()
    made_with = re.search(r"^Made with (.*)\.$", table, re.M)
    targets = {r.target[0] for r in results}
    if not made_with or made_with.group(1) != versions(results) or len(targets) < len(TARGETS):
        print(f"not compared: the table of docs/ORDERING.md; here are {versions(results)}")
    elif table != markdown(results):
        report.wrong("docs/ORDERING.md", "the table is not what edges.py --markdown prints")


def print_list(results):
    for result in results:
        system = ", CROSSVM_SYSTEM_FENCES" if result.system else ""
        print(f"== {result.target[0]}, {result.compiler.label}{system}")
        for (kind, label), events in result.events.items():
            print(f"   {kind}({label}): {cell(kind, events)}")
        for name, events in result.whole.items():
            print(f"   whole {name}: {' | '.join(ordering_only(events)) or 'nothing'}")


def main():
    mode = sys.argv.pop() if len(sys.argv) > 2 and sys.argv[-1] in MODES else ""
    source = common.source_dir()
    report = common.Report()
    functions = [f for name, path in common.headers(source) if name != "atomic.h"
                 for f in common.functions(path.read_text(encoding="utf-8"))]
    ends = sorted({(what, label) for what, label, _ in check_ordering.ends_in_code(functions)})
    with common.work_dir() as name:
        work = pathlib.Path(name)
        (work / "ends.c").write_text(source_text(ends), encoding="utf-8")
        results, missing = all_results(source, work, ends)
        if not results:
            print(f"skipped: none of these compilers is here: {', '.join(missing)}")
            return 77
        if mode:
            if mode == "--markdown":
                print(markdown(results))
            else:
                print_list(results)
            return 0
        for missed in missing:
            print(f"left out: {missed}")
        for result in results:
            where = (f"{result.target[0]}, {result.compiler.label}"
                     f"{', system fences' if result.system else ''}")
            for (kind, label), problem in result.wrong():
                report.wrong(where, f"{kind}({label}): {problem}")
            for whole, problem in result.wrong_whole():
                report.wrong(where, f"{whole}: {problem}")
        n_mutants = check_mutants(report, work, source, ends, results)
        check_document(report, source, results)
    return report.finish(f"{len(ends)} ends, {len(WHOLE)} operations, {len(results)} builds; "
                         f"{n_mutants} weakened ends noticed")


if __name__ == "__main__":
    sys.exit(main())
