#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo between machines, by each backend, and between a machine and its host: state and both
files arrive whole, the view is shown; one torn version or one changed byte is noticed; a machine
that is killed is missed.

    demo_machines.py SOURCE_DIR [CC]
"""
import os
import re
import subprocess
import sys
import time

import common
import machines
from common import LIMIT, check, equal


def environment(place):
    return {**os.environ, "CROSSVM_VM_DIR": str(place.folder / "vm"), "CC": place.compiler}


def command(place, arguments):
    """A small file is enough; without one the demo makes larger ones itself."""
    small = place.folder / "small"
    if not small.exists():
        small.write_bytes(os.urandom(1 << 20))
    return ["sh", str(place.source / "examples/run-demo.sh"), "--vm", "--seconds", "2", *arguments,
            *(["--file", str(small)] if "uio" not in arguments else [])]


def demo(place, *arguments):
    """Its exit status, and what it said."""
    place.kernel()  # or the test is skipped
    done = subprocess.run(command(place, arguments), env=environment(place), capture_output=True,
                          text=True, timeout=LIMIT, check=False)
    return done.returncode, done.stdout.replace("\r", ""), done.stderr


def runs_well(place, *arguments):
    status, out, errors = demo(place, *arguments)
    report = f"{arguments}\n{out}{errors}"
    equal(status, 0, report)
    check("result: consistent: every version read, and both files" in out, report)
    equal(out.count(" same"), 2, f"files that arrived as they were sent: {report}")
    check(re.search(r"^versions read +[1-9]", out, re.M), report)
    check(re.search(r"^ *\d+\.\d s \| read \d+ missed \d+ inconsistent 0", out, re.M), report)
    return out


def each_command_line_can_be_copied(place):
    """What is printed for machine A starts a machine with that program."""
    place.driver()
    out = runs_well(place, "--backend", "uio")
    lines = [line.strip() for line in out.splitlines() if "qemu-system" in line]
    equal(len(lines), 2, "command lines")
    for path in place.folder.glob("vm/memory-*"):
        path.write_bytes(bytes(1 << 20))
    lines[0] = re.sub(r"-chardev \S+ -device ivshmem-doorbell\S+", "", lines[0])
    with subprocess.Popen(["sh", "-c", f"exec {lines[0]}"], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, preexec_fn=machines.die_with_us) as again:
        said = []
        for line in again.stdout:
            said.append(line)
            if line.startswith("guest: /make-data ended with 0"):
                break
        again.kill()
    check(said and said[-1].startswith("guest: /make-data"), "".join(said))


def by_vfio(place):
    out = runs_well(place)
    check(re.search(r"^notifications sent +[1-9]\d* +[1-9]\d*$", out, re.M), out)


def by_polling(place):
    out = runs_well(place, "--backend", "none")
    check(re.search(r"^notifications sent +0 +0$", out, re.M), out)


def with_the_host(place):
    out = runs_well(place, "--host")
    check("B is a process of this host" in out, out)


def a_torn_version_is_noticed(place):
    status, out, errors = demo(place, "--backend", "none", "--tear")
    equal(status, 1, out + errors)
    check("NOT consistent: 1 of " in out, out + errors)


def a_changed_byte_is_noticed(place):
    status, out, errors = demo(place, "--host", "--spoil")
    equal(status, 1, out + errors)
    check("DIFFERENT" in out or "another SHA-256" in out + errors, out + errors)


def a_killed_machine_is_missed(place):
    place.kernel()
    with subprocess.Popen(command(place, ["--backend", "none", "--host", "--seconds", "600"]),
                          env=environment(place), stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, preexec_fn=machines.die_with_us) as running:
        said = []
        for line in running.stdout:
            said.append(line)
            if re.match(r" *\d+.\d s \| read [1-9]", line):
                kill_machine(place.folder / "vm/a.cpio")
                break
        said += running.communicate(timeout=LIMIT)[0].splitlines(True)
    equal(running.returncode, 1, "".join(said))
    check("crossvm-demo-a is gone: it has been silent for 30 s" in "".join(said), "".join(said))


def kill_machine(initrd):
    """The machine with this file system, which this test's demo has started."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        for folder in os.listdir("/proc"):
            try:
                line = open(f"/proc/{folder}/cmdline", "rb").read().split(b"\0")
            except OSError:
                continue
            if str(initrd).encode() in line:
                os.kill(int(folder), 9)
                return
    raise machines.Failure("there is no machine to kill")


CASES = (by_vfio, each_command_line_can_be_copied, by_polling, with_the_host,
         a_torn_version_is_noticed, a_changed_byte_is_noticed, a_killed_machine_is_missed)

if __name__ == "__main__":
    sys.exit(common.main("demo_machines.py", CASES))
