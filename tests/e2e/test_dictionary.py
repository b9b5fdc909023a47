"""A server makes a dictionary of its mail by itself, and reads what was compressed with it: the mail of
before and after, by FETCH, SEARCH and verify, and once it was started anew."""
import random

from server import fetch_all, wait_until

WORDS = ["".join(random.Random(i).choices("abcdefghijklmnopqrstuvwxyz", k=9)) for i in range(400)]
FIRST = 1000  # so many messages bring the first one


def message(number):
    words = random.Random(1000 + number).choices(WORDS, k=120)
    lines = "\r\n".join(" ".join(words[at:at + 10]) for at in range(0, len(words), 10))
    return (b"From: bob@elsewhere.example\r\nTo: alice@example.org\r\nSubject: number %d\r\n\r\n%s\r\n"
            % (number, lines.encode()))


def append_all(imap, messages):
    """By one command (RFC 3502), so that a thousand take a few commits."""
    literals = b" ".join(b"{%d+}\r\n%s" % (len(text), text) for text in messages)
    tag = imap._new_tag()
    imap.send(tag + b" APPEND INBOX " + literals + b"\r\n")
    assert imap._command_complete("APPEND", tag)[0] == "OK"


def test_a_server_learns_from_its_mail(new_server):
    server = new_server().start()
    imap = server.imap("alice@example.org")
    wanted = {number: message(number) for number in range(1, FIRST + 3)}
    for at in range(1, FIRST, 100):
        append_all(imap, [wanted[number] for number in range(at, at + 100)])
    wait_until(lambda: "event=dictionary-made" in server.log(), "a dictionary")
    for number in (FIRST + 1, FIRST + 2):
        assert imap.append("INBOX", None, None, wanted[number])[0] == "OK"
    assert fetch_all(imap) == wanted
    found = imap.search(None, "BODY", WORDS[3])[1][0].split()
    assert found == [b"%d" % n for n in wanted if WORDS[3].encode() in wanted[n]]
    assert "all is well" in server.bode("verify")
    assert server.stop() == 0
    server.start()
    assert fetch_all(server.imap("alice@example.org")) == wanted
