"""Another server that refuses, talks without end or leaves in the middle, at each stage of the
conversation; what it does to one message is not to be felt by the next."""
import pytest

from relaying import (MESSAGE, queue, queue_is_empty, remote, report_text, reports, start,  # noqa: F401
                      submit, submitted_arrives, wait_until)
from remote import DROP, FEATURES, Remote, once

ENDLESS = b"250-and so on\r\n" * 3000
FINE = {"GREETING": "220 hello", "DATA": "354 go"}


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "END"])
def test_what_is_refused_for_good_goes_back_with_its_words(start, remote, stage):  # noqa: F811
    remote.rules[stage] = f"554 5.7.1 not this one ({stage})"
    server = start(remote)
    submit(server)
    report = wait_until(lambda: reports(server), "the report")[0]
    assert f"554 5.7.1 not this one ({stage})" in report_text(report)
    fields = report.get_payload(1).get_payload(1)
    assert fields["Status"] == "5.7.1" and fields["Action"] == "failed"
    assert fields["Diagnostic-Code"] == f"smtp; 554 5.7.1 not this one ({stage})"
    wait_until(lambda: queue_is_empty(server), "an empty queue")
    assert not remote.messages and len(reports(server)) == 1
    assert "event=bounced" in server.log()


@pytest.mark.parametrize("stage", ["GREETING", "EHLO"])
def test_a_server_that_refuses_to_speak_is_waited_for(start, remote, stage):  # noqa: F811
    remote.rules[stage] = once("554 5.3.2 no service", FINE.get(stage, "250 fine"))
    remote.rules["HELO"] = once("554 5.3.2 no service", "250 fine")
    server = start(remote)
    submit(server)
    wait_until(lambda: remote.messages, "the message")
    wait_until(lambda: queue_is_empty(server), "an empty queue")
    assert len(remote.messages) == 1 and not reports(server)
    assert "event=deferred" in server.log() and "no service" in server.log()


@pytest.mark.parametrize("how", ["454 4.7.0 not now", "554 5.7.0 never", DROP, "garbage", ENDLESS],
                         ids=["later", "never", "drop", "garbage", "endless"])
def test_trouble_with_starttls_is_no_trouble_for_the_mail(start, how):  # noqa: F811
    remote = Remote(features=("PIPELINING", "STARTTLS"))
    remote.rules["STARTTLS"] = once(how, "454 4.7.0 not now")
    server = start(remote)
    submitted_arrives(server, remote)
    remote.stop()


@pytest.mark.parametrize("stage", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "END"])
def test_replies_without_end_are_cut_off(start, remote, stage):  # noqa: F811
    remote.rules[stage] = once(ENDLESS, FINE.get(stage, "250 2.0.0 fine"))
    server = start(remote)
    submit(server)
    wait_until(lambda: queue_is_empty(server), "an empty queue")
    assert not reports(server)
    # After the content nobody knows whether it was kept.
    said = "uncertain=1" in server.log()
    assert said == (stage == "END") and len(remote.messages) == 1


@pytest.mark.parametrize("how", ["451 4.3.0 hm", "550 5.0.0 no", DROP, "garbage", ENDLESS],
                         ids=["later", "never", "drop", "garbage", "endless"])
@pytest.mark.parametrize("stage", ["RSET", "QUIT"])
def test_trouble_between_messages_touches_none(start, remote, stage, how):  # noqa: F811
    remote.rules[stage] = how
    remote.rules["RCPT"] = lambda line: ("550 5.1.1 no bob" if "bob@" in line else "250 2.1.5 fine")
    server = start(remote)
    submit(server)
    submit(server, ["carl@far.example"])
    submit(server, ["dora@far.example"])
    wait_until(lambda: queue_is_empty(server), "an empty queue")
    assert sorted(m.recipients for m in remote.messages) == [["carl@far.example"],
                                                             ["dora@far.example"]]
    assert len(reports(server)) == 1
    server.stop()  # with QUIT, where a connection was kept


def test_a_reply_too_many_is_no_answer_to_the_next_message(start):  # noqa: F811
    """It comes with the last one; the content of the next message is refused."""
    remote = Remote(features=FEATURES + ("CHUNKING",))
    remote.rules["END"] = once("250 2.0.0 fine\r\n250 2.0.0 fine", "554 5.7.1 not this one")
    server = start(remote)
    submit(server)
    wait_until(lambda: remote.messages and queue_is_empty(server), "the first")
    submit(server)
    report = wait_until(lambda: reports(server), "the report")[0]
    assert "554 5.7.1 not this one" in report_text(report) and len(remote.messages) == 1
    remote.stop()


def test_who_accepts_and_closes_gets_it_again(start, remote):  # noqa: F811
    """Each connection ends before a word is said."""
    remote.rules["GREETING"] = DROP
    server = start(remote)
    submit(server)
    entry = wait_until(lambda: [e for e in queue(server) if e["attempts"] >= 2], "two attempts")[0]
    assert "closed the connection" in entry["why"]
    del remote.rules["GREETING"]
    wait_until(lambda: remote.messages, "the message")
    wait_until(lambda: queue_is_empty(server), "an empty queue")
    assert len(remote.messages) == 1 and not reports(server)


def test_a_connection_is_kept_for_so_many_messages(start, remote):  # noqa: F811
    server = start(remote)
    with server.submission("alice@example.org") as client:
        for count in range(1, 102):
            client.sendmail("alice@example.org", ["bob@far.example"], MESSAGE)
            wait_until(lambda: server.log().count("event=relayed") == count, "the message")
    assert len(remote.messages) == 101 and remote.most_mails <= 100
