"""Mail that leaves by a smarthost."""
import base64
import signal

import pytest

from certificates import Authority
from nameserver import NameServer
from relaying import RELAY, queue, queue_is_empty, remote, reports, start, submit  # noqa: F401
from remote import Remote
from server import PASSWORD, Server, fetch_all, wait_until


@pytest.mark.parametrize("way,service", [("starttls", "submission"), ("implicit", "submissions")])
def test_a_smarthost_takes_all_mail(start, remote, tmp_path, way, service):
    (tmp_path / "two").mkdir()
    two = Server(tmp_path / "two", RELAY)
    two.bode("domain", "add", "far.example")
    two.add_user("bob@far.example")
    two.add_user("alice@example.org")
    two.start()
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    one = start(remote, f"smarthost = 127.0.0.1:{two.ports[service]}\nsmarthost_tls = {way}\n"
                        f"smarthost_user = alice@example.org\nsmarthost_password_file = {password}\n"
                        f"smarthost_ca = {two.certificate()}\n")
    # far.example has a route of its own, which comes first; another domain goes by the smarthost.
    two.bode("domain", "add", "other.example")
    two.add_user("carol@other.example")
    submit(one, ["carol@other.example"])
    wait_until(lambda: fetch_all(two.imap("carol@other.example")), "the message")
    assert not remote.messages and PASSWORD not in one.log()
    two.stop()
    two.check_log()


def greeting(server):
    with server.smtp() as client:
        return client.docmd("EHLO", "client.example")[1].decode()


def test_a_reload_between_connecting_and_signing_in(start, tmp_path):
    authority = Authority()
    smarthost = Remote(features=("AUTH PLAIN",), tls=authority.issue("localhost").server())
    password = tmp_path / "password"
    password.write_text(f"  {PASSWORD} \nand more\n")  # of the first line, without blanks
    one = start(smarthost, f"smarthost = localhost:{smarthost.port}\nsmarthost_tls = starttls\n"
                           f"smarthost_user = alice@example.org\n"
                           f"smarthost_password_file = {password}\n"
                           f"smarthost_ca = {authority.write(tmp_path / 'ca.pem')}\n")

    def reloads(line):
        one.config.write_text(one.config.read_text().replace("= localhost", "= renamed.example", 1))
        one.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "renamed.example" in greeting(one), "the reload")
        return "\r\n".join(["250-remote.example", "250 AUTH PLAIN"])
    smarthost.rules["STARTTLS"] = lambda line: smarthost.rules.update(EHLO=reloads) or "220 go"
    smarthost.rules["AUTH"] = "235 2.7.0 welcome"
    submit(one, ["carol@other.example"])
    wait_until(lambda: smarthost.messages and queue_is_empty(one), "the message")
    said = next(c for c in smarthost.commands if c.startswith("AUTH PLAIN "))
    assert base64.b64decode(said.split()[2]).decode() == f"\0alice@example.org\0{PASSWORD}"
    smarthost.stop()


def test_a_smarthost_that_has_no_address_is_waited_for(start, remote):
    dns = NameServer({})
    server = start(remote, f"smarthost = smart.example:{remote.port}\n{dns.settings()}")
    submit(server, ["carol@other.example"])
    entry = wait_until(lambda: [e for e in queue(server) if e["attempts"]], "an attempt")[0]
    assert "has no address" in entry["why"] and "event=route-unresolved" in server.log()
    assert not reports(server)
    dns.stop()


def test_a_smarthost_with_a_certificate_of_nobody_gets_nothing(start, remote, tmp_path):
    (tmp_path / "two").mkdir()
    two = Server(tmp_path / "two", RELAY).start()
    one = start(remote, f"smarthost = 127.0.0.1:{two.ports['submission']}\n")
    submit(one, ["carol@other.example"])
    entry = wait_until(lambda: [e for e in queue(one) if e["attempts"]], "an attempt")[0]
    assert "certificate was refused" in entry["why"]
    two.stop()


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
