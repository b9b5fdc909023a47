"""The row of the bench about mail that comes by `bode import`: a Maildir of messages of 10 KB.

The import works in a process of its own beside the server, so its CPU time is that process's; what
it wrote is counted in blocks of 512 octets, as the kernel tells of it when it ends, beside the commits
of the store, each of which is one sync by the redo log, or two past it."""
import json
import os
import random
import shutil
import time

from peer import BUILD

SIZE = 10_000
PAGE, BLOCK = 4096, 512
USER = "u3"
WORDS = 4000  # in the dictionary: compresses about as mail does


def message(dice, words, number):
    head = (f"Return-Path: <sender{number % 97}@elsewhere.example>\r\n"
            f"Date: Mon, 01 Jan 2024 {number // 3600 % 24:02}:{number // 60 % 60:02}:"
            f"{number % 60:02} +0000\r\nMessage-ID: <{dice.getrandbits(96):x}@elsewhere.example>\r\n"
            f"From: Sender <sender{number % 97}@elsewhere.example>\r\n"
            f"To: {USER}@bench.test\r\nSubject: {' '.join(dice.choices(words, k=6))}\r\n\r\n")
    body = []
    left = SIZE - len(head)
    while left > 0:
        line = " ".join(dice.choices(words, k=10))[:78] + "\r\n"
        body.append(line)
        left -= len(line)
    return (head + "".join(body)).encode()


def make_maildir(folder, count):
    """Returns how many octets of mail are in it."""
    dice = random.Random(1)
    words = ["".join(dice.choices("etaoinshrdlucmfwypvbgk", k=dice.randint(2, 11)))
             for _ in range(WORDS)]
    for name in ("cur", "new", "tmp"):
        (folder / name).mkdir(parents=True)
    octets = 0
    for number in range(count):
        text = message(dice, words, number)
        (folder / "cur" / f"{1_700_000_000 + number}.M{number}P1.host,S={len(text)}:2,S"
         ).write_bytes(text)
        octets += len(text)
    return octets


def commits(bode, config):
    return json.loads(os.popen(f"'{bode}' --config '{config}' status --json").read())["commits"]


def run_import(peer, quick):
    if peer.name != "bode":
        return
    count = 2_000 if quick else 20_000
    peer.start()
    source = peer.folder.parent / "import-source"
    shutil.rmtree(source, ignore_errors=True)
    octets = make_maildir(source, count)
    os.sync()
    bode, config = BUILD / "bode", peer.folder / "bode.conf"
    before = commits(bode, config)
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd in range(3):
            os.dup2(nothing, fd)
        os.execv(bode, [str(bode), "--config", str(config), "import", "--user",
                        f"{USER}@{peer.env['DOMAIN']}", str(source)])
    _, status, usage = os.wait4(pid, 0)
    seconds = time.monotonic() - began
    assert status == 0, f"the import failed ({status})"
    committed = commits(bode, config) - before
    yield "imported", count / seconds, "msg/s"
    yield "import_cpu", (usage.ru_utime + usage.ru_stime) * 1e6 / count, "us/msg"
    yield "commits", committed / count, "commit/msg"
    yield "pages", usage.ru_oublock * BLOCK / PAGE / count, "page/msg"
    yield "device_written", usage.ru_oublock * BLOCK / octets, "octet/octet"
    peer.stop()
    shutil.rmtree(source)


ROWS = {"import": run_import}
