#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Eight vectors between machines, and between a machine and its host, by each backend: each ring
arrives at the vector that it names, and at no other.

    doorbells.py SOURCE_DIR [CC]
"""
import sys

import common
import machines
from common import equal, host, said
from machines import slot

BELL = 4  # where the device is plugged in
ROUNDS = 20
PASSED = f"passed: {ROUNDS} rounds of 8 vectors"


def guest(place, name, backend, socket, role):
    return place.machine(name, [f"run /bells {backend}:{slot(BELL)} {role} {ROUNDS}"], ["bells"],
                         backend, (BELL, socket))


def between(place, backend_a, backend_b):
    socket = str(place.folder / "doorbells")
    with machines.Server(place.server(), {socket: "1M"}):
        with guest(place, "a", backend_a, socket, "echo") as a:
            a.wait_for("^id 0")
            with guest(place, "b", backend_b, socket, "ring") as b:
                b.finish()
                a.finish()
                for machine in (a, b):
                    equal(said(machine, "^(passed|failed).*").group(), PASSED, machine.name)


def vfio_with_vfio(place):
    between(place, "vfio", "vfio")


def uio_with_uio(place):
    between(place, "uio", "uio")


def vfio_with_uio(place):
    between(place, "vfio", "uio")


def with_the_host(place, backend):
    socket = str(place.folder / "doorbells")
    with machines.Server(place.server(), {socket: "1M"}):
        with guest(place, "a", backend, socket, "echo") as a:
            a.wait_for("^id 0")
            lines = host(place.program("bells"), f"server:{socket}", "ring", ROUNDS)
            a.finish()
            equal(lines[-1], PASSED, "the host's process")
            equal(said(a, "^(passed|failed).*").group(), PASSED, "the guest")


def the_host_with_vfio(place):
    with_the_host(place, "vfio")


def the_host_with_uio(place):
    with_the_host(place, "uio")


CASES = (vfio_with_vfio, uio_with_uio, vfio_with_uio, the_host_with_vfio, the_host_with_uio)

if __name__ == "__main__":
    sys.exit(common.main("doorbells.py", CASES))
