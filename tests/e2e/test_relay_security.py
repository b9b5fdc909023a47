"""The security of the way that mail takes to other servers: what DNS proves of them, what a sender
demands. The other side is a scripted server on loopback, DNS a zone that the test signs."""
import datetime
import json
import socket
import threading

import pytest

from certificates import Authority
from nameserver import NameServer
from policyhost import PolicyHost, policy
from remote import GARBAGE, Remote
from server import Server, wait_until
from test_relay import MESSAGE, RELAY, queue, queue_is_empty, report_text, reports, submit

FEATURES = ("PIPELINING", "8BITMIME", "REQUIRETLS")


class World:
    """One server of ours, one authority, a signed zone "far.example" with one exchanger."""

    def __init__(self, folder):
        self.folder = folder
        self.authority = Authority()
        self.certificate = self.authority.issue("mx.far.example")
        self.remote = Remote(FEATURES, tls=self.certificate.server())
        self.others = []
        self.records = {"far.example MX": ["10 mx.far.example."],
                        "mx.far.example A": ["127.0.0.1"]}
        self.dns = NameServer(self.records, signed=["far.example"], folder=folder)
        self.server = None

    @property
    def tlsa_name(self):
        return f"_{self.remote.port}._tcp.mx.far.example TLSA"

    def start(self, more=""):
        (self.folder / "one").mkdir()
        self.server = Server(self.folder / "one",
                             f"{RELAY}port = {self.remote.port}\n"
                             f"authorities = {self.authority.write(self.folder / 'ca.pem')}\n"
                             f"{more}\n{self.dns.settings()}")
        self.server.add_user("alice@example.org")
        return self.server.start()

    def add_remote(self, host, tls=None):
        """Another server at another address of the loopback network, on the same port."""
        self.others.append(Remote(FEATURES, host=host, port=self.remote.port, tls=tls))
        return self.others[-1]

    def set(self, name, *data):
        self.dns.records[name] = list(data)

    def arrives(self, remote=None):
        message = wait_until(lambda: (remote or self.remote).messages, "the message")[0]
        wait_until(lambda: queue_is_empty(self.server), "an empty queue")
        return message

    def waits(self, count=1):
        """The entry of the queue, after so many attempts."""
        return wait_until(lambda: [e for e in queue(self.server) if e["attempts"] >= count],
                          f"{count} attempts")[0]

    def stop(self):
        for one in (self.remote, *self.others, self.dns):
            one.stop()
        if self.server:
            self.server.stop()
            self.server.check_log()


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.stop()


# ---- DANE ----

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
    # The record is put right, and the mail goes.
    world.set(world.tlsa_name, world.certificate.tlsa("3 1 1"))


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


# ---- REQUIRETLS ----

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


# ---- MTA-STS ----

class StsWorld(World):
    """Beside it an unsigned zone "near.example", with a policy."""

    def __init__(self, folder):
        super().__init__(folder)
        self.certificate = self.authority.issue("mx.near.example")
        self.remote.tls = self.certificate.server()
        self.web = PolicyHost(self.authority.issue("mta-sts.near.example").server())
        self.web.policy = policy()
        self.set("near.example MX", "10 mx.near.example.")
        self.set("mx.near.example A", "127.0.0.1")
        self.set("mta-sts.near.example A", "127.0.0.1")
        self.set_id("one")

    def set_id(self, number):
        self.set("_mta-sts.near.example TXT", f'"v=STSv1; id={number};"')

    def start(self, more=""):
        return super().start(f"policy_port = {self.web.port}\n{more}")

    def submit(self, **more):
        submit(self.server, ["bob@near.example"], **more)

    def stop(self):
        self.web.stop()
        super().stop()


@pytest.fixture
def sts(tmp_path):
    world = StsWorld(tmp_path)
    yield world
    world.stop()


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
    sts.set("near.example MX", "10 evil.example.")


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


# ---- what was reached before ----

def counted(server, domain):
    """{(policy, result): count}, of today or around midnight."""
    found = {}
    for row in json.loads(server.bode("tls", "list", domain, "--json")):
        key = row["policy"], row["result"]
        found[key] = found.get(key, 0) + row["count"]
    return found


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


# ---- a smarthost ----

def test_a_smarthost_without_a_list_of_authorities_is_not_trusted(tmp_path):
    """Over implicit TLS, where the connection ends while it is begun."""
    remote = Remote()
    server = Server(tmp_path, f"{RELAY}smarthost = 127.0.0.1:{remote.port}\n"
                              f"smarthost_tls = implicit\nsmarthost_ca = {tmp_path}/nothing.pem\n")
    server.add_user("alice@example.org")
    server.start()
    submit(server)
    entry = wait_until(lambda: [e for e in queue(server) if e["attempts"] >= 2], "attempts")[0]
    assert "no list of authorities" in entry["why"]
    children = server.children()
    assert not remote.messages
    submit(server)
    wait_until(lambda: len([e for e in queue(server) if e["attempts"]]) == 2, "another attempt")
    assert server.children() == children
    server.stop()
    server.check_log()
    remote.stop()
