"""kill -9 of each process, at any moment, while many people work."""
import os
import pathlib
import random
import signal
import time

import pytest
from conftest import LONG, walk
from server import PASSWORD, wait_until
from users import Mover, Reader, Sender, check_delivery

KILLS = 40 if LONG else 7
HERE, BOTH = "inbox@example.org", "second@example.org"
READERS = [f"reader{i}@example.org" for i in range(3)]


def check_numbers(before, after):
    """Nothing counts backwards, and no number is given twice."""
    for key, numbers in after.items():
        if key in before:
            assert numbers["uidvalidity"] == before[key]["uidvalidity"], (key, numbers)
            assert numbers["uidnext"] >= before[key]["uidnext"], (key, numbers)
            assert numbers["modseq"] >= before[key]["modseq"], (key, numbers)
    of_old = {numbers["uidvalidity"] for numbers in before.values()}
    for key, numbers in after.items():
        assert key in before or numbers["uidvalidity"] not in of_old, (key, numbers)


def has_ended(pid):
    """With all its threads: what is on its way out has no program any more, but still its sockets."""
    try:
        states = [task.joinpath("stat").read_text().rpartition(")")[2].split()[0]
                  for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return not os.path.exists(f"/proc/{pid}")
    return all(state in "ZX" for state in states)


def kill(server, role, again):
    if role == "supervisor":
        server.process.send_signal(signal.SIGSTOP)  # it starts none while they are counted
        children = server.child_pids()
        server.process.kill()
        server.process.wait()
        # As whoever starts it again would: when all of it is gone.
        wait_until(lambda: all(map(has_ended, children)), "the end of the children")
        server.start()
        return
    ready = server.log().count(f"event=child-ready role={role}")
    os.kill(wait_until(lambda: server.children().get(role), f"a {role}"), signal.SIGKILL)
    if not again:
        wait_until(lambda: server.log().count(f"event=child-ready role={role}") > ready,
                   f"another {role}")


@pytest.mark.seeds(2, 6)
def test_nothing_acknowledged_is_lost(new_server, seed):
    dice = random.Random(seed)
    server = new_server(users=[HERE, BOTH, *READERS]).start()
    senders = [Sender(server, f"sender{i}", seed, [[HERE], [BOTH], [HERE, BOTH]])
               for i in range(3)]
    readers = [Reader(server, f"reader{i}", seed, user, PASSWORD)
               for i, user in enumerate(READERS)]
    mover = Mover(server, "mover", seed, HERE, PASSWORD)
    users = [*senders, *readers, mover]
    for user in users:
        user.start()
    numbers = {}
    roles = ["back", "front", "supervisor"]
    for number in range(KILLS):
        time.sleep(dice.random() * 1.5)
        kill(server, roles[0] if dice.random() < 0.4 else dice.choice(roles),
             again=dice.random() < 0.2)
        found = walk(server)  # beside the load, which goes on
        check_numbers(numbers, found)
        numbers = found
        for user in users:
            assert user.is_alive(), user.finish()
    for user in users:
        user.finish()
    assert server.stop() == 0
    check_numbers(numbers, walk(server))
    server.start()
    check_delivery(server, senders, [HERE, BOTH], PASSWORD)
    for reader in readers:
        reader.stopping = True
        reader.session()
    print({user.name: (user.answered, len(user.unanswered)) for user in users})
    assert all(user.answered > KILLS for user in users)
    assert sum(len(user.unanswered) + user.turned_away for user in users) > KILLS
