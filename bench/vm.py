#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""vm.py [--quick] [--trials N] [--json FILE] [--docs FOLDER] - two guests, and what a message
between them costs by this library's queues, by TCP over virtio-net, and by a virtio port.

bench/vm/pair.c is each guest's program, and says what is measured. One pair of guests runs all
trials, in an order of chance. Ratios are of medians over all trials, with a 95 % bootstrap
interval, as in report.py. --docs: writes the part "vm" of FOLDER/PERFORMANCE.md, too. Status 0; 1
the guests failed; 2 an argument, or what is missing here.
"""
import collections
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "examples/vm"))

import document
import machines
import report

USAGE = "usage: vm.py [--quick] [--trials N] [--json FILE] [--docs FOLDER]"
TRIALS, QUICK_TRIALS = 100, 16
TRIAL_MS = 50
LIMIT_S = 3600  # for all trials: guards against hanging
CLOCK_ERROR = 0.05  # how far a guest's clock may be from the host's
MEMORY = "2M"
ADDRESSES = {"a": "10.0.0.1", "b": "10.0.0.2"}
MTU = 65535  # a message is one packet
OWN, PEER, BELLS, NETWORK, SERIAL = 4, 5, 6, 7, 8  # slots
OURS = ("polling", "doorbell")
RIVALS = ("tcp", "serial")
TITLES = {"polling": "crossvm, polling", "doorbell": "crossvm, doorbell",
          "tcp": "TCP over virtio-net", "serial": "virtio-serial"}
ROUND_TRIP, STREAM = "round-trip", "stream"
KINDS = {ROUND_TRIP: "round trip, 64 B", STREAM: "stream, 4 KiB"}
MESSAGE_LEN = 4096

# Ours is compared with the best of the rivals. factor: how many times better it is, at least.
Goal = collections.namedtuple("Goal", "kind ours rivals factor")
GOALS = [Goal(ROUND_TRIP, "polling", ("tcp",), 100.0)] + [
    Goal(kind, ours, RIVALS, 1.0) for kind in KINDS for ours in OURS]


# ---- arguments -----------------------------------------------------------------------------------


def refuse(argument, expected):
    print(f"vm.py: {argument}: expected {expected}\n{USAGE}", file=sys.stderr)
    sys.exit(2)


def arguments_of(words):
    """The number of trials, the JSON's path and the documents' folder."""
    found = {"trials": None, "json": None, "docs": None}
    quick = False
    words = list(words)
    while words:
        word = words.pop(0)
        if word == "--quick":
            quick = True
            continue
        if word not in ("--trials", "--json", "--docs"):
            refuse(word, "--quick, --trials, --json or --docs")
        value = words.pop(0) if words else ""
        if word == "--trials" and not re.fullmatch(r"[1-9][0-9]{0,5}", value):
            refuse(f"--trials {value}".strip(), "a whole number from 1 to 999999 behind it")
        if not value:
            refuse(word, "a path behind it")
        found[word[2:]] = value
    if found["json"] and not os.access(os.path.dirname(found["json"]) or ".", os.W_OK):
        refuse(f"--json {found['json']}", "a path in a folder that can be written to")
    if found["docs"] and not os.path.isfile(os.path.join(found["docs"], "PERFORMANCE.md")):
        refuse(f"--docs {found['docs']}", "a folder with PERFORMANCE.md in it")
    trials = int(found["trials"]) if found["trials"] else QUICK_TRIALS if quick else TRIALS
    return trials, found["json"], found["docs"]


# ---- the two guests ------------------------------------------------------------------------------


def devices(name, folder):
    """Of a guest: memories of both, doorbells, a network card and a port. a's sockets listen."""
    other = "b" if name == "a" else "a"
    serves = name == "a"
    wait = "server=on,wait=off" if serves else "server=off"
    return [
        *machines.IOMMU,
        "-name", f"{name},debug-threads=on",
        *machines.plain(OWN, folder / f"memory-{name}", MEMORY),
        *machines.plain(PEER, folder / f"memory-{other}", MEMORY, read_only=True),
        *machines.doorbell(BELLS, folder / "bells"),
        "-netdev", f"stream,id=net,server={'on' if serves else 'off'},addr.type=unix,"
                   f"addr.path={folder / 'network'}",
        "-device", f"virtio-net-pci,netdev=net,mac=52:54:00:00:00:0{1 if serves else 2},"
                   f"host_mtu={MTU},romfile=,addr=0x{NETWORK:x}",
        "-chardev", f"socket,id=port,path={folder / 'port'},{wait}",
        "-device", f"virtio-serial-pci,addr=0x{SERIAL:x}",
        "-device", "virtserialport,chardev=port,nr=1,name=pair",
    ]


def machine(name, folder, kernel, programs, words):
    """words: what the guest's program is told behind the address and the slots."""
    role = "lead" if name == "a" else "follow"
    slots = " ".join(machines.slot(number) for number in (OWN, PEER, BELLS))
    steps = [f"vfio {machines.slot(BELLS)}", f"network eth0 {ADDRESSES[name]}",
             f"run /pair {role} {ADDRESSES['a']} {slots} {words}".strip()]
    return machines.Machine(
        name, folder, kernel, programs["init"], steps, files={"pair": programs["pair"]},
        modules=("virtio_pci", "virtio_net", "virtio_console", "vfio-pci", "vfio_iommu_type1"),
        devices=devices(name, folder))


def wait_for_files(paths, guest):
    end = time.monotonic() + machines.BOOT_LIMIT
    while not all(path.exists() for path in paths):
        if time.monotonic() > end or guest.process.poll() is not None:
            raise machines.Failure(f"{guest.name}: {paths[0]}: not there\n{guest.log()}")
        time.sleep(0.01)


def said(guest, pattern, limit=machines.BOOT_LIMIT):
    """The line that a guest's program says, unless it says that it failed."""
    match = guest.wait_for(f"{pattern}|^failed: .*|^guest: /pair .*", limit)
    if match.group(0).startswith(("failed: ", "guest: ")):
        raise machines.Failure(f"{guest.name}: {match.group(0)}\n{guest.log()}")
    return match


def pin(guests):
    """Each guest's processor to one of the host's, the first that may be used; the other threads of
    QEMU run where they like. Whether there are enough."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < len(guests):
        return False
    for guest, cpu in zip(guests, allowed):
        tasks = pathlib.Path(f"/proc/{guest.process.pid}/task")
        threads = [int(task.name) for task in tasks.iterdir()
                   if (task / "comm").read_text().startswith("CPU ")]
        if len(threads) != 1:
            raise machines.Failure(f"{guest.name}: expected one thread CPU, found {len(threads)}")
        os.sched_setaffinity(threads[0], {cpu})
    return True


def check_clock(first, last, seconds):
    """The guest's clock, by which all was measured, against the host's."""
    rate = (int(last.group(1)) - int(first.group(1))) / 1e9 / seconds
    if abs(rate - 1) > CLOCK_ERROR:
        raise machines.Failure(f"a's clock ran at {rate:.2f} of the host's")
    return rate


def watch(lead, follow):
    """Waits for the end of both. Whether they were pinned, and how fast the lead's clock ran."""
    try:
        for guest in (lead, follow):
            said(guest, "^clock")
        pinned = pin([lead, follow])
        first = said(lead, r"^begin (\d+)")
        start = time.monotonic()
        last = said(lead, r"^end (\d+)", LIMIT_S)
        rate = check_clock(first, last, time.monotonic() - start)
        for guest in (lead, follow):
            said(guest, "^passed")
    except machines.Failure as error:
        raise machines.Failure(f"{error}\n{follow.log()}") from error
    return pinned, rate


def run(folder, n_trials):
    """What guest a said of its trials, and facts."""
    kernel = machines.find_kernel()
    compiler = os.environ.get("CC", "gcc")
    if shutil.which(compiler) is None:
        raise machines.Missing(f"no {compiler} here")
    programs = {"init": machines.build_init(compiler, folder),
                "pair": machines.build(compiler, folder / "pair", [TOP / "bench/vm/pair.c"], "-O3",
                                       "-DNDEBUG")}
    server = machines.build_server(compiler, folder)
    for name in ADDRESSES:
        (folder / f"memory-{name}").write_bytes(b"")
        os.truncate(folder / f"memory-{name}", 2 << 20)
    lead = machine("a", folder, kernel, programs, f"{n_trials} {TRIAL_MS}")
    follow = machine("b", folder, kernel, programs, "")
    with machines.Server(server, {str(folder / "bells"): "1M"}), lead:
        wait_for_files([folder / "network", folder / "port"], lead)
        with follow:
            pinned, rate = watch(lead, follow)
    trials = [match.groups() for match in lead.said(r"^trial (\S+) (\S+) ([0-9.]+)$")]
    if len(trials) != n_trials * len(TITLES) * len(KINDS):
        raise machines.Failure(f"a: {len(trials)} lines of trials can be read\n{lead.log()}")
    return {"trials": trials, "kernel": kernel.version,
            "clock": lead.said(r"^clock (\S+)")[0].group(1),
            "memory": lead.said(r"^memory: (.*)")[0].group(1), "rate": rate, "pinned": pinned}


# ---- judging -------------------------------------------------------------------------------------


def ns_of(trials):
    """Of each way and kind: a list of ns for a round trip, or for a message of a stream."""
    times = collections.defaultdict(list)
    for way, kind, value in trials:
        ns = float(value) if kind == ROUND_TRIP else MESSAGE_LEN * 1e9 / float(value)
        times[way, kind].append(ns)
    return times


def figure(kind, ns):
    """A round trip in µs; a stream in MB/s."""
    if kind == ROUND_TRIP:
        return f"{ns / 1e3:.3g} µs" if ns < 1e6 else f"{ns / 1e3:.0f} µs"
    rate = MESSAGE_LEN * 1e3 / ns
    return f"{rate:.3g} MB/s" if rate < 1000 else f"{rate:.0f} MB/s"


def half(kind, values):
    """Between the quartiles, the slower one of a stream first."""
    if len(values) < 2:
        return "-"
    low, _, high = statistics.quantiles(values, n=4)
    if kind == STREAM:
        low, high = high, low
    return f"{figure(kind, low)} to {figure(kind, high)}"


def ways_table(times):
    lines = []
    for way, title in TITLES.items():
        line = [title]
        for kind in KINDS:
            values = times[way, kind]
            line += [figure(kind, statistics.median(values)), half(kind, values)]
        lines.append([*line, str(min(len(times[way, kind]) for kind in KINDS))])
    return report.table(["way", KINDS[ROUND_TRIP], "half of the trials", KINDS[STREAM],
                         "half of the trials", "trials"], lines)


def judge(goal, times):
    """The goal's line: ratios as in report.py, of the best rival's time to ours."""
    ours = times[goal.ours, goal.kind]
    rivals = {way: times[way, goal.kind] for way in goal.rivals}
    best = min(rivals, key=lambda way: statistics.median(rivals[way]))
    low, high = report.interval(ours, list(rivals.values()))
    ratio = statistics.median(rivals[best]) / statistics.median(ours)
    n = min(map(len, [ours, *rivals.values()]))
    return [f"{KINDS[goal.kind]}: {goal.ours}", TITLES[best], f"{ratio:.2f}",
            f"{low:.2f} to {high:.2f}", f"{goal.factor:.2f}",
            report.verdict(low, high, goal.factor, n)]


def goals_table(times):
    head = ["crossvm", "best of the others", "ratio", "95 %", "at least", "verdict"]
    return report.table(head, [judge(goal, times) for goal in GOALS])


# ---- showing -------------------------------------------------------------------------------------


def host_processor():
    match = re.search(r"^model name[^:]*: *(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return match.group(1) if match else "unknown"


def machine_lines(facts):
    said_version = subprocess.run([machines.QEMU, "--version"], capture_output=True, text=True,
                                  check=False).stdout
    version = re.search(r"version (\S+)", said_version).group(1)
    return [f"host      {host_processor()}, {os.cpu_count()} CPUs",
            f"guests    two, QEMU {version} (TCG), one processor each, Linux {facts['kernel']}",
            f"memory    ivshmem-plain: {facts['memory']}",
            f"network   virtio-net-pci, QEMU's stream socket, MTU {MTU}",
            "pinning   " + ("each guest's processor has a CPU of the host's" if facts["pinned"] else
                            "NONE: there are too few CPUs"),
            f"clock     {facts['clock']}, {facts['rate']:.3f} of the host's",
            f"date      {facts['date']}, load {facts['load']:.1f} at the start"]


def main():
    n_trials, json_path, docs = arguments_of(sys.argv[1:])
    # An end by a signal is an end like any other: machines and memory go first.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _: sys.exit(128 + got))
    room = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    date, load = time.strftime("%Y-%m-%dT%H:%M:%S%z"), os.getloadavg()[0]
    try:
        with tempfile.TemporaryDirectory(prefix="crossvm-bench-", dir=room) as folder:
            facts = run(pathlib.Path(folder), n_trials)
    except machines.Missing as error:
        print(f"vm.py: {error}", file=sys.stderr)
        return 2
    except machines.Failure as error:
        print(f"vm.py: {error}", file=sys.stderr)
        return 1
    facts.update(date=date, load=load)
    times = ns_of(facts["trials"])
    if json_path:
        pathlib.Path(json_path).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    lines = machine_lines(facts)
    tables = f"{ways_table(times)}\n{goals_table(times)}"
    print("\n".join(lines) + f"\n\n{tables}", end="")
    if docs:
        document.write_part(docs, "vm", lines, tables)
    return 0


if __name__ == "__main__":
    sys.exit(main())
