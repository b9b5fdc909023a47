"""What senders are told of mail that leaves (RFC 3461, RFC 3464, RFC 6533)."""
import pytest

from relaying import MESSAGE, queue_is_empty, remote, reports, start, submit  # noqa: F401
from remote import Remote
from server import fetch_all, wait_until


def test_success_is_told_where_it_is_asked_for(start, remote):
    server = start(remote)
    submit(server, options=["RET=HDRS", "ENVID=my+2Bid"],
           rcpt_options=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;Bob+2Bx@example.com"])
    report = wait_until(lambda: reports(server), "the report")[0]
    assert report["Subject"] == "Your message was passed on"
    assert report.get_payload(1).get_payload(0)["Original-Envelope-Id"] == "my+id"
    assert report.get_payload(1).get_payload(1)["Action"] == "relayed"
    assert report.get_payload(1).get_payload(1)["Original-Recipient"] == "rfc822;Bob+x@example.com"
    assert report.get_payload(2).get_content_type() == "text/rfc822-headers"


@pytest.mark.parametrize("ret, whole", [("HDRS", False), ("FULL", True), (None, True)])
def test_what_comes_back_is_as_much_as_was_asked_for(start, remote, ret, whole):
    """RFC 3461 section 4.3, and the recipient under the name that the sender gave him (section 4.2)."""
    remote.rules["RCPT"] = "550 5.1.1 nobody"
    server = start(remote)
    submit(server, options=[f"RET={ret}"] if ret else [],
           rcpt_options=["ORCPT=rfc822;Bob+2Bx@example.com"])
    report = wait_until(lambda: reports(server), "the report")[0]
    fields = report.get_payload(1).get_payload(1)
    assert (fields["Action"], fields["Original-Recipient"]) == ("failed",
                                                                "rfc822;Bob+x@example.com")
    part = report.get_payload(2)
    assert part.get_content_type() == ("message/rfc822" if whole else "text/rfc822-headers")
    assert ("The first line." in part.as_string()) == whole


def test_an_address_in_utf8_is_told_of_in_utf8(start):
    """RFC 6533: the parts have types of their own, the addresses are as they are spoken."""
    remote = Remote(features=("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN"))
    remote.rules["RCPT"] = "550 5.1.1 nobody"
    server = start(remote)
    with server.submission("alice@example.org") as client:
        client.ehlo()
        assert client.mail("alice@example.org", ["SMTPUTF8", "BODY=8BITMIME"])[0] == 250
        assert client.docmd("RCPT", "TO:<j\u00f6rg@far.example> "
                                    "ORCPT=utf-8;J\\x{F6}rg@far.example")[0] == 250
        assert client.data(MESSAGE)[0] == 250
    report = wait_until(lambda: list(fetch_all(server.imap("alice@example.org")).values()),
                        "the report")[0].decode()
    assert "Content-Type: message/global-delivery-status\r\n" in report
    assert "Original-Recipient: utf-8;J\u00f6rg@far.example\r\n" in report
    assert "Final-Recipient: utf-8; j\u00f6rg@far.example\r\n" in report
    assert "Content-Type: message/global\r\n" in report
    remote.stop()


def test_a_report_asks_for_no_more_than_it_needs(start):
    """The message was in UTF-8, its sender's address is not: any server can take the report."""
    remote = Remote(features=("PIPELINING", "8BITMIME"))
    server = start(remote)
    with server.smtp() as client:
        client.sendmail("bob@far.example", ["alice@example.org"], MESSAGE, ["SMTPUTF8"],
                        ["NOTIFY=SUCCESS"])
    wait_until(lambda: remote.messages and queue_is_empty(server), "the report")
    assert remote.messages[0].sender == "" and b"Action: delivered" in remote.messages[0].content
    remote.stop()


def test_what_root_sends_says_what_it_is(start, remote):
    server = start(remote)
    server.bode("sendmail", "j\u00f6rg@far.example", typed="Subject: x\n\n\u00e9\n")
    wait_until(lambda: remote.messages, "the message")
    mail = next(c for c in remote.commands if c.startswith("MAIL"))
    assert " BODY=8BITMIME" in mail and " SMTPUTF8" in mail


def test_a_server_that_reports_itself_is_asked_to(start):
    remote = Remote(features=("DSN", "PIPELINING"))
    server = start(remote)
    submit(server, options=["ENVID=my+2Bid"], rcpt_options=["NOTIFY=SUCCESS"])
    wait_until(lambda: remote.messages and queue_is_empty(server), "the message")
    assert "RCPT TO:<bob@far.example> NOTIFY=SUCCESS" in remote.commands
    assert any(c.endswith(" ENVID=my+2Bid") for c in remote.commands)
    assert not reports(server)
    remote.stop()


def test_an_alias_of_several_is_told_of_once(start):
    """RFC 3461 section 5.2.7.3 (c): "expanded" at once, of the rest only what fails. Who stands for one
    alone has his wish go on with the message."""
    remote = Remote(features=("DSN", "PIPELINING"))
    remote.rules["RCPT"] = lambda to: "550 5.1.1 nobody" if "eve@" in to else "250 2.1.5 fine"
    server = start(remote)
    server.bode("alias", "add", "team@example.org", "bob@far.example", "eve@far.example")
    server.bode("alias", "add", "both@example.org", "dan@far.example", "dora@far.example")
    server.bode("alias", "add", "out@example.org", "dora@far.example")
    submit(server, ["team@example.org"],
           rcpt_options=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;team@example.org"])
    wait_until(lambda: len(reports(server)) == 2 and queue_is_empty(server), "both reports")
    actions = [r.get_payload(1).get_payload(1) for r in reports(server)]
    assert sorted((a["Action"], a["Final-Recipient"]) for a in actions) == [
        ("expanded", "rfc822; team@example.org"), ("failed", "rfc822; eve@far.example")]
    assert {a["Original-Recipient"] for a in actions} == {"rfc822;team@example.org"}
    assert "RCPT TO:<bob@far.example> NOTIFY=FAILURE ORCPT=rfc822;team@example.org" \
        in remote.commands

    submit(server, ["both@example.org", "out@example.org"], rcpt_options=["NOTIFY=SUCCESS"])
    wait_until(lambda: len(reports(server)) == 3 and queue_is_empty(server), "the third report")
    assert "RCPT TO:<dan@far.example> NOTIFY=NEVER" in remote.commands
    assert "RCPT TO:<dora@far.example> NOTIFY=SUCCESS" in remote.commands
    assert reports(server)[-1].get_payload(1).get_payload(1)["Action"] == "expanded"
    remote.stop()
