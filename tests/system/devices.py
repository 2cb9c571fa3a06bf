#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a guest finds in its devices: the right one by slot and by id, duplicates, read-only ones
that take no write, and wrong ones, each with its status.

    devices.py SOURCE_DIR [CC]
"""
import sys

import common
import machines
from common import check, equal, host, said
from machines import plain, slot

PAGE = 4096
MIB = 1 << 20


def formatted(place, name, number, length=65536):
    """A file with a region whose id begins with a number."""
    path = place.memory(name, MIB)
    equal(host(place.program("devices"), "format", f"file:{path}", number, length)[-1],
          "format: OK", "format")
    return path


def boot(place, devices, steps):
    """A guest that runs the program with each of these arguments, one after the other."""
    lines = [f"run /devices {step}" for step in steps]
    with place.machine("guest", lines, ["devices"], devices=devices) as guest:
        return guest.finish()


def answers(guest):
    """What the program said each time: the lines between two of its ends."""
    runs = [[]]
    for line in guest.lines[guest.lines.index("guest: up") + 1:]:
        if line.startswith("guest: "):
            runs.append([])
        else:
            runs[-1].append(line)
    return runs


def devices_are_told_apart(place):
    one = formatted(place, "one", 11)
    two = formatted(place, "two", 22)
    three = formatted(place, "three", 22)
    four = formatted(place, "four", 44)
    bells = str(place.folder / "bells")
    devices = [*plain(4, one, MIB), *plain(5, two, MIB, True), *plain(6, three, MIB, True),
               *plain(7, four, MIB, True), *machines.doorbell(8, bells, 5)]
    with machines.Server(place.server(), {bells: "1M"}, "--vectors", "5"):
        guest = boot(place, devices, ["list", "find 11", "find 44", "find 22", "find 99",
                                      f"read {slot(4)}", f"read {slot(7)}"])
    listed, first, last, twice, none, eleven, fortyfour = answers(guest)[:7]
    equal(listed, ["5 devices"] + [f"device {slot(number)} {MIB}" for number in (4, 5, 6, 7)] +
          [f"device {slot(8)} {MIB} doorbell, 5 vectors"], "list")
    equal(first, [f"found {slot(4)}: OK"], "by id")
    equal(last, [f"found {slot(7)}: OK"], "by id")
    equal(twice, [f"found {slot(5)}: EXISTS"], "two that bear one id")
    equal(none, ["found none: NOT_FOUND"], "an id that nobody bears")
    equal((eleven, fortyfour), (["read 11"], ["read 44"]), "what is in them")


def what_the_hypervisor_keeps_read_only_stays_as_it_was(place):
    own = formatted(place, "own", 1)
    peers = formatted(place, "peers", 2)
    before = peers.read_bytes()
    devices = [*plain(4, own, MIB), *plain(5, peers, MIB, True)]
    guest = boot(place, devices, [f"open {slot(4)} write", f"open {slot(5)} read",
                                  f"open {slot(5)} write", f"scribble {slot(5)}",
                                  f"read {slot(5)}"])
    writable, readable, refused, scribbled, after = answers(guest)[:5]
    equal([line for line in writable if not line.startswith("examined")],
          ["open: OK", "mapped: rw-s", "attach: OK"], "the own device")
    check(writable[1].startswith("examined: writable; write-back"), writable[1])
    equal([line for line in readable if not line.startswith("examined")],
          ["open: OK", "mapped: r--s", "attach: OK"], "the peer's device: a write would be a fault")
    check(readable[1].startswith("examined: read-only; write-back"), readable[1])
    equal(refused[0], "open: ROLE", "the peer's device, to be written")
    check("the hypervisor drops writes" in refused[1], refused[1])
    n_alike = before.count(b"\xa5")
    equal(scribbled, [f"scribbled {MIB} bytes, {n_alike} read as written"], "what was scribbled")
    equal(after, ["read 2"], "the peer's state")
    equal(peers.read_bytes(), before, "the memory behind a read-only device")


def wrong_devices_have_their_statuses(place):
    good = formatted(place, "good", 1)
    other = bytearray(good.read_bytes())
    other[4] = 99  # the format's major number
    short = place.memory("short", 8192, good.read_bytes())
    devices = [*plain(4, short, 8192, True), *plain(5, place.memory("zero"), MIB, True),
               *plain(6, place.memory("other", MIB, bytes(other)), MIB, True),
               *plain(7, good, MIB)]
    guest = boot(place, devices, [
        f"open {slot(4)} read", f"open {slot(5)} read", f"open {slot(6)} read",
        f"format pci:{slot(7)} 1 1048576", f"open {slot(0)} read", f"open {slot(9)} read",
        f"vfio {slot(4)}", f"uio {slot(4)}", f"open {slot(7)} read"])
    short, zero, other, large, bridge, empty, vfio, uio, good = answers(guest)[:9]
    equal(short[-1], "attach: NO_SPACE", "a device that is shorter than its region")
    equal(zero[-1], "attach: NOT_FORMATTED", "a device that nobody formatted")
    equal(other[-1], "attach: OTHER_FORMAT", "another version of the format")
    equal(large, ["format: NO_SPACE"], "a plan that is larger than the device")
    equal(bridge, ["open: TYPE"], "another device")
    equal(empty, ["open: NOT_FOUND"], "no device")
    equal(vfio, [f"vfio {slot(4)}: NOT_FOUND"], "VFIO without an IOMMU")
    equal(uio, [f"uio {slot(4)}: NOT_FOUND"], "UIO without its driver")
    equal(good[-1], "attach: OK", "what a plan that was refused left as it was")


def what_is_no_memory_is_not_taken_for_memory(place):
    with place.machine("guest", [f"run /devices registers {slot(4)}"], ["devices"],
                       devices=plain(4, place.memory("zero"), MIB)) as guest:
        guest.finish()
        equal(said(guest, "^examine: (.*)").group(1), "OK", "examine")
        equal(len(guest.said("^examined: read-only; uncached")), 1, "asked for uncached")
        equal(len(guest.said("^examined: read-only; write-combining")), 1,
              "asked for write-combining")


CASES = (devices_are_told_apart, what_the_hypervisor_keeps_read_only_stays_as_it_was,
         wrong_devices_have_their_statuses, what_is_no_memory_is_not_taken_for_memory)

if __name__ == "__main__":
    sys.exit(common.main("devices.py", CASES))
