"""What happens to strange clients before their mail is taken: DNS, lists, the greeting, limits.

Clients come from 127.0.0.2 and up, which count as strangers; 127.0.0.1 is this machine."""
import signal
import socket
import subprocess
import time

import pytest

from nameserver import NameServer, connect_from, reverse
from server import BODE, WAIT_SECONDS, free_ports, wait_until

RECORDS = {
    "good.example MX": ["10 mail.good.example."],
    "address.example A": ["192.0.2.1"],
    "six.example AAAA": ["2001:db8::1"],
    "nowhere.example MX": ["0 ."],
    "text.example TXT": ["\"no mail here\""],
    "alias.example CNAME": ["good.example."],
}


@pytest.fixture
def names():
    one = NameServer(RECORDS)
    yield one
    one.stop()


class Client:
    """Speaks line by line; its time-out is the only clock."""

    def __init__(self, server, address, greeted=True):
        self.socket = connect_from(address, server.ports["smtp"])
        self.lines = self.socket.makefile("rb")
        if greeted:
            assert self.reply().startswith("220 ")
            self.ask("EHLO client.example")

    def reply(self):
        lines = []
        while not lines or lines[-1][3:4] == "-":
            line = self.lines.readline().decode()
            if not line:
                return ""
            lines.append(line.rstrip())
        return lines[-1]

    def ask(self, line):
        self.socket.sendall(line.encode() + b"\r\n")
        return self.reply()

    def mail(self, sender="a@good.example"):
        return self.ask(f"MAIL FROM:<{sender}>")

    def rcpt(self, recipient="alice@example.org"):
        return self.ask(f"RCPT TO:<{recipient}>")

    def send(self, text="Subject: hello\r\n\r\nhello\r\n", **more):
        assert self.mail(**more).startswith("250 ")
        assert self.rcpt().startswith("250 ")
        assert self.ask("DATA").startswith("354 ")
        return self.ask(text + ".")

    def close(self):
        self.lines.close()
        self.socket.close()


def start(new_server, names, smtp="", limits=""):
    return new_server(f"{names.settings()}[smtp]\ngreet_wait = 0\n{smtp}\n"
                      f"[limits]\n{limits}\n").start()


def last_message(server):
    with server.imap("alice@example.org") as imap:
        count = int(imap.select("INBOX")[1][0])
        return imap.fetch(str(count), "(BODY.PEEK[])")[1][0][1].decode()


# ---- names ----

def test_a_confirmed_name_stands_in_the_trace(new_server, names):
    names.records[reverse("127.0.0.2") + " PTR"] = ["other.example.", "mail.client.example."]
    names.records["mail.client.example A"] = ["192.0.2.9", "127.0.0.2"]
    names.records[reverse("127.0.0.3") + " PTR"] = ["mail.client.example."]
    server = start(new_server, names)
    assert Client(server, "127.0.0.2").send().startswith("250 ")
    assert "from client.example (mail.client.example [127.0.0.2])" in last_message(server)
    # A name that does not lead back is nobody's, and no reason to refuse anything.
    assert Client(server, "127.0.0.3").send().startswith("250 ")
    assert "from client.example ([127.0.0.3])" in last_message(server)
    assert Client(server, "127.0.0.4").send().startswith("250 ")
    assert "from client.example ([127.0.0.4])" in last_message(server)


def test_this_machine_and_exempt_clients_are_asked_nothing(new_server, names):
    server = start(new_server, names, "dns_lists = bl.example", "exempt = 127.0.0.5")
    for address in ("127.0.0.1", "127.0.0.5"):
        assert Client(server, address).send(sender="a@missing.example").startswith("250 ")
    # What the server asks of its own addresses is no question about these.
    told = [reverse(address) for address in ("127.0.0.1", "127.0.0.5")] + ["missing", "bl.example"]
    assert not [asked for asked in names.asked if any(word in asked for word in told)]


@pytest.mark.parametrize("name", ["my_laptop", "PC-ÄÖÜ", "a(b)c", "[IPv6:nonsense]", "x." * 20])
def test_odd_helo_names_are_taken(new_server, names, name):
    server = start(new_server, names)
    client = Client(server, "127.0.0.2", greeted=False)
    assert client.reply().startswith("220 ")
    assert client.ask("EHLO " + name).startswith("250 ")
    assert client.send().startswith("250 ")


def test_strict_helo_where_it_is_wanted(new_server, names):
    server = start(new_server, names, "helo = strict")
    client = Client(server, "127.0.0.2", greeted=False)
    assert client.reply().startswith("220 ")
    assert client.ask("EHLO localhost") == "550 5.7.1 That name is this server's"
    assert client.ask("EHLO laptop") == "550 5.7.1 Say your full name or your address"
    assert client.ask("EHLO my_laptop.example").startswith("501 5.5.4 ")
    assert client.ask("EHLO [127.0.0.2]").startswith("250 ")
    assert client.send().startswith("250 ")


# ---- the sender's domain ----

def test_the_senders_domain_must_be_there(new_server, names):
    server = start(new_server, names)
    client = Client(server, "127.0.0.2")
    for sender in ("a@good.example", "a@GOOD.example", "a@address.example", "a@six.example",
                   "a@alias.example", "", "a@[192.0.2.1]"):
        assert client.mail(sender).startswith("250 2.1.0 "), sender
        assert client.ask("RSET").startswith("250 ")
    for sender in ("a@missing.example", "a@text.example", "a@below.text.example"):
        assert client.mail(sender).startswith("450 4.1.8 "), sender
    assert client.mail("a@nowhere.example").startswith("550 5.7.27 ")
    assert client.send().startswith("250 ")
    wait_until(lambda: "event=mail-refused" in server.log(), "the log")


def test_where_dns_fails_nobody_is_refused(new_server, names):
    names.broken.update({"good.example", "bl.example", "in-addr.arpa"})
    server = start(new_server, names, "dns_lists = bl.example")
    assert Client(server, "127.0.0.2").send().startswith("250 ")


def test_what_is_too_large_for_a_datagram_is_asked_by_tcp(new_server, names):
    if not names.tcp:
        pytest.skip("somebody else has the port")
    names.large.add("client.example")
    names.records[reverse("127.0.0.2") + " PTR"] = ["mail.client.example."]
    names.records["mail.client.example A"] = ["127.0.0.2"]
    server = start(new_server, names)
    assert Client(server, "127.0.0.2").send().startswith("250 ")
    assert "from client.example (mail.client.example [127.0.0.2])" in last_message(server)
    assert "mail.client.example A" in names.by_tcp


def test_without_any_dns_server_mail_goes_on(new_server):
    server = new_server(f"[dns]\nforward = 127.0.0.1:{free_ports(1)[0]}\n"
                        "[smtp]\ngreet_wait = 0\ndns_lists = bl.example\n").start()
    assert Client(server, "127.0.0.2").send().startswith("250 ")


def test_any_sender_where_it_is_wanted(new_server, names):
    server = start(new_server, names, "sender_domain = any")
    assert Client(server, "127.0.0.2").send(sender="a@missing.example").startswith("250 ")


# ---- lists ----

def why(server, asked):
    """What the journal tells; while it has nothing to tell, the command fails."""
    return subprocess.run([BODE, "--config", server.config, "why", asked], text=True,
                          capture_output=True, timeout=WAIT_SECONDS).stdout


def test_a_listed_client_is_refused_and_told_why(new_server, names):
    names.records[reverse("127.0.0.2", "bl.example") + " A"] = ["127.0.0.2"]
    names.records[reverse("127.0.0.2", "bl.example") + " TXT"] = ["\"see https://bl.example/2\""]
    names.records[reverse("127.0.0.3", "bl.example") + " A"] = ["127.0.0.10"]
    server = start(new_server, names, "dns_lists = bl.example=127.0.0.0/29 other.example")
    client = Client(server, "127.0.0.2")
    assert client.mail().startswith("250 ")
    assert client.rcpt() == ("554 5.7.1 Mail from you is not taken here: "
                             "127.0.0.2 is listed by bl.example: see https://bl.example/2")
    # Who is listed for nothing can say so.
    assert client.rcpt("postmaster@example.org").startswith("250 ")
    # Listed, but not for what the configuration counts; and not listed at all.
    for address in ("127.0.0.3", "127.0.0.4"):
        assert Client(server, address).send().startswith("250 ")
    # Nobody who signs in is looked up.
    with server.submission("alice@example.org") as submission:
        submission.sendmail("alice@example.org", ["bob@example.org"], "Subject: a\r\n\r\nb\r\n")


def test_the_journal_tells_of_refusals(new_server, names):
    names.records[reverse("127.0.0.2", "bl.example") + " A"] = ["127.0.0.2"]
    server = start(new_server, names, "dns_lists = bl.example")
    client = Client(server, "127.0.0.2")
    assert client.mail("a@missing.example").startswith("450 4.1.8 ")
    assert client.mail("b@good.example").startswith("250 ")
    assert client.rcpt().startswith("554 5.7.1 ")
    assert client.ask("QUIT").startswith("221 ")
    for asked, told in (("alice@example.org", "listed by bl.example"),
                        ("a@missing.example", "does not exist in DNS"),
                        ("127.0.0.2", "listed by bl.example")):
        wait_until(lambda: told in why(server, asked), f"{asked} in the journal")


def test_a_good_list_outweighs_a_bad_one(new_server, names):
    for address in ("127.0.0.2", "127.0.0.3"):
        names.records[reverse(address, "bl.example") + " A"] = ["127.0.0.2"]
    names.records[reverse("127.0.0.2", "wl.example") + " A"] = ["127.0.9.3"]
    server = start(new_server, names,
                   "dns_lists = bl.example:2 wl.example=127.0.0.0/16:-1\ndns_list_score = 2")
    assert Client(server, "127.0.0.2").send().startswith("250 ")
    client = Client(server, "127.0.0.3")
    assert client.mail().startswith("250 ")
    assert client.rcpt().startswith("554 5.7.1 ")


@pytest.mark.parametrize("answer", ["127.255.255.254", "127.0.0.1", "192.0.2.80"])
def test_a_list_that_refuses_our_resolver_counts_for_nothing(new_server, names, answer):
    for address in ("127.0.0.2", "127.0.0.3"):
        names.records[reverse(address, "bl.example") + " A"] = [answer]
    server = start(new_server, names, "dns_lists = bl.example")
    for address in ("127.0.0.2", "127.0.0.3"):
        assert Client(server, address).send().startswith("250 ")
    assert server.log().count("dns-list-refuses-us") == 1


# ---- the greeting ----

def test_who_speaks_first_is_sent_away(new_server, names):
    server = new_server(names.settings() + "[smtp]\ngreet_wait = 60 s\n").start()
    client = Client(server, "127.0.0.2", greeted=False)
    assert client.ask("EHLO client.example").startswith("554 5.5.1 ")
    assert client.reply() == ""
    wait_until(lambda: "why=spoke-first" in server.log(), "the log")


def test_who_waits_is_greeted(new_server, names):
    server = new_server(names.settings() + "[smtp]\ngreet_wait = 1 s\n").start()
    assert Client(server, "127.0.0.2").send().startswith("250 ")


def test_who_was_good_before_need_not_wait(new_server, names):
    server = start(new_server, names)
    assert Client(server, "127.0.0.2").send().startswith("250 ")
    server.write_config(names.settings() + "[smtp]\ngreet_wait = 60 s\n")
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "event=reloaded" in server.log(), "the reload")

    # A stranger who speaks at once is sent away as soon as the front has the new configuration.
    def is_sent_away():
        client = Client(server, "127.0.0.3", greeted=False)
        try:
            return client.ask("QUIT").startswith("554 ")
        finally:
            client.close()
    wait_until(is_sent_away, "the new configuration")
    client = Client(server, "127.0.0.2", greeted=False)
    assert client.ask("QUIT").startswith("220 ")


def test_who_was_good_before_need_not_wait_after_a_restart_either(new_server, names):
    server = start(new_server, names)
    assert Client(server, "127.0.0.2").send().startswith("250 ")
    assert server.stop() == 0
    server.write_config(names.settings() + "[smtp]\ngreet_wait = 60 s\n")
    # What follows speaks before the greeting.
    server.wait_ready = lambda: None
    server.start()

    def is_greeted(address):
        try:
            client = Client(server, address, greeted=False)
        except OSError:
            return False  # not yet up
        try:
            return client.ask("QUIT").startswith("220 ")
        finally:
            client.close()
    wait_until(lambda: is_greeted("127.0.0.2"), "the greeting of an old friend")
    assert not is_greeted("127.0.0.3")


# ---- limits ----

def test_a_flood_of_connections_is_turned_away(new_server, names):
    server = start(new_server, names, limits="connections_per_minute = 3")
    clients = [Client(server, "127.0.0.2") for _ in range(3)]
    late = Client(server, "127.0.0.2", greeted=False)
    assert late.reply().startswith("421 4.7.0 ")
    assert late.reply() == ""
    assert Client(server, "127.0.1.2").send().startswith("250 ")  # another network
    assert clients[0].send().startswith("250 ")  # who is in stays in
    wait_until(lambda: "why=too-fast" in server.log(), "the log")


def test_a_dictionary_of_recipients_is_put_off(new_server, names):
    server = start(new_server, names, limits="unknown_recipients_per_hour = 5")
    client = Client(server, "127.0.0.2")
    assert client.mail().startswith("250 ")
    for number in range(5):
        assert client.rcpt(f"nobody{number}@example.org").startswith("550 5.1.1 ")
    assert client.rcpt("nobody5@example.org").startswith("450 4.7.1 ")
    assert client.rcpt("alice@example.org").startswith("450 4.7.1 ")
    other = Client(server, "127.0.1.3")
    assert other.send().startswith("250 ")


def dribble(client, octets):
    """An octet now and then, until the server has had enough; what it says then."""
    client.socket.settimeout(0.1)
    said, deadline = b"", time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            client.socket.sendall(octets)
            got = client.socket.recv(1000)
            said += got
            if not got:
                break
        except socket.timeout:
            pass
        except OSError:
            break
    return said.decode()


def test_who_dribbles_is_cut_off(new_server, names):
    server = start(new_server, names, limits="idle_smtp = 2 s\nminimum_rate = 100000")
    in_command = Client(server, "127.0.0.2")
    assert dribble(in_command, b"N").startswith("421 4.4.2 ")
    in_message = Client(server, "127.0.0.3")
    assert in_message.mail().startswith("250 ")
    assert in_message.rcpt().startswith("250 ")
    assert in_message.ask("DATA").startswith("354 ")
    assert dribble(in_message, b"x").startswith("421 4.4.2 ")
    wait_until(lambda: server.log().count("why=too-slow") == 2, "both in the log")
