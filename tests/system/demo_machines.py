#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo between machines, by each backend, and between a machine and its host: state and both
files arrive whole, doorbells are heard, the view is shown; the printed commands can be run again;
one torn version or one changed byte is noticed; a machine that is killed is missed; a demo that is
stopped leaves nothing behind.

    demo_machines.py SOURCE_DIR [CC]
"""
import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time

import common
import machines
from common import check, equal

LIMIT = 600  # seconds: more than the demo itself takes when something hangs
PATIENCE = 60  # seconds that it may take to end when it is asked to
SMALL = 1 << 20  # bytes: enough of a file
RESULT = "result: consistent: every version read, and both files"


def folder(place):
    """Of what the demo makes. Its name has what shells and QEMU treat in a way of their own."""
    return place.folder / "machines of a demo, all of them"


def command(place, arguments):
    return ["sh", str(place.source / "examples/run-demo.sh"), "--vm", "--seconds", "2", *arguments]


def small(place):
    """Arguments for a small file; without one the demo makes two larger ones itself."""
    path = place.folder / "small, and random"
    if not path.exists():
        path.write_bytes(os.urandom(SMALL))
    return ["--file", str(path)]


@contextlib.contextmanager
def running(place, words):
    """A process that is asked to end, then killed, when it takes too long or is not needed."""
    environment = {**os.environ, "CROSSVM_VM_DIR": str(folder(place)), "CC": place.compiler}
    process = subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               preexec_fn=machines.die_with_us)
    guard = threading.Timer(LIMIT, machines.end, [process, PATIENCE])
    guard.start()
    try:
        yield process
    finally:
        guard.cancel()
        machines.end(process, PATIENCE)
        process.stdout.close()


def follow(process, at_line=None):
    """All that a process says."""
    said = []
    for line in process.stdout:
        said.append(line.decode(errors="replace").replace("\r", ""))
        if at_line:
            at_line(said[-1])
    process.wait()
    return "".join(said)


def demo(place, words, at_line=None):
    """Its exit status, and what it said."""
    place.kernel()  # or the test is skipped
    with running(place, words) as process:
        out = follow(process, at_line)
    return process.returncode, out


def commands(out):
    """Those that the demo has printed."""
    return re.findall(r"^ {6}(\S.*)$", out, re.M)


def judge(place, out):
    """What is said of each run that went well."""
    check(RESULT in out, out)
    equal(out.count(" same"), 2, f"files that arrived as they were sent: {out}")
    check(re.search(r"^versions read +[1-9]", out, re.M), out)
    for line in commands(out):
        if line.startswith(machines.QEMU):
            equal(line.count("readonly=on"), 1, f"memories that a machine can only read: {line}")
    bells = folder(place) / "memory-doorbells"
    if bells.exists():
        check(not any(bells.read_bytes()), "something was written beside the sides' memories")


def runs_well(place, *arguments):
    status, out = demo(place, command(place, arguments))
    equal(status, 0, out)
    judge(place, out)
    check(re.search(r"^ *\d+\.\d s \| read \d+ missed \d+ inconsistent 0", out, re.M), out)
    return out


def rang(out):
    """In both directions rings were sent, and the receiver heard some: so both sides can hear. (At
    least the first one, which each side sends to the other; a sender hears nothing where the
    receiver is so quick that it never waits for room.)"""
    for what in ("notifications sent", "  heard by the receiver"):
        check(re.search(rf"^{what} +[1-9]\d* +[1-9]\d*$", out, re.M), out)


def two_files(out):
    """The demo's own, which differ."""
    found = re.search(r"^SHA-256 at both ends +(\w{8})\.\.\. same +(\w{8})\.\.\. same$", out, re.M)
    check(found and found.group(1) != found.group(2), out)


# ---- cases -------------------------------------------------------------------------------------


def by_vfio_in_a_terminal(place):
    words = command(place, ["--backend", "vfio"])
    has_terminal = shutil.which("script") is not None
    if has_terminal:
        words = ["script", "-qec", shlex.join(words), "/dev/null"]
    else:
        print("  not tested: the picture in a terminal (script is not installed)")
    status, out = demo(place, words)
    equal(status, 0, out)
    judge(place, out)
    rang(out)
    two_files(out)
    if has_terminal:
        judge_picture(out)


def judge_picture(out):
    """It is drawn again and again, each time whole, and nothing else is shown meanwhile."""
    _, *pictures = out.split("crossvm demo   ")
    check(len(pictures) > 5, out)
    check("guest: " not in out, out)
    for picture in pictures:
        lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", picture).split("\n")
        found = [line[:6] for line in lines[:14]]
        equal(found[1:], ["", "A publ", "  proc", "  vers", "  age ", "", "A -> B", "  ring", "  noti",
                          "", "B -> A", "  ring", "  noti"], f"a picture: {picture}")
    for picture in pictures[:-1]:
        equal(picture.count("\n"), 14, f"lines of a picture: {picture}")


def by_polling(place):
    out = runs_well(place, "--backend", "none", *small(place))
    for what in ("notifications sent", "  heard by the sender", "  heard by the receiver"):
        check(re.search(rf"^{what} +0 +0$", out, re.M), out)


def with_the_host(place):
    out = runs_well(place, "--host")
    check("B is a process of this host" in out, out)
    rang(out)
    two_files(out)


def a_torn_version_is_noticed(place):
    status, out = demo(place, command(place, ["--backend", "none", "--tear", *small(place)]))
    equal(status, 1, out)
    check("NOT consistent: 1 of " in out, out)


def a_changed_byte_is_noticed(place):
    status, out = demo(place, command(place, ["--host", "--spoil", *small(place)]))
    equal(status, 1, out)
    check("DIFFERENT" in out or "another SHA-256" in out, out)


def processes(place):
    """Those that have the demo's folder in their command lines."""
    found = {}
    for number in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{number}/cmdline", "rb") as file:
            line = file.read()
            if os.fsencode(folder(place)) in line.replace(b",,", b","):
                found[int(number)] = line
    return found


def in_the_middle(what):
    """Does something once, at the first line of the view."""
    todo = [what]

    def at_line(line):
        if todo and re.match(r" *\d+.\d s \| read [1-9]", line):
            todo.pop()()
    return at_line


def a_killed_machine_is_missed(place):
    def kill():
        for number, line in processes(place).items():
            if line.startswith(os.fsencode(machines.QEMU)):
                os.kill(number, 9)
    status, out = demo(place, command(place, ["--backend", "none", "--host", "--seconds", "60"]),
                       in_the_middle(kill))
    equal(status, 1, out)
    check("crossvm-demo-a is gone: it has been silent for 30 s" in out, out)


def a_killed_script_leaves_nothing(place):
    """It is killed while a file is on its way. What the script had started ends by itself, and
    removes what it had not finished."""
    place.kernel()
    said = []
    with running(place, command(place, ["--host", "--seconds", "60"])) as process:
        drain = threading.Thread(target=lambda: said.append(follow(process)))
        drain.start()
        while drain.is_alive() and not list((folder(place) / "out").glob(".crossvm-demo-*")):
            time.sleep(0.001)
        process.kill()
        drain.join()
    out, = said
    equal(process.returncode, -9, out)
    check("result: " not in out, f"it went on to its end: {out}")
    limit = time.monotonic() + PATIENCE
    while processes(place) and time.monotonic() < limit:
        time.sleep(0.1)
    equal(processes(place), {}, "still running")
    left = [path.name for path in (folder(place) / "out").glob(".*")]
    equal(left + [path.name for path in folder(place).glob("doorbells*") if path.is_socket()], [],
          "left behind")


def by_uio_and_again_by_the_printed_commands(place):
    machines.find_headers(place.kernel())
    out = runs_well(place, "--backend", "uio", *small(place))
    rang(out)
    check(any((folder(place) / "memory-a").read_bytes()), "the memory would not need its command")
    *zeros, server, a, b = commands(out)
    equal(len(zeros), 3, f"commands: {out}")
    for line in zeros:
        common.host("sh", "-c", line)
    with contextlib.ExitStack() as stack:
        def start(line):
            return stack.enter_context(running(place, ["sh", "-c", f"exec {line}"]))
        start(server)
        limit = time.monotonic() + PATIENCE
        while not (folder(place) / "doorbells").is_socket() and time.monotonic() < limit:
            time.sleep(0.1)
        first, second = start(a), start(b)
        drain = threading.Thread(target=follow, args=[first])
        drain.start()
        judge(place, follow(second))
        drain.join()


CASES = (by_vfio_in_a_terminal, by_polling, with_the_host, a_torn_version_is_noticed,
         a_changed_byte_is_noticed, a_killed_machine_is_missed, a_killed_script_leaves_nothing,
         by_uio_and_again_by_the_printed_commands)

if __name__ == "__main__":
    sys.exit(common.main("demo_machines.py", CASES))
