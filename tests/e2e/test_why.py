"""bode why: the life of a message or a connection, in plain words, from the journal."""
import fcntl
import imaplib
import json
import poplib
import struct
import subprocess
import termios
import time

import pytest

from server import BODE, WAIT_SECONDS, wait_until

MESSAGE = (b"From: Alice <alice@example.org>\r\nTo: bob@example.org\r\n"
           b"Subject: One real message\r\nMessage-ID: <{}@why.example>\r\n\r\nHello\r\n")


def message(name):
    return MESSAGE.replace(b"{}", name.encode())


def why(server, *words):
    """Once it is noted: what is refused goes along with the next commit, within a second."""
    def asked():
        done = subprocess.run([BODE, "--config", server.config, "why", *words],
                              capture_output=True, timeout=60)
        return done.returncode == 0 and done.stdout.decode()
    return wait_until(asked, f"anything about {words}")


def test_the_life_of_a_filed_message(server):
    assert server.deliver("bob@example.org", message("filed"))[0] == 250
    text = why(server, "<filed@why.example>")
    assert "<filed@why.example>, from someone@elsewhere.example" in text
    assert "received from 127.0.0.1" in text
    assert "filed for bob@example.org in INBOX, UID " in text
    assert "it is there now" in text
    for words in ["bob@example.org", "someone@elsewhere.example", "127.0.0.1", "127.0.0.0/8",
                  "elsewhere.example", "filed@why.example"]:
        assert "<filed@why.example>" in why(server, words, "--since", "1h"), words
    life = json.loads(why(server, "<filed@why.example>", "--json"))[-1]
    assert [event["event"] for event in life["events"]] == ["received", "filed"]
    assert life["events"][1]["user"] == "bob@example.org" and life["events"][1]["is_there"]
    assert life["events"][0]["time_unix_ms"] / 1000 == pytest.approx(time.time(), abs=600)
    assert "<filed@why.example>" in why(server, life["message"])
    assert "<filed@why.example>" in why(server, life["events"][0]["connection"])
    imap = server.imap("bob@example.org")
    for uid in imap.uid("SEARCH", "HEADER", "Message-ID", "filed@why")[1][0].split():
        imap.uid("STORE", uid, "+FLAGS", r"(\Deleted)")
    imap.expunge()
    assert "it is not there any more" in why(server, "<filed@why.example>")


def test_a_submitted_message(server):
    with server.submission("alice@example.org") as client:
        client.sendmail("alice@example.org", ["bob@example.org"], message("submitted"))
    text = why(server, "<submitted@why.example>")
    assert "submitted by alice@example.org from 127.0.0.1" in text and "with TLS" in text
    assert "signed in: alice@example.org" in why(server, "alice@example.org")


def test_refused_recipients(server):
    with server.smtp() as client:
        client.ehlo("refused.example")
        client.mail("stranger@elsewhere.example")
        assert client.rcpt("unknown@example.org")[0] == 550
        assert client.rcpt("relayed@another.example")[0] == 550
    text = why(server, "unknown@example.org")
    assert "refused for unknown@example.org, from stranger@elsewhere.example: 550 5.1.1" in text
    assert "which calls itself refused.example" in text
    text = why(server, "relayed@another.example")
    assert "refused for relayed@another.example" in text and "550 5.7.1" in text


def test_a_wrong_password(server):
    with pytest.raises(imaplib.IMAP4.error):
        server.imap("alice@example.org", "wrong")
    wait_until(lambda: "sign-in refused to alice@example.org: the login or the password is wrong"
               in why(server, "alice@example.org"), "the refused sign-in")


def test_a_client_that_makes_no_sense_is_sent_away(new_server):
    server = new_server("[limits]\nprotocol_errors = 4\n").start()
    imap = server.imap("alice@example.org")
    for number in range(5):
        imap.send(b"x%d NONSENSE\r\n" % number)
        assert imap.readline().startswith(b"x%d BAD" % number)
    assert imap.readline() == b"* BYE Too many errors\r\n"
    wait_until(lambda: "BYE Too many errors" in why(server, "127.0.0.1"), "what was said last")


def test_a_refused_message(server):
    server.bode("user", "quota", "alice@example.org", "--messages", "1")
    try:
        assert server.deliver("alice@example.org", message("one"))[0] == 250
        with server.smtp() as client:
            client.ehlo("client.example")
            client.mail("someone@elsewhere.example")
            assert client.rcpt("alice@example.org")[0] == 452
            client.docmd("RSET")
            client.mail("someone@elsewhere.example")
            client.rcpt("bob@example.org")
            client.data(b"a: b\r\n\r\nx\r\n")
            client.docmd("RSET")
            client.mail("bare@elsewhere.example")
            client.rcpt("bob@example.org")
            client.docmd("DATA")
            client.send(b"a: b\r\n\r\nbare\nline\r\n.\r\n")
            assert client.getreply()[0] == 554
    finally:
        server.bode("user", "quota", "alice@example.org", "--messages", "0")
    assert "refused for bob@example.org, from bare@elsewhere.example: 554 5.6.0" \
        in why(server, "bare@elsewhere.example")


def test_what_is_delivered_by_hand(server):
    server.bode("deliver", "bob@example.org", "--from", "cron@example.org",
                typed=message("by-hand").decode())
    assert 'handed in on this machine with "bode deliver"' in why(server, "<by-hand@why.example>")


def test_many_of_a_kind_are_counted(new_server):
    server = new_server("[limits]\nexempt = 127.0.0.0/8\nprotocol_errors = 1000\n").start()
    with server.smtp() as client:
        client.ehlo("client.example")
        for _ in range(50):
            client.docmd("NONSENSE")
    assert server.stop() == 0
    server.process = None
    lives = json.loads(server.bode("why", "127.0.0.1", "--json"))
    refusals = [event for life in lives for event in life["events"] if event["event"] == "refused"]
    assert len(refusals) == 9
    assert sum(1 + event.get("more", 0) for event in refusals) == 50


def test_what_is_not_known_is_said_so(server):
    assert server.deliver("bob@example.org", message("known"))[0] == 250
    why(server, "<known@why.example>")
    for words, said in [(["nobody@nowhere.example"], "nothing is known about"),
                        (["nonsense"], "is no address, domain, Message-ID"),
                        (["192.0.2.99"], "the journal reaches back to")]:
        assert said in server.bode("why", *words, status=1)
    server.bode("why", status=2)
    server.bode("why", "192.0.2.99", "--limit", "0", status=2)
    server.bode("why", "192.0.2.99", "--since", "yesterday", status=2)


def test_what_strangers_say_is_only_text(server):
    with server.smtp() as client:
        client.ehlo("client.example")
        client.docmd("MAIL", 'FROM:<"\x1b[31mred"@elsewhere.example>')
        client.mail("red@elsewhere.example")
        client.docmd("RCPT", 'TO:<"a\\\x1bb"@example.org>')
    assert "\x1b" not in why(server, "127.0.0.1", "--limit", "1000")


def live_readers(server, pid):
    """Its read transactions, from the store's table of readers: slots of 64 octets, each with what it
    reads, then who reads."""
    table = (server.state / "store" / "lock.mdb").read_bytes()
    slots = [struct.unpack_from("=Qi", table, at) for at in range(0, len(table) - 63, 64)]
    return [what for what, who in slots if who == pid and what != 2 ** 64 - 1]


def test_who_reads_slowly_holds_nothing(server):
    for number in range(60):
        assert server.deliver("bob@example.org", message(f"slow{number}"))[0] == 250
    with subprocess.Popen([BODE, "--config", server.config, "why", "bob@example.org"],
                          stdout=subprocess.PIPE) as pager:
        room = fcntl.fcntl(pager.stdout, fcntl.F_SETPIPE_SZ, 4096)

        def is_full():
            waiting = bytearray(4)
            fcntl.ioctl(pager.stdout, termios.FIONREAD, waiting)
            return int.from_bytes(waiting, "little") >= room
        wait_until(is_full, "a full pipe")
        assert not live_readers(server, pager.pid)
        assert len(pager.stdout.read()) > room and pager.wait() == 0


def test_it_can_be_switched_off(new_server):
    server = new_server("[journal]\ndays = 0\n").start()
    assert server.deliver("bob@example.org", message("off"))[0] == 250
    assert "[journal] days is 0" in server.bode("why", "bob@example.org", status=1)


def test_what_was_refused_before_sign_in(new_server):
    """By a server of its own: of what strangers do much at once only a part is told one by one."""
    server = new_server().start()
    with server.imap("bob@example.org"):
        pass
    client = imaplib.IMAP4("localhost", server.ports["imap"], timeout=WAIT_SECONDS)
    client.send(b"a SELECT INBOX\r\nb AUTHENTICATE SECRETS\r\nc LOGOUT\r\n")
    while client.readline():
        pass
    client = poplib.POP3("localhost", server.ports["pop3"], timeout=WAIT_SECONDS)
    with pytest.raises(poplib.error_proto):
        client.stat()
    with pytest.raises(poplib.error_proto):
        client._shortcmd("PASS hunter2")
    client.quit()
    wait_until(lambda: "PASS refused" in why(server, "127.0.0.1", "--limit", "1000"), "POP3's")
    told = why(server, "127.0.0.1", "--limit", "1000")
    assert "BAD Unknown command, or not before signing in" in told
    assert "AUTHENTICATE refused: NO [" in told
    assert "-ERR no such command, or not before sign-in" in told
    assert "PASS refused: -ERR USER comes before PASS" in told
    assert "hunter2" not in told and "SECRETS" not in told
