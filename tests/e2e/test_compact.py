"""bode compact beside a running server: what it says, and that clients notice nothing."""
import json
import os
import re
import subprocess

from server import BODE, fetch_all, finds_no_store
from terminal import drawn_on_terminal

MESSAGE = b"From: bob@elsewhere.example\r\nSubject: number %d\r\n\r\n%s\r\n"


def compact(server, *words):
    done = subprocess.run([BODE, "--config", server.config, "compact", *words],
                          capture_output=True, timeout=120)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_the_server_goes_on(new_server):
    server = new_server("[store]\nundelete_days = 0\n").start()
    imap = server.imap("alice@example.org")
    messages = [MESSAGE % (i, b"some words, and more of them\r\n" * (i * 7 % 90))
                for i in range(60)]
    for message in messages:
        assert imap.append("INBOX", None, None, message)[0] == "OK"
    assert imap.noop()[0] == "OK"
    for _ in range(4):  # entries only: 960
        assert imap.copy("1:*", "INBOX")[0] == "OK"
    before = fetch_all(imap)
    assert len(before) == 960
    gone = ",".join(str(uid) for uid in before if uid > 60 and uid % 3)
    assert imap.uid("STORE", gone, "+FLAGS.SILENT", r"(\Deleted)")[0] == "OK"
    assert imap.expunge()[0] == "OK"
    kept = {uid: text for uid, text in before.items() if uid <= 60 or uid % 3 == 0}

    status, out, problems = compact(server)
    assert status == 0, out + problems
    assert re.fullmatch(r"the store took \S+ \S+ before and takes \S+ \S+ now; \S+ \S+ were "
                        r"written anew\n", out), out
    # Plain lines: no carriage returns, one at the end of each phase.
    assert "\r" not in problems and problems.count("done\n") == 2, problems
    assert imap.noop()[0] == "OK" and fetch_all(imap) == kept
    assert imap.append("INBOX", None, None, messages[5])[0] == "OK"
    assert server.imap("bob@example.org").noop()[0] == "OK"
    assert "all is well" in server.bode("verify")

    status, out, _ = compact(server, "--json")
    told = json.loads(out)
    assert status == 0 and told["done"] is True and told["gives_back"] is True
    assert told["after_octets"] <= told["before_octets"]
    stat = os.stat(server.state / "store" / "data.mdb")
    assert stat.st_blocks * 512 < stat.st_size

    # Holes and all, it is opened again.
    assert server.stop() == 0
    status, out, problems = compact(server)
    assert status == 0, out + problems
    server.start()
    kept[961] = messages[5]
    assert fetch_all(server.imap("alice@example.org")) == kept


def test_a_bar_and_wrong_usage(new_server, tmp_path):
    server = new_server()
    status, shown = drawn_on_terminal([BODE, "--config", server.config, "compact"])
    assert status == 0 and b"\r" in shown
    assert compact(server, "--repair")[0] == 2
    assert compact(server, "more")[0] == 2
    finds_no_store("compact", tmp_path)
