# SPDX-License-Identifier: Apache-2.0
"""The demo between two machines, or between one and a process of its host. Called by run-demo.sh.

    demo.py --folder DIR --compiler CC [--seconds N] [--file F] [--backend vfio|uio|none] [--host]
            [--tear] [--spoil]

What the command lines that it prints name is left in the folder, so that they can be run again.
Exit status: as run-demo.sh's.
"""
import argparse
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import machines

DEMO = machines.TOP / "examples/demo"
COMMON = ("options", "machine", "link", "place", "stream", "side")
SOURCES = {"crossvm-demo-a": ("demo-a", *COMMON),
           "crossvm-demo-b": ("demo-b", "readings", "view", "picture", *COMMON),
           "make-data": ("make-data",)}
MEMORY = 1 << 20  # bytes, of each side and of the doorbells
MIB = 8  # of each file, if none is given
OWN, PEER, BELL = 4, 5, 6  # where the devices are plugged in
RUN_LIMIT = 300  # seconds beside those that were asked for: guards against hanging
GUESTS_END = 60  # seconds that a machine may take to power off


def say(text=""):
    print(text, flush=True)


def say_command(command):
    """Commands are what is indented by six; all else is not."""
    say(f"      {command}")


class View:
    """What a machine says, as it comes, without the lines of its kernel and its first process.

    A line is judged by how it begins, behind escape sequences, and nothing of it is shown before
    that can be told; in the middle of a line everything is shown at once."""

    ESCAPE = re.compile(rb"\x1b(?:\[[0-?]*[@-~]|[^\[])")
    OWN = re.compile(rb"guest: |\[ *\d+\.\d+\] ")
    # The beginnings of both.
    UNDECIDED = re.compile(rb"\x1b(?:\[[0-?]*)?|g(?:u(?:e(?:s(?:t:?)?)?)?)?"
                           rb"|\[ *(?:\d+(?:\.(?:\d+\]?)?)?)?")

    def __init__(self, out):
        self.out = out
        self.rest = b""  # of the start of a line, while it is undecided
        self.hides = None  # the rest of this line; None: at its start

    def __call__(self, data):
        data = self.rest + data
        self.rest = b""
        while data:
            if self.hides is None:
                escape = self.ESCAPE.match(data)
                if escape:
                    self.out.write(escape.group())
                    data = data[escape.end():]
                    continue
                if self.UNDECIDED.fullmatch(data):
                    self.rest = data
                    break
                self.hides = self.OWN.match(data) is not None
            line, newline, data = data.partition(b"\n")
            if not self.hides:
                self.out.write(line + newline)
            if newline:
                self.hides = None
        self.out.flush()


class Demo:
    def __init__(self, arguments):
        self.arguments = arguments
        self.folder = pathlib.Path(arguments.folder).resolve()
        self.socket = str(self.folder / "doorbells")
        self.memory = {side: self.folder / f"memory-{side}" for side in "ab"}
        self.bells_memory = self.folder / "memory-doorbells"
        if arguments.backend != "none":
            machines.check_socket(self.socket)

    # ---- what is needed ----

    def prepare(self):
        compiler = self.arguments.compiler
        self.kernel = machines.find_kernel()
        say(f"1. Two machines with Linux {self.kernel.version}; their programs are static, their "
            "file systems hold nothing else.")
        self.init = machines.build_init(compiler, self.folder)
        for program, names in SOURCES.items():
            machines.build(compiler, self.folder / program,
                           [DEMO / f"{name}.c" for name in names], "-lcrypto")
        self.server = machines.build_server(compiler, self.folder)
        if self.arguments.backend == "uio":
            self.driver = machines.build_uio(self.folder, self.kernel)

    def make_memory(self):
        say("2. Two files are the memory that the sides share, all zero. Each side writes its own;"
            "\n   the other one's it can only read: the hypervisor sees to that.")
        for path in self.memory.values():
            self.make_zeros(path)

    @staticmethod
    def make_zeros(path):
        command = f"head -c {MEMORY} /dev/zero > {shlex.quote(str(path))}"
        say_command(command)
        if subprocess.run(["sh", "-c", command], check=False).returncode != 0:
            raise machines.Missing(f"{path}: expected a file that can be written to")

    # ---- the sides ----

    def program(self, side, own, peer, bell, file, out):
        return [f"/crossvm-demo-{side}", "--own", own, "--peer", peer, "--bell", bell, "--file",
                file, "--out", out, "--seconds", str(self.arguments.seconds),
                *(self.extra() if side == "a" else [])]

    def extra(self):
        return [f"--{name}" for name in ("tear", "spoil") if getattr(self.arguments, name)]

    def machine(self, side, echo=None):
        """A guest with its own memory, the other one's, and doorbells."""
        arguments = self.arguments
        other = "b" if side == "a" else "a"
        backend = arguments.backend
        devices = [*machines.plain(OWN, self.memory[side], MEMORY),
                   *machines.plain(PEER, self.memory[other], MEMORY, read_only=True)]
        files = {f"crossvm-demo-{side}": self.folder / f"crossvm-demo-{side}"}
        modules = []
        steps = []
        bell = "none"
        if backend != "none":
            devices += machines.doorbell(BELL, self.socket)
            bell = f"{backend}:{machines.slot(BELL)}"
        if backend == "vfio":
            devices = machines.IOMMU + devices
            modules = ["vfio-pci", "vfio_iommu_type1"]
            steps.append(f"vfio {machines.slot(BELL)}")
        if backend == "uio":
            modules = ["uio"]
            files["crossvm_uio_ivshmem.ko"] = self.driver
            steps.append("load /crossvm_uio_ivshmem.ko")
        if arguments.file:
            files["file"] = arguments.file
            steps_file = "/file"
            size = os.path.getsize(arguments.file) >> 20
        else:
            files["make-data"] = self.folder / "make-data"
            steps_file = "/tmp/file"
            steps.append(f"run /make-data /tmp/file {MIB} {1 if side == 'a' else 2}")
            size = MIB
        command = self.program(side, f"pci:{machines.slot(OWN)}", f"pci:{machines.slot(PEER)}",
                               bell, steps_file, "/tmp")
        steps.append("run " + " ".join(command))
        terminal = "linux" if sys.stdout.isatty() else "dumb"
        columns = shutil.get_terminal_size().columns
        return machines.Machine(side, self.folder, self.kernel, self.init, steps, files, modules,
                                devices, memory=160 + 4 * size, echo=echo,
                                append=f" TERM={terminal} COLUMNS={columns}")

    def host_side(self):
        """B as a process of the host: the same program, with files and a socket."""
        file = self.arguments.file
        if not file:
            file = self.folder / "file-b"
            subprocess.run([self.folder / "make-data", file, str(MIB), "2"], check=True)
        out = self.folder / "out"
        out.mkdir(exist_ok=True)
        self.remove_unfinished()
        bell = "none" if self.arguments.backend == "none" else f"server:{self.socket}"
        command = self.program("b", f"file:{self.memory['b']}", f"file:{self.memory['a']}", bell,
                               str(file), str(out))
        command[0] = str(self.folder / "crossvm-demo-b")
        return command

    # ---- running ----

    def run(self):
        self.make_memory()
        if self.arguments.backend == "none":
            return self.run_sides()
        server = machines.Server(self.server, {self.socket: f"{MEMORY},{self.bells_memory}"})
        say("3. A server hands out doorbells; the memory that it hands out, too, which all could "
            "write, stays zero.")
        self.make_zeros(self.bells_memory)
        say_command(shlex.join(server.command))
        with server:
            return self.run_sides()

    def run_host_side(self, command):
        """The status of B on the host. Whatever ends this program ends it, too, first."""
        with subprocess.Popen(command, preexec_fn=machines.die_with_us) as process:
            try:
                return process.wait(self.left())
            except subprocess.TimeoutExpired:
                raise machines.Failure("B did not end") from None
            finally:
                machines.end(process)
                self.remove_unfinished()

    def remove_unfinished(self):
        """What B on the host was writing when it was killed."""
        for path in (self.folder / "out").glob(".crossvm-demo-from-a.*"):
            path.unlink()

    def left(self):
        """Seconds that the run may still take."""
        return max(1, self.limit - time.monotonic())

    def run_sides(self):
        self.limit = time.monotonic() + self.arguments.seconds + RUN_LIMIT
        a = self.machine("a")
        say("4. Machine A publishes its state and streams a file.")
        say_command(shlex.join(a.command))
        if self.arguments.host:
            command = self.host_side()
            say("5. B is a process of this host.")
            say_command(shlex.join(command))
            say()
            with a:
                b_status = self.run_host_side(command)
                a_status = self.status(a)
        else:
            b = self.machine("b", View(sys.stdout.buffer))
            say("5. Machine B reads A's state, shows it, and streams a file back.")
            say_command(shlex.join(b.command))
            say()
            with a, b:
                b_status = self.status(b)
                a_status = self.status(a)
        return self.judge(a, a_status, b_status)

    def status(self, machine):
        """How the demo's program ended in a machine."""
        match = machine.wait_for(
            rf"^guest: /crossvm-demo-{machine.name} ended (with|by signal) (\d+)", self.left())
        machine.finish(GUESTS_END)
        return int(match.group(2)) if match.group(1) == "with" else 1

    def judge(self, a, a_status, b_status):
        if a_status != 0:
            for match in a.said("^crossvm-demo-a: .*"):
                print(match.group(), file=sys.stderr)
        say(f"6. A ended with status {a_status}, B with {b_status}.")
        if 2 in (a_status, b_status):
            return 2
        return 0 if (a_status, b_status) == (0, 0) else 1


def parse():
    parser = argparse.ArgumentParser(prog="demo.py")
    parser.add_argument("--folder", required=True)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--file")
    parser.add_argument("--backend", choices=("vfio", "uio", "none"), default="vfio")
    for name in ("host", "tear", "spoil"):
        parser.add_argument(f"--{name}", action="store_true")
    return parser.parse_args()


SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def stop(number, _):
    """An end by a signal is an end like any other: the machines go first. One signal is enough."""
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)


def main():
    parent = os.getppid()
    for number in SIGNALS:
        signal.signal(number, stop)
    machines.die_with_parent(signal.SIGTERM)
    if os.getppid() != parent:
        return 128 + signal.SIGTERM
    arguments = parse()
    try:
        os.makedirs(arguments.folder, exist_ok=True)
        with machines.Lock(pathlib.Path(arguments.folder) / "lock"):
            demo = Demo(arguments)
            demo.prepare()
            return demo.run()
    except (machines.Missing, machines.Unbuilt) as missing:
        print(f"run-demo.sh: {missing}", file=sys.stderr)
        return 2
    except machines.Failure as failure:
        print(f"run-demo.sh: {failure}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"run-demo.sh: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
