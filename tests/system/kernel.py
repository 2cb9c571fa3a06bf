#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kernel modules with the library's layers in them. One has all functions and tests itself
(tests/kernel/module); one (tests/kernel/peer) exchanges data with a program in another machine: a
queue each way and a snapshot, contents judged at both ends.

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


def build_module(place, script, name):
    """A module of tests/kernel, for the kernel that the guests have."""
    headers = f"/usr/src/linux-headers-{place.kernel().version}"
    if not os.path.exists(f"{headers}/Makefile"):
        raise machines.Missing(f"no headers of the guests' kernel {place.kernel().version} here")
    module = place.folder / name
    done = subprocess.run(["sh", place.source / "tests/kernel" / script, place.source],
                          env={**os.environ, "CROSSVM_KEEP_MODULE": str(module),
                               "CROSSVM_KERNEL_HEADERS": headers},
                          capture_output=True, text=True, timeout=LIMIT, check=False)
    if done.returncode == common.SKIPPED:
        raise machines.Missing(done.stdout.strip())
    common.equal(done.returncode, 0, f"{script}\n{done.stdout}{done.stderr}")
    return module


def devices(own, peer):
    return [*plain(OWN, own, MIB), *plain(PEER, peer, MIB, True)]


def a_module_talks_to_a_program_in_another_machine(place):
    module = build_module(place, "peer.sh", "crossvm_peer.ko")
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


def the_module_of_all_layers_loads(place):
    module = build_module(place, "module.sh", "crossvm_test.ko")
    with place.machine("guest", ["load /crossvm_test.ko"], files={"crossvm_test.ko": module},
                       append=" loglevel=7") as guest:
        guest.finish()
        said(guest, r"crossvm: passed: [1-9]\d+ checks")


CASES = (the_module_of_all_layers_loads, a_module_talks_to_a_program_in_another_machine)

if __name__ == "__main__":
    sys.exit(common.main("kernel.py", CASES))
