"""How secure a way was is remembered: the same is expected of it again, and what came of it counted."""
import socket
import threading

import pytest

from certificates import Authority
from policyhost import policy
from proven_way import counted, sts  # noqa: F401
from relaying import MESSAGE, queue, queue_is_empty, submit
from server import wait_until


def test_a_destination_that_was_encrypted_is_waited_for(sts):
    del sts.dns.records["_mta-sts.near.example TXT"]
    sts.start()
    sts.submit()
    sts.arrives()
    sts.remote.tls = None
    sts.remote.rules["MAIL"] = "421 4.3.2 closing"  # nothing goes over the one that is open
    sts.submit()
    why = sts.waits(3)["why"]
    assert "does not offer TLS" in why
    del sts.remote.rules["MAIL"]
    assert len(sts.remote.messages) == 1
    wait_until(lambda: "event=way-downgraded" in sts.server.log(), "a word in the log")
    assert sts.server.log().count("event=way-downgraded") == 1
    assert "does not offer TLS" in sts.server.bode("why", "bob@near.example")
    # A message that says so goes all the same.
    submit(sts.server, ["bob@near.example"], content=b"TLS-Required: No\r\n" + MESSAGE)
    wait_until(lambda: len(sts.remote.messages) == 2, "the one that needs no TLS")
    assert sts.remote.messages[1].content.count(b"TLS-Required") == 1
    wait_until(lambda: len(queue(sts.server)) == 1, "the queue without it")
    # It is encrypted again, and all is well.
    sts.remote.tls = sts.certificate.server()
    wait_until(lambda: len(sts.remote.messages) == 3, "the one that waited")
    wait_until(lambda: counted(sts.server, "near.example").get(("no-policy-found", "good"), 0) > 1,
               "the counts")
    assert ("no-policy-found", "starttls-not-supported") in counted(sts.server, "near.example")


def test_after_a_while_mail_goes_as_it_can(sts):
    del sts.dns.records["_mta-sts.near.example TXT"]
    sts.start("downgrade_delay = 1 s")
    sts.submit()
    sts.arrives()
    sts.remote.tls = None
    sts.server.stop()  # and with it the connection that is open
    sts.server.start()
    sts.submit()
    wait_until(lambda: len(sts.remote.messages) == 2, "the message, in the clear")
    assert "event=way-downgraded" in sts.server.log()


class HangsUp:
    """In place of an ssl.SSLContext: the connection ends in the middle of the handshake."""
    def wrap_socket(self, client, server_side):
        client.recv(65536)
        client.shutdown(socket.SHUT_RDWR)
        raise OSError("hung up")


def test_a_handshake_that_is_hung_up_on_is_a_result_as_any_other(sts):
    """So the wait for what was reached before has an end."""
    del sts.dns.records["_mta-sts.near.example TXT"]
    sts.start("downgrade_delay = 1 s")
    sts.submit()
    sts.arrives()
    sts.remote.tls = HangsUp()
    sts.server.stop()  # and with it the connection that is open
    sts.server.start()
    sts.submit()
    wait_until(lambda: len(sts.remote.messages) == 2, "the message, in the clear")
    assert "event=way-downgraded" in sts.server.log()
    assert ("no-policy-found", "validation-failure") in counted(sts.server, "near.example")


@pytest.mark.parametrize("how", ["gone", "renounced"])
def test_a_policy_is_renounced_or_missed(sts, how):
    sts.web.policy = policy(max_age=1)
    sts.start()
    sts.submit()
    sts.arrives()
    if how == "gone":
        del sts.dns.records["_mta-sts.near.example TXT"]
    else:
        sts.web.policy = policy(mode="none", mx=())
        sts.set_id("two")
    sts.remote.tls = Authority().issue("other.example").server()
    sts.server.stop()
    sts.server.start()
    sts.submit()
    if how == "gone":
        assert "could be proven to be secure before" in sts.waits(2)["why"]
        wait_until(lambda: "event=way-downgraded" in sts.server.log(), "a word in the log")
        assert len(sts.remote.messages) == 1
    else:
        wait_until(lambda: len(sts.remote.messages) == 2, "the message")
        assert "event=way-downgraded" not in sts.server.log()


def test_a_policy_is_not_renounced_by_a_lack_of_tlsa_records(sts):
    """Which DNSSEC proves of most domains: whoever swallows the policy's record has not won."""
    sts.set("far.example MX", "10 mx.far.example.")
    sts.set("_mta-sts.far.example TXT", '"v=STSv1; id=1;"')
    sts.set("mta-sts.far.example A", "127.0.0.1")
    sts.web.tls = sts.authority.issue("mta-sts.far.example").server()
    sts.web.policy = policy(mx=["mx.far.example"], max_age=1)
    sts.remote.tls = sts.authority.issue("mx.far.example").server()
    server = sts.start()
    submit(server)
    sts.arrives()
    del sts.dns.records["_mta-sts.far.example TXT"]
    sts.remote.tls = Authority().issue("other.example").server()
    server.stop()
    server.start()
    submit(server)
    assert "could be proven to be secure before" in sts.waits(2)["why"]
    assert len(sts.remote.messages) == 1


def test_results_are_counted(sts):
    sts.set(sts.tlsa_name, Authority().tlsa("3 1 1"))
    sts.web.policy = policy(mode="testing")
    sts.remote.tls = sts.authority.issue("other.example").server()
    server = sts.start()
    submit(server, ["bob@near.example", "bob@far.example"])
    wait_until(lambda: sts.remote.messages, "the one that is let through")
    wait_until(lambda: counted(server, "far.example"), "the count of the other")
    wait_until(lambda: counted(server, "near.example"), "the count")
    assert ("sts", "certificate-host-mismatch") in counted(server, "near.example")
    assert ("tlsa", "validation-failure") in counted(server, "far.example")
    assert "tlsa" in server.bode("tls", "list")
    assert server.bode("verify")


def test_a_connection_in_the_clear_is_left_when_another_is_encrypted(sts):
    """Which is what is expected from then on."""
    del sts.dns.records["_mta-sts.near.example TXT"]
    certificate, sts.remote.tls = sts.remote.tls, None
    released, mails, ends = threading.Event(), [], []

    def mail(line):
        mails.append(line)
        if len(mails) == 2:
            released.wait(60)
        return "250 2.1.0 fine"

    def end(line):  # one reply too many, and the second connection ends
        ends.append(line)
        return "250 2.0.0 fine" + ("\r\n250 2.0.0 fine" if len(ends) == 2 else "")
    sts.remote.rules.update({"MAIL": mail, "END": end})
    sts.start()
    sts.submit()
    sts.arrives()
    sts.submit()
    wait_until(lambda: len(mails) == 2, "the one that is held up")
    sts.remote.tls = certificate
    sts.submit()
    wait_until(lambda: counted(sts.server, "near.example").get(("no-policy-found", "good")),
               "the one that is encrypted")
    wait_until(lambda: len(sts.remote.messages) == 2, "its message")
    released.set()
    wait_until(lambda: queue_is_empty(sts.server), "an empty queue")
    assert sts.remote.secured == 1
    sts.submit()
    wait_until(lambda: len(sts.remote.messages) == 4, "the last one")
    assert sts.remote.secured == 2
