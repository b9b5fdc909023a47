"""Fixtures and the length of the tests: `make test` takes the short one, `make crash` the long."""
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "e2e"), str(ROOT / "tests" / "crash")]

from server import BODE, PASSWORD, Server  # noqa: E402

PROGRAMS = pathlib.Path(BODE).parent / "tests" / "crash"
LONG = os.environ.get("BODE_CRASH", "short") == "long"


def pytest_configure(config):
    config.addinivalue_line("markers", "seeds(short, long): how often to run, each with a seed")


def pytest_generate_tests(metafunc):
    """Where chance plays, the seed is in the test's name."""
    if "seed" in metafunc.fixturenames:
        first = int(os.environ.get("BODE_CRASH_SEED", "1"))
        marker = metafunc.definition.get_closest_marker("seeds")
        short, long = marker.args
        metafunc.parametrize("seed", range(first, first + (long if LONG else short)))


@pytest.fixture
def new_server(tmp_path):
    """A function that makes a server, not yet started; stopped when the test ends."""
    made = []

    def new(settings="", users=("alice@example.org", "bob@example.org"), folder=None):
        folder = folder or tmp_path / f"server{len(made)}"
        folder.mkdir(exist_ok=True)
        server = Server(folder, "[auth]\nplaintext = loopback\n"
                        "[limits]\nexempt = 127.0.0.0/8\n" + settings)
        for user in users:
            server.add_user(user, PASSWORD)
        made.append(server)
        return server

    yield new
    for one in made:
        if one.process:
            one.stop()
            one.check_log()


def walk(server):
    """Holds the store against itself (walk.h). Returns {(user, mailbox id): its numbers}."""
    done = subprocess.run([PROGRAMS / "crash-check", server.state], capture_output=True, text=True,
                          timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {}
    for line in done.stdout.splitlines():
        user, mailbox, uidvalidity, uidnext, modseq, messages, name = line.split(" ", 6)
        found[user, int(mailbox)] = {
            "uidvalidity": int(uidvalidity), "uidnext": int(uidnext), "modseq": int(modseq),
            "messages": int(messages), "name": name}
    return found
