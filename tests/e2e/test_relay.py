"""Mail that leaves: the queue and the sending client. The other side is a scripted server on loopback
that misbehaves on request, or another Bode."""
import json
import os
import random
import re
import signal

import pytest

from nameserver import NameServer
from relaying import (MESSAGE, RELAY, queue, queue_is_empty, remote, report_text, reports,  # noqa: F401
                      start, submit, submitted_arrives)
from remote import DROP, RESET, Remote, once
from server import Server, fetch_all, wait_until


def test_a_message_leaves_as_it_came(start, remote):
    server = start(remote)
    submit(server)
    message = wait_until(lambda: remote.messages, "the message")[0]
    assert message.sender == "alice@example.org" and message.recipients == ["bob@far.example"]
    assert message.content.startswith(b"Received: ") and message.content.endswith(MESSAGE)
    wait_until(lambda: queue_is_empty(server), "an empty queue")
    assert server.bode("verify")


def test_an_alias_forwards_and_loops_are_cut(start, remote):
    server = start(remote)
    server.bode("alias", "add", "out@example.org", "Bob@far.example", "alice@example.org")
    code, text = server.deliver("out@example.org", MESSAGE)
    assert code == 250, text
    message = wait_until(lambda: remote.messages, "the message")[0]
    assert message.recipients == ["Bob@far.example"]
    assert b"Delivered-To: out@example.org\r\n" in message.content
    assert len(reports(server)) == 1
    # What comes back that way does not leave again.
    code, text = server.deliver("out@example.org", message.content)
    assert code == 554 and b"loop" in text
    assert len(reports(server)) == 1
    wait_until(lambda: queue_is_empty(server), "an empty queue")


def test_what_is_forwarded_has_a_path_of_ours_and_leads_back(start, remote):
    """SRS: the reverse-path of a stranger is rewritten; a report to that reaches him, and nothing
    else does."""
    origin = Remote()
    server = start(remote, f"[route elsewhere.example]\nto = smtp:127.0.0.1:{origin.port}\n")
    server.bode("alias", "add", "out@example.org", "bob@far.example")
    code, text = server.deliver("out@example.org", MESSAGE, "Someone@elsewhere.example")
    assert code == 250, text
    message = wait_until(lambda: remote.messages, "the message")[0]
    path = message.sender
    assert re.fullmatch(r"SRS0=\w{6}=\w\w=elsewhere.example=Someone@example.org", path), path
    assert message.content.endswith(MESSAGE)
    report = b"From: <>\r\nSubject: failed\r\n\r\nsorry\r\n"
    assert server.deliver(path.lower(), report, "")[0] == 250
    back = wait_until(lambda: origin.messages, "the report")[0]
    assert back.sender == "" and back.recipients == ["someone@elsewhere.example"]
    assert back.content.endswith(report)
    with server.smtp() as client:
        client.ehlo("client.example")
        client.docmd("MAIL FROM:<spammer@elsewhere.example>")
        assert client.docmd(f"RCPT TO:<{path}>")[0] == 550
        client.docmd("RSET")
        client.docmd("MAIL FROM:<>")
        assert client.docmd(f"RCPT TO:<{path.replace('Someone', 'other')}>")[0] == 550
    # Our own report goes to him directly; a user of ours keeps his own address.
    remote.rules["RCPT"] = "550 5.1.1 no bob lives here"
    assert server.deliver("out@example.org", MESSAGE, "Someone@elsewhere.example")[0] == 250
    report = wait_until(lambda: len(origin.messages) > 1 and origin.messages[1], "our report")
    assert report.recipients == ["Someone@elsewhere.example"]
    assert b"To: <Someone@elsewhere.example>" in report.content
    del remote.rules["RCPT"]
    submit(server, ["out@example.org"])
    wait_until(lambda: len(remote.messages) == 2, "the user's message")
    assert remote.messages[1].sender == "alice@example.org"
    wait_until(lambda: queue_is_empty(server), "an empty queue")
    assert server.bode("verify")
    origin.stop()


def test_what_is_held_for_long_is_told_and_given_back(start, remote):
    server = start(remote, "warn_after = 3 s\nexpire = 8 s\n")
    remote.rules["RCPT"] = "450 4.2.1 not now"
    submit(server)
    entry = wait_until(lambda: queue(server), "the entry")[0]
    server.bode("queue", "hold", str(entry["id"]))
    late, failed = wait_until(lambda: len(reports(server)) == 2 and reports(server), "both reports")
    assert late["Subject"] == "Your message is still on its way"
    assert failed["Subject"] == "Your message could not be delivered"
    assert "an administrator of this server holds it back" in report_text(failed)
    assert queue_is_empty(server) and not remote.messages


def test_the_owner_of_a_list_hears_of_members_that_are_gone(start, remote):
    remote.rules["RCPT"] = lambda line: ("550 5.1.1 gone" if "gone@" in line else "250 2.1.5 fine")
    server = start(remote)
    server.add_user("olga@example.org")
    server.bode("alias", "add", "crew@example.org", "bob@far.example", "gone@far.example")
    server.bode("alias", "add", "crew-owner@example.org", "olga@example.org")
    submit(server, ["crew@example.org"], rcpt_options=["NOTIFY=FAILURE"])
    report = wait_until(lambda: fetch_all(server.imap("olga@example.org")), "the owner's report")
    assert b"gone@far.example" in list(report.values())[0]
    message = wait_until(lambda: remote.messages, "the message")[0]
    assert message.sender == "crew-owner@example.org" and message.recipients == ["bob@far.example"]
    assert not reports(server)
    # A report that is sent to the list stays one.
    code, text = server.deliver("crew@example.org", MESSAGE, sender="")
    assert code == 250, text
    wait_until(lambda: len(remote.messages) == 2, "the second message")
    assert remote.messages[1].sender == ""


def test_what_the_remote_refuses_comes_back_with_its_words(start, remote):
    remote.rules["RCPT"] = lambda line: ("550 5.1.1 no bob lives here" if "bob@" in line
                                         else "250 2.1.5 fine")
    server = start(remote)
    submit(server, ["bob@far.example", "carl@far.example"])
    report = wait_until(lambda: reports(server), "the report")[0]
    assert [m.recipients for m in remote.messages] == [["carl@far.example"]]
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    assert report["Return-Path"] == "<>" and report["Auto-Submitted"] == "auto-replied"
    assert report["In-Reply-To"] == "<1@example.org>"
    text = report_text(report)
    assert "bob@far.example" in text and "550 5.1.1 no bob lives here" in text
    assert "carl" not in text
    status = report.get_payload(1)
    assert status.get_content_type() == "message/delivery-status"
    fields = status.get_payload(1)
    assert fields["Action"] == "failed" and fields["Status"] == "5.1.1"
    assert fields["Final-Recipient"] == "rfc822; bob@far.example"
    assert fields["Diagnostic-Code"] == "smtp; 550 5.1.1 no bob lives here"
    original = report.get_payload(2)
    assert original.get_content_type() == "message/rfc822"
    assert original.get_payload(0)["Subject"] == "hello"
    wait_until(lambda: queue_is_empty(server), "an empty queue")
    assert "a report about it was sent to alice@example.org" in server.bode("why", "1@example.org")


@pytest.mark.parametrize("stage", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "END"])
@pytest.mark.parametrize("how", ["451 4.7.1 come back later", DROP, "garbage", "421 4.3.2 closing",
                                 b"250-" + b"x" * 5000 + b"\r\n"],
                         ids=["later", "drop", "garbage", "closing", "long"])
def test_trouble_at_each_stage_is_tried_again(start, remote, stage, how):
    fine = {"GREETING": "220 hello", "DATA": "354 go"}.get(stage, "250 2.0.0 fine")
    remote.rules[stage] = once(how, fine)
    submitted_arrives(start(remote), remote)


def test_a_reply_that_never_came_is_uncertain_and_said_so(start, remote):
    remote.rules["END"] = once(RESET)
    server = start(remote)
    submit(server)
    wait_until(lambda: len(remote.messages) == 2, "the message, twice")
    wait_until(lambda: queue_is_empty(server), "an empty queue")
    assert "uncertain=1" in server.log()


def test_who_does_not_exist_is_not_written_to_again(start, remote):
    remote.rules["RCPT"] = lambda line: ("550 5.1.1 no bob lives here" if "bob@" in line.lower() else
                                         "550 5.7.1 not from you" if "eve@" in line else "250 fine")
    server = start(remote)
    submit(server, ["Bob@far.example", "eve@far.example", "carl@far.example"])
    wait_until(lambda: reports(server), "the report")
    listed = json.loads(server.bode("suppress", "list", "--json"))
    assert [(r["user"], r["address"], r["why"]) for r in listed] == [
        ("alice@example.org", "bob@far.example", "550 5.1.1 no bob lives here")]
    with server.submission("alice@example.org") as client:
        client.docmd("MAIL FROM:<alice@example.org>")
        code, text = client.docmd("RCPT TO:<bob@far.example>")
        assert code == 550 and text.startswith(b"5.1.1 ") and b"administrator" in text
        assert client.docmd("RCPT TO:<eve@far.example>")[0] == 250
    del remote.rules["RCPT"]
    server.add_user("dora@example.org")
    assert server.bode("suppress", "list", "dora@example.org").startswith("every address")
    server.bode("suppress", "remove", "alice@example.org", "BOB@far.example")
    assert json.loads(server.bode("suppress", "list", "--json")) == []
    assert "there is no such address" in server.bode("suppress", "remove", "alice@example.org",
                                                     "bob@far.example", status=1)
    submit(server)
    wait_until(lambda: ["bob@far.example"] in [m.recipients for m in remote.messages], "the message")
    assert server.bode("verify")


def test_a_suppressed_address_has_its_time(start, remote):
    remote.rules["RCPT"] = "550 5.1.1 no bob lives here"
    server = start(remote, "suppress = 4 s\n")
    submit(server)
    wait_until(lambda: reports(server), "the report")

    def is_let_through():
        with server.submission("alice@example.org") as client:
            client.docmd("MAIL FROM:<alice@example.org>")
            return client.docmd("RCPT TO:<bob@far.example>")[0] == 250
    wait_until(is_let_through, "its end")
    del remote.rules["RCPT"]
    submit(server)
    wait_until(lambda: remote.messages, "the message")
    assert json.loads(server.bode("suppress", "list", "--json")) == []


def test_who_waits_is_told_and_then_given_back(start, remote):
    remote.rules["RCPT"] = "452 4.2.2 mailbox full"
    server = start(remote, "warn_after = 2 s\nexpire = 6 s\n")
    submit(server)
    both = wait_until(lambda: len(reports(server)) == 2 and reports(server), "both reports")
    late, failed = both
    assert late["Subject"] == "Your message is still on its way"
    assert late.get_payload(1).get_payload(1)["Action"] == "delayed"
    assert late.get_payload(1).get_payload(1)["Will-Retry-Until"]
    assert failed["Subject"] == "Your message could not be delivered"
    fields = failed.get_payload(1).get_payload(1)
    assert fields["Action"] == "failed" and fields["Status"] == "5.4.7"
    assert "452 4.2.2 mailbox full" in fields["Diagnostic-Code"]
    assert queue_is_empty(server)


def test_an_unreachable_server_is_waited_for(start, remote):
    remote.stop()
    server = start(remote)
    submit(server)
    entry = wait_until(lambda: [e for e in queue(server) if e["attempts"] >= 2], "two attempts")[0]
    assert entry["to"] == ["bob@far.example"] and "ECONNREFUSED" in entry["why"]
    again = Remote(port=remote.port)
    wait_until(lambda: again.messages, "the message")
    wait_until(lambda: queue_is_empty(server), "an empty queue")
    again.stop()


def test_many_recipients_and_messages_share_connections(start, remote):
    server = start(remote)
    submit(server, [f"user{n}@far.example" for n in range(250)])
    wait_until(lambda: sum(len(m.recipients) for m in remote.messages) == 250, "all recipients")
    assert len(remote.messages) == 3 and max(len(m.recipients) for m in remote.messages) == 100
    for _ in range(20):
        submit(server)
    wait_until(lambda: len(remote.messages) == 23, "all messages")
    wait_until(lambda: queue_is_empty(server), "an empty queue")
    assert remote.connections < 23 and remote.most_open <= 20


@pytest.mark.parametrize("features", [(), ("CHUNKING", "8BITMIME"), ("PIPELINING", "CHUNKING")],
                         ids=["none", "chunking", "both"])
def test_content_arrives_whole_whatever_is_offered(start, features):
    remote = Remote(features=features)
    server = start(remote)
    large = MESSAGE + b"".join(b".%060d\r\n" % n for n in range(30000))
    submit(server, content=large)
    message = wait_until(lambda: remote.messages, "the message")[0]
    assert message.content.endswith(large)
    remote.stop()


def test_a_server_that_takes_less_is_not_asked(start):
    remote = Remote(features=("PIPELINING", "SIZE 100"))
    server = start(remote)
    submit(server)
    report = wait_until(lambda: reports(server), "the report")[0]
    assert report.get_payload(1).get_payload(1)["Status"] == "5.3.4"
    assert not any(c.startswith("MAIL") for c in remote.commands)
    remote.stop()


def test_lmtp_answers_for_each_recipient(start):
    remote = Remote(lmtp=True)
    remote.rules["END"] = lambda r: "552 5.2.2 full" if r.startswith("bob") else "250 2.1.5 kept"
    server = start(remote, scheme="lmtp")
    submit(server, ["ann@far.example", "bob@far.example"])
    report = wait_until(lambda: reports(server), "the report")[0]
    assert "bob@far.example" in report_text(report) and "ann@" not in report_text(report)
    assert remote.messages[0].recipients == ["ann@far.example"]
    assert any(c.startswith("LHLO") for c in remote.commands)
    remote.stop()


def test_an_administrator_holds_shows_releases_and_deletes(start, remote):
    remote.rules["RCPT"] = "450 4.2.1 not now"
    server = start(remote)
    submit(server)
    entry = wait_until(lambda: [e for e in queue(server) if e["attempts"]], "an attempt")[0]
    number = str(entry["id"])
    server.bode("queue", "hold", number)
    assert wait_until(lambda: queue(server)[0]["state"] == "held", "it held")
    shown = server.bode("queue", "show", number)
    assert "450 4.2.1 not now" in shown and f"[127.0.0.1]:{remote.port}" in shown
    assert server.bode("verify")
    del remote.rules["RCPT"]
    server.bode("queue", "release", "--from", "alice@example.org")
    server.bode("queue", "retry", "--all")
    wait_until(lambda: remote.messages, "the message")
    wait_until(lambda: queue_is_empty(server), "an empty queue")

    remote.rules["RCPT"] = "450 4.2.1 not now"
    submit(server)
    submit(server, ["carl@far.example"])
    wait_until(lambda: len(queue(server)) == 2, "two entries")
    first, second = (str(e["id"]) for e in queue(server))
    server.bode("queue", "delete", first)
    server.bode("queue", "delete", second, "--bounce")
    assert queue_is_empty(server)
    report = wait_until(lambda: reports(server), "the report")[0]
    assert "carl@far.example" in report_text(report)
    assert "there is no entry" in server.bode("queue", "show", first, status=1)


def test_the_queue_is_listed_in_pages(start, remote):
    remote.rules["RCPT"] = "450 4.2.1 not now"
    server = start(remote)
    for n in range(3):
        submit(server, [f"user{n}x{m}@host{m}.far.example" for m in range(50)])
    everything = wait_until(lambda: len(queue(server)) == 150 and queue(server), "all entries")
    ids = [entry["id"] for entry in everything]
    assert ids == sorted(ids)
    text = server.bode("queue", "list").splitlines()
    assert len(text) == 1 + 100 + 1 and text[-1] == f"(more: --after {ids[99]}, or --limit N)"
    text = server.bode("queue", "list", "--after", str(ids[99])).splitlines()
    assert len(text) == 1 + 50 and text[1].split()[0] == str(ids[100])
    page = json.loads(server.bode("queue", "list", "--json", "--limit", "7", "--after", str(ids[4])))
    assert [entry["id"] for entry in page] == ids[5:12]
    assert len(server.bode("queue", "list", "--limit", "150").splitlines()) == 151
    found = json.loads(server.bode("queue", "list", "--json", "--to", "USER1x7@host7.far.example"))
    assert [entry["to"] for entry in found] == [["user1x7@host7.far.example"]]
    found = json.loads(server.bode("queue", "list", "--json", "--domain", "HOST7.far.example"))
    assert len(found) == 3
    assert "3 entries deleted" in server.bode("queue", "delete", "--domain", "host7.far.example")
    assert len(queue(server)) == 147


def test_what_a_server_says_is_only_text(start, remote):
    remote.rules["RCPT"] = "450 4.7.1 \u009b31m \u00e9"
    server = start(remote)
    submit(server)
    entry = wait_until(lambda: [e for e in queue(server) if e["attempts"]], "an attempt")[0]
    assert "\u009b" in entry["why"]  # as it was, for programs; but escaped, and not for terminals
    for words in (["list"], ["list", "--json"], ["show", str(entry["id"])],
                  ["show", str(entry["id"]), "--json"]):
        said = server.bode("queue", *words)
        assert "\u009b" not in said and "31m" in said
        assert "--json" in words or "\u00e9" in said


def test_an_address_literal_is_a_destination(start, remote):
    server = start(remote, f"port = {remote.port}\n")
    submit(server, ["bob@[127.0.0.1]"])
    wait_until(lambda: remote.messages and queue_is_empty(server), "the message")
    assert remote.messages[0].recipients == ["bob@[127.0.0.1]"]


def test_two_bodes_mail_each_other(start, remote, tmp_path):
    (tmp_path / "two").mkdir()
    two = Server(tmp_path / "two", RELAY)
    two.bode("domain", "add", "far.example")
    two.add_user("bob@far.example")
    two.start()
    remote.stop()
    remote.port = two.ports["smtp"]
    one = start(remote)
    submit(one, ["bob@far.example", "nobody@far.example"])
    got = wait_until(lambda: fetch_all(two.imap("bob@far.example")), "the message")
    assert list(got.values())[0].endswith(MESSAGE)
    report = wait_until(lambda: reports(one), "the report")[0]
    assert "nobody@far.example" in report_text(report)
    assert "relay-secured" in one.log()  # by STARTTLS, with a certificate that nobody vouches for
    two.stop()
    two.check_log()


def test_nothing_is_lost_when_processes_die(start, remote):
    """Front and back are killed while mail leaves: each message ends delivered, and at most those
    whose outcome nobody could write are there twice."""
    server = start(remote)
    dice = random.Random(6)
    sent = 0
    for _ in range(4):
        for _ in range(10):
            sent += 1
            submit(server, [f"user{sent}@far.example"])
        role = dice.choice(["front", "back"])
        os.kill(server.children()[role], signal.SIGKILL)
        server.wait_ready()
        wait_until(lambda: len(server.children()) == 2, "both processes")
    everybody = {f"user{n}@far.example" for n in range(1, sent + 1)}
    wait_until(lambda: {r for m in remote.messages for r in m.recipients} == everybody, "all mail")
    wait_until(lambda: queue_is_empty(server), "an empty queue")
    twice = sum(len(m.recipients) for m in remote.messages) - sent
    assert twice <= 4 * 20, twice  # what was under way at four kills, at twenty at a time
    assert not reports(server)
    assert server.bode("verify")


def test_mail_goes_where_dns_says(start, remote):
    records = {
        "two.example MX": ["10 dead.two.example.", "20 mx.two.example."],
        "dead.two.example A": ["127.0.0.2"],  # nobody listens there
        "mx.two.example A": ["127.0.0.1"],
        "bare.example A": ["127.0.0.1"],
        "null.example MX": ["0 ."],
        "ours.example MX": ["10 localhost.", "20 mx.two.example."],
        "nowhere.example MX": ["10 gone.two.example."],
        "later.example MX": ["10 mx.later.example."],
    }
    dns = NameServer(records)
    dns.broken.add("later.example")
    server = start(remote, f"port = {remote.port}\n{dns.settings()}")
    submit(server, [f"bob@{name}.example" for name in ("two", "bare", "null", "ours", "nowhere",
                                                       "missing", "later")])
    wait_until(lambda: len(remote.messages) == 2, "both messages")
    assert {r for m in remote.messages for r in m.recipients} == {"bob@two.example",
                                                                  "bob@bare.example"}
    told = wait_until(lambda: len(reports(server)) == 4 and reports(server), "four reports")
    status = {fields["Final-Recipient"].split("@")[1]: fields["Status"]
              for fields in (report.get_payload(1).get_payload(1) for report in told)}
    assert status == {"null.example": "5.1.10", "ours.example": "5.4.6",
                      "nowhere.example": "5.4.4", "missing.example": "5.1.2"}
    waiting = wait_until(lambda: [e for e in queue(server) if e["attempts"]], "the one that waits")
    assert [e["to"] for e in waiting] == [["bob@later.example"]]
    dns.broken.clear()
    records_now = dns.records
    records_now["mx.later.example A"] = ["127.0.0.1"]
    wait_until(lambda: len(remote.messages) == 3, "the last message")
    dns.stop()
