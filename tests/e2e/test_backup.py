"""bode backup, bode restore, bode status: with the real server, and by what IMAP shows after."""
import json
import os
import random
import re
import signal
import subprocess
import threading
import time

import pytest

from server import BODE, PASSWORD, SERVICES, Server, fetch_all, free_ports, wait_until

KEYWORD = "$Project"


class Restored(Server):
    """A server whose store came out of a backup."""

    def __init__(self, folder, backup, *options):
        self.folder = folder
        folder.mkdir()
        self.state, self.config = folder / "state", folder / "bode.conf"
        self.log_path, self.process = folder / "log", None
        self.ports = dict(zip(SERVICES, free_ports(len(SERVICES))))
        self.write_config()
        self.said = self.bode("restore", str(backup), *options)


def message(number, octets=500):
    filler = random.Random(number).randbytes(octets // 2).hex()
    lines = "\r\n".join(filler[i:i + 70] for i in range(0, len(filler), 70))
    return (f"From: a@elsewhere.example\r\nTo: alice@example.org\r\nSubject: number {number}\r\n"
            f"Message-ID: <{number}@elsewhere.example>\r\n\r\n{lines}\r\n").encode()


def number_of(text):
    return int(re.search(rb"Subject: number (\d+)", text).group(1))


def everything(server, users=("alice@example.org", "bob@example.org")):
    """All that IMAP can tell: mailboxes, subscriptions, UIDVALIDITY, UIDs, flags, dates, bytes. Not
    UIDNEXT: a restored store leaves out what may have been given since."""
    found = {}
    for user in users:
        imap = server.imap(user, mailbox=None)
        found[user, "subscribed"] = sorted(imap.lsub()[1], key=str)
        listed = imap.list()[1]
        found[user, "list"] = sorted(listed, key=str)
        for line in listed:
            name = re.search(rb'"/" (.*)$', line).group(1).decode()
            status = imap.status(name, "(MESSAGES UIDVALIDITY UNSEEN)")[1]
            found[user, name, "status"] = status
            assert imap.select(name, readonly=True)[0] == "OK"
            found[user, name, "facts"] = [
                item for item in imap.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE "
                                          "ENVELOPE)")[1] if item]
            found[user, name, "bodies"] = fetch_all(imap)
        imap.logout()
    return found


def furnish(server):
    """Something of everything."""
    imap = server.imap("alice@example.org")
    assert imap.create("Projects/2031")[0] == "OK"
    assert imap.create('"B&APw-cher"')[0] == "OK"
    assert imap.subscribe("Projects/2031")[0] == "OK"
    assert imap.unsubscribe("Junk")[0] == "OK"
    for number, octets in enumerate([0, 100, 5000, 70000, 300000, 2000000]):
        assert imap.append("Projects/2031", "(\\Seen)" if number % 2 else f"(\\Flagged {KEYWORD})",
                           '"01-Feb-2003 04:05:06 +0700"', message(number, octets))[0] == "OK"
    for number in range(10, 20):
        assert server.deliver("alice@example.org", message(number))[0] == 250
    assert imap.select("INBOX")[0] == "OK"
    assert imap.uid("STORE", "2:4", "+FLAGS", "(\\Deleted)")[0] == "OK"
    assert imap.expunge()[0] == "OK"
    assert imap.uid("COPY", "5:7", "Archive")[0] == "OK"
    imap.logout()


def run_restored(folder, backup, *options):
    restored = Restored(folder, backup, *options)
    return restored.start()


def test_all_comes_back(new_server, tmp_path):
    server = new_server().start()
    furnish(server)
    status = json.loads(server.bode("status", "--json"))
    assert status["running"] is True and status["backup"] is None
    assert status["users"] == 2 and status["messages"] == 16

    folder = tmp_path / "backup"
    said = server.bode("backup", str(folder))
    assert said.startswith("good: 2 users, 16 messages,") and " 0 B kept" in said
    status = json.loads(server.bode("status", "--json"))["backup"]
    assert status["messages"] == 16 and status["folder"] == str(folder)
    assert 0 <= status["age_seconds"] < 600
    assert "proven" in server.bode("status")
    for path in [folder, *folder.iterdir()]:
        assert path.stat().st_mode & 0o077 == 0, path
    before = everything(server)

    restored = run_restored(tmp_path / "other", folder)
    try:
        assert everything(restored) == before
        # Passwords of before; the certificate that clients know.
        assert (restored.state / "key.pem").read_bytes() == (server.state / "key.pem").read_bytes()
        with pytest.raises(Exception, match="AUTHENTICATIONFAILED"):
            restored.imap("alice@example.org", "wrong")
        # It goes on: mail comes in, under UIDs that nobody can have had since the backup.
        assert restored.deliver("alice@example.org", message(99))[0] == 250
        uids = fetch_all(restored.imap("alice@example.org"))
        assert max(uids) > 11 and number_of(uids[max(uids)]) == 99
    finally:
        assert restored.stop() == 0
    restored.check_log()
    assert not json.loads(restored.bode("status", "--json"))["running"]


def octets_of(folder):
    return sum(path.stat().st_size for path in folder.iterdir())


def test_a_second_run_copies_what_is_new(new_server, tmp_path):
    server = new_server().start()
    folder = tmp_path / "backup"
    for number in range(5):
        assert server.deliver("alice@example.org", message(number, 500000))[0] == 250
    server.bode("backup", str(folder))
    first = octets_of(folder)
    assert server.deliver("alice@example.org", message(9, 1000))[0] == 250
    said = server.bode("backup", str(folder))
    assert re.search(r"; \d+ B copied|; 1\.\d KiB copied", said), said
    assert octets_of(folder) - first < 20000
    # The state before is there, too.
    now = Restored(tmp_path / "now", folder)
    then = Restored(tmp_path / "then", folder, "--previous")
    assert json.loads(now.bode("status", "--json"))["messages"] == 6
    assert json.loads(then.bode("status", "--json"))["messages"] == 5


class Load:
    """Delivers one message after the other and moves each to Archive: in every state of the
    store, the numbers are without gaps, and each message is in one of the two mailboxes."""

    def __init__(self, server):
        self.server, self.acknowledged, self.stopping = server, 0, False
        self.problems = []
        self.threads = [threading.Thread(target=self.guard, args=(what,))
                        for what in (self.deliver, self.move)]
        for thread in self.threads:
            thread.start()

    def guard(self, what):
        try:
            what()
        except Exception as problem:  # pylint: disable=broad-except
            self.problems.append(problem)

    def deliver(self):
        while not self.stopping:
            assert self.server.deliver("alice@example.org",
                                       message(self.acknowledged + 1, 3000))[0] == 250
            self.acknowledged += 1

    def move(self):
        imap = self.server.imap("alice@example.org")
        while not self.stopping:
            imap.noop()
            uids = imap.uid("SEARCH", "ALL")[1][0].split()
            if uids:
                assert imap.uid("MOVE", uids[0].decode(), "Archive")[0] == "OK"
        imap.logout()

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()
        assert not self.problems, self.problems


def numbers_in(restored):
    """Checks that it is one moment; returns the last number."""
    restored.start()
    try:
        inbox = fetch_all(restored.imap("alice@example.org"))
        archive = fetch_all(restored.imap("alice@example.org", mailbox="Archive"))
    finally:
        assert restored.stop() == 0
    restored.check_log()
    texts = [*inbox.values(), *archive.values()]
    numbers = sorted(number_of(text) for text in texts)
    assert numbers == list(range(1, len(numbers) + 1))
    for text in texts:
        assert text.endswith(message(number_of(text), 3000))
    return len(numbers)


def test_under_load_it_is_one_moment(new_server, tmp_path):
    server = new_server().start()
    folder = tmp_path / "backup"
    load = Load(server)
    try:
        for round_number in range(3):
            wait_until(lambda: load.acknowledged >= 20 * (round_number + 1) or load.problems,
                       "some mail")
            least = load.acknowledged
            assert server.bode("backup", str(folder)).startswith("good")
            most = load.acknowledged + 1
            assert least <= numbers_in(Restored(tmp_path / f"r{round_number}", folder)) <= most
    finally:
        load.stop()


def test_killed_at_any_moment(new_server, tmp_path):
    server = new_server().start()
    folder = tmp_path / "backup"
    load, rounds, killed, least = Load(server), 25, 0, 0
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    try:
        wait_until(lambda: load.acknowledged >= 5 or load.problems, "some mail")
        started = time.monotonic()
        server.bode("backup", str(folder))
        usual = time.monotonic() - started
        least = 5
        for round_number in range(rounds):
            before = load.acknowledged
            process = subprocess.Popen([BODE, "--config", server.config, "backup", folder],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                status = process.wait(dice.uniform(0, usual * 1.2))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                status = process.wait()
            assert status in (0, -signal.SIGKILL)
            killed += status != 0
            if status == 0:
                least = before
            if round_number % 5 == 4:
                restored = Restored(tmp_path / f"r{round_number}", folder)
                assert numbers_in(restored) >= least
    finally:
        load.stop()
    assert killed > 0
    assert server.bode("backup", str(folder)).startswith("good")
    assert numbers_in(Restored(tmp_path / "last", folder)) == load.acknowledged
    # What the killed ones left behind is gone.
    names = sorted(path.name.split("-")[0] for path in folder.iterdir())
    assert names.count("state") == names.count("index") == 2 and "held" not in names, names
    assert "bode-scratch" not in [path.name for path in folder.iterdir()]


def flip(path, offset):
    octets = bytearray(path.read_bytes())
    octets[offset] ^= 1
    path.write_bytes(octets)


def test_damage_is_found(new_server, tmp_path):
    server = new_server().start()
    folder, other = tmp_path / "backup", tmp_path / "other"
    for number in range(3):
        assert server.deliver("alice@example.org", message(number, 100000))[0] == 250
    server.bode("backup", str(folder))
    blobs = next(folder.glob("blobs-*"))
    flip(blobs, 70000)
    other.mkdir()
    config = other / "bode.conf"
    config.write_text(f"[server]\nhostname = localhost\nstate_dir = {other}/state\n")

    def restore(*options):
        return subprocess.run([BODE, "--config", config, "restore", folder, *options],
                              capture_output=True, text=True)

    done = restore()
    assert done.returncode == 1 and "1 of 3 messages" in done.stderr, done.stderr
    assert not any((other / "state").iterdir())
    done = restore("--despite-damage")
    assert done.returncode == 1 and "1 messages of the backup are damaged" in done.stderr
    # The next run heals it.
    done = subprocess.run([BODE, "--config", server.config, "backup", folder], capture_output=True,
                          text=True)
    assert done.returncode == 0 and "copied anew" in done.stderr, done.stderr
    assert json.loads(Restored(tmp_path / "healed", folder).bode("status", "--json"))["messages"] == 3
    flip(folder / "manifest", 40)
    done = subprocess.run([BODE, "--config", tmp_path / "none.conf", "restore", folder],
                          capture_output=True, text=True)
    assert done.returncode == 1 and "--previous" in done.stderr


def test_one_sentence_each(new_server, tmp_path):
    server = new_server()
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "holiday.jpg").write_text("x")
    assert "no backup of Bode" in server.bode("backup", str(foreign), status=1)
    assert "no backup of Bode" in server.bode("restore", str(foreign), status=1)
    assert [path.name for path in foreign.iterdir()] == ["holiday.jpg"]
    assert "cannot be opened" in server.bode("backup", str(foreign / "holiday.jpg"), status=1)
    assert "cannot be opened" in server.bode("restore", str(tmp_path / "nowhere"), status=1)
    folder = tmp_path / "backup"
    server.bode("backup", str(folder))
    problem = server.bode("restore", str(folder), status=1)
    assert "there is a store" in problem and problem.count("\n") == 1
    marker = folder / "bode-backup"
    marker.write_text(marker.read_text().replace("version 1", "version 2"))
    for command in ("backup", "restore"):
        assert "newer Bode" in server.bode(command, str(folder), status=1)
    assert "usage" in server.bode("backup", status=2)
    assert "too many" in server.bode("status", "x", status=2)
    # Another store's backup is not overwritten.
    marker.write_text(marker.read_text().replace("version 2", "version 1"))
    time.sleep(1.1)  # stores are told apart by when they were made
    assert "another store" in new_server().bode("backup", str(folder), status=1)


def test_a_machine_with_nothing(new_server, tmp_path):
    """Without configuration and state folder; and where other files stand in the way."""
    server = new_server("[limits]\nrecipients = 500\n").start()
    assert server.deliver("alice@example.org", message(1))[0] == 250
    folder = tmp_path / "backup"
    server.bode("backup", str(folder))
    assert server.stop() == 0
    config, own = server.config.read_bytes(), (server.state / "key.pem").read_bytes()
    os.rename(server.folder, tmp_path / "gone")
    server.folder.mkdir()
    said = server.bode("restore", str(folder))
    assert "good" in said
    assert server.config.read_bytes() == config
    assert (server.state / "key.pem").read_bytes() == own
    server.start()
    assert len(fetch_all(server.imap("alice@example.org", PASSWORD))) == 1

    other = Restored(tmp_path / "other", folder)
    assert "only in the backup: recipients = 500" in other.said
    assert "only in yours: hostname" not in other.said
    assert (other.folder / "bode.conf.restored").read_bytes() == config


def test_scratch_elsewhere(new_server, tmp_path):
    server = new_server()
    elsewhere = tmp_path / "elsewhere"
    assert "cannot be used" in server.bode("backup", str(tmp_path / "b"), "--scratch",
                                           str(elsewhere), status=1)
    elsewhere.mkdir()
    assert "good" in server.bode("backup", str(tmp_path / "b"), "--scratch", str(elsewhere))
    assert not any(elsewhere.iterdir())
