# SPDX-License-Identifier: Apache-2.0
"""What the system tests share: the command line, programs, cases, skipping with a reason.

    TEST.py SOURCE_DIR [CC]
"""
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # the sources stay as they are

LIMIT = 300  # seconds: guards against hanging
SKIPPED = 77


def check(condition, what):
    if not condition:
        raise machines.Failure(what)


def equal(found, wanted, what):
    check(found == wanted, f"{what}: {found!r}, wanted {wanted!r}")


def host(*command):
    """Runs a program on the host; what it said, line by line."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=LIMIT,
                          check=False)
    check(done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout.splitlines()


class Place:
    """A test's folder, its compiler, and what guests need, made when it is first asked for."""

    def __init__(self, source, compiler, folder):
        self.source = source
        self.compiler = compiler
        self.folder = folder
        self.made = {}

    def make(self, name, how):
        if name not in self.made:
            self.made[name] = how()
        return self.made[name]

    def kernel(self):
        return self.make("kernel", machines.find_kernel)

    def init(self):
        return self.make("init", lambda: machines.build_init(self.compiler, self.folder))

    def server(self):
        return self.make("server", lambda: machines.build_server(self.compiler, self.folder))

    def driver(self):
        return self.make("uio", lambda: machines.build_uio(self.folder, self.kernel()))

    def program(self, name):
        """A program of tests/system, which runs on the host and in guests."""
        demo = self.source / "examples/demo"
        return self.make(name, lambda: machines.build(
            self.compiler, self.folder / name,
            [self.source / f"tests/system/{name}.c", demo / "place.c"], f"-I{demo}"))

    def memory(self, name, length=1 << 20, content=b""):
        """A file that is a device's memory: zero but for how it begins."""
        path = self.folder / name
        path.write_bytes(content[:length] + bytes(length - min(length, len(content))))
        return path

    def machine(self, name, steps, programs=(), backend=None, bell=None, devices=(), **more):
        """A guest with programs of tests/system, and a doorbell device at a slot if it has one."""
        files = {program: self.program(program) for program in programs}
        modules = list(more.pop("modules", ()))
        devices = list(devices)
        steps = list(steps)
        if bell:
            number, socket = bell
            devices += machines.doorbell(number, socket)
        if backend == "vfio":
            devices = machines.IOMMU + devices
            modules += ["vfio-pci", "vfio_iommu_type1"]
            steps.insert(0, f"vfio {machines.slot(number)}")
        if backend == "uio":
            modules += ["uio"]
            files["crossvm_uio_ivshmem.ko"] = self.driver()
            steps.insert(0, "load /crossvm_uio_ivshmem.ko")
        files.update(more.pop("files", {}))
        return machines.Machine(name, self.folder, self.kernel(), self.init(), steps, files,
                                modules, devices, **more)


def said(machine, pattern):
    """The one line that a machine said of that form."""
    found = machine.said(pattern)
    check(len(found) == 1, f"{machine.name}: {len(found)} lines like {pattern!r}\n{machine.log()}")
    return found[0]


def run(place, case):
    print(case.__name__, flush=True)
    try:
        case(place)
    except (machines.Failure, OSError, subprocess.TimeoutExpired) as failure:
        print(f"  failed: {failure}")
        return False
    return True


def main(name, cases):
    """Runs the cases in one folder. The exit status: 77 if none could run."""
    if len(sys.argv) < 2:
        print(f"usage: {name} SOURCE_DIR [CC]", file=sys.stderr)
        return 2
    # An end by a signal is an end like any other: machines and folders go first.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _: sys.exit(128 + got))
    source = pathlib.Path(sys.argv[1]).resolve()
    compiler = sys.argv[2] if len(sys.argv) > 2 else "cc"
    n_failed = 0
    n_skipped = 0
    with tempfile.TemporaryDirectory(prefix="crossvm-system-") as folder:
        place = Place(source, compiler, pathlib.Path(folder))
        for case in cases:
            try:
                n_failed += not run(place, case)
            except machines.Missing as missing:
                print(f"skipped: {missing}")
                n_skipped += 1
    print(f"{len(cases) - n_failed - n_skipped} passed, {n_failed} failed, {n_skipped} skipped")
    if n_failed != 0:
        return 1
    return SKIPPED if n_skipped == len(cases) else 0


sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples/vm"))
os.environ.setdefault("LC_ALL", "C")
import machines  # noqa: E402
