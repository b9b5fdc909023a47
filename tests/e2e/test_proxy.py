"""The PROXY protocol: from the balancer's address every connection says first who the client is."""
import smtplib
import socket
import ssl
import struct

import pytest

from server import CLIENT_NAME, WAIT_SECONDS, fetch_all

BALANCER = ("127.0.0.2", 0)
V2 = b"\r\n\r\n\0\r\nQUIT\n" + b"\x21\x11" + struct.pack("!H", 12)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    from conftest import make
    one = make(tmp_path_factory.mktemp("bode"), "proxy = 127.0.0.2\n").start()
    yield one
    assert one.stop() == 0, one.log()[-4000:]
    one.check_log()


def connect(server, service, header):
    """A connection by way of the balancer; the header and what is said next leave together."""
    client = socket.create_connection(("127.0.0.1", server.ports[service]), WAIT_SECONDS, BALANCER)
    client.sendall(header)
    return client


def read_until(client, what):
    got = b""
    while what not in got:
        piece = client.recv(4096)
        assert piece, got
        got += piece
    return got


@pytest.mark.parametrize("header, address", [
    (b"PROXY TCP4 192.0.2.77 198.51.100.1 4711 25\r\n", b"[192.0.2.77]"),
    (b"PROXY TCP6 2001:db8::77 2001:db8::1 4711 25\r\n", b"[IPv6:2001:db8::77]"),
    (b"PROXY UNKNOWN\r\n", b"[127.0.0.2]"),
    (V2 + bytes([192, 0, 2, 78, 198, 51, 100, 1]) + struct.pack("!HH", 4711, 25), b"[192.0.2.78]"),
])
def test_the_trace_names_the_client(proxied, header, address):
    with connect(proxied, "smtp", header) as client:
        read_until(client, b"220 ")
        client.sendall(b"EHLO client.example\r\n")
        read_until(client, b"250 HELP\r\n")
        client.sendall(b"MAIL FROM:<a@example.net>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n")
        read_until(client, b"354 ")
        client.sendall(b"Subject: x\r\n\r\n.\r\nQUIT\r\n")
        read_until(client, b"221 ")
    stored = list(fetch_all(proxied.imap("alice@example.org")).values())[-1]
    assert b"Received: from client.example (" + address + b")" in stored


def test_tls_comes_behind_the_header(proxied):
    """The header and the first octets of TLS may come in one packet."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    header = b"PROXY TCP4 192.0.2.77 198.51.100.1 4711 993\r\n"
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    with connect(proxied, "imaps", header + outgoing.read()) as client:
        greeting = b""
        while not greeting:
            incoming.write(client.recv(65536))
            try:
                tls.do_handshake()
                greeting = tls.read(1000)
            except ssl.SSLWantReadError:
                pass
            if outgoing.pending:
                client.sendall(outgoing.read())
        assert greeting.startswith(b"* OK")


@pytest.mark.parametrize("opening", [b"EHLO client.example\r\n", b"PROXY TCP4 1.2.3 4.5.6 1 2\r\n",
                                     b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"])
def test_no_header_no_service(proxied, opening):
    with connect(proxied, "smtp", opening) as client:
        try:
            assert client.recv(100) == b""
        except ConnectionResetError:
            pass


def test_nobody_else_may_send_one(proxied):
    with smtplib.SMTP("127.0.0.1", proxied.ports["smtp"], local_hostname=CLIENT_NAME) as client:
        assert client.docmd("PROXY", "TCP4 192.0.2.77 198.51.100.1 4711 25")[0] == 500
