#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A kernel module with the library's layers in it (tests/kernel/peer) exchanges data with a program
in another machine: a queue each way and a snapshot, contents judged at both ends.

    kernel.py SOURCE_DIR [CC]
"""
import os
import subprocess
import sys

import common
import machines
from common import LIMIT, equal, said
from machines import plain, slot

OWN, PEER = 4, 5  # where the devices are plugged in
MIB = 1 << 20
N = 1000


def build_module(place):
    """The module, for the kernel that the guests have."""
    headers = f"/usr/src/linux-headers-{place.kernel().version}"
    if not os.path.exists(f"{headers}/Makefile"):
        raise machines.Missing(f"no headers of the guests' kernel {place.kernel().version} here")
    module = place.folder / "crossvm_peer.ko"
    done = subprocess.run(["sh", place.source / "tests/kernel/peer.sh", place.source],
                          env={**os.environ, "CROSSVM_KEEP_MODULE": str(module),
                               "CROSSVM_KERNEL_HEADERS": headers},
                          capture_output=True, text=True, timeout=LIMIT, check=False)
    if done.returncode == common.SKIPPED:
        raise machines.Missing(done.stdout.strip())
    common.equal(done.returncode, 0, f"peer.sh\n{done.stdout}{done.stderr}")
    return module


def devices(own, peer):
    return [*plain(OWN, own, MIB), *plain(PEER, peer, MIB, True)]


def a_module_talks_to_a_program_in_another_machine(place):
    module = build_module(place)
    a, b = place.memory("a", MIB), place.memory("b", MIB)
    load = f"load /crossvm_peer.ko own={slot(OWN)} peer={slot(PEER)} seed=7"
    with place.machine("kernel", [load], files={"crossvm_peer.ko": module}, devices=devices(a, b),
                       append=" loglevel=7") as kernel:
        with place.machine("program", [f"run /kernel_peer {slot(OWN)} {slot(PEER)}"],
                           ["kernel_peer"], devices=devices(b, a)) as program:
            program.finish()
            kernel.finish()
            said(kernel, rf"crossvm: peer: passed: {N} elements each way, {N} versions")
            said(program, rf"^kernel_peer: passed: {N} elements, {N} versions")
            equal(said(program, "^guest: /kernel_peer ended with (.*)").group(1), "0", "status")


CASES = (a_module_talks_to_a_program_in_another_machine,)

if __name__ == "__main__":
    sys.exit(common.main("kernel.py", CASES))
