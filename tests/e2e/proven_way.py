"""Ways to another server whose security can be proven: a scripted server on loopback, an authority,
DNS in a zone that the test signs, and a host of policies. `world` and `sts` are fixtures."""
import json

import pytest

from certificates import Authority
from nameserver import NameServer
from policyhost import PolicyHost, policy
from relaying import RELAY, queue, queue_is_empty, submit
from remote import Remote
from server import Server, wait_until

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


def counted(server, domain):
    """{(policy, result): count}, of today or around midnight."""
    found = {}
    for row in json.loads(server.bode("tls", "list", domain, "--json")):
        key = row["policy"], row["result"]
        found[key] = found.get(key, 0) + row["count"]
    return found
