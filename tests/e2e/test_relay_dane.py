"""What DNS proves of other servers by TLSA records (DANE), of exchangers and of hosts that the
configuration names."""
import datetime

import pytest

from certificates import Authority
from proven_way import counted, world  # noqa: F401
from relaying import MESSAGE, queue_is_empty, submit
from server import wait_until


@pytest.mark.parametrize("kind", ["3 1 1", "3 0 2", "2 0 1", "2 1 0"])
def test_dane_proves_the_server(world, kind):
    owner = world.authority if kind.startswith("2") else world.certificate
    world.set(world.tlsa_name, owner.tlsa(kind))
    server = world.start()
    submit(server)
    world.arrives()
    assert world.remote.secured == 1 and "proof=dane" in server.log()


def test_dane_with_another_certificate_gets_nothing(world):
    stranger = Authority()
    world.set(world.tlsa_name, stranger.tlsa("3 1 1"), stranger.tlsa("2 0 1"))
    submit(world.start())
    entry = world.waits(2)
    assert "certificate was refused" in entry["why"] and "TLSA" in entry["why"]
    assert not world.remote.messages
    assert not [c for c in world.remote.commands if c.startswith("MAIL")]
    # The record is put right, and the mail goes, once what DNS said before has been forgotten.
    world.set(world.tlsa_name, world.certificate.tlsa("3 1 1"))
    world.server.stop()
    world.server.start()
    world.arrives()


def test_dane_that_fails_leads_to_the_next_exchanger(world):
    world.set("far.example MX", "10 mx.far.example.", "20 second.far.example.")
    world.set("second.far.example A", "127.0.0.2")
    world.set(world.tlsa_name, Authority().tlsa("3 1 1"))
    second = world.authority.issue("second.far.example")
    world.set(f"_{world.remote.port}._tcp.second.far.example TLSA", second.tlsa("3 1 1"))
    other = world.add_remote("127.0.0.2", second.server())
    submit(world.start())
    world.arrives(other)
    assert not world.remote.messages


def test_dane_lets_nobody_strip_starttls(world):
    world.remote.tls = None
    world.set(world.tlsa_name, world.certificate.tlsa("3 1 1"))
    submit(world.start())
    assert "does not offer TLS" in world.waits(2)["why"]
    assert not world.remote.messages
    world.remote.tls = world.certificate.server()
    world.arrives()
    assert world.remote.secured == 1


def test_records_that_nobody_understands_demand_tls_of_anybody(world):
    world.set(world.tlsa_name, Authority().tlsa("1 0 1"), Authority().tlsa("3 1 1")[:-2])
    world.remote.tls = None
    submit(world.start())
    assert "does not offer TLS" in world.waits()["why"]
    world.remote.tls = Authority().issue("else.example").server()
    world.arrives()
    assert world.remote.secured == 1


@pytest.mark.parametrize("lie", ["forged", "expired", "broken"])
@pytest.mark.parametrize("about", ["records", "addresses", "exchangers"])
def test_dns_that_lies_about_the_proof_is_waited_for(world, lie, about):
    world.set(world.tlsa_name, world.certificate.tlsa("3 1 1"))
    name = {"records": world.tlsa_name.split()[0], "addresses": "mx.far.example",
            "exchangers": "far.example"}[about]
    if lie == "expired":
        now = datetime.datetime.now(datetime.timezone.utc)
        world.dns.expired = {name: {"inception": now - datetime.timedelta(days=30),
                                    "expiration": now - datetime.timedelta(days=20)}}
    else:
        getattr(world.dns, lie).add(name)
    submit(world.start())
    assert "DNS does not say" in world.waits()["why"]
    assert not world.remote.messages and world.remote.connections == 0
    if about == "records" and lie != "broken":
        wait_until(lambda: ("tlsa", "dnssec-invalid") in counted(world.server, "far.example"),
                   "the count")


def test_without_dnssec_tlsa_records_prove_nothing(world):
    world.set("near.example MX", "10 mx.near.example.")
    world.set("mx.near.example A", "127.0.0.1")
    world.set(f"_{world.remote.port}._tcp.mx.near.example TLSA", Authority().tlsa("3 1 1"))
    server = world.start()
    submit(server, ["bob@near.example"])
    world.arrives()
    assert world.remote.secured == 1 and "proof=none" in server.log()
    assert not [asked for asked in world.dns.asked if asked.endswith("TLSA")]


@pytest.mark.parametrize("target,records", [("mx.far.example", "mx.far.example"),
                                            ("mx.far.example", "alias.far.example"),
                                            ("mx.near.example", "alias.far.example")])
def test_the_base_domain_follows_cnames(world, target, records):
    """The records stand where the CNAMEs lead, or under the name as it was given; under that alone
    where DNSSEC does not secure what it leads to (RFC 7672 section 2.2.2)."""
    world.set("far.example MX", "10 alias.far.example.")
    world.set("alias.far.example CNAME", f"{target}.")
    world.set("mx.near.example A", "127.0.0.1")
    certificate = world.authority.issue(records)
    world.remote.tls = certificate.server()
    world.set(f"_{world.remote.port}._tcp.{records} TLSA", world.authority.tlsa("2 0 1"))
    server = world.start()
    submit(server)
    world.arrives()
    assert "proof=dane" in server.log()


# ---- DANE for hosts that the configuration names ----

def named_way(world, way, host="mx.far.example", more=""):
    """Settings by which mail for else.example goes to `host`."""
    if way == "smarthost":
        return f"smarthost = {host}:{world.remote.port}\n{more}"
    return f"[route else.example]\nto = smtp:{host}:{world.remote.port}\n"


WAYS = pytest.mark.parametrize("way", ["route", "smarthost"])


@WAYS
def test_dane_proves_a_host_that_is_named(world, way):
    """Of whom no authority has to know anything."""
    certificate = Authority().issue("mx.far.example")
    world.remote.tls = certificate.server()
    world.set(world.tlsa_name, certificate.tlsa("3 1 1"))
    server = world.start(named_way(world, way))
    submit(server, ["bob@else.example"])
    world.arrives()
    assert "proof=dane" in server.log() and not counted(server, "else.example")


@WAYS
def test_a_named_host_with_another_certificate_gets_nothing(world, way):
    """Whatever an authority says; and the destination's name is not what it has to be called."""
    world.remote.tls = world.authority.issue("mx.far.example", "else.example").server()
    world.set(world.tlsa_name, Authority().tlsa("3 1 1"), Authority().tlsa("2 0 1"))
    submit(world.start(named_way(world, way)), ["bob@else.example"])
    assert "TLSA" in world.waits(2)["why"] and not world.remote.messages


@WAYS
@pytest.mark.parametrize("names,fits", [(("mx.far.example",), True), (("else.example",), False)])
def test_a_named_host_is_known_by_its_own_name(world, way, names, fits):
    """Where an authority that the records name has to vouch for it (RFC 7672 section 3.2.2)."""
    world.remote.tls = world.authority.issue(*names).server()
    world.set(world.tlsa_name, world.authority.tlsa("2 0 1"))
    submit(world.start(named_way(world, way)), ["bob@else.example"])
    if fits:
        world.arrives()
    else:
        assert "certificate was refused" in world.waits(2)["why"] and not world.remote.messages


@WAYS
def test_nobody_strips_starttls_off_a_named_host(world, way):
    world.remote.tls = None
    world.set(world.tlsa_name, world.certificate.tlsa("3 1 1"))
    submit(world.start(named_way(world, way)), ["bob@else.example"])
    assert "does not offer TLS" in world.waits(2)["why"] and not world.remote.messages


@WAYS
def test_without_dnssec_a_named_host_has_no_records(world, way):
    """There DNS may fail for one family of addresses, which would be a doubt elsewhere."""
    world.remote.tls = world.authority.issue("mx.near.example").server()
    world.set("mx.near.example A", "127.0.0.1")
    world.set(f"_{world.remote.port}._tcp.mx.near.example TLSA", Authority().tlsa("3 1 1"))
    world.dns.broken.add("mx.near.example AAAA")
    server = world.start(named_way(world, way, "mx.near.example"))
    submit(server, ["bob@else.example"])
    world.arrives()
    assert f"proof={'name' if way == 'smarthost' else 'none'}" in server.log()
    assert not [asked for asked in world.dns.asked if asked.endswith("TLSA")]


@WAYS
@pytest.mark.parametrize("about", ["addresses", "records"])
def test_dns_that_fails_about_a_named_host_is_waited_for(world, way, about):
    world.set(world.tlsa_name, world.certificate.tlsa("3 1 1"))
    world.dns.broken.add("mx.far.example AAAA" if about == "addresses" else world.tlsa_name)
    submit(world.start(named_way(world, way)), ["bob@else.example"])
    assert "DNS does not say" in world.waits()["why"] and world.remote.connections == 0


def test_authorities_that_are_named_for_a_smarthost_stand_alone(world):
    world.set(world.tlsa_name, Authority().tlsa("3 1 1"))
    ca = world.authority.write(world.folder / "smarthost.pem")
    server = world.start(named_way(world, "smarthost", more=f"smarthost_ca = {ca}"))
    submit(server, ["bob@else.example"])
    world.arrives()
    assert "proof=name" in server.log()


def test_mail_that_needs_no_tls_goes_by_a_route_in_any_case(world):
    world.remote.tls = None
    world.set(world.tlsa_name, world.certificate.tlsa("3 1 1"))
    submit(world.start(named_way(world, "route")), ["bob@else.example"],
           content=b"TLS-Required: No\r\n" + MESSAGE)
    world.arrives()


# ---- sessions ----

@pytest.mark.parametrize("has_records", [True, False])
def test_a_second_connection_resumes_the_session(world, has_records):
    if has_records:
        world.set(world.tlsa_name, world.certificate.tlsa("3 1 1"))
    replies = ["250 2.1.0 fine", "421 4.3.2 closing"]
    world.remote.rules["MAIL"] = lambda line: replies.pop(0) if replies else "250 2.1.0 fine"
    server = world.start()
    for _ in range(2):
        submit(server)
        wait_until(lambda: queue_is_empty(server), "an empty queue")
    assert len(world.remote.messages) == 2
    assert (world.remote.secured, world.remote.resumed) == (2, 1)
