"""What a sender demands of the whole way by REQUIRETLS (RFC 8689)."""
import pytest

from certificates import Authority
from proven_way import FEATURES, sts, world  # noqa: F401
from relaying import MESSAGE, queue_is_empty, report_text, reports, submit
from remote import GARBAGE
from server import wait_until


def require_tls(server, recipient="bob@far.example"):
    submit(server, [recipient], options=["REQUIRETLS"])


def test_requiretls_goes_where_dane_proves_the_way(world):
    world.set(world.tlsa_name, world.certificate.tlsa("3 1 1"))
    require_tls(world.start())
    world.arrives()
    assert [c for c in world.remote.commands if c.startswith("MAIL") and "REQUIRETLS" in c]


def test_requiretls_goes_where_dnssec_and_an_authority_do(world):
    require_tls(world.start())
    world.arrives()
    assert "proof=name" in world.server.log()
    assert [c for c in world.remote.commands if c.startswith("MAIL") and "REQUIRETLS" in c]


@pytest.mark.parametrize("how,status", [("unknown", "5.7.30"), ("cleartext", "5.7.10"),
                                        ("stranger", "5.7.10"), ("unsigned", "5.7.10")])
def test_requiretls_comes_back_from_elsewhere(world, how, status):
    recipient = "bob@far.example"
    if how == "unknown":
        world.remote.features = ("PIPELINING",)
    elif how == "cleartext":
        world.remote.tls = None
    elif how == "stranger":
        world.remote.tls = Authority().issue("mx.far.example").server()
    else:
        world.set("near.example MX", "10 mx.far.example.")
        recipient = "bob@near.example"
    server = world.start()
    require_tls(server, recipient)
    report = wait_until(lambda: reports(server), "the report")[0]
    assert report.get_payload(1).get_payload(1)["Status"] == status
    assert "REQUIRETLS" in report_text(report)
    # Of such mail nothing but the header is quoted (RFC 8689 section 5).
    assert report.get_payload(2).get_content_type() == "text/rfc822-headers"
    assert not world.remote.messages


def test_requiretls_finds_the_exchanger_that_promises_it(world):
    world.set("far.example MX", "10 mx.far.example.", "20 second.far.example.")
    world.set("second.far.example A", "127.0.0.2")
    world.remote.features = ("PIPELINING",)
    other = world.add_remote("127.0.0.2", world.authority.issue("second.far.example").server())
    require_tls(world.start())
    world.arrives(other)
    assert not world.remote.messages


def test_of_exchangers_that_are_all_unfit_status_and_words_are_those_of_one(world):
    """Of the one that may be another tomorrow, as long as it may; what it said counts for that."""
    world.set("far.example MX", "10 mx.far.example.", "20 second.far.example.")
    world.set("second.far.example A", "127.0.0.2")
    world.remote.features = ("PIPELINING", "REQUIRETLS")
    other = world.add_remote("127.0.0.2", world.authority.issue("second.far.example").server())
    other.features = ("PIPELINING", "8BITMIME")
    server = world.start()
    submit(server, content=MESSAGE.replace(b"hello", "grüß".encode()),
           options=["BODY=8BITMIME", "REQUIRETLS"])
    report = wait_until(lambda: reports(server), "the report")[0]
    assert report.get_payload(1).get_payload(1)["Status"] == "5.7.30"
    assert "(REQUIRETLS)" in report_text(report)
    deferred = [line for line in server.log().splitlines() if "event=deferred" in line]
    assert len(deferred) == 3
    assert all("the message cannot be converted" in line for line in deferred)


def test_requiretls_waits_for_an_exchanger_that_dns_does_not_tell_of(world):
    """The one that is known promises nothing, but it is not the only one."""
    world.set("far.example MX", "10 mx.far.example.", "20 second.far.example.")
    world.set("second.far.example A", "127.0.0.2")
    world.dns.broken.add("mx.far.example")
    other = world.add_remote("127.0.0.2", world.authority.issue("second.far.example").server())
    other.features = ("PIPELINING",)
    server = world.start()
    require_tls(server)
    assert world.waits(2) and not reports(server)
    world.dns.broken.clear()
    world.arrives()
    assert not other.messages and not reports(server)


@pytest.mark.parametrize("stage", ["MAIL", "END"])
def test_tls_that_breaks_later_says_nothing_about_the_server(world, stage):
    """On a connection that was kept, under a report: with an empty path, which lets it have one."""
    server = world.start()
    server.bode("alias", "add", "out@example.org", "bob@far.example")
    front = server.children()["front"]
    seen = []

    def breaks_the_second(line):
        seen.append(line)
        return GARBAGE if len(seen) == 2 else "250 fine"
    world.remote.rules[stage] = breaks_the_second
    for count in (1, 2):
        with server.smtp() as client:
            client.starttls(context=server.tls())
            client.sendmail("", ["out@example.org"], MESSAGE, ["REQUIRETLS"])
        wait_until(lambda: len(seen) >= count, "the message")
    wait_until(lambda: len(world.remote.messages) == 2 and queue_is_empty(server), "both")
    assert server.children()["front"] == front and "event=bounced" not in server.log()
    assert ("uncertain=1" in server.log()) == (stage == "END")


def test_requiretls_goes_where_a_policy_names_the_server(sts):
    sts.remote.features = FEATURES
    sts.start()
    sts.submit(options=["REQUIRETLS"])
    sts.arrives()


@pytest.mark.parametrize("about", ["record", "fetch"])
def test_requiretls_waits_where_nobody_knows_whether_there_is_a_policy(sts, about):
    if about == "record":
        sts.dns.broken.add("_mta-sts.near.example")
    else:
        sts.web.status = 503
    sts.start()
    sts.submit(options=["REQUIRETLS"])
    assert sts.waits()["attempts"] and not reports(sts.server)
    sts.dns.broken.clear()
    sts.web.status = 200
    sts.server.stop()  # and with it what was fetched in vain
    sts.server.start()
    sts.arrives()
