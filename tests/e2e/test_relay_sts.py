"""Policies of MTA-STS (RFC 8461), which other domains have on a web server."""
import pytest

from certificates import Authority
from policyhost import policy
from proven_way import sts  # noqa: F401
from relaying import queue_is_empty, submit
from server import wait_until


def test_a_policy_is_fetched_once_and_kept_to(sts):
    sts.start()
    for _ in range(2):
        sts.submit()
        wait_until(lambda: queue_is_empty(sts.server), "an empty queue")
    assert len(sts.remote.messages) == 2 and "proof=name" in sts.server.log()
    assert sts.web.requests == [(f"mta-sts.near.example:{sts.web.port}",
                                 "/.well-known/mta-sts.txt")]
    # It is in the store, so a new front and a new back know it as well.
    sts.server.stop()
    sts.web.status = 404
    sts.remote.tls = Authority().issue("mx.near.example").server()
    sts.server.start()
    sts.submit()
    assert "certificate was refused" in sts.waits()["why"]
    assert len(sts.web.requests) == 1
    assert sts.server.bode("verify")


@pytest.mark.parametrize("how", ["expired", "name", "authority", "cleartext"])
def test_a_server_that_a_policy_is_not_true_of_gets_nothing(sts, how):
    sts.remote.tls = {"expired": sts.authority.issue("mx.near.example", days=-1),
                      "name": sts.authority.issue("other.near.example"),
                      "authority": Authority().issue("mx.near.example"),
                      "cleartext": None}[how]
    if sts.remote.tls:
        sts.remote.tls = sts.remote.tls.server()
    sts.start()
    sts.submit()
    why = sts.waits(2)["why"]
    assert ("does not offer TLS" if how == "cleartext" else "certificate was refused") in why
    assert not sts.remote.messages
    assert not [c for c in sts.remote.commands if c.startswith("MAIL")]


def test_an_exchanger_that_the_policy_does_not_name_is_passed_over(sts):
    sts.set("near.example MX", "10 evil.example.", "20 mx.near.example.")
    sts.set("evil.example A", "127.0.0.2")
    evil = sts.add_remote("127.0.0.2", sts.authority.issue("evil.example").server())
    sts.start()
    sts.submit()
    sts.arrives()
    assert evil.connections == 0


def test_with_no_exchanger_that_the_policy_names_mail_waits(sts):
    sts.web.policy = policy(mx=["*.other.example"])
    sts.start()
    sts.submit()
    assert "MTA-STS" in sts.waits(2)["why"] and sts.remote.connections == 0
    # A new policy is looked for with each attempt (RFC 8461 section 5).
    sts.web.policy = policy(mx=["*.near.example"])
    sts.set_id("two")
    # DNS is asked again only when what it said has run out.
    sts.server.stop()
    sts.server.start()
    sts.arrives()
    assert len(sts.web.requests) == 2


def test_a_policy_that_is_tested_hinders_nobody(sts):
    sts.web.policy = policy(mode="testing")
    sts.remote.tls = Authority().issue("other.example").server()
    sts.start()
    sts.submit()
    sts.arrives()
    assert sts.remote.secured == 1
    assert "event=relay-unproven" in sts.server.log() and "proof=failed" in sts.server.log()


@pytest.mark.parametrize("how", ["missing", "redirect", "html", "stranger", "no policy", "endless"])
def test_without_a_policy_that_can_be_fetched_there_is_none(sts, how):
    if how in ("missing", "redirect"):
        sts.web.status = {"missing": 404, "redirect": 302}[how]
    elif how == "html":
        sts.web.type = "text/html"
    elif how == "stranger":
        sts.web.tls = Authority().issue("mta-sts.near.example").server()
    else:
        sts.web.policy = "x" * 100_000 if how == "endless" else "version: STSv9\r\n"
    sts.remote.tls = Authority().issue("other.example").server()
    sts.start()
    sts.submit()
    sts.arrives()
    assert "event=policy-not-fetched" in sts.server.log()
    assert len(sts.web.requests) == (0 if how == "stranger" else 1)


def test_a_policy_host_that_hangs_holds_nobody_for_long(sts):
    sts.web.hangs = True
    sts.start()
    sts.submit()
    sts.submit()
    wait_until(lambda: len(sts.remote.messages) == 2, "both messages")
    assert "did not answer in time" in sts.server.log() and len(sts.web.requests) == 1


@pytest.mark.parametrize("max_age", [86400, 1])
def test_a_policy_that_was_known_stays_in_force_until_it_expires(sts, max_age):
    sts.web.policy = policy(max_age=max_age)
    sts.start("downgrade_delay = 0")
    sts.submit()
    sts.arrives()
    assert "proof=name" in sts.server.log()
    # Neither the record nor the web server is there any more, and the server has another face.
    del sts.dns.records["_mta-sts.near.example TXT"]
    sts.web.status = 503
    sts.remote.tls = Authority().issue("mx.near.example").server()
    sts.server.stop()
    sts.server.start()
    sts.submit()
    if max_age > 1:
        assert "certificate was refused" in sts.waits(2)["why"]
    else:
        wait_until(lambda: len(sts.remote.messages) == 2, "the message")


def test_where_there_are_tlsa_records_a_policy_has_no_say(sts):
    sts.set("far.example MX", "10 mx.far.example.")
    sts.set("_mta-sts.far.example TXT", '"v=STSv1; id=1;"')
    sts.set("mta-sts.far.example A", "127.0.0.1")
    sts.web.tls = sts.authority.issue("mta-sts.far.example").server()
    sts.web.policy = policy(mx=["nothing.far.example"])
    sts.set(sts.tlsa_name, sts.certificate.tlsa("3 1 1"))
    server = sts.start()
    submit(server)
    sts.arrives()
    assert "proof=dane" in server.log()
