# SPDX-License-Identifier: Apache-2.0
"""How much code and stack each primitive takes, and how large the handles are: measured from
objects, written into docs/PORTING.md between two markers.

    python3 footprint.py SOURCE_DIR [CC]           the page says what is measured here
    python3 footprint.py SOURCE_DIR [CC] --write   bring the page up to date

Code is what a program gets that takes the address of the named functions and nothing else, with
all that they call and their constants. Stack is the deepest path of calls below one of them. The
numbers belong to the compilers that the page names; with others the check is skipped.
"""
import pathlib
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True  # the sources stay as they are
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "build"))
import common

PAGE = "docs/PORTING.md"
BEGIN = "<!-- footprint: begin -->"
END = "<!-- footprint: end -->"

# Title, compiler, flags.
TARGETS = [
    ("Cortex-M3", "arm-none-eabi-gcc", ["-mcpu=cortex-m3", "-mthumb", "-Os"]),
    ("AArch64", "aarch64-linux-gnu-gcc",
     ["-mcpu=cortex-a53", "-mno-outline-atomics", "-mstrict-align", "-O2"]),
]
COMMON_FLAGS = ["-std=c11", "-ffreestanding", "-fno-pic"]

# Operations that a program uses together, and the public functions that they are. Every public
# function of layers 0 to 5 stands in exactly one line.
GROUPS = [
    ("names of statuses and rules", "crossvm_(status_family|status_name|rule_name)"),
    ("a fault as text", "crossvm_fault_text"),
    ("pause, prefetch, barrier", "crossvm_(cpu_pause|cpu_prefetch|system_barrier)"),
    ("shared words", "crossvm_((load|store)_(relaxed|pair)|cas_relaxed)"),
    ("copies that may race", "crossvm_copy_(in|out)(_strict)?"),
    ("copies of what is one's own", "crossvm_copy_(put|take|zero)"),
    ("copies for uncached mappings", "crossvm_copy_(in|out|zero)_device"),
    ("checksums, type hash", "crossvm_(crc32c|fnv1a|type_hash)"),
    ("slots: read", "crossvm_slots_reader_.*"),
    ("slots: write", "crossvm_slots_writer_.*"),
    ("region: plan", "crossvm_(region_plan_len|chunk_need)"),
    ("region: attach", "crossvm_region_attach"),
    ("region: find, list", "crossvm_region_(find|find_among|list)"),
    ("region: format", "crossvm_region_owner_format"),
    ("region: adopt", "crossvm_region_owner_adopt"),
    ("region: allocate, release, renew", "crossvm_region_owner_(allocate|release|renew)"),
    ("snapshot: open to read", "crossvm_snapshot_reader_open"),
    ("snapshot: read", "crossvm_snapshot_(reader_read|reader_newer|is_stale)"),
    ("snapshot: read parts, an older version", "crossvm_snapshot_reader_read_(parts|version)"),
    ("snapshot: read in place", "crossvm_snapshot_reader_(peek|get|raw|done)"),
    ("snapshot: open to write", "crossvm_snapshot_writer_(open|version)"),
    ("snapshot: publish", "crossvm_snapshot_writer_publish"),
    ("snapshot: write in place", "crossvm_snapshot_writer_(begin|put|raw|commit)"),
    ("broadcast: open to read", "crossvm_broadcast_reader_(open|number|newer)"),
    ("broadcast: read", "crossvm_broadcast_reader_read"),
    ("broadcast: read many", "crossvm_broadcast_reader_read_n"),
    ("broadcast: open to write", "crossvm_broadcast_writer_(open|number)"),
    ("broadcast: publish", "crossvm_broadcast_writer_publish"),
    ("broadcast: publish many", "crossvm_broadcast_writer_publish_n"),
    ("pool, reader: open", "crossvm_pool_reader_(open|bind|count)"),
    ("pool, reader: use, give back", "crossvm_pool_reader_(find|check|give_back)"),
    ("pool, reader: copy", "crossvm_pool_reader_copy"),
    ("pool, reader: give back all", "crossvm_pool_reader_give_back_all"),
    ("pool, owner: open, link", "crossvm_pool_owner_(open|link|reader)"),
    ("pool, owner: allocate, lend", "crossvm_pool_owner_(allocate|raw|put|lend)"),
    ("pool, owner: get back", "crossvm_pool_owner_(collect|arm|n_free|n_lent)"),
    ("pool, owner: take back", "crossvm_pool_owner_(recall|forget|lent)"),
    ("queue, producer: open, link", "crossvm_spsc_tx_(open|link)"),
    ("queue, producer: push", "crossvm_spsc_tx_push"),
    ("queue, producer: push many", "crossvm_spsc_tx_push_n"),
    ("queue, producer: reserve, commit", "crossvm_spsc_tx_(reserve|span_at|commit)"),
    ("queue, producer: look", "crossvm_spsc_tx_(free|index|peer)"),
    ("queue, producer: kick", "crossvm_spsc_tx_(kick|peer_polls)"),
    ("queue, producer: arm, nudge", "crossvm_spsc_tx_(arm|disarm|nudge)"),
    ("queue, consumer: open, link, ask", "crossvm_spsc_rx_(open|link|ask)"),
    ("queue, consumer: pop", "crossvm_spsc_rx_pop"),
    ("queue, consumer: pop many", "crossvm_spsc_rx_pop_n"),
    ("queue, consumer: peek, release", "crossvm_spsc_rx_(peek|span_at|release|flush)"),
    ("queue, consumer: look", "crossvm_spsc_rx_(fill|index|peer)"),
    ("queue, consumer: kick", "crossvm_spsc_rx_(kick|peer_polls)"),
    ("queue, consumer: arm, nudge", "crossvm_spsc_rx_(arm|disarm|nudge)"),
    ("exchange: open, link", "crossvm_exchange_[tr]x_(open|link)"),
    ("exchange, producer: send", "crossvm_exchange_tx_(reserve|commit|push)"),
    ("exchange, producer: take back", "crossvm_exchange_tx_(peek|release|take|answered|unanswered)"),
    ("exchange, producer: arm", "crossvm_exchange_tx_arm"),
    ("exchange, client: answer", "crossvm_exchange_rx_(peek|commit|get|answer|kick)"),
    ("fan-in: add, remove", "crossvm_fanin_(init|add|remove)"),
    ("fan-in: pop", "crossvm_fanin_pop"),
    ("fan-in: pop many, peek, release", "crossvm_fanin_(pop_n|peek|release|served)"),
    ("several writers, writer: open, link", "crossvm_mpsc_tx_(open|link)"),
    ("several writers, writer: push", "crossvm_mpsc_tx_(reserve|commit|push)"),
    ("several writers, writer: bury", "crossvm_mpsc_tx_bury"),
    ("several writers, writer: kick", "crossvm_mpsc_tx_(kick|peer_polls)"),
    ("several writers, consumer: open, link", "crossvm_mpsc_rx_(open|link)"),
    ("several writers, consumer: pop", "crossvm_mpsc_rx_(pop|peek|release|flush)"),
    ("several writers, consumer: pop many", "crossvm_mpsc_rx_pop_n"),
    ("several writers, consumer: skip", "crossvm_mpsc_rx_skip"),
    ("several writers, consumer: arm", "crossvm_mpsc_rx_(arm|disarm|fill)"),
    ("wake: open", "crossvm_wake_(waiter|publisher)_open"),
    ("wake: arm", "crossvm_wake_(at|always|never)"),
    ("wake: kick", "crossvm_wake_(due|nudge|peer_waits)"),
    ("bytes: open, read, write", "crossvm_bytes_.*"),
    ("doorbell", "crossvm_notify_(signal|signal_if|wait|wait_again|fd|now|polling)"),
    ("peer: open, link, step", "crossvm_peer_(open|link|step|ready|end|times)"),
    ("peer: loss, close", "crossvm_peer_(confirm|reestablish|close)"),
    ("peer: what is held for it", "crossvm_peer_(holdings|hold|settle)"),
    ("peer: names", "crossvm_peer_(state|cause)_name"),
    ("clock", "crossvm_clock_(comparable|age|ns)"),
    ("clock: two that differ", "crossvm_clock_offset_.*"),
    ("pipe: kick", "crossvm_pipe_[tr]x_kick"),
    ("pipe: wait", "crossvm_pipe_[tr]x_wait"),
    ("one wait for all", "crossvm_waitset_.*"),
    ("end-to-end protection: protect", "crossvm_e2e_tx_.*"),
    ("end-to-end protection: check", "crossvm_e2e_(rx_.*|crc)"),
    ("message authentication code", "crossvm_mac_.*"),
]


def library_headers(source):
    return [(name, path) for name, path in common.headers(source)
            if not name.startswith("backend/")]


def public_functions(source):
    names = []
    for _, path in library_headers(source):
        for function in common.functions(path.read_text(encoding="utf-8")):
            if function.name.startswith("crossvm_") and not function.name.startswith("crossvm_i_"):
                names.append(function.name)
    return sorted(set(names))


def grouped(functions):
    """The groups with their functions; a function without a group, or with two, is a mistake."""
    problems = []
    groups = [(title, [f for f in functions if re.fullmatch(pattern, f)])
              for title, pattern in GROUPS]
    for function in functions:
        n = sum(function in members for _, members in groups)
        if n != 1:
            problems.append(f"footprint.py: {function} stands in {n} groups")
    problems += [f"footprint.py: {title}: no such function" for title, members in groups
                 if not members]
    return groups, problems


def public_structs(source):
    names = []
    for _, path in library_headers(source):
        for kind, tag, _ in common.tags(path.read_text(encoding="utf-8")):
            if kind == "struct" and not tag.startswith("crossvm_i_") and "##" not in tag:
                names.append(tag)
    return [name for name in names if name.startswith("crossvm_")]


# ---- measuring -------------------------------------------------------------------------------


class Target:
    def __init__(self, title, compiler, flags, source, work):
        self.title = title
        self.compiler = compiler
        self.flags = flags
        self.source = source
        self.work = work

    def version(self):
        run = subprocess.run([self.compiler, "-dumpfullversion"], capture_output=True, text=True,
                             check=True)
        return run.stdout.strip()

    def name(self):
        return f"{self.compiler} {self.version()} {' '.join(self.flags)}"

    def compile(self, text):
        (self.work / "measured.c").write_text("#include <crossvm/crossvm.h>\n" + text)
        subprocess.run([self.compiler, *COMMON_FLAGS, *self.flags, "-fcallgraph-info=su",
                        "-I", str(self.source / "include"), "-c", "measured.c", "-o",
                        "measured.o"], cwd=self.work, check=True)

    def code(self):
        """Bytes of code and constants in the object; the table itself is data."""
        run = subprocess.run(["size", "-A", "measured.o"], cwd=self.work, capture_output=True,
                             text=True, check=True)
        return sum(int(size) for size in
                   re.findall(r"^\.(?:text|rodata)\S*\s+(\d+)", run.stdout, re.M))

    def stack(self, functions):
        """The deepest path below any of the functions."""
        own, calls = read_call_graph((self.work / "measured.ci").read_text())
        return max(deepest(name, own, calls, []) for name in functions)

    def measure(self, functions):
        table = "".join(f"    (void (*)(void))&{name},\n" for name in functions)
        self.compile("extern void (*measured[])(void);\n"
                     "void (*measured[])(void) = {\n" + table + "};\n")
        return self.code(), self.stack(functions)

    def sizes(self, structs):
        self.compile("".join(f"extern char measured_{s}[];\n"
                             f"char measured_{s}[sizeof(struct {s})];\n" for s in structs))
        run = subprocess.run(["nm", "-S", "measured.o"], cwd=self.work, capture_output=True,
                             text=True, check=True)
        found = re.findall(r"^\w+ (\w+) \w measured_(\w+)$", run.stdout, re.M)
        return {name: int(size, 16) for size, name in found}


def plain(title):
    """A node's name without its file, and without what the compiler puts behind clones."""
    return title.split(":")[-1]


def read_call_graph(text):
    own = {}
    calls = {}
    for title, label in re.findall(r'^node: { title: "([^"]+)" label: "([^"]*)"', text, re.M):
        used = re.search(r"(\d+) bytes \((\w+)", label)
        if used and used.group(2) != "static":
            sys.exit(f"footprint.py: the stack use of {title} is {used.group(2)}")
        own[plain(title)] = int(used.group(1)) if used else 0
    for source, target in re.findall(r'sourcename: "([^"]+)" targetname: "([^"]+)"', text):
        calls.setdefault(plain(source), set()).add(plain(target))
    return own, calls


def deepest(name, own, calls, path):
    if name in path:
        sys.exit(f"footprint.py: {name} calls itself")
    below = [deepest(callee, own, calls, path + [name]) for callee in sorted(calls.get(name, ()))]
    return own[name] + max(below, default=0)


# ---- the page --------------------------------------------------------------------------------


def row(cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def generate(source, targets):
    groups, problems = grouped(public_functions(source))
    if problems:
        sys.exit("\n".join(problems))
    lines = [BEGIN, "",
             "Bytes, measured from objects by `python3 tests/firmware/footprint.py . --write`:", ""]
    lines += [f"- {target.title}: `{target.name()}`" for target in targets]
    lines += ["",
              "Code counts all that the operations call, and their constants; what two lines share"
              " is in both. Stack is the deepest",
              "path of calls, without memcpy, memset and what a doorbell's or a clock's own"
              " functions take. Another compiler,",
              "other flags, or a program around the calls inline otherwise: leave room.", ""]
    lines.append(row(["operations"] + [f"{t.title} {what}" for t in targets
                                       for what in ("code", "stack")]))
    lines.append(row(["---"] + ["---:"] * 2 * len(targets)))
    every = [name for _, members in groups for name in members]
    for title, members in groups + [("everything", every)]:
        cells = [title]
        for target in targets:
            cells.extend(target.measure(members))
        lines.append(row(cells))
    structs = public_structs(source)
    lines += ["",
              "The structs: those that lie in shared memory (`_shm`, and the word `crossvm_le32`) are"
              " the same everywhere; the others",
              "are private.", ""]
    lines.append(row(["struct"] + [t.title for t in targets]))
    lines.append(row(["---"] + ["---:"] * len(targets)))
    sizes = [target.sizes(structs) for target in targets]
    for struct in structs:
        lines.append(row([f"`{struct}`"] + [found[struct] for found in sizes]))
    return "\n".join(lines + ["", END])


def split_page(text):
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        sys.exit(f"{PAGE}: expected one {BEGIN} and one {END}")
    before, rest = text.split(BEGIN)
    old, after = rest.split(END)
    return before, BEGIN + old + END, after


def versions_in(text, compiler):
    return re.findall(rf"`{re.escape(compiler)} (\S+)", text)


def check(old, new):
    if old == new:
        print(f"{PAGE} says what is measured here")
        return 0
    theirs = old.splitlines()
    ours = new.splitlines()
    for line in sorted(set(theirs) ^ set(ours)):
        print(("page:     " if line in theirs else "measured: ") + line)
    print(f"{PAGE} is not what is measured: python3 tests/firmware/footprint.py . --write")
    return 1


def main():
    write = "--write" in sys.argv
    if write:
        sys.argv.remove("--write")
    source = common.source_dir()
    page = source / PAGE
    for tool in ["size", "nm"] + [compiler for _, compiler, _ in TARGETS]:
        if not shutil.which(tool):
            print(f"skipped: no {tool} here")
            return 77
    with common.work_dir() as work:
        targets = [Target(*target, source, pathlib.Path(work)) for target in TARGETS]
        before, old, after = split_page(page.read_text(encoding="utf-8"))
        if not write:
            others = [f"{target.compiler} {there}, here is {target.version()}"
                      for target in targets for there in versions_in(old, target.compiler)
                      if there != target.version()]
            if others:
                print("skipped: the page's numbers are another compiler's: " + "; ".join(others))
                return 77
        new = generate(source, targets)
    if write:
        page.write_text(before + new + after, encoding="utf-8")
        return 0
    return check(old, new)


if __name__ == "__main__":
    sys.exit(main())
