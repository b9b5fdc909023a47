"""What a user says of when: FUTURERELEASE (RFC 4865), DELIVERBY (RFC 2852), MT-PRIORITY (RFC 6710),
from submission to the mailbox, to the other server and back to the sender."""
import email
import json
import re
import time

import pytest

from remote import Remote
from server import Server, fetch_all, wait_until

MESSAGE = (b"From: alice@example.org\r\nTo: bob@far.example\r\nSubject: hello\r\n"
           b"Message-ID: <1@example.org>\r\n\r\ntext\r\n")


@pytest.fixture
def start(tmp_path):
    """A server whose mail for far.example goes to a remote one that has such features."""
    running = []

    def make(*features, **rules):
        remote = Remote(features=("PIPELINING", "ENHANCEDSTATUSCODES", *features))
        remote.rules.update(rules)
        server = Server(tmp_path, "[relay]\nretry = 1 s\nloopback = yes\n"
                                  f"[route far.example]\nto = smtp:127.0.0.1:{remote.port}\n")
        running.extend([server, remote])
        for user in ("alice@example.org", "carol@example.org"):
            server.add_user(user)
        return server.start(), remote

    yield make
    for one in running:
        one.stop()
    running[0].check_log()


def submit(server, recipients, *options, rcpt_options=(), content=MESSAGE):
    with server.submission("alice@example.org") as client:
        assert client.sendmail("alice@example.org", recipients, content, list(options),
                               list(rcpt_options)) == {}


def queue(server):
    return json.loads(server.bode("queue", "list", "--json"))


def inbox(server, user):
    return list(fetch_all(server.imap(user)).values())


def report(server):
    """Of one that has come: its text, and the fields about the first recipient."""
    message = email.message_from_bytes(
        wait_until(lambda: inbox(server, "alice@example.org"), "the report")[0])
    return message, message.get_payload(1).get_payload(1)


def test_held_mail_comes_when_it_is_time(start):
    server, remote = start()
    server.bode("alias", "add", "both@example.org", "carol@example.org", "dora@far.example")
    begun = int(time.time())
    submit(server, ["carol@example.org", "both@example.org", "bob@far.example"], "HOLDFOR=3")
    wait_until(lambda: inbox(server, "carol@example.org"), "the message")
    wait_until(lambda: len(remote.messages) == 2, "both messages that leave")
    assert time.time() >= begun + 3
    assert {r for m in remote.messages for r in m.recipients} == {"bob@far.example",
                                                                  "dora@far.example"}
    wait_until(lambda: not queue(server), "an empty queue")
    assert len(inbox(server, "carol@example.org")) == 1  # she was meant twice
    life = server.bode("why", "1@example.org")
    assert "held, as its sender has asked, until" in life and "filed" in life
    assert server.bode("verify")


def test_held_mail_for_an_alias_of_several_is_told_of_when_it_goes(start):
    server, remote = start()
    server.bode("alias", "add", "both@example.org", "carol@example.org", "dora@far.example")
    submit(server, ["both@example.org"], "HOLDFOR=1", rcpt_options=["NOTIFY=SUCCESS"])
    message, fields = report(server)
    assert message["Subject"] == "Your message was passed on to several"
    assert (fields["Action"], fields["Final-Recipient"]) == ("expanded", "rfc822; both@example.org")
    wait_until(lambda: remote.messages and not queue(server), "an empty queue")
    assert len(inbox(server, "alice@example.org")) == len(inbox(server, "carol@example.org")) == 1


@pytest.mark.parametrize("first", [0, 1])
def test_who_is_meant_twice_elsewhere_gets_held_mail_once(start, first):
    server, remote = start()
    server.bode("alias", "add", "list@example.org", "bob@far.example", "dora@far.example")
    both = ["bob@far.example", "list@example.org"]
    submit(server, [both[first], both[1 - first]], "HOLDFOR=2")
    assert not remote.messages
    wait_until(lambda: not queue(server), "an empty queue")
    assert sorted(r for m in remote.messages for r in m.recipients) == ["bob@far.example",
                                                                        "dora@far.example"]


def test_held_mail_waits_in_the_queue_and_can_be_called_back(start):
    server, _ = start()
    submit(server, ["carol@example.org", "postmaster"], "HOLDFOR=86400")
    waiting = queue(server)
    assert [sorted(e["to"]) for e in waiting] == [["carol@example.org", "postmaster"]]
    assert not inbox(server, "carol@example.org")
    server.bode("queue", "delete", str(waiting[0]["id"]))
    assert not queue(server) and server.bode("verify")


def test_held_mail_for_who_is_gone_comes_back(start):
    server, _ = start()
    server.add_user("dora@example.org")
    submit(server, ["dora@example.org", "carol@example.org"], "HOLDFOR=2",
           rcpt_options=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;d@example.org"])
    server.bode("user", "remove", "dora@example.org", "--yes")
    message, _ = report(server)
    told = {part["Final-Recipient"]: part for part in message.get_payload(1).get_payload()[1:]}
    gone, there = told["rfc822; dora@example.org"], told["rfc822; carol@example.org"]
    assert (gone["Action"], gone["Status"]) == ("failed", "5.1.1")
    assert gone["Original-Recipient"] == "rfc822;d@example.org"
    assert (there["Action"], there["Status"]) == ("delivered", "2.1.5")
    assert len(inbox(server, "carol@example.org")) == 1


def test_held_mail_waits_for_room(start):
    server, _ = start()
    submit(server, ["carol@example.org"], "HOLDFOR=10")
    server.bode("user", "quota", "carol@example.org", "--size", "1")
    entry = wait_until(lambda: [e for e in queue(server) if e["attempts"]], "an attempt")[0]
    assert "full" in entry["why"]
    server.bode("user", "quota", "carol@example.org", "--size", "0")
    wait_until(lambda: inbox(server, "carol@example.org"), "the message")


def test_what_cannot_be_there_in_time_comes_back(start):
    server, remote = start("DELIVERBY", MAIL="451 4.3.0 not now")
    submit(server, ["bob@far.example"], "BY=2;R")
    message, fields = report(server)
    assert (fields["Action"], fields["Status"]) == ("failed", "5.4.7")
    assert not queue(server) and not remote.messages


def test_who_cannot_promise_it_does_not_get_it(start):
    server, remote = start()
    submit(server, ["bob@far.example"], "BY=3600;R")
    message, fields = report(server)
    assert (fields["Action"], fields["Status"]) == ("failed", "5.4.7")
    assert "DELIVERBY" in fields["Diagnostic-Code"] and not remote.messages


def test_the_time_that_is_left_goes_along(start):
    server, remote = start("DELIVERBY 60", "MT-PRIORITY")
    submit(server, ["bob@far.example"], "BY=3600;R", "MT-PRIORITY=4")
    wait_until(lambda: remote.messages, "the message")
    mail = next(c for c in remote.commands if c.startswith("MAIL"))
    left = int(re.search(r" BY=(\d+);R( |$)", mail).group(1))
    assert 3000 < left <= 3600 and " MT-PRIORITY=4" in mail
    assert b"\tPRIORITY 4;" in remote.messages[0].content
    # "T" tells of each relay; there is less time than the other side wants for the second.
    submit(server, ["bob@far.example"], "BY=3600;RT")
    _, fields = report(server)
    assert fields["Action"] == "relayed"
    submit(server, ["bob@far.example"], "BY=50;R")
    wait_until(lambda: len(inbox(server, "alice@example.org")) == 2, "the second report")
    assert len(remote.messages) == 2


def test_whoever_names_a_moment_hears_of_it(start):
    server, remote = start("DELIVERBY", MAIL="451 4.3.0 not now")
    submit(server, ["bob@far.example"], "BY=1;N", rcpt_options=["NOTIFY=FAILURE"])
    _, fields = report(server)
    assert (fields["Action"], fields["Status"]) == ("delayed", "4.4.7")
    remote.rules.clear()
    wait_until(lambda: remote.messages, "the message, all the same")


def test_a_relay_that_keeps_no_time_is_told_of(start):
    server, remote = start()
    submit(server, ["bob@far.example"], "BY=3600;N")
    _, fields = report(server)
    assert fields["Action"] == "relayed" and remote.messages

