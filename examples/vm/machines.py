# SPDX-License-Identifier: Apache-2.0
"""Small QEMU machines: a kernel of Debian's, a file system of one's own, ivshmem devices.

A machine's only process is init.c, which follows a list of steps. What the machine says on its
serial console is read line by line; it is judged by what it said, never by how QEMU ended. The demo
(demo.py), the system tests (tests/system) and the comparison (bench/vm.py) use this file.
"""
import ctypes
import os
import pathlib
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
INCLUDE = TOP / "include"
QEMU = "qemu-system-x86_64"
KERNEL_PACKAGE = "linux-image-cloud-amd64"
SOCKET_LEN = 107  # bytes of a UNIX socket's path
BOOT_LIMIT = 300  # seconds: guards against hanging
WARNINGS = ("-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror")


class Missing(Exception):
    """Something that this machine does not have, and why it is needed."""


class Failure(Exception):
    """A machine did not do what it should."""


class Unbuilt(Failure):
    """Something could not be compiled."""


def die_with_parent(number):
    """This process gets a signal when the one that started it ends, however it does."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, number)


def die_with_us():
    """In a process about to be another program: it is killed when this one ends."""
    die_with_parent(signal.SIGKILL)


def end(process, patience=5):
    """Asks a process to end, and kills it if it does not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


# ---- the kernel --------------------------------------------------------------------------------


class Kernel:
    """An unpacked package of a kernel: boot/vmlinuz-VERSION and lib/modules/VERSION."""

    def __init__(self, folder):
        images = sorted(pathlib.Path(folder).glob("boot/vmlinuz-*"))
        if not images:
            raise Missing(f"{folder}: expected boot/vmlinuz-* below it")
        self.image = images[-1]
        self.version = self.image.name.split("-", 1)[1]
        self.files = {path.stem.replace("-", "_"): path for path in
                      pathlib.Path(folder).glob(f"lib/modules/{self.version}/**/*.ko")}

    def modules(self, *names):
        """The files of modules and of all that they depend on, in the order to load them."""
        order = []

        def add(name):
            path = self.files.get(name.replace("-", "_"))
            if path is None:
                raise Missing(f"the kernel {self.version} has no module {name}")
            found = re.search(rb"\0depends=([^\0]*)\0", path.read_bytes())
            for other in (found.group(1).decode() if found else "").split(","):
                if other:
                    add(other)
            if path not in order:
                order.append(path)

        for name in names:
            add(name)
        return order


def download(folder):
    """Debian's kernel for clouds, unpacked and not installed."""
    def run(*command):
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    for tool in ("apt-get", "apt-cache", "dpkg"):
        if shutil.which(tool) is None:
            raise Missing(f"no {tool} here: name an unpacked kernel by CROSSVM_GUEST_KERNEL")
    # What an interrupted run left behind.
    for old in folder.glob("linux-image-*.deb"):
        old.unlink()
    for name in ("unpacking", "unpacked"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for attempt in range(2):
        depends = run("apt-cache", "depends", KERNEL_PACKAGE).stdout
        package = re.search(r"Depends: (linux-image-\S+)", depends)
        if package and run("apt-get", "download", package.group(1)).returncode == 0:
            break
        if attempt == 1 or os.geteuid() != 0:
            raise Missing(f"apt-get cannot download what {KERNEL_PACKAGE} depends on")
        run("apt-get", "update")
    archive = next(folder.glob("linux-image-*.deb"))
    if run("dpkg", "-x", archive.name, "unpacking").returncode != 0:
        raise Missing(f"dpkg cannot unpack {archive.name}")
    archive.unlink()
    (folder / "unpacking").rename(folder / "unpacked")


def find_kernel():
    """The kernel for guests: CROSSVM_GUEST_KERNEL, or Debian's, kept in build/guest-kernel."""
    if platform.machine() != "x86_64":
        raise Missing("guests are x86-64 machines, and their programs are built here")
    if shutil.which(QEMU) is None:
        raise Missing(f"no {QEMU} here")
    given = os.environ.get("CROSSVM_GUEST_KERNEL")
    if given:
        return Kernel(given)
    folder = TOP / "build/guest-kernel"
    if not (folder / "unpacked/boot").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        with Lock(folder / "lock"):
            if not (folder / "unpacked/boot").is_dir():
                download(folder)
    return Kernel(folder / "unpacked")


class Lock:
    """One process at a time; the system takes a lock away from who dies."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        import fcntl
        self.file = open(self.path, "w", encoding="ascii")
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another run, which holds {self.path}", file=sys.stderr, flush=True)
            fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        self.file.close()


# ---- programs ----------------------------------------------------------------------------------


def is_new(program, made, sources):
    """Whether there is a program, and a file newer than sources and all headers that they can
    include."""
    headers = [*INCLUDE.rglob("*.h"), *TOP.glob("examples/*/*.h"), *TOP.glob("tests/**/*.h")]
    return pathlib.Path(program).exists() and made.exists() and made.stat().st_mtime > max(
        path.stat().st_mtime for path in [*map(pathlib.Path, sources), *headers])


def build(compiler, program, sources, *arguments):
    """A static program, which needs nothing of a guest's file system."""
    if shutil.which(compiler) is None:
        raise Missing(f"no compiler {compiler} here")
    command = [compiler, *WARNINGS, "-O2", "-static", "-pthread", f"-I{INCLUDE}", "-o",
               str(program), *map(str, sources), *arguments]
    made = pathlib.Path(f"{program}.command")  # the last thing that is written
    if is_new(program, made, sources) and made.read_text() == shlex.join(command):
        return program
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unbuilt(f"{shlex.join(command)}\n{done.stderr}")
    made.write_text(shlex.join(command))
    return program


def build_init(compiler, folder):
    return build(compiler, pathlib.Path(folder) / "init", [HERE / "init.c"])


def find_headers(kernel):
    """What modules of the guests' kernel are built with."""
    headers = pathlib.Path(f"/usr/src/linux-headers-{kernel.version}")
    if not (headers / "Makefile").exists():
        raise Missing(f"no headers of the guests' kernel {kernel.version} here: "
                      f"install linux-headers-{kernel.version}, or, if the headers here are newer, "
                      "delete build/guest-kernel so that the kernel is fetched again")
    return headers


def build_uio(folder, kernel):
    """The project's UIO driver, as a module of the guests' kernel."""
    headers = find_headers(kernel)
    if shutil.which("make") is None:
        raise Missing("no make here, which the UIO driver is built by")
    module = pathlib.Path(folder) / "crossvm_uio_ivshmem.ko"
    # The kernel's Makefile cannot build in a folder with a blank in its name.
    with tempfile.TemporaryDirectory(prefix="crossvm-uio-", dir=without_blanks()) as made:
        tree = pathlib.Path(made) / "uio"
        shutil.copytree(TOP / "tools/uio", tree)
        done = subprocess.run(["make", "-C", str(tree), f"KDIR={headers}"], capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            raise Unbuilt(f"the UIO driver does not build\n{done.stdout}{done.stderr}")
        shutil.copyfile(tree / module.name, module)
    return module


def without_blanks():
    """Where temporary folders go, by a name without blanks."""
    folder = tempfile.gettempdir()
    return "/tmp" if re.search(r"\s", folder) else folder


def build_server(compiler, folder):
    source = TOP / "tools/crossvm-ivshmem-server.c"
    version = re.search(r'VERSION_STRING +"([^"]+)"', (INCLUDE / "crossvm/version.h").read_text())
    return build(compiler, pathlib.Path(folder) / "crossvm-ivshmem-server", [source],
                 f'-DCROSSVM_SERVER_VERSION="{version.group(1)}"')


# ---- file systems ------------------------------------------------------------------------------


def archive(files):
    """The bytes of an initial file system ("newc" cpio). files: path in the guest to bytes."""
    parts = []
    folders = set()
    number = 0

    def enter(name, mode, data):
        nonlocal number
        number += 1
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        header = "070701" + "".join(f"{field:08x}" for field in fields)
        for part in ((header + name + "\0").encode(), data):
            parts.append(part + b"\0" * (-len(part) % 4))

    for path, data in files.items():
        for folder in reversed(pathlib.PurePosixPath(path).parents):
            if str(folder) != "." and folder not in folders:
                folders.add(folder)
                enter(str(folder), 0o40755, b"")
        enter(path, 0o100755, data)
    enter("TRAILER!!!", 0, b"")
    return b"".join(parts)


# ---- devices -----------------------------------------------------------------------------------


def slot(number):
    """How a guest calls the place that `addr=number` is."""
    return f"0000:00:{number:02x}.0"


def escape(path):
    """A path as part of a QEMU option, where a comma ends a value and two are one."""
    return str(path).replace(",", ",,")


def check_socket(path):
    """Whether a socket can have this path, and the server can be told it."""
    if len(os.fsencode(path)) > SOCKET_LEN:
        raise Missing(f"{path}: expected a shorter path, a socket's has {SOCKET_LEN} bytes at most")
    if "=" in str(path):
        raise Missing(f"{path}: expected a path without =, which ends a socket's for the server")


def plain(number, path, length, read_only=False):
    """A device whose memory is a file, at a place; read-only: by the hypervisor."""
    rights = ",readonly=on" if read_only else ""
    file = f"mem-path={escape(path)},size={length}"
    return ["-object", f"memory-backend-file,id=m{number},share=on,{file}{rights}",
            "-device", f"ivshmem-plain,memdev=m{number},addr=0x{number:x}"]


def doorbell(number, socket, vectors=8):
    """A device whose memory and doorbells an ivshmem server hands out."""
    return ["-chardev", f"socket,id=c{number},path={escape(socket)}",
            "-device", f"ivshmem-doorbell,chardev=c{number},vectors={vectors},addr=0x{number:x}"]


IOMMU = ["-device", "intel-iommu,intremap=on"]


# ---- machines ----------------------------------------------------------------------------------


class Process:
    """A program that is watched by what it says, line by line; it can be started again."""

    def __init__(self, name, command, echo=None):
        """echo: called with all bytes that it says."""
        self.name = name
        self.command = list(map(str, command))
        self.echo = echo
        self.lines = []
        self.n_passed = 0
        self.process = None
        self.changed = threading.Condition()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        preexec_fn=die_with_us)
        self.reader = threading.Thread(target=self.listen, daemon=True)
        self.reader.start()
        return self

    def listen(self):
        rest = b""
        while data := os.read(self.process.stdout.fileno(), 65536):
            if self.echo:
                self.echo(data)
            *lines, rest = (rest + data).split(b"\n")
            with self.changed:
                self.lines += [line.decode(errors="replace").strip() for line in lines]
                self.changed.notify_all()
        with self.changed:
            self.lines.append(rest.decode(errors="replace").strip())
            self.lines.append("(it has ended)")
            self.changed.notify_all()

    def kill(self):
        """As a power failure ends a machine; safe for one that has ended."""
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()
            self.reader.join()
            self.process.stdout.close()
            self.process = None

    def said(self, pattern):
        with self.changed:
            found = [re.search(pattern, line) for line in self.lines]
        return [match for match in found if match]

    def wait_for(self, pattern, limit=BOOT_LIMIT):
        """Waits until a line matches, and gives the match."""
        return self.look_for(pattern, limit, 0)[0]

    def pass_over(self):
        """What was said until now is of no interest to the next expect."""
        with self.changed:
            self.n_passed = len(self.lines)

    def expect(self, pattern, limit=BOOT_LIMIT):
        """As wait_for, but from behind the line that the last expect found."""
        match, self.n_passed = self.look_for(pattern, limit, self.n_passed)
        return match

    def look_for(self, pattern, limit, n_seen):
        """Waits until a line behind the first n_seen matches: the match, and the lines up to it."""
        end = time.monotonic() + limit
        with self.changed:
            while True:
                while n_seen < len(self.lines):
                    line = self.lines[n_seen]
                    n_seen += 1
                    match = re.search(pattern, line)
                    if match:
                        return match, n_seen
                    if line.startswith("guest: failed") or line == "(it has ended)":
                        raise Failure(f"{self.name}: waiting for {pattern!r}: {line}\n{self.log()}")
                left = end - time.monotonic()
                if left <= 0:
                    raise Failure(f"{self.name}: {limit} s without {pattern!r}\n{self.log()}")
                self.changed.wait(left)

    def log(self):
        return "\n".join(f"  {self.name}| {line}" for line in list(self.lines)[-60:])


class Machine(Process):
    """A guest: kernel, file system, devices, and what it says."""

    def __init__(self, name, folder, kernel, init, steps, files=(), modules=(), devices=(),
                 memory=128, append="", echo=None):
        """steps: lines for init.c. files: path in the guest to a file of the host. modules: of the
        kernel's, loaded first. echo: called with all bytes that the machine says."""
        contents = {"init": pathlib.Path(init).read_bytes()}
        loads = []
        for path in kernel.modules(*modules):
            contents[f"modules/{path.name}"] = path.read_bytes()
            loads.append(f"load /modules/{path.name}")
        for path, source in dict(files).items():
            contents[path] = pathlib.Path(source).read_bytes()
        contents["steps"] = "\n".join([*loads, *steps, ""]).encode()
        initrd = pathlib.Path(folder) / f"{name}.cpio"
        initrd.write_bytes(archive(contents))
        iommu = " intel_iommu=on" if IOMMU[1] in devices else ""
        super().__init__(name, [
            QEMU, "-accel", "tcg", "-machine", "q35", "-cpu", "max", "-m", str(memory),
            "-display", "none", "-nodefaults", "-serial", "stdio", "-no-reboot", "-kernel",
            str(kernel.image), "-initrd", str(initrd), "-append",
            f"console=ttyS0 quiet panic=-1 no_timer_check{iommu}{append}", *devices], echo)

    def finish(self, limit=BOOT_LIMIT):
        """Waits for the last step."""
        self.wait_for("^guest: end", limit)
        return self


class Server:
    """An ivshmem server: sockets, each with the length of its memory, and a file if it has one
    ("1M", or "1M,FILE")."""

    def __init__(self, program, regions, *arguments):
        self.command = [str(program), *arguments,
                        *[f"{path}={length}" for path, length in regions.items()]]
        self.paths = list(map(pathlib.Path, regions))
        for path in self.paths:
            check_socket(path)
        self.process = None

    def __enter__(self):
        # A socket that an earlier server left behind would look as if this one were there.
        for path in self.paths:
            if path.is_socket():
                path.unlink()
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE, text=True,
                                        preexec_fn=die_with_us)
        limit = time.monotonic() + BOOT_LIMIT
        while not all(path.exists() for path in self.paths):
            if self.process.poll() is not None or time.monotonic() > limit:
                self.fail()
            time.sleep(0.01)
        time.sleep(0.05)  # from the socket's name to the first peer that it takes
        if self.process.poll() is not None:
            self.fail()
        return self

    def fail(self):
        end(self.process)
        raise Failure(f"the server did not start: {self.process.communicate()[1]}")

    def __exit__(self, *_):
        self.process.terminate()
        self.log = self.process.communicate()[1]
