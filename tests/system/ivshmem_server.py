#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/crossvm-ivshmem-server as its clients see it: what each is told, who comes and goes, deaths,
clients that do not belong, stale sockets, arguments.

    ivshmem_server.py SOURCE_DIR [CC]
"""
import errno
import os
import pathlib
import resource
import select
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
        self.socket = connect(path)
        self.n_vectors = n_vectors
        self.peers = {}  # id: descriptors

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
        self.id, fd = self.message()
        check(fd is None and 0 <= self.id < 65536, "own id")
        value, self.memory = self.message()
        check(value == -1 and self.memory is not None, "memory")
        while len(self.peers.get(self.id, [])) < self.n_vectors:
            self.learn()
        return self

    def learn(self):
        peer, fd = self.message()
        if fd is None:
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
        ready, _, _ = select.select([self.peers[self.id][vector]], [], [], 0)
        return struct.unpack("=Q", os.read(self.peers[self.id][vector], 8))[0] if ready else 0

    def quiet(self):
        ready, _, _ = select.select([self.socket], [], [], 0)
        return not ready

    def close(self):
        self.socket.close()
        for fd in [self.memory, *(fd for fds in self.peers.values() for fd in fds)]:
            os.close(fd)
        self.peers = {}


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
            Client(server.paths[0]).greet()
            signal.pause()
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
        speaker.socket.send(b"hello")
        first.learn_of(1)
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


def one_who_does_not_read_holds_nobody_up(program, folder):
    with Server(program, folder, "--peers", "3", "--vectors", "64") as server:
        first = Client(server.paths[0], 64).greet()
        deaf = connect(server.paths[0])
        n = 0
        while True:
            client = Client(server.paths[0], 64).greet()
            first.learn_of(client.id)
            client.close()
            while client.id in first.peers:
                first.learn()
            n += 1
            if 1 not in first.peers and n > 1:
                break
            check(n < 1000, "one who never reads stays")
        deaf.close()
        check("does not read" in server.end()[1], "the log says nothing")


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


def a_stale_socket_is_replaced_and_nothing_else(program, folder):
    path = folder / "a"
    with Server(program, folder) as server:
        Client(server.paths[0]).greet()
        again = subprocess.run([program, f"{path}={LEN}"], capture_output=True, text=True,
                               timeout=LIMIT, check=False)
        equal(again.returncode, 1, "a second server")
        check("another server" in again.stderr, again.stderr)
        Client(server.paths[0]).greet()
        server.process.kill()
        server.process.wait()
        check(path.is_socket(), "killed, it leaves its socket")
    with Server(program, folder) as server:
        Client(server.paths[0]).greet()
        path.unlink()
        path.write_text("a file")
        equal(server.end()[0], 0, "exit status")
        equal(path.read_text(), "a file", "what somebody else put there")
    file = subprocess.run([program, f"{path}={LEN}"], capture_output=True, text=True,
                          timeout=LIMIT, check=False)
    equal(file.returncode, 1, "a file in the place of a socket")
    equal(path.read_text(), "a file", "the file")
    path.unlink()


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
    other = subprocess.run([program, f"{path}={2 * LEN},{memory}"], capture_output=True, text=True,
                           timeout=LIMIT, check=False)
    equal(other.returncode, 1, "another length")
    equal(memory.stat().st_size, LEN, "the file's length")


def bad_arguments_are_named(program, folder):
    for arguments, named in (
            ((), "at least one"), (("a",), "region a"), (("=4096",), "region"),
            (("a=",), "region"), (("a=12x",), "region"), (("a=1K",), "region"),
            (("a=99999999999999999999",), "region"), (("a=4096,",), "region"),
            (("x" * 108 + "=4096",), "socket"), (("--vectors", "0", "a=4096"), "--vectors 0"),
            (("--vectors", "65", "a=4096"), "--vectors 65"), (("--peers", "x", "a=1M"), "--peers x"),
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
         ids_come_again_on_request, regions_have_nothing_in_common, who_does_not_belong_is_sent_away,
         another_user_is_refused, one_who_does_not_read_holds_nobody_up,
         many_who_do_not_read_hold_nobody_up,
         a_stale_socket_is_replaced_and_nothing_else, memory_in_a_file_survives_the_server,
         bad_arguments_are_named)


def main():
    if len(sys.argv) < 2:
        print("usage: ivshmem_server.py SOURCE_DIR [CC]", file=sys.stderr)
        return 2
    source = pathlib.Path(sys.argv[1])
    compiler = sys.argv[2] if len(sys.argv) > 2 else "cc"
    n_failed = 0
    with tempfile.TemporaryDirectory(prefix="crossvm-server-") as name:
        program = str(pathlib.Path(name) / "server")
        subprocess.run([compiler, "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror",
                        "-DCROSSVM_SERVER_VERSION=\"test\"", "-o", program,
                        str(source / "tools/crossvm-ivshmem-server.c")], check=True)
        for case in CASES:
            print(case.__name__, flush=True)
            with tempfile.TemporaryDirectory(prefix="crossvm-server-") as folder:
                try:
                    case(program, pathlib.Path(folder))
                except (Failure, OSError, ValueError) as failure:
                    print(f"  failed: {failure}")
                    n_failed += 1
    print(f"{len(CASES) - n_failed} passed, {n_failed} failed")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
