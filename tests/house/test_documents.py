"""The man page tells of every key and command, so that it stays true."""
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BODE = os.environ.get("BODE", str(ROOT / "build-test" / "bode"))


def bode(*words):
    if not os.path.exists(BODE):
        pytest.skip("the program is not built")
    return subprocess.run([BODE, *words], check=True, capture_output=True, text=True).stdout


def man_page():
    return (ROOT / "docs" / "bode.8").read_text().replace("\\-", "-")


def test_the_man_page_tells_of_every_key():
    keys = set(re.findall(r"^\s*#?\s*([a-z0-9_]+) =", bode("config", "--explain"), re.M))
    assert len(keys) > 20
    missing = [key for key in sorted(keys) if not re.search(rf"\b{key}\b", man_page())]
    assert not missing, f"docs/bode.8 does not mention {missing}"


def test_the_man_page_tells_of_every_command():
    commands = re.findall(r"^  ([a-z]+(?: [a-z]+)?)  ", bode("help"), re.M)
    assert "user add" in commands
    missing = [name for name in commands if name not in man_page()]
    assert not missing, f"docs/bode.8 does not mention {missing}"
