"""Mail with 8-bit or binary content for servers that do not take such: converted on its way, each part
what it was, or back to its sender with the reason."""
import email
import email.policy
import json
import random

import pytest

from nameserver import NameServer
from relaying import queue_is_empty, report_text, reports, start, submit  # noqa: F401
from remote import DROP, Remote
from server import wait_until
from test_why import why

HEAD = (b"From: alice@example.org\r\nTo: bob@far.example\r\nSubject: hello\r\n"
        b"Message-ID: <8bit@example.org>\r\nDate: Fri, 21 Nov 1997 09:55:06 +0000\r\n"
        b"MIME-Version: 1.0\r\n")
TEXT = "Grüße aus Köln, und nochmals Grüße.\r\n.ein Punkt \r\n-- \r\nSchluß\r\n".encode()


def part(kind, body, encoding=b"8bit"):
    return (b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + encoding
            + b"\r\n\r\n" + body)


def multipart(*parts, subtype=b"mixed", boundary=b"one"):
    inner = b"".join(b"\r\n--" + boundary + b"\r\n" + p for p in parts)
    return part(b"multipart/" + subtype + b"; boundary=" + boundary,
                b"for old readers" + inner + b"\r\n--" + boundary + b"--\r\n")


MESSAGES = {
    "text": HEAD + part(b"text/plain; charset=utf-8", TEXT),
    "unlabelled": HEAD + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + TEXT,
    "chinese": HEAD + part(b"text/plain; charset=utf-8", "你好，世界。\r\n".encode() * 50),
    "parts": HEAD + multipart(
        part(b"text/plain; charset=utf-8", TEXT),
        part(b"text/html; charset=iso-8859-1", b"<p>Gr\xfc\xdfe" + b" Gr\xfc\xdfe" * 300 + b"\r\n"),
        part(b"application/pdf", b"%PDF\xe2\xe3\xcf\xd3" + bytes(range(128, 256)) * 40),
        part(b"application/zip", b"UEsDBA==\r\n", b"base64"),
        part(b"message/rfc822",
             HEAD + multipart(part(b"text/plain; charset=utf-8", TEXT), boundary=b"two")),
        part(b"text/plain", b"plain\r\n", b"7bit")),
    "preamble": HEAD + multipart(part(b"text/plain; charset=utf-8", TEXT)).replace(
        b"for old", "für alte".encode()) + "Epilog für niemanden\r\n".encode(),
}


def leaves(octets):
    return parts_of(email.message_from_bytes(octets, policy=email.policy.compat32))


def parts_of(message):
    return [(p.get_content_type(), p.get_param("charset"), p.get_payload(decode=True))
            for p in message.walk() if not p.is_multipart()]


def check_fits(octets):
    """7bit as RFC 2045 section 2.7 has it."""
    assert max(octets) < 0x80 and 0 not in octets
    assert octets.count(b"\n") == octets.count(b"\r\n") == octets.count(b"\r")
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    for p in email.message_from_bytes(octets).walk():
        assert p.get("Content-Transfer-Encoding", "7bit") in ("7bit", "base64", "quoted-printable")
        if p.is_multipart():
            assert p.get("Content-Transfer-Encoding", "7bit") == "7bit"


def check_size(remote, content):
    sizes = [int(c.split("SIZE=")[1].split()[0]) for c in remote.commands if "SIZE=" in c]
    assert sizes[-1] == len(content)


def wait_message(remote, count=1):
    return wait_until(lambda: len(remote.messages) >= count and remote.messages,
                      "the message")[count - 1].content


@pytest.mark.parametrize("features", [("SIZE 90000000",), ("PIPELINING", "CHUNKING", "SIZE")],
                         ids=["data", "bdat"])
def test_each_part_arrives_for_a_server_that_takes_7_bits(start, features):  # noqa: F811
    remote = Remote(features=features)
    server = start(remote)
    for n, (name, message) in enumerate(MESSAGES.items()):
        submit(server, content=message, options=["BODY=8BITMIME"] if n % 2 else [])
        content = wait_message(remote, n + 1)
        check_fits(content)
        assert leaves(content) == leaves(message), name
        check_size(remote, content)
    assert not any("BODY=" in c for c in remote.commands)
    wait_until(lambda: queue_is_empty(server), "an empty queue")
    log = server.log()
    assert log.count("event=content-converted") == len(MESSAGES) and "to=7bit" in log
    assert "converted, since that server takes 7-bit content only" in why(server,
                                                                         "<8bit@example.org>")
    remote.stop()


def test_what_the_other_server_takes_is_not_touched(start):  # noqa: F811
    """Nor what is ASCII but for its label, so that a signature holds."""
    remote = Remote(features=("8BITMIME",))
    server = start(remote)
    submit(server, content=MESSAGES["parts"], options=["BODY=8BITMIME"])
    assert wait_message(remote).endswith(MESSAGES["parts"])
    remote.features = ()
    ascii_only = HEAD + part(b"text/plain", b"ASCII\r\n")
    submit(server, content=ascii_only, options=["BODY=8BITMIME"])
    assert wait_message(remote, 2).endswith(ascii_only)
    assert "content-converted" not in server.log()
    remote.stop()


def test_other_recipients_of_a_message_get_it_as_it_was(start):  # noqa: F811
    remote = Remote(features=())
    server = start(remote)
    submit(server, ["bob@far.example", "alice@example.org"], MESSAGES["text"])
    check_fits(wait_message(remote))
    kept = wait_until(lambda: reports(server), "the copy here")[0]
    assert kept.get_payload(decode=True) == TEXT and kept["Content-Transfer-Encoding"] == "8bit"
    remote.stop()


def test_binary_content_goes_to_who_takes_8_bits(start):  # noqa: F811
    remote = Remote(features=("8BITMIME", "CHUNKING", "SIZE"))
    server = start(remote)
    binary = bytes(range(256)) * 300 + b"\n.\r\nMAIL FROM:<>\n"
    message = HEAD + multipart(part(b"text/plain; charset=utf-8", TEXT),
                               part(b"application/octet-stream", binary, b"binary"))
    for n, features in enumerate([("8BITMIME", "CHUNKING", "SIZE"), ("SIZE",),
                                  ("8BITMIME", "CHUNKING", "BINARYMIME", "SIZE")]):
        remote.features = features
        remote.rules["END"] = lambda to: "250 kept"
        with server.submission("alice@example.org") as client:
            client.ehlo()
            assert client.mail("alice@example.org", ["BODY=BINARYMIME"])[0] == 250
            assert client.rcpt("bob@far.example")[0] == 250
            client.send(b"BDAT %d LAST\r\n" % len(message) + message)
            assert client.getreply()[0] == 250
        content = wait_message(remote, n + 1)
        check_size(remote, content)
        mail = [c for c in remote.commands if c.startswith("MAIL")][-1]
        if n == 2:
            assert content.endswith(message) and "BODY=BINARYMIME" in mail
            continue
        assert ("BODY=8BITMIME" in mail) == (n == 0)
        assert TEXT in content if n == 0 else max(content) < 0x80
        assert b"\n.\r\nMAIL" not in content and 0 not in content
        assert leaves(content) == leaves(message)
        # A kept connection knows what the server could do before.
        wait_until(lambda: remote.open == 0, "the connection's end")
    remote.stop()


SIGNED = multipart(part(b"text/plain; charset=utf-8", TEXT),
                   part(b"application/pgp-signature", b"signed\r\n", b"7bit"), subtype=b"signed")


@pytest.mark.parametrize("content, status, words", [
    (HEAD + SIGNED, "5.6.2", "signed"),
    (HEAD.replace(b"hello", "grüß".encode()) + b"\r\nASCII\r\n", "5.6.9", "header"),
    (HEAD + part(b"message/partial; id=a", b"Subject: x\r\n\r\n" + TEXT), "5.6.2", "may not"),
], ids=["signed", "header", "partial"])
def test_what_cannot_be_converted_comes_back(start, content, status, words):  # noqa: F811
    """Not at first sight of a server that takes less: where strangers are let wait, another may speak
    for the server."""
    remote = Remote(features=("SIZE",))
    server = start(remote)
    submit(server, content=content, options=["BODY=8BITMIME"])
    report = wait_until(lambda: reports(server), "the report")[0]
    assert report.get_payload(1).get_payload(1)["Status"] == status
    assert "does not take 8-bit content" in report_text(report) and words in report_text(report)
    assert not any(c.startswith("MAIL") for c in remote.commands)
    assert queue_is_empty(server)
    assert remote.connections == 4
    # It is quoted whole here, since nothing keeps it from its mailbox.
    assert report.get_payload(2).get_content_type() == "message/rfc822"
    remote.stop()


def test_what_cannot_be_converted_waits_for_who_takes_it(start):  # noqa: F811
    """The next address, or the next time."""
    message = HEAD + SIGNED
    remote = Remote(features=("SIZE",))
    other = Remote(features=("8BITMIME",), host="127.0.0.2", port=remote.port)
    dns = NameServer({"two.example A": ["127.0.0.1", "127.0.0.2"]})
    server = start(remote, f"{dns.settings()}\n[route its.example]\n"
                           f"to = smtp:two.example:{remote.port}\n")
    # Over a connection that is kept, and over new ones: whichever address comes first.
    submit(server, ["bob@its.example"], HEAD + part(b"text/plain", b"ASCII\r\n"))
    wait_until(lambda: remote.messages or other.messages, "the first message")
    for n in range(3):
        submit(server, ["bob@its.example"], message)
        wait_until(lambda: sum(m.content.endswith(message) for m in other.messages) > n,
                   "the message")
        wait_until(lambda: queue_is_empty(server), "an empty queue")
    assert not reports(server)

    # The first two that speak there do not offer it.
    less, more = "250-remote.example\r\n250 SIZE", "250-remote.example\r\n250 8BITMIME"
    greeted = []
    remote.rules["EHLO"] = lambda line: greeted.append(line) or (less if len(greeted) < 3 else more)
    before = server.log().count("event=deferred")
    submit(server, ["bob@far.example"], message)
    wait_until(lambda: any(m.content.endswith(message) for m in remote.messages), "the message")
    wait_until(lambda: queue_is_empty(server), "an empty queue")
    assert server.log().count("event=deferred") == before + 2
    assert not reports(server)
    for each in remote, other, dns:
        each.stop()


def test_a_server_that_cannot_be_given_a_message_is_not_down(start):  # noqa: F811
    """Though another one of the domain is: other mail goes there."""
    remote = Remote(features=("SIZE",))
    dns = NameServer({"two.example MX": ["10 dead.two.example.", "20 mx.two.example."],
                      "dead.two.example A": ["127.0.0.2"],  # nobody listens there
                      "mx.two.example A": ["127.0.0.1"]})
    server = start(remote, f"port = {remote.port}\n{dns.settings()}")
    submit(server, ["bob@two.example"], HEAD + SIGNED)
    wait_until(lambda: server.log().count("event=deferred") >= 4, "the fourth attempt")
    assert "event=destination-down" not in server.log()
    submit(server, ["bob@two.example"], HEAD + part(b"text/plain", b"ASCII\r\n"))
    wait_message(remote)
    assert "not tried" not in server.log()
    for each in remote, dns:
        each.stop()


def test_a_header_of_which_nothing_was_said_goes_as_it_is(start):  # noqa: F811
    """Old programs send such mail, and other servers pass it on."""
    message = HEAD.replace(b"hello", "grüß".encode()) + part(b"text/plain; charset=utf-8", TEXT)
    remote = Remote(features=("SIZE",))
    server = start(remote)
    submit(server, content=message)
    content = wait_message(remote)
    check_size(remote, content)
    assert leaves(content) == leaves(message)
    header, body = content.split(b"\r\n\r\n", 1)
    assert "grüß".encode() in header and max(body) < 0x80
    assert "event=header-not-converted" in server.log()
    remote.stop()


@pytest.mark.parametrize("content, whole", [
    (MESSAGES["parts"], True), (HEAD + SIGNED, False),
    (HEAD.replace(b"hello", "grüß".encode()) + b"\r\nASCII\r\n", False)],
    ids=["parts", "signed", "header"])
def test_a_report_reaches_a_server_that_takes_7_bits(start, content, whole):  # noqa: F811
    """Whatever the message has: nobody hears of a report that is lost."""
    remote, senders = Remote(features=("8BITMIME",)), Remote(features=())
    server = start(remote, f"[route its.example]\nto = smtp:127.0.0.1:{senders.port}\n")
    server.bode("alias", "add", "team@example.org", "eve@far.example")
    remote.rules["RCPT"] = "550 5.1.1 nie gehört"
    with server.smtp() as client:
        client.sendmail("carl@its.example", ["team@example.org"], content)
    check_fits(wait_message(senders))
    report = email.message_from_bytes(wait_message(senders))
    assert senders.messages[0].recipients == ["carl@its.example"]
    assert report.get_content_type() == "multipart/report"
    assert "eve@far.example" in report_text(report)
    quoted = report.get_payload(2)
    if whole:
        assert quoted.get_content_type() == "message/rfc822"
        assert parts_of(quoted.get_payload(0)) == leaves(content)
    else:
        assert quoted.get_content_type() == "text/rfc822-headers"
        assert b"Message-ID: <8bit@example.org>" in quoted.get_payload(decode=True)
    wait_until(lambda: queue_is_empty(server), "an empty queue")
    remote.stop()
    senders.stop()


def test_a_large_message_streams(start):  # noqa: F811
    remote = Remote(features=("CHUNKING", "SIZE 90000000"))
    server = start(remote)
    dice = random.Random(1)
    lines = ["Zeile %d: %s\r\n" % (n, "ä" * dice.randrange(9) + "x" * 60) for n in range(60000)]
    message = HEAD + multipart(part(b"text/plain; charset=utf-8", "".join(lines).encode()),
                               part(b"image/png", dice.randbytes(3000000).replace(b"\n", b"")
                                    .replace(b"\r", b"").replace(b"\0", b"")))
    submit(server, content=message)
    content = wait_message(remote)
    check_size(remote, content)
    check_fits(content)
    assert leaves(content) == leaves(message)
    remote.stop()


def test_a_connection_that_ends_meanwhile_loses_nothing(start):  # noqa: F811
    """One that was kept, and has ended when the next message is to go over it; then one that takes 8
    bits."""
    remote = Remote(features=())
    server = start(remote)
    submit(server, content=MESSAGES["text"])
    check_fits(wait_message(remote))
    remote.rules["MAIL"] = DROP
    submit(server, content=MESSAGES["parts"])
    wait_until(lambda: [e for e in json.loads(server.bode("queue", "list", "--json"))
                        if e["attempts"]], "an attempt")
    del remote.rules["MAIL"]
    remote.features = ("8BITMIME",)
    content = wait_message(remote, 2)
    assert leaves(content) == leaves(MESSAGES["parts"])
    wait_until(lambda: queue_is_empty(server), "an empty queue")
    remote.stop()
