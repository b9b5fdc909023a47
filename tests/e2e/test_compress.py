"""COMPRESS=DEFLATE (RFC 4978) over TLS, through the three processes."""
import imaplib
import zlib

from server import PASSWORD


class Deflated:
    """A file of a connection that deflates what is written and inflates what is read."""

    def __init__(self, sock):
        self.sock, self.plain = sock, b""
        self.inflater = zlib.decompressobj(-15)
        self.deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.wire_octets = self.plain_octets = 0

    def fill(self):
        data = self.sock.recv(65536)
        assert data, "the server has closed"
        self.wire_octets += len(data)
        plain = self.inflater.decompress(data)
        self.plain_octets += len(plain)
        self.plain += plain

    def readline(self):
        while b"\n" not in self.plain:
            self.fill()
        line, _, self.plain = self.plain.partition(b"\n")
        return line + b"\n"

    def send(self, data, flush=zlib.Z_SYNC_FLUSH):
        self.sock.sendall(self.deflater.compress(data) + self.deflater.flush(flush))

    def command(self, text):
        """Its lines, up to the tagged one."""
        self.send(b"x " + text + b"\r\n")
        lines = [self.readline()]
        while not lines[-1].startswith(b"x "):
            lines.append(self.readline())
        return lines


def begin(server, user):
    imap = imaplib.IMAP4_SSL("localhost", server.ports["imaps"], ssl_context=server.tls())
    imap.login(user, PASSWORD)
    assert "COMPRESS=DEFLATE" in imap.capability()[1][0].decode()
    imap.send(b"c COMPRESS DEFLATE\r\n")
    assert imap.readline().startswith(b"c OK")
    return imap, Deflated(imap.sock)


def test_a_session_in_deflate(new_server):
    server = new_server()
    server.start()
    imap, client = begin(server, "alice@example.org")
    message = b"".join(b"Line %d of a letter that is much like the others\r\n" % i
                       for i in range(20000))
    # Both directions, larger than any buffer, and small commands between which the server rests.
    client.send(b"x APPEND INBOX {%d+}\r\n%s\r\n" % (len(message), message))
    assert client.readline().startswith(b"x OK [APPENDUID")
    assert client.command(b"SELECT INBOX")[-1].startswith(b"x OK")
    for _ in range(50):
        assert client.command(b"NOOP") == [b"x OK Completed\r\n"]
    lines = client.command(b"FETCH 1 BODY.PEEK[]")
    assert b"".join(lines[1:-2])[:len(message)] == message
    assert client.wire_octets < client.plain_octets / 3
    assert client.command(b"COMPRESS DEFLATE")[-1].startswith(b"x NO [COMPRESSIONACTIVE]")
    # What others do is told while it idles.
    client.send(b"i IDLE\r\n")
    assert client.readline().startswith(b"+ ")
    server.deliver("alice@example.org", b"Subject: news\r\n\r\nHello\r\n")
    while not client.readline().startswith(b"* 2 EXISTS"):
        pass
    client.send(b"DONE\r\n")
    while not client.readline().startswith(b"i OK"):
        pass
    # A client may clear its dictionary, and speak in halves of octets.
    client.send(b"x NOO", zlib.Z_FULL_FLUSH)
    for octet in client.deflater.compress(b"P\r\n") + client.deflater.flush(zlib.Z_SYNC_FLUSH):
        client.sock.sendall(bytes([octet]))
    assert client.readline() == b"x OK Completed\r\n"
    lines = client.command(b"LOGOUT")
    assert lines[0].startswith(b"* BYE") and lines[-1].startswith(b"x OK")
    imap.sock.close()
    server.check_log()


def test_noise_ends_the_session(new_server):
    server = new_server()
    server.start()
    imap, client = begin(server, "alice@example.org")
    imap.sock.sendall(b"\xff\xff\xff\xff noise")
    assert client.readline().startswith(b"* BYE")
    assert imap.sock.recv(100) == b""
    server.check_log()
