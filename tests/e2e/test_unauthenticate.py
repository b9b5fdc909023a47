"""UNAUTHENTICATE (RFC 8437): one connection signs in as two users in turn, through the three
processes, over TLS and in DEFLATE."""
import base64
import json
import socket
import subprocess
import zlib

import pytest

from server import BODE, PASSWORD, WAIT_SECONDS, wait_until


class Client:
    """A TLS connection, whose octets may be deflated for a while."""

    def __init__(self, server):
        plain = socket.create_connection(("127.0.0.1", server.ports["imaps"]), WAIT_SECONDS)
        self.sock = server.tls().wrap_socket(plain, server_hostname="localhost")
        self.said, self.inflater, self.deflater = b"", None, None
        assert self.line().startswith(b"* OK")

    def line(self):
        while b"\n" not in self.said:
            data = self.sock.recv(65536)
            assert data, "the server has closed"
            if self.inflater:
                self.said += self.inflater.decompress(data)
                if self.inflater.eof:  # what follows is not compressed
                    self.said += self.inflater.unused_data
                    self.inflater = None
            else:
                self.said += data
        line, _, self.said = self.said.partition(b"\n")
        return line + b"\n"

    def answer(self, tag):
        lines = [self.line()]
        while not lines[-1].startswith(tag + b" "):
            lines.append(self.line())
        return lines

    def packed(self, text, flush=zlib.Z_SYNC_FLUSH):
        if not self.deflater:
            return text
        return self.deflater.compress(text) + self.deflater.flush(flush)

    def command(self, text):
        self.sock.sendall(self.packed(b"x " + text + b"\r\n"))
        lines = self.answer(b"x")
        assert lines[-1].startswith(b"x OK"), lines
        return lines

    def compress(self, level=9):
        self.command(b"COMPRESS DEFLATE")
        self.inflater = zlib.decompressobj(-15)
        self.deflater = zlib.compressobj(level, zlib.DEFLATED, -15)


def plain_of(user):
    return base64.b64encode(f"\0{user}\0{PASSWORD}".encode())


def sign_in_of(user):
    return b"s AUTHENTICATE PLAIN " + plain_of(user) + b"\r\n"


def subjects(client):
    client.command(b"SELECT INBOX")
    return b"".join(client.command(b"UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]"))


@pytest.fixture(scope="module", autouse=True)
def mail(server):
    server.deliver("alice@example.org", b"Subject: for alice\r\n\r\nHello\r\n")
    server.deliver("bob@example.org", b"Subject: for bob\r\n\r\nHello\r\n")


def test_two_users_on_one_connection(server):
    client = Client(server)
    for _ in range(20):
        for user, other in (("alice", "bob"), ("bob", "alice")):
            client.command(b"LOGIN %s@example.org \"%s\"" % (user.encode(), PASSWORD.encode()))
            told = subjects(client)
            assert b"for " + user.encode() in told and b"for " + other.encode() not in told
            client.command(b"UNAUTHENTICATE")
    client.sock.sendall(b"y SELECT INBOX\r\n")
    assert client.answer(b"y")[-1].startswith(b"y BAD")
    client.command(b"LOGOUT")


def test_in_one_round_trip(server):
    """With more behind it than the processes have buffers for."""
    client = Client(server)
    client.sock.sendall(sign_in_of("alice@example.org"))
    client.answer(b"s")
    noops = b"".join(b"n%d NOOP\r\n" % i for i in range(30000))
    message = b"Subject: large\r\n\r\n" + b"x" * 300_000 + b"\r\n"
    client.sock.sendall(b"u UNAUTHENTICATE\r\n" + sign_in_of("bob@example.org") +
                        b"a APPEND INBOX {%d+}\r\n%s\r\n" % (len(message), message) + noops)
    assert client.line().startswith(b"u OK")
    assert client.line().startswith(b"s OK")
    assert client.line().startswith(b"a OK [APPENDUID")
    for i in range(30000):
        assert client.line().startswith(b"n%d OK" % i)
    assert b"for bob" in subjects(client)


def end_of_stream(client, how, text):
    """`text` as the last that is compressed."""
    if how == "finish":
        return client.packed(text, zlib.Z_FINISH)
    if how == "sync, then finish":
        return client.packed(text) + client.deflater.flush(zlib.Z_FINISH)
    return client.packed(text, zlib.Z_FULL_FLUSH if how == "full" else zlib.Z_SYNC_FLUSH)


@pytest.mark.parametrize("pieces", ["at once", "octets"])
@pytest.mark.parametrize("how", ["finish", "sync", "sync, then finish", "full", "stored"])
def test_the_compressed_stream_ends(server, how, pieces):
    client = Client(server)
    for user in ("alice@example.org", "bob@example.org", "alice@example.org"):
        client.sock.sendall(sign_in_of(user))
        assert client.answer(b"s")[-1].startswith(b"s OK")
        client.compress(0 if how == "stored" else 9)
        assert b"for " + user.partition("@")[0].encode() in subjects(client)
        data = client.packed(b"n NOOP\r\n") + end_of_stream(client, how, b"u UNAUTHENTICATE\r\n")
        client.deflater = None
        data += b"c CAPABILITY\r\n"  # pipelined, and not compressed
        for octets in [data] if pieces == "at once" else [bytes([one]) for one in data]:
            client.sock.sendall(octets)
        assert client.answer(b"n")[-1].startswith(b"n OK")
        assert client.line().startswith(b"u OK")
        assert b"AUTH=PLAIN" in client.line() and client.line().startswith(b"c OK")
        assert client.inflater is None


def test_more_in_the_compressed_stream_ends_the_connection(server):
    client = Client(server)
    client.sock.sendall(sign_in_of("alice@example.org"))
    client.answer(b"s")
    client.compress()
    client.sock.sendall(client.packed(b"u UNAUTHENTICATE\r\nn NOOP\r\n"))
    assert client.line().startswith(b"u OK")
    assert client.sock.recv(100) == b""


def test_the_journal_tells_of_both(new_server):
    server = new_server().start()
    client = Client(server)
    for user in ("alice@example.org", "bob@example.org"):
        client.sock.sendall(sign_in_of(user))
        client.answer(b"s")
        client.command(b"UNAUTHENTICATE")
    client.sock.sendall(b"w LOGIN alice@example.org wrong\r\n")
    assert client.answer(b"w")[-1].startswith(b"w NO")
    client.sock.sendall(sign_in_of("bob@example.org"))
    client.answer(b"s")

    def asked():
        done = subprocess.run([BODE, "--config", server.config, "why", "alice@example.org",
                               "--json"], capture_output=True, timeout=60)
        return done.returncode == 0 and [
            life for life in json.loads(done.stdout)
            if [event["event"] for event in life["events"]] ==
            ["signed-in", "signed-in", "sign-in-refused", "signed-in"]]
    assert wait_until(asked, "all sign-ins of the connection")


def test_connections_are_counted_once(new_server):
    """Neither signing in again nor signing out makes more or fewer of them."""
    server = new_server("[limits]\nconnections_per_address = 2\nconnections_per_minute = 0\n").start()
    one, two = Client(server), Client(server)
    for _ in range(5):
        for client in (one, two):
            client.sock.sendall(sign_in_of("alice@example.org"))
            client.answer(b"s")
            client.command(b"UNAUTHENTICATE")
    with pytest.raises((AssertionError, OSError)):
        Client(server)
    one.command(b"LOGOUT")
    one.sock.close()

    def is_let_in():
        try:
            return Client(server)
        except (AssertionError, OSError):
            return None
    assert wait_until(is_let_in, "a place that has become free")
