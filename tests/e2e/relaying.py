"""What tests of mail that leaves share: a server and another one, played by a script, to which its mail
for far.example goes; the queue, and reports to the sender. `remote` and `start` are fixtures."""
import email
import json

import pytest

from remote import Remote
from server import Server, fetch_all, wait_until

MESSAGE = (b"From: alice@example.org\r\nTo: bob@far.example\r\nSubject: hello\r\n"
           b"Message-ID: <1@example.org>\r\nDate: Fri, 21 Nov 1997 09:55:06 +0000\r\n\r\n"
           b"The first line.\r\n.dotted\r\n")
RELAY = "[relay]\nretry = 1 s\nloopback = yes\n"


@pytest.fixture
def remote():
    other = Remote()
    yield other
    other.stop()


@pytest.fixture
def start(tmp_path):
    """A server whose mail for far.example goes to a remote one; `more` stands in [relay]."""
    servers = []

    def make(remote, more="", scheme="smtp", name="one", relay=RELAY):
        folder = tmp_path / name
        folder.mkdir()
        settings = f"{relay}{more}\n[route far.example]\nto = {scheme}:127.0.0.1:{remote.port}\n"
        server = Server(folder, settings)
        servers.append(server)
        server.add_user("alice@example.org")
        return server.start()

    yield make
    for server in servers:
        server.stop()
        server.check_log()


def submit(server, recipients=("bob@far.example",), content=MESSAGE, options=(), rcpt_options=()):
    with server.submission("alice@example.org") as client:
        assert client.sendmail("alice@example.org", list(recipients), content, list(options),
                               list(rcpt_options)) == {}


def reports(server):
    return [email.message_from_bytes(m)
            for m in fetch_all(server.imap("alice@example.org")).values()]


def report_text(report):
    return report.get_payload(0).get_payload(decode=True).decode()


def queue_is_empty(server):
    return not queue(server)


def submitted_arrives(server, remote):
    """Once, as it was sent, whatever happens on its way; nobody is told of trouble."""
    submit(server)
    wait_until(lambda: remote.messages, "the message")
    wait_until(lambda: queue_is_empty(server), "an empty queue")
    assert len(remote.messages) == 1 and remote.messages[0].content.endswith(MESSAGE)
    assert not reports(server)


def queue(server):
    return json.loads(server.bode("queue", "list", "--json"))
