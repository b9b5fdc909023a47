"""bode compact beside a server under load: killed at any moment, it and the server, nothing is lost."""
import json
import os
import random
import signal
import subprocess
import time

import pytest
from conftest import LONG, walk
from server import BODE, PASSWORD, wait_until
from users import Mover, Reader, Sender, check_delivery
from wire import Imap, Unanswered

ROUNDS = 40 if LONG else 6
HERE, LOOSE = "inbox@example.org", "loose@example.org"
READERS = [f"reader{i}@example.org" for i in range(2)]
ENTRIES = 1500
TEXT = b"Subject: one of many\r\n\r\nsome text\r\n"


def compact(server):
    return subprocess.Popen([BODE, "--config", server.config, "compact", "--json"],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def loosen(server, dice):
    """Many entries, and then every other one goes: their pages are half empty."""
    with Imap(server.ports["imap"], LOOSE, PASSWORD) as imap:
        count = imap.status("INBOX")["MESSAGES"]
        if count == 0:
            assert imap.ask("APPEND INBOX", TEXT).ok
            count = 1
        imap.select("INBOX")
        while count < ENTRIES:
            more = min(count, ENTRIES - count)
            assert imap.ask(f"COPY 1:{more} INBOX").ok
            count += more
        chosen = sorted(dice.sample(range(1, count + 1), count // 2))
        for at in range(0, len(chosen), 200):
            uids = ",".join(map(str, chosen[at:at + 200]))
            assert imap.ask(f"STORE {uids} +FLAGS.SILENT (\\Deleted)").ok
        assert imap.ask("EXPUNGE").ok


def loosen_patiently(server, dice):
    """Whoever was killed comes back."""
    def is_loose():
        try:
            loosen(server, dice)
            return True
        except (OSError, Unanswered):
            return False
    wait_until(is_loose, "pages that are half empty")


@pytest.mark.seeds(1, 6)
def test_killed_at_any_moment(new_server, seed):
    dice = random.Random(seed)
    server = new_server(users=[HERE, LOOSE, *READERS]).start()
    senders = [Sender(server, f"sender{i}", seed, [[HERE]]) for i in range(2)]
    readers = [Reader(server, f"reader{i}", seed, user, PASSWORD)
               for i, user in enumerate(READERS)]
    mover = Mover(server, "mover", seed, HERE, PASSWORD)
    users = [*senders, *readers, mover]
    for user in users:
        user.start()
    for number in range(ROUNDS):
        loosen_patiently(server, dice)
        process = compact(server)
        time.sleep(dice.random() * 0.5)
        victims = dice.choice(["compact", "back", "both"])
        if victims != "compact":
            os.kill(wait_until(lambda: server.children().get("back"), "a back"), signal.SIGKILL)
        if victims != "back":
            process.kill()
        out, problems = process.communicate(timeout=120)
        # Left to itself, it does not notice that the server died.
        assert process.returncode in (0, -signal.SIGKILL), problems.decode()
        assert process.returncode == 0 or victims != "back"
        walk(server)  # beside the load, which goes on
        for user in users:
            assert user.is_alive(), user.finish()
    loosen_patiently(server, dice)
    process = compact(server)
    out, problems = process.communicate(timeout=120)
    assert process.returncode == 0, problems.decode()
    told = json.loads(out)
    assert told["done"] and told["rewritten_octets"] > 0
    assert told["after_octets"] > 0 and told["before_octets"] > 0
    for user in users:
        user.finish()
    assert server.stop() == 0
    walk(server)
    server.start()
    check_delivery(server, senders, [HERE], PASSWORD)
    for reader in readers:
        reader.stopping = True
        reader.session()
    assert "all is well" in server.bode("verify")
    assert all(user.answered > ROUNDS for user in users)
