#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The character device in examples/kernel, in a guest: a process of the host publishes into the
memory of an ivshmem-plain device, a program in the guest polls and reads. Then the process goes
silent, starts again, and leaves impossible bytes; the guest's kernel has to bear all of it.

    chardev.py SOURCE_DIR [CC]
"""
import os
import re
import subprocess
import sys

import common
import machines
from common import LIMIT, check, equal, host, said
from machines import plain, slot

MEMORY, BELL = 4, 5  # where the devices are plugged in
MIB = 1 << 20
# What a kernel says that was harmed; a lockup is said of slow emulators, too.
AILING = re.compile(r"BUG: (?!soft lockup)|Oops|general protection|unable to handle|WARNING: CPU|"
                    r"refcount_t|use-after-free")


def build_module(place):
    """The module, for the kernel that the guests have."""
    headers = f"/usr/src/linux-headers-{place.kernel().version}"
    if not os.path.exists(f"{headers}/Makefile"):
        raise machines.Missing(f"no headers of the guests' kernel {place.kernel().version} here")
    module = place.folder / "crossvm_chardev.ko"
    done = subprocess.run(["sh", place.source / "tests/kernel/chardev.sh", place.source],
                          env={**os.environ, "CROSSVM_KEEP_MODULE": str(module),
                               "CROSSVM_KERNEL_HEADERS": headers},
                          capture_output=True, text=True, timeout=LIMIT, check=False)
    if done.returncode == common.SKIPPED:
        raise machines.Missing(done.stdout.strip())
    equal(done.returncode, 0, f"chardev.sh\n{done.stdout}{done.stderr}")
    return module


def lead(place, parameters, devices, memory, *socket):
    """A guest that goes through all of it, led by what it says."""
    module = place.make("module", lambda: build_module(place))
    program = place.program("chardev")

    def publisher():
        return machines.Process("publisher", [program, "publish", memory, *socket])

    steps = [f"load /crossvm_chardev.ko slot={slot(MEMORY)} name=state {parameters}",
             "run /chardev read"]
    with place.machine("guest", steps, ["chardev"], files={"crossvm_chardev.ko": module},
                       devices=[*plain(MEMORY, memory, MIB, True), *devices],
                       append=" loglevel=7") as guest:
        guest.expect(r"^chardev: publish\.\.\.")
        with publisher() as first:
            first.wait_for("publishing")
            guest.expect(r"^chardev: passed: version [1-9]\d*")
            guest.expect(r"^chardev: silence\.\.\.")
        guest.expect(r"^chardev: again\.\.\.")
        with publisher() as second:
            second.wait_for("publishing")
            guest.expect(r"^chardev: slots\.\.\.")
        host(program, "break", "slots", memory)
        guest.expect(r"^chardev: header\.\.\.")
        host(program, "break", "header", memory)
        guest.finish()
        said(guest, "^chardev: gone$")
        equal(said(guest, "^guest: /chardev ended with (.*)").group(1), "0", "status")
        check(not guest.said(AILING), f"the kernel complains\n{guest.log()}")


def a_program_polls_by_the_modules_clock(place):
    lead(place, "period_ms=2", [], place.memory("plain", MIB))


def a_program_polls_by_the_producers_ring(place):
    """By its clock alone the module would look every ten minutes."""
    socket = str(place.folder / "bells")
    with machines.Server(place.server(), {socket: "1M"}):
        lead(place, f"period_ms=600000 bell={slot(BELL)}", machines.doorbell(BELL, socket),
             place.memory("rung", MIB), socket)


CASES = (a_program_polls_by_the_modules_clock, a_program_polls_by_the_producers_ring)

if __name__ == "__main__":
    sys.exit(common.main("chardev.py", CASES))
