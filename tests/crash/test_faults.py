"""Disks that are full or fail, no descriptors left, processes that stand still: the protocol's
answer, nothing lost or half-written, and service goes on by itself."""
import base64
import contextlib
import mmap
import os
import random
import resource
import signal
import socket
import struct
import subprocess
import time

import pytest
from conftest import LONG, PROGRAMS, walk
from server import PASSWORD, wait_until
from users import Reader, Sender, check_delivery
from wire import Imap, Smtp, Unanswered

ALICE, BOB = "alice@example.org", "bob@example.org"
NO_ROOM = ("NO [OVERQUOTA]", "NO [UNAVAILABLE]")


def noise(octets, seed):
    """What no compression makes smaller, as a message."""
    text = base64.encodebytes(random.Random(seed).randbytes(octets * 3 // 4))
    return f"Subject: noise {seed}\r\n\r\n".encode() + text.replace(b"\n", b"\r\n")


def store_of(server):
    return server.state / "store" / "data.mdb"


# ---- no room ----

class FileLimit:
    """The file may not grow any more than that: as a full disk, but for everybody to have."""

    def __init__(self, server):
        self.back = server.children()["back"]
        self.size = os.path.getsize(store_of(server))

    def leave(self, octets):
        limit = resource.RLIM_INFINITY if octets is None else self.size + octets
        resource.prlimit(self.back, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


class Disk:
    """A file system of its own, which a ballast fills."""

    def __init__(self, folder):
        self.ballast = folder / "ballast"

    def leave(self, octets):
        self.ballast.unlink(missing_ok=True)
        if octets is None:
            return
        statvfs = os.statvfs(self.ballast.parent)
        with open(self.ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(
                statvfs.f_bavail * statvfs.f_frsize - octets, statvfs.f_frsize))


@pytest.fixture(params=["disk", "file limit"])
def tight(request, new_server, tmp_path):
    """A server, and who decides how much room its store has."""
    if request.param == "file limit":
        server = new_server().start()
        yield server, FileLimit(server)
        return
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "bode-test", folder],
                          capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        server = new_server(folder=folder)
        server.log_path = tmp_path / "log"  # the log has a disk of its own
        server.start()
        yield server, Disk(folder)
        server.stop()
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(server, sent, octets):
    """Delivers to Bob until there is no room; returns the refusal."""
    with Smtp(server.ports["smtp"]) as smtp:
        for _ in range(1000):
            text = noise(octets, len(sent))
            reply = smtp.deliver("a@elsewhere.example", [BOB], text)
            if reply[0] != 250:
                return reply
            sent.append(text)
    raise AssertionError("there is always room")


def check_inbox(server, sent, gone=0):
    """Bob has what was accepted, in order, and nothing else."""
    with Imap(server.ports["imap"], BOB, PASSWORD) as imap:
        found = [text for _, (text, _) in sorted(imap.messages("INBOX")[0].items())]
        assert imap.status("INBOX")["MESSAGES"] == len(found) == len(sent) - gone
    for text, original in zip(found, sent[gone:], strict=True):
        assert text.endswith(original)


def test_no_room(tight):
    server, room = tight
    sent, back = [], server.children()["back"]
    for number in range(12):
        with Smtp(server.ports["smtp"]) as smtp:
            sent.append(noise(100_000, number))
            assert smtp.deliver("a@elsewhere.example", [BOB], sent[-1])[0] == 250
    room.leave(36 << 20)
    code, text = fill(server, sent, 300_000)
    assert code == 452 and text.startswith("4.3.1"), (code, text)

    with Imap(server.ports["imap"], BOB, PASSWORD) as imap:
        # What grows is refused, be it small or large; what does not goes on.
        for command, literal in (("APPEND Archive", b"Subject: small\r\n\r\n\r\n"),
                                 ("APPEND Archive", noise(2_000_000, -1)),
                                 ("CREATE new", None)):
            answer = imap.ask(command, literal)
            assert answer.text.startswith(NO_ROOM), (command, answer.text)
        imap.select("INBOX")
        answer = imap.ask("COPY 1:3 Archive")
        assert answer.text.startswith(NO_ROOM), answer.text
        assert imap.ask("STORE 1 +FLAGS (\\Seen)").ok
        assert imap.ask("MOVE 1:2 Archive").ok
        assert imap.status("Archive")["MESSAGES"] == 2
    with Smtp(server.ports["smtp"]) as smtp:
        for number in range(3):
            code, text = smtp.deliver("a@elsewhere.example", [ALICE, BOB],
                                      noise(3_000_000, number))
            assert code == 452 and text.startswith("4.3.1"), (code, text)
    check_inbox(server, sent, gone=2)
    walk(server)

    # Deletions make room, on a disk that is no less full.
    with Imap(server.ports["imap"], BOB, PASSWORD) as imap:
        imap.select("INBOX")
        assert imap.ask("STORE 1:10 +FLAGS.SILENT (\\Deleted)").ok
        assert imap.ask("EXPUNGE").ok
    check_inbox(server, sent, gone=12)
    walk(server)

    # And when there is room again, nobody has to be started anew.
    room.leave(None)
    with Smtp(server.ports["smtp"]) as smtp:
        sent.append(noise(300_000, len(sent)))
        assert smtp.deliver("a@elsewhere.example", [BOB], sent[-1])[0] == 250
    check_inbox(server, sent, gone=12)
    assert walk(server)
    assert server.children()["back"] == back
    assert "event=store-full" in server.log() and "event=store-has-room-again" in server.log()


def test_not_an_octet_left(tight):
    """Without even the reserve, whatever does not work says so, and changes nothing."""
    server, room = tight
    sent, back = [], server.children()["back"]
    for number in range(8):
        with Smtp(server.ports["smtp"]) as smtp:
            sent.append(noise(50_000, number))
            assert smtp.deliver("a@elsewhere.example", [BOB], sent[-1])[0] == 250
    room.leave(0)
    gone = 0
    with Imap(server.ports["imap"], BOB, PASSWORD) as imap:
        for number in range(4):
            with Smtp(server.ports["smtp"]) as smtp:
                code, text = smtp.deliver("a@elsewhere.example", [BOB], noise(9000, -number))
                assert code == 452 and text.startswith("4.3.1"), (code, text)
            answer = imap.ask("APPEND INBOX", noise(200_000, -9))
            assert answer.text.startswith(NO_ROOM), answer.text
            imap.select("INBOX")
            answer = imap.ask("UID MOVE 1 Trash" if gone == 0 else "NOOP")
            assert answer.ok or answer.text.startswith(NO_ROOM), answer.text
            gone += answer.ok and gone == 0
            answer = imap.ask("STORE 1:* FLAGS (\\Seen)")
            assert answer.ok or answer.text.startswith(NO_ROOM), answer.text
            answer = imap.ask("FETCH 1 BODY.PEEK[]")
            assert answer.ok, answer.text
    check_inbox(server, sent, gone)
    room.leave(None)
    wait_until(lambda: Smtp(server.ports["smtp"]).deliver("a@b.example", [ALICE],
                                                          noise(100, 1))[0] == 250, "room")
    check_inbox(server, sent, gone)
    walk(server)
    assert server.children()["back"] == back


# ---- a disk that fails ----

class Shim:
    """tests/crash/shim.c in a server that is not started yet."""

    def __init__(self, server, tmp_path, monkeypatch):
        path = tmp_path / "shim"
        path.write_bytes(bytes(4096))
        with open(path, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), 4096)
        monkeypatch.setenv("BODE_SHIM", str(path))
        monkeypatch.setenv("LD_PRELOAD", str(PROGRAMS / "crash-shim.so"))
        monkeypatch.setenv("ASAN_OPTIONS", "verify_asan_link_order=0")
        server.start()
        monkeypatch.delenv("LD_PRELOAD")
        self.inodes = [os.stat(path).st_ino for path in
                       (store_of(server), store_of(server).with_name("redo.log"))]
        self.set()

    def set(self, write_error=0, sync_error=0, one_in=1):
        self.page[0:28] = struct.pack("<QQIII", *self.inodes, write_error, sync_error, one_in)

    def failures(self):
        return struct.unpack("<I", self.page[28:32])[0]


@pytest.mark.parametrize("fault, code, status", [
    ({"write_error": 5}, 451, "4.3.0"), ({"sync_error": 5}, 451, "4.3.0"),
    ({"write_error": 28}, 452, "4.3.1")], ids=["write", "sync", "full"])
def test_the_disk_fails(new_server, tmp_path, monkeypatch, fault, code, status):
    server = new_server()
    shim = Shim(server, tmp_path, monkeypatch)
    back, sent = server.children()["back"], [noise(3000, 1)]
    with Smtp(server.ports["smtp"]) as smtp, Imap(server.ports["imap"], BOB, PASSWORD) as imap:
        assert smtp.deliver("a@elsewhere.example", [BOB], sent[0])[0] == 250
        imap.select("INBOX")
        for number in range(3):
            shim.set(**fault)
            for octets in (5000, 400_000):
                reply = smtp.deliver("a@elsewhere.example", [ALICE, BOB], noise(octets, 7))
                assert reply[0] == code and reply[1].startswith(status), reply
                answer = imap.ask("APPEND Archive", noise(octets, 8))
                assert answer.text.startswith(NO_ROOM), answer.text
            assert imap.ask("STORE 1 FLAGS (\\Deleted)").text.startswith("NO [")
            assert imap.ask("EXPUNGE").ok  # nothing is marked
            assert imap.ask("MOVE 1 Archive").text.startswith("NO [")
            assert imap.ask("CREATE new").text.startswith("NO [")
            assert b"noise" in b"".join(imap.ask("FETCH 1 BODY.PEEK[]").untagged)
            shim.set()
            check_inbox(server, sent)
            sent.append(noise(3000, 10 + number))
            assert smtp.deliver("a@elsewhere.example", [BOB], sent[-1])[0] == 250
            assert imap.ask("STORE 1 FLAGS (\\Seen)").ok
    assert shim.failures() > 0
    check_inbox(server, sent)
    walk(server)
    assert server.children()["back"] == back


@pytest.mark.seeds(1, 6)
def test_the_disk_fails_now_and_then(new_server, tmp_path, monkeypatch, seed):
    """While many people work. What was refused is not there; what was accepted is."""
    server, dice = new_server(), random.Random(seed)
    shim = Shim(server, tmp_path, monkeypatch)
    server.add_user("reader@example.org")
    back = server.children()["back"]
    senders = [Sender(server, f"sender{i}", seed, [[ALICE], [BOB], [ALICE, BOB]], final=True)
               for i in range(3)]
    reader = Reader(server, "reader", seed, "reader@example.org", PASSWORD,
                    refusals=("UNAVAILABLE", "OVERQUOTA"))
    for user in (*senders, reader):
        user.start()
    for _ in range(100 if LONG else 25):
        shim.set(one_in=dice.choice((1, 2, 5, 20)), **dice.choice((
            {"write_error": 5}, {"sync_error": 5}, {"write_error": 28},
            {"write_error": 5, "sync_error": 5})))
        time.sleep(dice.random() / 5)
        shim.set()
        time.sleep(dice.random() / 5)
    for user in (*senders, reader):
        user.finish()
    assert shim.failures() > 20
    assert reader.refused > 0 and sum(sender.refused for sender in senders) > 0
    # Some were told to come again (421, NO); nobody was left without a word, but for a content
    # that failed half sent: what is left then is to end the connection, and the log says so.
    broken_off = server.log().count("event=fetch-broken-off")
    unanswered = [why for user in (*senders, reader) for why in user.unanswered]
    assert len(unanswered) <= broken_off, unanswered
    check_delivery(server, senders, [ALICE, BOB], PASSWORD)
    reader.stopping = True
    reader.session()
    walk(server)
    assert server.children()["back"] == back


# ---- no descriptors ----

@pytest.mark.parametrize("role", ["front", "back"])
def test_no_descriptors(new_server, role):
    """Who was there goes on; who comes waits or is refused; later all is well."""
    server = new_server().start()
    children = server.children()
    smtp, imap = Smtp(server.ports["smtp"]), Imap(server.ports["imap"], BOB, PASSWORD)
    used = max(int(fd) for fd in os.listdir(f"/proc/{children[role]}/fd")) + 1
    _, most = resource.prlimit(children[role], resource.RLIMIT_NOFILE)
    resource.prlimit(children[role], resource.RLIMIT_NOFILE, (used + 4, most))
    with contextlib.ExitStack() as stack:
        refused = 0
        for number in range(30):
            try:
                one = Imap(server.ports["imap"], ALICE, PASSWORD)
                stack.enter_context(one)
                assert one.ask("SELECT INBOX").ok
            except Unanswered:
                refused += 1
            if number % 5 == 0:
                text = noise(2000, number)
                assert smtp.deliver("a@elsewhere.example", [BOB], text)[0] == 250
                assert imap.ask("APPEND INBOX", text).ok
        assert refused >= 20, refused
        resource.prlimit(children[role], resource.RLIMIT_NOFILE, (used + 500, most))
        stack.enter_context(Imap(server.ports["imap"], ALICE, PASSWORD))
    assert imap.status("INBOX")["MESSAGES"] == 12
    smtp.close()
    imap.close()
    walk(server)
    assert server.children() == children


# ---- a process stands still ----

@pytest.mark.parametrize("role", ["front", "back", "supervisor"])
def test_a_process_stands_still(new_server, role):
    server = new_server().start()
    server.add_user("reader@example.org")
    children = server.children()
    senders = [Sender(server, f"sender{i}", 1, [[ALICE], [BOB], [ALICE, BOB]], final=True)
               for i in range(3)]
    reader = Reader(server, "reader", 1, "reader@example.org", PASSWORD)
    users = (*senders, reader)
    for user in users:
        user.start()
    wait_until(lambda: all(user.answered > 5 or user.problem for user in users), "work")
    pid = children.get(role, server.process.pid)
    os.kill(pid, signal.SIGSTOP)
    # Who comes now waits, at most.
    late = socket.create_connection(("127.0.0.1", server.ports["smtp"]), 60)
    time.sleep(6 if LONG else 3)
    os.kill(pid, signal.SIGCONT)
    with late, late.makefile("rb") as lines:
        assert lines.readline().startswith(b"220")
    before = [user.answered for user in users]
    wait_until(lambda: all(user.answered > count + 5 or user.problem
                           for user, count in zip(users, before)), "more work")
    for user in users:
        user.finish()
        assert not user.unanswered, (user.name, user.unanswered)
    check_delivery(server, senders, [ALICE, BOB], PASSWORD)
    walk(server)
    assert server.children() == children
