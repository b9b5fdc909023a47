"""bode verify: beside a server that is at work, and after octets of the data file were flipped."""
import json
import os
import re
import subprocess
import threading

from server import BODE, fetch_all, finds_no_store, wait_until
from terminal import drawn_on_terminal


def verify(server, *words):
    done = subprocess.run([BODE, "--config", server.config, "verify", *words],
                          capture_output=True, timeout=120)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def message(number, body=b"", marker=b""):
    return (b"From: bob@elsewhere.example\r\nTo: alice@example.org\r\nSubject: number %d\r\n\r\n"
            b"%s\r\n%s\r\n" % (number, marker, body))


def flip(server, marker):
    """Flips one bit of the stored chunk that holds `marker`, which must not have been compressed
    away: random octets are stored as they are."""
    path = server.state / "store" / "data.mdb"
    data = path.read_bytes()
    at = data.find(marker)
    assert at > 0
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(bytes([data[at] ^ 1]))


class Load(threading.Thread):
    """Files, copies, moves, flags and expunges until it is told to stop."""

    def __init__(self, server):
        super().__init__()
        self.server, self.stopping, self.rounds, self.trouble = server, False, 0, None

    def run(self):
        try:
            imap = self.server.imap("bob@example.org")
            imap.create("Elsewhere")
            while not self.stopping:
                self.rounds += 1
                assert self.server.deliver("bob@example.org", message(self.rounds))[0] == 250
                imap.append("INBOX", None, None, message(self.rounds, b"x" * 200_000))
                imap.noop()
                imap.copy("1:*", "Elsewhere")
                imap.uid("MOVE", "*", "Elsewhere")
                imap.store("1:*", "+FLAGS", "(\\Seen $Work)")
                if self.rounds % 3 == 0:
                    imap.store("1:*", "+FLAGS", "(\\Deleted)")
                    imap.expunge()
                    imap.create("Passing")
                    imap.delete("Passing")
            imap.logout()
        except Exception as trouble:  # told by the test
            self.trouble = trouble


def test_clean_beside_a_server_under_load(new_server):
    server = new_server().start()
    load = Load(server)
    load.start()
    wait_until(lambda: load.rounds > 3 or load.trouble, "some load")
    try:
        for _ in range(5):
            status, out, problems = verify(server)
            assert status == 0, out + problems
            assert out.count("\n") == 1 and "all is well" in out
    finally:
        load.stopping = True
        load.join()
    assert load.trouble is None, load.trouble
    status, out, _ = verify(server, "--json")
    told = json.loads(out)
    assert status == 0 and told["clean"] is True and told["problems"] == []
    assert told["accounts"] == 2 and told["messages"] > 5


def test_damage_is_found_told_and_put_aside(new_server):
    server = new_server().start()
    for number in range(5):
        assert server.deliver("alice@example.org", message(number))[0] == 250
    marker = os.urandom(24).replace(b"\n", b"n").replace(b"\r", b"r").replace(b"\0", b"0")
    noise = os.urandom(100_000).replace(b"\n", b"n").replace(b"\r", b"r").replace(b"\0", b"0")
    lines = b"\r\n".join(noise[i:i + 900] for i in range(0, len(noise), 900))
    imap = server.imap("alice@example.org")
    assert imap.append("INBOX", "(\\Flagged)", None, message(5, lines, marker))[0] == "OK"
    imap.noop()
    size = len(message(5, lines, marker))
    flip(server, marker)

    # Never served as good, to nobody.
    status, _ = imap.uid("FETCH", "6", "(BODY.PEEK[])")
    assert status == "NO"
    assert imap.uid("FETCH", "5", "(BODY.PEEK[])")[0] == "OK"
    pop = server.pop3("alice@example.org")
    pop._putcmd("RETR 6")
    assert pop._getline()[0].startswith(b"-ERR [SYS/PERM]")
    assert pop.retr(5)[0].startswith(b"+OK")
    pop.quit()
    assert "event=blob-damaged" in server.log()

    status, out, _ = verify(server)
    assert status == 1
    lines_told = out.splitlines()
    assert len(lines_told) == 2, out
    assert re.match(r'alice@example.org: "INBOX": UID 6: msg [0-9a-f]+: 1 of 2 pieces .*'
                    r"bode verify --repair", lines_told[0])
    assert "1 problems" in lines_told[1]
    status, out, _ = verify(server, "--json")
    told = json.loads(out)
    assert status == 1 and not told["clean"]
    assert told["problems"][0]["kind"] == "damaged-body" and told["problems"][0]["uid"] == 6

    status, out, problems = verify(server, "--repair")
    assert status == 0, out + problems
    assert "lost+found" in out and "1 repaired" in out and "all is well" in out

    # The session that had it selected hears of it.
    wait_until(lambda: imap.noop()[0] == "OK" and len(fetch_all(imap)) == 5, "the message to go")
    assert imap.select("lost+found")[0] == "OK"
    kept = fetch_all(imap)[1]
    assert b"message/rfc822" in kept and b"[Here 65536 octets are missing, from 0 on.]" in kept
    assert message(5, lines, marker)[65536:] in kept and size > 65536
    assert b"\\Flagged" in imap.fetch("1", "(FLAGS)")[1][0]
    imap.logout()
    assert verify(server)[0] == 0
    assert server.stop() == 0
    assert verify(server)[0] == 0


def test_a_message_that_is_damaged_later_breaks_off(new_server):
    """Its length is promised, or +OK said, before the damage is met: only the end is honest."""
    server = new_server().start()
    imap = server.imap("alice@example.org")
    noise = os.urandom(300_000).translate(bytes.maketrans(b"\r\n\0", b"rn0"))
    whole = message(1, b"\r\n".join(noise[i:i + 900] for i in range(0, len(noise), 900)))
    assert imap.append("INBOX", None, None, whole)[0] == "OK"
    flip(server, noise[250_000:250_024])
    imap.noop()
    imap.send(b"f UID FETCH 1 (BODY.PEEK[])\r\n")
    said = b""
    while piece := imap.sock.recv(65536):
        said += piece
    assert b"f OK" not in said and b"{%d}" % len(whole) in said and len(said) < len(whole)
    pop = server.pop3("alice@example.org")
    pop._putcmd("RETR 1")
    said = pop.file.read()
    assert said.startswith(b"+OK") and not said.endswith(b"\r\n.\r\n") and len(said) < len(whole)
    assert "event=fetch-broken-off" in server.log() and "message-broken-off" in server.log()


def test_progress_and_wrong_usage(new_server, tmp_path):
    server = new_server()
    status, out, problems = verify(server)
    assert status == 0
    # Plain lines: no carriage returns, one at the end of each phase.
    assert "\r" not in problems and problems.count("done\n") == 5
    # A bar on a terminal.
    status, shown = drawn_on_terminal([BODE, "--config", server.config, "verify"])
    assert status == 0 and b"\r" in shown and b"\x1b[K" in shown
    assert verify(server, "--nonsense")[0] == 2
    assert verify(server, "more")[0] == 2
    finds_no_store("verify", tmp_path)
