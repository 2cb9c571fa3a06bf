#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Machines without an operating system (examples/firmware) with the host, with a Linux guest, and
with one another: state and streams both ways, doorbells, deaths and restarts.

    firmware.py SOURCE_DIR [CC]

Every side runs the same application, and notes in its own memory what it receives. The memories are
read here, and every element of each queue is accounted for.
"""
import contextlib
import os
import random
import shutil
import subprocess
import sys
import time

import common
import machines
from common import LIMIT, check, equal, host, said
from machines import plain, slot
from peers import BY_BACKEND, BY_RESTART, Account, Memory, wait_until

MEMORY, BELL = 4, 6  # where the devices of side 0 are plugged in; those of side 1 stand behind
MIB = 1 << 20
FLOW = 2000   # elements each way that are a stream
RINGS = 20    # that a stream takes at least, in all
STATES = 20   # versions that are read in the same time
BELLS = 20    # rounds, of examples/firmware/firmware.c
ROUNDS = 2 * min(10, int(os.environ.get("CROSSVM_TEST_SCALE", "1")))

# Machines that run the firmware: the command of each, and the compiler, None = the caller's.
BARE = {
    "x86_64": (None, ["qemu-system-x86_64", "-machine", "q35", "-cpu", "max",
                      "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]),
    "aarch64": ("aarch64-linux-gnu-gcc", ["qemu-system-aarch64", "-machine",
                                          "virt,highmem=off,gic-version=2", "-cpu", "cortex-a53"]),
}


def firmware(place, arch):
    """The firmware, for a machine of that kind."""
    compiler = BARE[arch][0] or place.compiler
    for tool in (compiler, BARE[arch][1][0]):
        if shutil.which(tool) is None:
            raise machines.Missing(f"no {tool} here")

    def build():
        program = place.folder / f"{arch}.elf"
        done = subprocess.run(
            ["sh", str(place.source / "examples/firmware/build.sh"), arch, str(program), compiler],
            capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise machines.Unbuilt(f"the firmware for {arch} does not build\n{done.stderr}")
        return program
    return place.make(f"firmware-{arch}", build)


def bare(place, name, arch, devices):
    """A machine that runs the firmware."""
    return machines.Process(name, [
        *BARE[arch][1], "-accel", "tcg", "-m", "64", "-display", "none", "-nodefaults", "-serial",
        "stdio", "-no-reboot", "-kernel", str(firmware(place, arch)), *devices])


def application(place):
    """The firmware's application on Linux."""
    source = place.source
    folders = (source / "examples/demo", source / "examples/firmware")
    return place.make("application", lambda: machines.build(
        place.compiler, place.folder / "application",
        [source / "tests/system/firmware.c", folders[0] / "place.c", folders[1] / "app.c"],
        *(f"-I{folder}" for folder in folders)))


# ---- sides -------------------------------------------------------------------------------------


class Side:
    """Side 0 or 1: its memory, and what lives in it: a machine of BARE, "guest" or "host"."""

    def __init__(self, place, number, kind, bell):
        self.place = place
        self.number = number
        self.kind = kind
        self.bell = bell
        self.program = application(place)
        self.memory = [place.folder / f"memory-{which}" for which in (0, 1)]
        place.memory(f"memory-{number}", MIB)
        self.deaths = []  # what each start left behind
        self.name = f"{kind}-{number}"

    def make(self):
        """What lives in it, not started yet."""
        if self.kind == "host":
            return machines.Process(self.name, self.line("run", self.bell))
        devices = [argument for which in (0, 1) for argument in
                   plain(MEMORY + which, self.memory[which], MIB, which != self.number)]
        bell = BELL + self.number
        if self.kind == "guest":
            step = (f"run /application run {self.number} pci:{slot(MEMORY + self.number)} "
                    f"pci:{slot(MEMORY + 1 - self.number)} vfio:{slot(bell)}")
            return self.place.machine(self.name, [step], (), "vfio", (bell, self.bell), devices,
                                      files={"application": self.program}, append=" loglevel=1")
        return bare(self.place, self.name, self.kind,
                    [*devices, *machines.doorbell(bell, self.bell)])

    def __enter__(self):
        self.watched = self.make().start()
        return self

    def __exit__(self, *_):
        self.watched.kill()

    def line(self, verb, bell=None):
        """A command of the host, for this side."""
        own, peer = self.memory[self.number], self.memory[1 - self.number]
        return [self.program, verb, str(self.number), f"file:{own}", f"file:{peer}",
                f"server:{bell}" if bell else "none"]

    def look(self):
        return Memory(host(self.program, "look", self.number, f"file:{self.memory[self.number]}"))

    def expect(self, pattern):
        return self.watched.expect(pattern, LIMIT)

    def die(self):
        """What it leaves behind, which nobody writes any more."""
        self.watched.kill()
        self.deaths.append(self.look())
        return self.deaths[-1]

    def is_up(self):
        """Waits until it has come; its life."""
        came = self.expect("^start ([0-9]+) life ([0-9]+)")
        equal(int(came.group(1)), len(self.deaths) + 1, f"starts of {self.name}")
        return came.group(2)

    def come(self):
        """Starts again; its life."""
        self.watched.pass_over()
        self.watched.start()
        return self.is_up()


def flow(sides):
    """Both streams and both states move, and rings are sent and heard."""
    before = [side.look() for side in sides]

    def moved():
        now = [side.look() for side in sides]
        return all(new.received() - old.received() >= FLOW and new.states - old.states >= STATES
                   for old, new in zip(before, now)) and sum(
                       new.rings - old.rings for old, new in zip(before, now)) >= RINGS
    wait_until(moved, lambda: "both streams, both states and rings:\n" + "\n".join(
        f"{side.look().words}\n{side.watched.log()}" for side in sides))


def kill_and_restart(victim, survivor, chance):
    """Its death is learnt from its restart; a process of the host may have learnt it before."""
    time.sleep(chance.random() / 5)
    survivor.watched.pass_over()
    dead = victim.die()
    life = dead.lives[-1][0]
    came = victim.come()
    how = f"({BY_BACKEND}|{BY_RESTART})" if survivor.kind == "host" else BY_RESTART
    lost = survivor.expect(f"^LOST [0-9]+ with {life}: {how}")
    ended = survivor.expect("^ended ([0-9]+) at ([0-9]+): ([0-9]+) drained")
    equal((int(ended.group(1)), int(ended.group(2))), (life, dead.tail),
          "whose end, and behind which element")
    survivor.expect(f"^UP [0-9]+ with {came}:")
    victim.expect(f"^UP {came} with ")
    print(f"  {victim.name} died as {life} at {dead.tail}: {lost.string.split(': ')[1]}, "
          f"{ended.group(3)} drained; up with {came}", flush=True)


def settle(sides):
    """Both sides die; a last life of each receives what is left. Then every element is counted."""
    for side in sides:
        side.die()
    last = [subprocess.Popen(side.line("drain"), stdout=subprocess.PIPE, text=True,
                             preexec_fn=machines.die_with_us) for side in sides]
    for process in last:
        text = process.communicate(timeout=LIMIT)[0]
        equal((process.returncode, text.splitlines()[-1]), (0, "drained"), text)
    found = [side.look() for side in sides]
    for side, memory in zip(sides, found):
        left = [(0, 0)] + [(dead.head, dead.tail) for dead in side.deaths]
        equal(memory.starts, left, f"where the starts of side {side.number} began")
    for sender, receiver in ((0, 1), (1, 0)):
        Account(found[sender], found[receiver]).settle(f"{sender} to {receiver}")
    print("  " + "; ".join(f"{side.name}: {memory.states} states read, {memory.sent} rings sent, "
                           f"{memory.rings} heard" for side, memory in zip(sides, found)),
          flush=True)


# ---- cases -------------------------------------------------------------------------------------


@contextlib.contextmanager
def doorbells(place):
    path = str(place.folder / "doorbells")
    with machines.Server(place.server(), {path: "1M"}):
        yield path


def live_and_die(place, kinds, victims):
    """Two sides; the victims die one behind the other and come back."""
    chance = random.Random(1)
    with doorbells(place) as bell:
        sides = [Side(place, number, kind, bell) for number, kind in enumerate(kinds)]
        with sides[0], sides[1]:
            for side in sides:
                side.is_up()
            flow(sides)
            for victim in victims:
                kill_and_restart(sides[victim], sides[1 - victim], chance)
                flow(sides)
            settle(sides)


def ring_each_other(place, kind, other):
    """Every vector of one side by the other, and back."""
    passed = f"passed: {BELLS} rounds of 8 vectors"
    with doorbells(place) as bell:
        with bare(place, f"{kind}-echo", kind, machines.doorbell(BELL, bell)) as echo:
            echo.wait_for("^id 0")
            if other == "host":
                equal(host(place.program("bells"), f"server:{bell}", "ring", BELLS)[-1], passed,
                      "the host's process")
            elif other == "guest":
                step = f"run /bells vfio:{slot(BELL)} ring {BELLS}"
                with place.machine("guest", [step], ["bells"], "vfio", (BELL, bell)) as guest:
                    guest.finish()
                    equal(said(guest, "^(passed|failed).*").group(), passed, "the guest")
            else:
                with bare(place, f"{other}-ring", other,
                          machines.doorbell(BELL + 1, bell)) as ring:
                    equal(ring.wait_for("^(passed|failed).*", LIMIT).group(), passed, "the ringer")
            equal(echo.wait_for("^(passed|failed).*", LIMIT).group(), passed, "the firmware")
            echo.wait_for("^firmware: end", LIMIT)


def cases_of(kind):
    """What a kind of machine has to pass: its doorbells, then lives and deaths beside others."""
    def rings_with(other):
        def case(place):
            ring_each_other(place, kind, other)
        case.__name__ = f"{kind}_rings_with_{other}"
        return case

    def lives_with(other, victims):
        def case(place):
            live_and_die(place, (kind, other), victims)
        case.__name__ = f"{kind}_lives_with_{other}"
        return case

    both = [number % 2 for number in range(ROUNDS)]
    kinds = list(BARE)
    others = ["host", *kinds[:kinds.index(kind) + 1], "guest"]
    return [with_other for other in others
            for with_other in (rings_with(other), lives_with(other, both))]


CASES = [case for kind in BARE for case in cases_of(kind)]

if __name__ == "__main__":
    sys.exit(common.main("firmware.py", CASES))
