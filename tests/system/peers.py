#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Machines, and a process of the host, are killed in mid-stream and started again, round after
round: the other one learns of it, drains, and is up with the next life; no element that was
committed is lost or doubled. One that is only suspended comes back as it was.

    peers.py SOURCE_DIR [CC] [--rounds N]

Each side notes in its own memory what it receives (peers.c). The memories are read here, and every
element of each queue is accounted for.
"""
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time

import common
import machines
from common import LIMIT, check, equal, host
from machines import plain, slot

OWN, PEER, BELL = 4, 5, 6  # where the devices are plugged in
MIB = 1 << 20
CAPACITY = 64  # of each queue
FLOW = 2000    # elements each way that are a stream
ROUNDS = min(20, 3 * int(os.environ.get("CROSSVM_TEST_SCALE", "1")))

BY_BACKEND = "the backend says so"
BY_RESTART = "the peer started again"


# ---- what stands in a side's memory ------------------------------------------------------------


class Memory:
    """What one look at a side's memory shows."""

    def __init__(self, lines):
        self.words = {}
        self.starts = []  # (head, tail)
        self.lives = []   # (life, from)
        self.runs = []    # (start, answered, life, first, next)
        for line in lines:
            name, *numbers = line.split()
            numbers = tuple(map(int, numbers))
            {"start": self.starts, "life": self.lives, "run": self.runs}.get(
                name, self.words.setdefault(name, [])).append(numbers)

    def __getattr__(self, name):
        return self.words[name][0][0]

    def received(self):
        """The number behind the newest element that was received."""
        return self.runs[-1][4] if self.runs else 0

    def life_of(self, number):
        """Which life had to send an element."""
        return [life for life, first in self.lives if first <= number][-1]


class Account:
    """Every element of one queue: counted where it was received."""

    def __init__(self, sender, receiver):
        self.n_lost = 0
        self.n_doubled = 0
        self.n_again = 0   # seen again by the receiver's next start, not released by the last one
        self.wrong = []
        self.order = [life for life, _ in sender.lives]
        check(len(set(self.order)) == len(self.order), f"a life came twice: {self.order}")
        expected = 0
        start = 1
        answered = set()
        for run in receiver.runs:
            if run[0] != start:
                start = run[0]
                answered = set()
                head = receiver.starts[start - 1][0]
                self.n_again += max(0, min(expected - head, CAPACITY))
                expected = min(expected, head)
            self.count(run, expected)
            self.judge(run, answered, sender)
            expected = run[4]
            answered.add(run[1])
        self.n_lost += max(0, sender.tail - expected)
        self.n_doubled += max(0, expected - sender.tail)
        self.n_sent = sender.tail

    def count(self, run, expected):
        """By numbers alone."""
        first = run[3]
        self.n_lost += max(0, first - expected)
        self.n_doubled += max(0, expected - first)

    def judge(self, run, answered, sender):
        """Elements bear the life that sent them; those of a life that was answered before are over
        when the next one is answered, and nobody is heard before he is answered."""
        _, now, life, first, behind = run
        if {sender.life_of(first), sender.life_of(behind - 1)} != {life}:
            self.wrong.append(f"{run}: not sent by {life}")
        elif life != now and (life in answered or now not in self.order or
                              self.order.index(life) > self.order.index(now)):
            self.wrong.append(f"{run}: received while {now} was answered")

    def settle(self, what):
        print(f"  {what}: {self.n_sent} sent in {len(self.order)} lives, {self.n_lost} lost, "
              f"{self.n_doubled} doubled, {self.n_again} not released by the dead and seen again",
              flush=True)
        equal((self.n_lost, self.n_doubled, self.wrong), (0, 0, []), what)


# ---- sides -------------------------------------------------------------------------------------


class Monitor:
    """QEMU's monitor, for one command."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(LIMIT)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile(encoding="ascii")
        self.lines.readline()

    def __enter__(self):
        self.command("qmp_capabilities")
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.socket.close()

    def command(self, name):
        self.socket.sendall(json.dumps({"execute": name}).encode())
        for line in self.lines:
            answer = json.loads(line)
            if "error" in answer:
                raise machines.Failure(f"QEMU: {name}: {answer['error']}")
            if "return" in answer:
                return answer["return"]
        raise machines.Failure(f"QEMU hung up before it answered {name}")


class Side:
    """Side 0 or 1: its memory, and the machine or process that lives in it."""

    def __init__(self, place, number):
        self.place = place
        self.number = number
        self.program = place.program("peers")
        self.memory = place.memory(f"memory-{number}", MIB)
        self.peers_memory = place.folder / f"memory-{1 - number}"
        self.monitor = place.folder / f"monitor-{number}"
        self.deaths = []  # what each start left behind

    def machine(self, bell=None):
        """It lives in a guest."""
        devices = [*plain(OWN, self.memory, MIB), *plain(PEER, self.peers_memory, MIB, True),
                   "-qmp", f"unix:{machines.escape(self.monitor)},server=on,wait=off"]
        where = f"vfio:{slot(BELL)}" if bell else "none"
        step = f"run /peers run {self.number} pci:{slot(OWN)} pci:{slot(PEER)} {where}"
        self.watched = self.place.machine(f"guest-{self.number}", [step], ["peers"],
                                          "vfio" if bell else None, bell and (BELL, bell), devices,
                                          append=" loglevel=1")
        self.command = self.command_monitor
        return self.watched

    def process(self, bell):
        """It lives in a process of the host."""
        self.watched = machines.Process(f"process-{self.number}", self.line("run", bell))
        self.command = self.command_process
        return self.watched

    def line(self, verb, bell=None):
        return [self.program, verb, str(self.number), f"file:{self.memory}",
                f"file:{self.peers_memory}", f"server:{bell}" if bell else "none"]

    def command_monitor(self, name):
        with Monitor(self.monitor) as monitor:
            monitor.command(name)

    def command_process(self, name):
        number = {"stop": signal.SIGSTOP, "cont": signal.SIGCONT}[name]
        self.watched.process.send_signal(number)

    def look(self):
        return Memory(host(self.program, "look", self.number, f"file:{self.memory}"))

    def expect(self, pattern):
        return self.watched.expect(pattern, LIMIT)

    def states(self):
        """All that it said of its link's state."""
        return [found.string for found in self.watched.said("^[A-Z]+ [0-9]+ with [0-9]+: ")]

    def log(self):
        return self.watched.log()

    def die(self):
        """What it leaves behind, which nobody writes any more."""
        self.watched.kill()
        self.deaths.append(self.look())
        return self.deaths[-1]

    def come(self):
        """Starts again; its life."""
        self.watched.pass_over()
        self.watched.start()
        came = self.expect("^start ([0-9]+) life ([0-9]+)")
        equal(int(came.group(1)), len(self.deaths) + 1, "starts")
        return came.group(2)


def wait_until(condition, what):
    end = time.monotonic() + LIMIT
    while not condition():
        check(time.monotonic() < end, f"{LIMIT} s without {what()}")
        time.sleep(0.02)


def flow(sides):
    """Both streams move."""
    for side in sides:
        since = side.look().received()
        wait_until(lambda side=side, since=since: side.look().received() - since >= FLOW,
                   lambda side=side: f"a stream to side {side.number}\n{side.log()}")


def wait_until_full(sender, receiver):
    wait_until(lambda: sender.look().tail - receiver.look().head == CAPACITY,
               lambda: f"a full queue\n{sender.log()}")


# ---- what happens to them ----------------------------------------------------------------------


def wait_until_gone(side, bell):
    """The server has told all others that a dead machine went."""
    peer = side.deaths[-1].bell - 1
    wait_until(lambda: f"present {peer}" not in host(side.program, "present", f"server:{bell}"),
               lambda: f"the server's notice of {side.watched.name}'s end")


def kill_in_turn(sides, bell=None):
    """Each round one side dies. The other one is often suspended meanwhile: from before the death,
    so that it finds a full queue to drain; or behind it, so that a successor that spoke before it
    was answered would be heard. Side 1 learns of the death from the doorbells' server, if there is
    one, but for every fourth time; else it is the restart that says it."""
    chance = random.Random(1)
    for number in range(ROUNDS):
        victim, survivor = sides[number % 2], sides[1 - number % 2]
        told = bell and survivor.number == 1 and number % 8 != 6
        before = number % 4 in (1, 2)
        behind = number % 4 == 0 and not told
        flow(sides)
        time.sleep(chance.random() / 5)
        if before:
            survivor.command("stop")
            wait_until_full(victim, survivor)
        survivor.watched.pass_over()
        dead = victim.die()
        life = dead.lives[-1][0]
        if behind:
            wait_until(lambda: survivor.look().received() == dead.tail,
                       lambda: f"what {victim.watched.name} had sent\n{survivor.log()}")
            survivor.command("stop")
        if told:
            wait_until_gone(victim, bell)
        else:
            came = victim.come()
            wait_until(lambda: victim.look().beat - dead.beat >= 20, lambda: "steps")
        if before or behind:
            survivor.command("cont")
        how = BY_BACKEND if told else BY_RESTART
        survivor.expect(f"^LOST [0-9]+ with {life}: {how}")
        ended = survivor.expect("^ended ([0-9]+) at ([0-9]+): ([0-9]+) drained")
        equal((int(ended.group(1)), int(ended.group(2))), (life, dead.tail),
              "whose end, and behind which element")
        n_drained = int(ended.group(3))
        check(not before or n_drained > 0, "nothing was left to be drained")
        if told:
            came = victim.come()
        survivor.expect(f"^UP [0-9]+ with {came}:")
        victim.expect(f"^UP {came} with ")
        print(f"  round {number + 1}: {victim.watched.name} died as {life} at {dead.tail}: {how}, "
              f"{n_drained} drained; up with {came}", flush=True)
    flow(sides)


def suspend_in_turn(sides):
    """Each round one side is suspended until the other one suspects it, and long after."""
    for number in range(ROUNDS):
        stopped, other = sides[number % 2], sides[1 - number % 2]
        flow(sides)
        stopped.command("stop")
        before = stopped.memory.read_bytes()
        lives = tuple(side.look().lives[-1][0] for side in (other, stopped))
        suspect, up = (f"{state} {lives[0]} with {lives[1]}: none" for state in ("SUSPECT", "UP"))
        wait_until(lambda: other.states()[-1] == suspect, lambda: f"suspicion\n{other.log()}")
        said = other.states()
        wait_until_full(other, stopped)
        beat = other.look().beat
        wait_until(lambda: other.look().beat - beat >= 200, lambda: "steps")
        found = other.look()
        equal((found.incarnation, found.echo), lives, "who answers whom")
        check(stopped.memory.read_bytes() == before, "a suspended machine's memory has changed")
        equal(other.states(), said, "states, while it was suspended")
        stopped.command("cont")
        wait_until(lambda: other.states()[-1] == up, lambda: f"its return\n{other.log()}")
        print(f"  round {number + 1}: {stopped.watched.name} was suspected and is back", flush=True)
    flow(sides)
    for side in sides:
        found = side.look()
        equal((len(found.starts), len(found.lives), len(found.runs)), (1, 1, 1),
              f"starts, lives and runs of {side.watched.name}")


def settle(sides):
    """Both sides die; a last life of each receives what is left. Then every element is counted."""
    for side in sides:
        side.die()
    last = [subprocess.Popen(side.line("drain"), stdout=subprocess.PIPE, text=True,
                             preexec_fn=machines.die_with_us) for side in sides]
    for side, process in zip(sides, last):
        text = process.communicate(timeout=LIMIT)[0]
        equal((process.returncode, text.splitlines()[-1]), (0, "drained"), text)
    found = [side.look() for side in sides]
    for side, memory in zip(sides, found):
        left = [(0, 0)] + [(dead.head, dead.tail) for dead in side.deaths]
        equal(memory.starts, left, f"where the starts of side {side.number} began")
    for sender, receiver in ((0, 1), (1, 0)):
        Account(found[sender], found[receiver]).settle(f"{sender} to {receiver}")


# ---- cases -------------------------------------------------------------------------------------


@contextlib.contextmanager
def doorbells(place):
    path = str(place.folder / "doorbells")
    with machines.Server(place.server(), {path: "1M"}):
        yield path


def two_sides(place):
    return Side(place, 0), Side(place, 1)


def machines_are_killed_in_turn(place):
    sides = two_sides(place)
    with sides[0].machine(), sides[1].machine():
        kill_in_turn(sides)
        settle(sides)


def a_machine_and_a_process_are_killed_in_turn(place):
    sides = two_sides(place)
    with doorbells(place) as bell:
        with sides[0].machine(bell), sides[1].process(bell):
            kill_in_turn(sides, bell)
            settle(sides)


def a_suspended_machine_is_only_suspected(place):
    sides = two_sides(place)
    with sides[0].machine(), sides[1].machine():
        suspend_in_turn(sides)
        settle(sides)


CASES = (machines_are_killed_in_turn, a_machine_and_a_process_are_killed_in_turn,
         a_suspended_machine_is_only_suspected)


def take_rounds(arguments):
    """The number behind --rounds, and both are taken out of the arguments."""
    if "--rounds" not in arguments:
        return ROUNDS
    at = arguments.index("--rounds")
    number = "".join(arguments[at + 1:at + 2])
    if not number.isdecimal() or int(number) < 1:
        sys.exit(f"peers.py: --rounds {number}: expected a whole number from 1")
    del arguments[at:at + 2]
    return int(number)


if __name__ == "__main__":
    ROUNDS = take_rounds(sys.argv)
    sys.exit(common.main("peers.py", CASES))
