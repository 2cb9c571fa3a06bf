#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A machine is killed in mid-stream: the other one gets every element that was committed, and no
other, or learns that nobody takes any more; it ends by itself.

    streams.py SOURCE_DIR [CC]
"""
import contextlib
import subprocess
import sys

import common
import machines
from common import LIMIT, check, equal, host, said
from machines import plain, slot

OWN, PEER, BELL = 4, 5, 6  # where the devices are plugged in
MIB = 1 << 20
MANY = 1000000000
CAPACITY = 64  # of the queue


def side(place, name, role, backend, socket, n):
    """A guest that produces or consumes; `name` is whose memory it writes."""
    own, peer = (place.folder / f"memory-{which}" for which in (name, "b" if name == "a" else "a"))
    devices = [*plain(OWN, own, MIB), *plain(PEER, peer, MIB, True)]
    step = (f"run /stream {role} pci:{slot(OWN)} pci:{slot(PEER)} {backend}:{slot(BELL)} {n}")
    return place.machine(name, [step], ["stream"], backend, (BELL, socket), devices)


@contextlib.contextmanager
def doorbells(place):
    """Empty memories, and a server; its socket."""
    socket = str(place.folder / "doorbells")
    for which in "ab":
        place.memory(f"memory-{which}", MIB)
    with machines.Server(place.server(), {socket: "1M"}):
        yield socket


def memory(place, which):
    """Where a process of the host finds a side's memory."""
    return f"file:{place.folder / f'memory-{which}'}"


def a_killed_producers_elements_all_arrive(place):
    with doorbells(place) as socket:
        with side(place, "a", "produce", "vfio", socket, MANY) as a:
            a.wait_for("^id 0")
            with side(place, "b", "consume", "vfio", socket, MANY) as b:
                b.wait_for("^taken 20000")
                a.kill()
                b.finish()
                taken = int(said(b, "^nobody pushes: (.*) taken, all").group(1))
    tail = host(place.program("stream"), "tail", memory(place, "a"))[-1]
    equal(tail, f"tail {taken}", "what was committed, and what arrived")
    check(taken >= 20000, f"only {taken} arrived")


def a_killed_consumer_is_noticed(place):
    with doorbells(place) as socket:
        with side(place, "b", "consume", "uio", socket, MANY) as b:
            b.wait_for("^id 0")
            with side(place, "a", "produce", "uio", socket, MANY) as a:
                b.wait_for("^taken 10000")
                b.kill()
                a.finish()
                pushed = int(said(a, "^nobody takes: (.*) pushed").group(1))
    head = host(place.program("stream"), "head", memory(place, "b"))[-1]
    equal(head, f"head {pushed - CAPACITY}", "what the dead one released, and what was pushed")


def the_host_streams_with_a_guest(place):
    """To the end, and the host's process is the consumer."""
    n = 50000
    with doorbells(place) as socket:
        with side(place, "a", "produce", "vfio", socket, n) as a:
            a.wait_for("^id 0")
            lines = host(place.program("stream"), "consume", memory(place, "b"),
                         memory(place, "a"), f"server:{socket}", n)
            a.finish()
    equal(lines[-1], f"took {n}, all as they were pushed", "the host's process")
    said(a, f"^pushed {n}")


def ends_that_do_not_fit_refuse_each_other(place):
    """The guest's elements have 64 bytes, and the host's process asks for 32."""
    with doorbells(place) as socket:
        with side(place, "a", "produce", "vfio", socket, MANY) as a:
            a.wait_for("^id 0")
            misfit = subprocess.run(
                [str(place.program("stream")), "misfit", memory(place, "b"),
                 memory(place, "a"), f"server:{socket}", "1"],
                capture_output=True, text=True, timeout=LIMIT, check=False)
            a.finish()
    equal((misfit.returncode, misfit.stdout.splitlines()[-1]), (1, "failed: link: REFUSED"), "host")
    said(a, "^failed: link: REFUSED")


def a_guest_killed_beside_a_host_process(place):
    with doorbells(place) as socket:
        command = [str(place.program("stream")), "consume", memory(place, "b"),
                   memory(place, "a"), f"server:{socket}", str(MANY)]
        with side(place, "a", "produce", "vfio", socket, MANY) as a:
            a.wait_for("^id 0")
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                                  preexec_fn=machines.die_with_us) as consumer:
                for line in consumer.stdout:
                    if line.startswith("taken 20000"):
                        a.kill()
                        break
                rest = consumer.communicate(timeout=LIMIT)[0].splitlines()
    last = rest[-1].split()
    tail = host(place.program("stream"), "tail", memory(place, "a"))[-1]
    equal(rest[-1], f"nobody pushes: {tail.split()[1]} taken, all as they were pushed", "the end")
    check(int(last[2]) >= 20000, rest[-1])


def one_wait_for_a_machine_and_a_process(place):
    """Machine b waits for machine a, and for a process of its own over a memfd, at once."""
    n = 20000
    own, peer = place.folder / "memory-b", place.folder / "memory-a"
    step = f"run /onewait pci:{slot(OWN)} pci:{slot(PEER)} vfio:{slot(BELL)} {n}"
    with doorbells(place) as socket:
        with side(place, "a", "produce", "uio", socket, n) as a:
            a.wait_for("^id 0")
            with place.machine("b", [step], ["onewait"], "vfio", (BELL, socket),
                               [*plain(OWN, own, MIB), *plain(PEER, peer, MIB, True)]) as b:
                b.finish()
                a.finish()
                said(b, f"^took {n} of the process and {n} of the machine in ")
                said(a, f"^pushed {n}")


CASES = (a_killed_producers_elements_all_arrive, a_killed_consumer_is_noticed,
         the_host_streams_with_a_guest, a_guest_killed_beside_a_host_process,
         ends_that_do_not_fit_refuse_each_other, one_wait_for_a_machine_and_a_process)

if __name__ == "__main__":
    sys.exit(common.main("streams.py", CASES))
