"""The power fails: the files as a disk may have them then, at every write (power.c)."""
import re
import subprocess

import pytest

from conftest import LONG, PROGRAMS

STATES = 8000 if LONG else 600


def power(*words):
    return subprocess.run([PROGRAMS / "crash-power", *map(str, words)], capture_output=True,
                          text=True, timeout=3600)


@pytest.mark.seeds(2, 8)
def test_nothing_acknowledged_is_lost(seed):
    done = power("--states", STATES, "--jobs", 1600 if LONG else 1000, "--seed", seed)
    assert done.returncode == 0, done.stdout + done.stderr
    states, again, bad = map(int, re.search(r"(\d+) states \(.*, and (\d+) while .*, (\d+) bad",
                                            done.stdout).groups())
    assert states >= STATES and again >= STATES / 8 and bad == 0
    # The load goes all the ways of a commit: by the redo log, whose areas are written over, and past it.
    commits, records, begun_again = map(int, re.search(
        r"(\d+) commits, (\d+) .* and (\d+) times again", done.stdout).groups())
    assert 0 < records < commits and begun_again > 0


def test_a_disk_that_lies_is_found_out():
    """With syncs that sync nothing mail does get lost: were that not seen, nothing would be."""
    done = power("--states", 60, "--jobs", 100, "--lie")
    assert done.returncode == 1, done.stdout + done.stderr
    assert int(re.search(r"(\d+) bad", done.stdout).group(1)) > 10
