"""The power fails: the file as a disk may have it then, at every write (power.c)."""
import re
import subprocess

import pytest

from conftest import LONG, PROGRAMS

STATES = 8000 if LONG else 1100


def power(*words):
    return subprocess.run([PROGRAMS / "crash-power", *map(str, words)], capture_output=True,
                          text=True, timeout=3600)


@pytest.mark.seeds(2, 8)
def test_nothing_acknowledged_is_lost(seed):
    done = power("--states", STATES, "--jobs", 800 if LONG else 300, "--seed", seed)
    assert done.returncode == 0, done.stdout + done.stderr
    states, bad = re.search(r"(\d+) states \(.*, (\d+) bad", done.stdout).groups()
    assert int(states) >= STATES and int(bad) == 0


def test_a_disk_that_lies_is_found_out():
    """With syncs that sync nothing mail does get lost: were that not seen, nothing would be."""
    done = power("--states", 60, "--jobs", 100, "--lie")
    assert done.returncode == 1, done.stdout + done.stderr
    assert int(re.search(r"(\d+) bad", done.stdout).group(1)) > 10
