#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/crossvm-ivshmem-server as its clients see it: what each is told, who comes and goes,
deaths, clients that do not belong or do not read, too little memory and too few descriptors, stale
sockets, what is left behind, arguments.

    ivshmem_server.py SOURCE_DIR [CC]
"""
import contextlib
import errno
import fcntl
import os
import pathlib
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

LIMIT = 60  # seconds: guards against hanging
LEN = 65536
OTHER_USER = 12345


class Failure(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failure(what)


def equal(found, wanted, what):
    check(found == wanted, f"{what}: {found!r}, wanted {wanted!r}")


def refused(function, *arguments):
    """The error number of a call, None if it went well."""
    try:
        function(*arguments)
    except OSError as error:
        return error.errno
    return None


def run(program, *arguments, before=None):
    """A server that is expected to end by itself."""
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=LIMIT,
                          check=False, preexec_fn=before)


def readable(fd):
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def with_descriptors(n):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (n, n))


def mode(path):
    return os.stat(path).st_mode & 0o777


# ---- a server and its clients ------------------------------------------------------------------


class Server:
    def __init__(self, program, folder, *arguments, regions=("a",), before=None):
        self.paths = [str(folder / name) for name in regions]
        wanted = [f"{path}={LEN}" for path in self.paths]
        self.process = subprocess.Popen([program, *arguments, *wanted], stderr=subprocess.PIPE,
                                        text=True, preexec_fn=before)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate(timeout=LIMIT)

    def end(self, number=signal.SIGTERM):
        """Its exit status, and what it said."""
        self.process.send_signal(number)
        log = self.process.communicate(timeout=LIMIT)[1]
        return self.process.returncode, log

    def n_descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory(self, what):
        """A line of /proc/PID/status, in bytes."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith(what))

    @contextlib.contextmanager
    def stopped(self):
        """What happens meanwhile, the server hears of at once."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


def connect(path):
    """A connection, as soon as there is a server."""
    end = time.monotonic() + LIMIT
    while True:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(LIMIT)
        if client.connect_ex(path) == 0:
            return client
        client.close()
        check(time.monotonic() < end, f"{path}: no server")
        time.sleep(0.01)


class Client:
    """Takes what the server says, message by message."""

    def __init__(self, path, n_vectors=8):
        self.memory = None
        self.peers = {}  # id: descriptors
        self.n_vectors = n_vectors
        self.socket = connect(path)

    def pass_over(self, n):
        """Takes messages without looking at them."""
        for _ in range(n):
            said = self.message()
            check(said, "hung up on")
            if said[1] is not None:
                os.close(said[1])

    def is_hung_up_on(self):
        """Waits for it."""
        try:
            while True:
                said = self.message()
                if said is None:
                    return True
                if said[1] is not None:
                    os.close(said[1])
        except ConnectionResetError:  # it did not hear all that was said to it
            return True

    def message(self):
        data, fds, _, _ = socket.recv_fds(self.socket, 8, 1)
        if not data:
            return None
        while len(data) < 8:
            more = self.socket.recv(8 - len(data))
            check(more, "half a message")
            data += more
        return struct.unpack("<q", data)[0], fds[0] if fds else None

    def greet(self):
        equal(self.message(), (0, None), "version")
        self.id, fd = self.message() or (-1, None)
        check(fd is None and 0 <= self.id < 65536, "own id")
        value, self.memory = self.message() or (0, None)
        check(value == -1 and self.memory is not None, "memory")
        while len(self.peers.get(self.id, [])) < self.n_vectors:
            self.learn()
        return self

    def learn(self):
        said = self.message()
        check(said, "hung up on")
        peer, fd = said
        if fd is None:
            check(peer in self.peers, f"the death of {peer}, of which nothing was said before")
            for old in self.peers.pop(peer):
                os.close(old)
        else:
            self.peers.setdefault(peer, []).append(fd)
        return peer, fd is not None

    def learn_of(self, peer):
        while len(self.peers.get(peer, [])) < self.n_vectors:
            self.learn()

    def ring(self, peer, vector):
        os.write(self.peers[peer][vector], struct.pack("=Q", 1))

    def heard(self, vector):
        fd = self.peers[self.id][vector]
        return struct.unpack("=Q", os.read(fd, 8))[0] if readable(fd) else 0

    def quiet(self):
        return not readable(self.socket)

    def close(self):
        self.socket.close()
        for fd in [self.memory, *(fd for fds in self.peers.values() for fd in fds)]:
            if fd is not None:
                os.close(fd)
        self.memory = None
        self.peers = {}

    def __del__(self):
        self.close()


# ---- cases -------------------------------------------------------------------------------------


def everybody_learns_of_everybody(program, folder):
    with Server(program, folder) as server:
        clients = [Client(server.paths[0]).greet() for _ in range(3)]
        equal([client.id for client in clients], [0, 1, 2], "ids")
        for client in clients:
            for other in clients:
                client.learn_of(other.id)
        for a in clients:
            for b in clients:
                for vector in range(8):
                    a.ring(b.id, vector)
                    equal([c.heard(v) for c in clients for v in range(8)],
                          [int(c is b and v == vector) for c in clients for v in range(8)],
                          "who is rung")
        memories = {os.fstat(client.memory).st_ino for client in clients}
        equal((len(memories), os.fstat(clients[0].memory).st_size), (1, LEN), "memory")
        os.pwrite(clients[0].memory, b"said by 0", 100)
        equal(os.pread(clients[2].memory, 9, 100), b"said by 0", "what the memory holds")
        equal(refused(os.ftruncate, clients[1].memory, LEN // 2), errno.EPERM, "cutting it short")
        for client in clients:
            client.close()
        equal(server.end()[0], 0, "exit status")
        check(not os.path.exists(server.paths[0]), "the socket is left")


def one_who_is_killed_is_missed_by_the_others(program, folder):
    with Server(program, folder) as server:
        first = Client(server.paths[0]).greet()
        child = os.fork()
        if child == 0:
            client = Client(server.paths[0]).greet()
            signal.pause()
            client.close()
        first.learn_of(1)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        equal(first.learn(), (1, False), "who went")
        second = Client(server.paths[0]).greet()
        equal(second.id, 2, "an id that nobody had before")
        check(1 not in second.peers, "the dead one is still there")
        first.learn_of(2)
        first.ring(2, 5)
        equal(second.heard(5), 1, "rings")


def ids_come_again_on_request(program, folder):
    with Server(program, folder, "--reuse-ids") as server:
        first = Client(server.paths[0]).greet()
        watcher = Client(server.paths[0]).greet()
        equal((first.id, watcher.id), (0, 1), "ids")
        first.close()
        for _ in range(3):
            equal(watcher.learn(), (0, False), "who went")
            first = Client(server.paths[0]).greet()
            equal(first.id, 0, "the lowest free id")
            watcher.learn_of(0)
            first.close()


def regions_have_nothing_in_common(program, folder):
    with Server(program, folder, "--vectors", "2", regions=("a", "b")) as server:
        a = Client(server.paths[0], 2).greet()
        b = Client(server.paths[1], 2).greet()
        equal((a.id, b.id), (0, 0), "ids")
        check(os.fstat(a.memory).st_ino != os.fstat(b.memory).st_ino, "one memory for both")
        check(a.quiet() and b.quiet(), "a region is told of the other")


def who_does_not_belong_is_sent_away(program, folder):
    with Server(program, folder, "--peers", "2") as server:
        first = Client(server.paths[0]).greet()
        speaker = Client(server.paths[0]).greet()
        third = Client(server.paths[0])
        equal(third.message(), None, "one too many is told")
        first.learn_of(1)
        speaker.socket.send(b"hello")
        check(speaker.is_hung_up_on(), "one who speaks")
        equal(first.learn(), (1, False), "who went")
        status, log = server.end()
        equal(status, 0, "exit status")
        check("spoke" in log and "--peers" in log, log)


def another_user_is_refused(program, folder):
    if os.geteuid() != 0:
        print("  (left out: needs another user)")
        return
    with Server(program, folder) as server:
        Client(server.paths[0]).greet()
        os.chmod(folder, 0o755)
        os.chmod(server.paths[0], 0o666)
        child = os.fork()
        if child == 0:
            os.setuid(OTHER_USER)
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(LIMIT)
            client.connect(server.paths[0])
            os._exit(0 if client.recv(8) == b"" else 1)
        equal(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0, "the other user")
        status, log = server.end()
        check(f"user {OTHER_USER}" in log and "--user" in log, log)


def nothing_of_the_dead_is_kept(program, folder):
    with Server(program, folder) as server:
        first = Client(server.paths[0]).greet()
        before = server.n_descriptors()
        for _ in range(50):
            client = Client(server.paths[0]).greet()
            first.learn_of(client.id)
            client.close()
            equal(first.learn(), (client.id, False), "who went")
        equal(server.n_descriptors(), before, "descriptors")


def one_who_does_not_read_holds_nobody_up(program, folder):
    """However many come and go: only the living wait for it, and of them it reads in the end."""
    with Server(program, folder, before=with_descriptors(60)) as server:
        deaf = Client(server.paths[0])
        first = Client(server.paths[0]).greet()
        before = server.n_descriptors()
        for _ in range(200):
            client = Client(server.paths[0]).greet()
            first.learn_of(client.id)
            client.close()
            equal(first.learn(), (client.id, False), "who went")
        equal(server.n_descriptors(), before, "descriptors")
        deaf.greet().learn_of(first.id)
        equal(server.end()[0], 0, "exit status")
        equal(deaf.message(), None, "more than there is")


def the_dead_are_missed_by_those_who_knew_them(program, folder):
    """One who was sent a part of somebody's vectors knew it; one who was sent none did not."""
    with Server(program, folder) as server:
        slow = Client(server.paths[0]).greet()
        first = Client(server.paths[0]).greet()
        slow.learn_of(first.id)
        for _ in range(2):
            client = Client(server.paths[0]).greet()
            first.learn_of(client.id)
            client.close()
            equal(first.learn(), (client.id, False), "who went")
        n = 0
        said = slow.learn()
        while said == (2, True):
            n += 1
            said = slow.learn()
        equal(said, (2, False), "what follows the first one's vectors")
        check(0 < n < 8, f"{n} vectors of one who is dead")
        equal(server.end()[0], 0, "exit status")
        equal(slow.message(), None, "what is said of one who came and went unseen")


def one_who_reads_slowly_does_not_grow(program, folder):
    """It reads as much as comes, but never all."""
    n_vectors = 32
    with Server(program, folder, "--vectors", str(n_vectors), "--quiet") as server:
        slow = Client(server.paths[0], n_vectors).greet()
        others = []
        for n in range(2000):
            client = Client(server.paths[0], n_vectors)
            equal(client.message(), (0, None), "version")
            others.append(client)
            if n < 4:
                continue
            others.pop(0).close()
            slow.pass_over(n_vectors + 1 if n > 4 else n_vectors * 2)
            if n == 100:
                before = server.memory("VmData")
        growth = server.memory("VmData") - before
        check(growth < 256 * 1024, f"{growth} bytes more")
        for other in others:
            other.close()


def too_little_memory_ends_nothing(program, folder):
    """Those for whom there is none are disconnected."""
    with Server(program, folder, "--vectors", "64") as server:
        Client(server.paths[0], 64).greet()
        limit = server.memory("VmSize") + (1 << 20)
        resource.prlimit(server.process.pid, resource.RLIMIT_AS, (limit, limit))
        deaf = [connect(server.paths[0]) for _ in range(60)]
        for client in deaf:
            client.recv(8)
        for client in deaf:
            client.close()
        Client(server.paths[0], 64).greet()
        status, log = server.end()
        equal(status, 0, "exit status")
        check("no memory" in log or "Cannot allocate" in log, log)


def too_few_descriptors_end_nothing(program, folder):
    """Those for whom there are none are sent away, until somebody goes."""
    logs = ""
    for n in (40, 41):
        with Server(program, folder, "--vectors", "1", before=with_descriptors(n)) as server:
            inside = []
            while True:
                client = Client(server.paths[0], 1)
                client.socket.settimeout(LIMIT / 4)
                if client.message() is None:
                    break
                inside.append(client)
                check(len(inside) < n, "more than there are descriptors")
            check(Client(server.paths[0], 1).is_hung_up_on(), "one more too many")
            for client in inside[:3]:
                client.socket.close()
            for _ in range(3):
                Client(server.paths[0], 1).greet()
            status, log = server.end()
            equal(status, 0, "exit status")
            logs += log
    check("sent away" in logs and "is refused" in logs, logs)


def many_who_do_not_read_hold_nobody_up(program, folder):
    """How many descriptors are on their way is limited, for all but root."""
    user = os.geteuid()

    def become_poor():
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))
        if user == 0:
            os.setgroups([])
            os.setuid(OTHER_USER)

    pathlib.Path(program).parent.chmod(0o755)
    folder.chmod(0o777)
    with Server(program, folder, "--vectors", "64", "--user", str(user),
                before=become_poor) as server:
        deaf = [connect(server.paths[0]) for _ in range(4)]
        last = Client(server.paths[0], 64).greet()
        equal(sorted(last.peers), [0, 1, 2, 3, 4], "who is there")
        for client in deaf:
            client.close()


def what_cannot_be_sent_yet_is_sent_later(program, folder):
    """The system lets a user that is not root have only so many descriptors on their way. Nothing
    tells the server when they arrived."""
    user = os.geteuid()

    def become_poor():
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
        if user == 0:
            os.setgroups([])
            os.setuid(OTHER_USER)

    pathlib.Path(program).parent.chmod(0o755)
    folder.chmod(0o777)
    go, gone = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        if user == 0:
            os.setuid(OTHER_USER)
        here, there = socket.socketpair()
        socket.send_fds(here, [b"many"], [0] * 200)
        os.write(gone[1], b"sent")
        os.read(go[0], 1)
        there.close()
        os._exit(0)
    try:
        os.read(gone[0], 4)
        with Server(program, folder, "--user", str(user), before=become_poor) as server:
            client = Client(server.paths[0])
            equal([client.message(), client.message()], [(0, None), (0, None)], "version and id")
            time.sleep(0.1)
            check(client.quiet(), "the memory is sent, however many are on their way")
            os.write(go[1], b".")
            value, fd = client.message() or (0, None)
            check(value == -1 and fd is not None, "memory")
            for vector in range(8):
                value, fd = client.message() or (-1, None)
                check(value == 0 and fd is not None, f"vector {vector}")
            equal(server.end()[0], 0, "exit status")
    finally:
        os.write(go[1], b".")
        os.waitpid(child, 0)


def one_who_comes_again_finds_its_place(program, folder):
    """Its end and its beginning are heard at the same time."""
    for n_peers in (2, 3):
        with Server(program, folder, "--reuse-ids", "--peers", str(n_peers)) as server:
            first = Client(server.paths[0]).greet()
            machine = Client(server.paths[0]).greet()
            first.learn_of(machine.id)
            with server.stopped():
                machine.close()
                machine = Client(server.paths[0])
            machine.greet()
            equal((machine.id, sorted(machine.peers)), (1, [0, 1]), "its id, and who is there")
            equal(first.learn(), (1, False), "who went")
            first.learn_of(1)
            equal(server.end()[0], 0, "exit status")
            equal(machine.message(), None, "what is said of its own end")


def a_log_that_nobody_reads_ends_nothing(program, folder):
    with Server(program, folder) as server:
        Client(server.paths[0]).greet().close()
        server.process.stderr.close()
        for _ in range(3):
            Client(server.paths[0]).greet().close()
        server.process.send_signal(signal.SIGTERM)
        equal(server.process.wait(timeout=LIMIT), 0, "exit status")


def a_long_memory_is_long_for_32_bits_too(program, folder):
    """The system refuses what is longer than 1 MiB, so that nothing of it is taken."""
    program = pathlib.Path(program).with_name("server32")
    if not program.exists():
        print("  (left out: needs i686-linux-gnu-gcc)")
        return

    def become_short():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    memory = folder / "memory"
    memory.write_bytes(b"")
    os.truncate(memory, LEN)
    for region, error in ((f"a={(4 << 30) + LEN}", "too large"),
                          (f"a={(4 << 30) + LEN},{memory}", "another length")):
        with subprocess.Popen([program, region], cwd=folder, stderr=subprocess.PIPE, text=True,
                              preexec_fn=become_short) as server:
            try:
                log = server.communicate(timeout=LIMIT / 4)[1]
            except subprocess.TimeoutExpired:
                server.kill()
                raise Failure(f"{region}: it starts, with another length") from None
        check(server.returncode == 1 and error in log, log)


def files_are_the_servers_own(program, folder):
    memory = folder / "memory"
    for arguments, wanted in (((), 0o600), (("--user", str(OTHER_USER)), 0o666)):
        os.umask(0)
        process = subprocess.Popen([program, "--quiet", *arguments, f"a={LEN},{memory}"],
                                   cwd=folder)
        os.umask(0o022)
        Client(str(folder / "a")).greet()
        modes = [mode(folder / name) for name in ("a", "memory", "a.lock")]
        process.send_signal(signal.SIGINT)
        equal(process.wait(timeout=LIMIT), 0, "exit status")
        equal([oct(m) for m in modes], [oct(m) for m in (wanted, 0o600, 0o600)], "modes")
        equal(os.listdir(folder), ["memory"], "what is left")
        memory.unlink()


def a_stale_socket_is_replaced_and_nothing_else(program, folder):
    path = folder / "a"
    with Server(program, folder) as server:
        Client(server.paths[0]).greet()
        again = run(program, f"{path}={LEN}")
        equal(again.returncode, 1, "a second server")
        check("another server" in again.stderr, again.stderr)
        equal(Client(server.paths[0]).greet().id, 1, "the next id")
        server.process.kill()
        server.process.wait()
        check(path.is_socket(), "killed, it leaves its socket")
    with Server(program, folder) as server:
        Client(server.paths[0]).greet()
        path.unlink()
        path.write_text("a file")
        equal(server.end()[0], 0, "exit status")
        equal(path.read_text(), "a file", "what somebody else put there")
    equal(run(program, f"{path}={LEN}").returncode, 1, "a file in the place of a socket")
    equal(path.read_text(), "a file", "the file")
    path.unlink()


def a_socket_of_another_program_is_left_alone(program, folder):
    """It is not even connected to, and however busy it is, the server does not wait for it."""
    path = str(folder / "a")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen(0)
        other.setblocking(False)
        waiting = connect(path)
        again = run(program, f"{path}={LEN}")
        equal(again.returncode, 1, "exit status")
        check("another program" in again.stderr, again.stderr)
        other.accept()[0].close()
        equal(refused(other.accept), errno.EAGAIN, "a second connection")
        waiting.close()
        connect(path).close()
    equal(os.listdir(folder), ["a"], "what is left")


def a_socket_has_one_server(program, folder):
    """However many start at the same time on the name that a killed one left."""
    path = str(folder / "a")
    for _ in range(20):
        servers = [subprocess.Popen([program, "--quiet", f"{path}={LEN}"],
                                    stderr=subprocess.DEVNULL) for _ in range(4)]
        try:
            end = time.monotonic() + LIMIT
            while sum(server.poll() is None for server in servers) > 1:
                check(time.monotonic() < end, "more than one server")
                time.sleep(0.005)
            equal(sorted(server.poll() or 0 for server in servers), [0, 1, 1, 1], "statuses")
            Client(path).greet().close()
        finally:
            for server in servers:
                server.kill()
                server.wait()


def a_lock_without_a_name_holds_nothing(program, folder):
    """A server that ends takes its lock's name away while the next one has it open already. That
    one was built to wait before it locks, until there is a file "go"."""
    path = str(folder / "a")

    def wait_for(name):
        end = time.monotonic() + LIMIT
        while not (folder / name).exists():
            check(time.monotonic() < end, f"no {name}")
            time.sleep(0.01)

    with Server(program, folder) as server:
        Client(path).greet()
        late = pathlib.Path(program).with_name("server_late")
        process = subprocess.Popen([late, "--quiet", f"{path}={LEN}"], cwd=folder)
        try:
            wait_for("waits")
            equal(server.end()[0], 0, "exit status")
            (folder / "go").touch()
            wait_for("a")
            check((folder / "a.lock").exists(), "it runs without a lock that others see")
            process.send_signal(signal.SIGTERM)
            equal(process.wait(timeout=LIMIT), 0, "exit status of the next one")
        finally:
            process.kill()
            process.wait()


def a_lock_is_a_servers_own(program, folder):
    """What else has its name stays; where there can be none, the server says so."""
    lock = folder / "a.lock"
    regions = [f"{folder}/b={LEN}", f"{folder}/a={LEN}"]
    lock.mkdir()
    ended = run(program, *regions)
    check(ended.returncode == 1 and "a.lock: the socket's lock" in ended.stderr, ended.stderr)
    lock.rmdir()
    lock.write_text("a file")
    ended = run(program, *regions)
    check(ended.returncode == 1 and "a.lock: is there" in ended.stderr, ended.stderr)
    equal(lock.read_text(), "a file", "the file")
    lock.write_text("")
    with lock.open("w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        ended = run(program, *regions)
        check(ended.returncode == 1 and "another server" in ended.stderr, ended.stderr)
    equal(os.listdir(folder), ["a.lock"], "what is left")
    ended = run(program, f"{folder}/none/a={LEN}")
    check(ended.returncode == 1 and "a.lock: the socket's lock" in ended.stderr, ended.stderr)
    with Server(program, folder) as server:
        Client(server.paths[0]).greet()
        equal(server.end()[0], 0, "exit status")
    equal(os.listdir(folder), [], "what is left")


def memory_in_a_file_survives_the_server(program, folder):
    memory = folder / "memory"
    path = str(folder / "a")
    for text in (b"first", b"second"):
        process = subprocess.Popen([program, "--quiet", f"{path}={LEN},{memory}"])
        client = Client(path).greet()
        equal(os.pread(client.memory, 6, 0), b"\0" * 6 if text == b"first" else b"first\0", "old")
        os.pwrite(client.memory, text, 0)
        client.close()
        process.send_signal(signal.SIGINT)
        equal(process.wait(timeout=LIMIT), 0, "exit status")
    equal(memory.read_bytes()[:6], b"second", "what the file holds")
    equal(run(program, f"{path}={2 * LEN},{memory}").returncode, 1, "another length")
    equal(memory.stat().st_size, LEN, "the file's length")


def what_a_failed_start_made_is_gone(program, folder):
    (folder / "empty").write_bytes(b"")
    (folder / "full").write_bytes(b"x" * LEN)
    (folder / "file").write_bytes(b"no socket")
    before = sorted(os.listdir(folder))

    def become_short():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (LEN, LEN))

    good = [f"{folder}/s-{name}={LEN},{folder}/{name}" for name in ("new", "empty", "full")]
    for bad in (f"{folder}/none/a={LEN}", f"{folder}/file={LEN}",
                f"{folder}/s={2 * LEN},{folder}/new2", f"{folder}/s={2 * LEN},{folder}/full"):
        ended = run(program, *good, bad, before=become_short)
        equal(ended.returncode, 1, bad)
        equal(sorted(os.listdir(folder)), before, f"{bad}: what is left")
        equal((folder / "empty").stat().st_size, 0, f"{bad}: the empty file's length")
        equal((folder / "full").read_bytes(), b"x" * LEN, f"{bad}: the full file")


def a_start_that_is_interrupted_goes_on(program, folder):
    """The server was built so that a signal interrupts its first call."""
    program = pathlib.Path(program).with_name("server_interrupted")
    with Server(program, folder) as server:
        while server.process.poll() is None and not os.path.exists(server.paths[0]):
            time.sleep(0.01)
        equal(server.process.poll(), None, "exit status")
        Client(server.paths[0]).greet()
        equal(server.end()[0], 0, "exit status")


def bad_arguments_are_named(program, folder):
    for arguments, named in (
            ((), "at least one"), (("a",), "region a"), (("=4096",), "region"),
            (("a=",), "region"), (("a=12x",), "region"), (("a=1K",), "region"),
            (("a=99999999999999999999",), "region"), (("a=4096,",), "region"),
            (("x" * 108 + "=4096",), "socket"), (("--vectors", "0", "a=4096"), "--vectors 0"),
            (("--vectors", "65", "a=4096"), "--vectors 65"),
            (("--peers", "x", "a=1M"), "--peers x"),
            (("--user", "-1", "a=1M"), "--user -1"), (("--what", "a=1M"), "--what")):
        run = subprocess.run([program, *arguments], capture_output=True, text=True, cwd=folder,
                             timeout=LIMIT, check=False)
        equal(run.returncode, 2, f"{arguments}")
        check(named in run.stderr, f"{arguments}: {run.stderr}")
        equal(os.listdir(folder), [], f"{arguments}: what is left")
    for option in ("--help", "--version"):
        run = subprocess.run([program, option], capture_output=True, text=True, timeout=LIMIT,
                             check=False)
        equal((run.returncode, run.stderr), (0, ""), option)


CASES = (everybody_learns_of_everybody, one_who_is_killed_is_missed_by_the_others,
         ids_come_again_on_request, regions_have_nothing_in_common,
         who_does_not_belong_is_sent_away, another_user_is_refused, nothing_of_the_dead_is_kept,
         one_who_does_not_read_holds_nobody_up, the_dead_are_missed_by_those_who_knew_them,
         one_who_reads_slowly_does_not_grow, too_little_memory_ends_nothing,
         too_few_descriptors_end_nothing, many_who_do_not_read_hold_nobody_up,
         what_cannot_be_sent_yet_is_sent_later, one_who_comes_again_finds_its_place,
         a_log_that_nobody_reads_ends_nothing, a_long_memory_is_long_for_32_bits_too,
         files_are_the_servers_own, a_stale_socket_is_replaced_and_nothing_else,
         a_socket_of_another_program_is_left_alone, a_socket_has_one_server,
         a_lock_without_a_name_holds_nothing, a_lock_is_a_servers_own,
         memory_in_a_file_survives_the_server,
         what_a_failed_start_made_is_gone, a_start_that_is_interrupted_goes_on,
         bad_arguments_are_named)


INTERRUPTED = """
#include <errno.h>
#include <fcntl.h>
static inline int interrupted(int fd, off_t at, off_t len)
{
    static int n;
    return n++ == 0 ? EINTR : posix_fallocate(fd, at, len);
}
#define posix_fallocate interrupted
"""
LATE = """
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
static inline int late(int fd, int how)
{
    close(open("waits", O_CREAT | O_WRONLY, 0600));
    while (access("go", F_OK) != 0) {
        usleep(1000);
    }
    return flock(fd, how);
}
#define flock(fd, how) late(fd, how)
"""


def build(compiler, source, program, *flags):
    subprocess.run([compiler, "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", *flags,
                    "-DCROSSVM_SERVER_VERSION=\"test\"", "-o", program,
                    source / "tools/crossvm-ivshmem-server.c"], check=True)


def main():
    if len(sys.argv) < 2:
        print("usage: ivshmem_server.py SOURCE_DIR [CC]", file=sys.stderr)
        return 2
    source = pathlib.Path(sys.argv[1])
    compiler = sys.argv[2] if len(sys.argv) > 2 else "cc"
    n_failed = 0
    with tempfile.TemporaryDirectory(prefix="crossvm-server-") as name:
        program = str(pathlib.Path(name) / "server")
        build(compiler, source, program)
        for kind, text in (("interrupted", INTERRUPTED), ("late", LATE)):
            header = pathlib.Path(name) / f"{kind}.h"
            header.write_text(text, encoding="ascii")
            build(compiler, source, f"{program}_{kind}", "-D_GNU_SOURCE=1",
                  "-D_FILE_OFFSET_BITS=64", "-include", header)
        if shutil.which("i686-linux-gnu-gcc"):
            build("i686-linux-gnu-gcc", source, program + "32", "-static")
        for case in CASES:
            print(case.__name__, flush=True)
            with tempfile.TemporaryDirectory(prefix="crossvm-server-") as folder:
                try:
                    case(program, pathlib.Path(folder))
                except (Failure, OSError, ValueError, subprocess.TimeoutExpired) as failure:
                    print(f"  failed: {failure}")
                    n_failed += 1
    print(f"{len(CASES) - n_failed} passed, {n_failed} failed")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
