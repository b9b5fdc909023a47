"""The main job: mail comes in on port 25 and by submission, and is read by IMAP and POP3."""
import imaplib
import poplib
import re
import smtplib

import pytest

from server import CLIENT_NAME, CORPORA, PASSWORD, fetch_all, retrieve_raw

MESSAGE = (b"From: Alice <alice@example.org>\r\nTo: bob@example.org\r\n"
           b"Subject: One real message\r\nDate: Fri, 21 Nov 1997 09:55:06 +0000\r\n"
           b"Message-ID: <1@example.org>\r\n\r\n"
           b"Hello\r\n.a dot\r\n..two dots\r\n\r\n. \r\n\xc3\xa4\xf6 8-bit\r\n")


def test_from_a_stranger_to_imap_and_pop3(server):
    code, text = server.deliver("bob@example.org", MESSAGE)
    assert code == 250, text
    stored = list(fetch_all(server.imap("bob@example.org")).values())[-1]
    assert stored.endswith(MESSAGE)
    trace = stored[:-len(MESSAGE)]
    assert trace.startswith(b"Return-Path: <someone@elsewhere.example>\r\nReceived: from ")
    pop = server.pop3("bob@example.org")
    count, octets = pop.stat()
    assert retrieve_raw(pop, count) == stored
    assert pop.list(count).split()[2] == str(len(stored)).encode()
    pop.quit()


def test_submission_by_both_ways_of_tls(server):
    with server.submission("alice@example.org") as client:
        assert client.sendmail("alice@example.org", ["bob@example.org"], MESSAGE) == {}
    with smtplib.SMTP_SSL("localhost", server.ports["submissions"], local_hostname=CLIENT_NAME,
                          context=server.tls()) as client:
        client.user, client.password = "alice@example.org", PASSWORD
        client.ehlo()
        client.auth("LOGIN", client.auth_login)
        assert client.sendmail("alice@example.org", ["bob@example.org"], MESSAGE) == {}
    stored = list(fetch_all(server.imap("bob@example.org")).values())
    assert all(message.endswith(MESSAGE) for message in stored[-2:])
    assert b" with ESMTPSA " in stored[-1].replace(b"\r\n\t", b" ")


def test_no_password_without_tls(server):
    client = smtplib.SMTP("localhost", server.ports["submission"], local_hostname=CLIENT_NAME)
    client.ehlo()
    assert "auth" not in client.esmtp_features
    assert client.docmd("AUTH", "PLAIN AGFsaWNlAHNlY3JldA==")[0] in (504, 530)
    assert client.docmd("MAIL", "FROM:<alice@example.org>")[0] == 530
    imap = imaplib.IMAP4("localhost", server.ports["imap"])
    assert "LOGINDISABLED" in imap.capabilities
    with pytest.raises(imaplib.IMAP4.error):
        imap.login("alice@example.org", PASSWORD)
    imap.starttls(ssl_context=server.tls())
    imap.login("alice@example.org", PASSWORD)
    pop = poplib.POP3("localhost", server.ports["pop3"])
    with pytest.raises(poplib.error_proto):
        pop.user("alice@example.org")
        pop.pass_(PASSWORD)


def test_a_wrong_password_is_refused_everywhere(server):
    with pytest.raises(smtplib.SMTPAuthenticationError):
        server.submission("alice@example.org", "wrong")
    with pytest.raises(imaplib.IMAP4.error):
        server.imap("alice@example.org", "wrong")
    with pytest.raises(poplib.error_proto):
        server.pop3("alice@example.org", "wrong")


def test_strangers_do_not_relay(server):
    with server.smtp() as client:
        client.ehlo("client.example")
        client.mail("someone@elsewhere.example")
        assert client.rcpt("someone@another.example")[0] == 550
        assert client.rcpt("nobody@example.org")[0] == 550
        assert client.rcpt("alice@example.org")[0] == 250


def test_one_message_for_many_is_stored_once(server):
    with server.smtp() as client:
        body = MESSAGE + b"x" * 70 + b"\r\n"
        assert client.sendmail("a@elsewhere.example",
                               ["alice@example.org", "bob@example.org"], body) == {}
    for user in ("alice@example.org", "bob@example.org"):
        assert any(m.endswith(body) for m in fetch_all(server.imap(user)).values())


def test_special_mailboxes_are_there_from_the_start(server):
    imap = server.imap("alice@example.org", mailbox=None)
    listed = b"\n".join(imap.list()[1])
    for use in (b"Drafts", b"Sent", b"Junk", b"Trash", b"Archive"):
        assert re.search(rb"\\%s\b.*%s" % (use, use), listed), listed


def test_idle_hears_of_new_mail(server):
    imap = server.imap("alice@example.org")
    imap.send(b"i IDLE\r\n")
    assert imap.readline().startswith(b"+")
    server.deliver("alice@example.org", MESSAGE)
    while not imap.readline().rstrip().endswith(b"EXISTS"):
        pass
    imap.send(b"DONE\r\n")
    while not imap.readline().startswith(b"i OK"):
        pass


def test_pop3_and_imap_share_a_mailbox(server):
    imap = server.imap("alice@example.org")
    for _ in range(2):
        assert server.deliver("alice@example.org", MESSAGE)[0] == 250
    pop = server.pop3("alice@example.org")
    count = pop.stat()[0]
    with pytest.raises(poplib.error_proto):
        server.pop3("alice@example.org")  # locked (RFC 1939 section 8) ...
    imap.noop()
    assert int(imap.select("INBOX")[1][0]) == count  # ... but not for IMAP
    pop.dele(count)
    assert int(imap.select("INBOX")[1][0]) == count  # not before QUIT
    pop.quit()
    assert int(imap.select("INBOX")[1][0]) == count - 1


def test_aliases_lead_to_their_targets(server):
    server.bode("alias", "add", "team@example.org", "alice@example.org", "bob@example.org")
    message = MESSAGE + b"to the team\r\n"
    assert server.deliver("Team@Example.ORG", message)[0] == 250
    for user in ("alice@example.org", "bob@example.org"):
        assert any(m.endswith(message) for m in fetch_all(server.imap(user)).values())


def test_a_new_password_counts_at_once(server):
    server.add_user("carol@example.org", "old one")
    server.imap("carol@example.org", "old one").logout()
    server.bode("user", "password", "carol@example.org", "--password-stdin", typed="new one\n")
    with pytest.raises(imaplib.IMAP4.error):
        server.imap("carol@example.org", "old one")
    server.imap("carol@example.org", "new one").logout()


def corpus():
    found = sorted(path for folder in CORPORA for path in folder.rglob("*")
                   if path.suffix in (".eml", ".msg", ".raw", ".txt"))
    assert found, f"no messages in {CORPORA}"
    return found


def with_crlf(octets):
    """Line ends as SMTP has them: every CR, LF or CRLF is one."""
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", octets)
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"


def test_every_message_of_the_corpora_comes_back(new_server):
    server = new_server().start()
    messages = {path: with_crlf(path.read_bytes()) for path in corpus()}
    for path, message in messages.items():
        code, text = server.deliver("alice@example.org", message)
        assert code == 250, (path, text)
    imap = server.imap("alice@example.org")
    stored = list(fetch_all(imap).values())
    assert len(stored) == len(messages)
    for (path, message), back in zip(messages.items(), stored):
        # A literal holds no NUL (RFC 9051 section 9, CHAR8); the literal8 of BINARY does.
        assert back.endswith(message.replace(b"\0", b"\x80")), path
    # Where only CR and LF changed on the way in, and nothing else.
    changed = [path.name for path, message in messages.items() if path.read_bytes() != message]
    print(f"{len(messages)} messages, line ends made CRLF in {len(changed)}: {changed}")
    pop = server.pop3("alice@example.org")
    for number, ((path, message), back) in enumerate(zip(messages.items(), stored), 1):
        retrieved = retrieve_raw(pop, number)
        assert retrieved.endswith(message), path
        assert retrieved.replace(b"\0", b"\x80") == back, path
    pop.quit()
    # ENVELOPE and BODYSTRUCTURE of the oddest mail are lists that a parser accepts.
    for number in range(1, len(stored) + 1):
        status, data = imap.fetch(str(number), "(ENVELOPE BODYSTRUCTURE BODY RFC822.SIZE)")
        assert status == "OK" and data[0] is not None


def test_append_keeps_every_octet(new_server):
    server = new_server().start()
    imap = server.imap("alice@example.org", mailbox=None)
    # Without it a client may not send octets above 127 in header fields (RFC 6855 section 4).
    imap._simple_command("ENABLE", "IMAP4rev2")
    sent = []
    for path in corpus():
        octets = path.read_bytes()
        if octets and b"\0" not in octets:  # RFC 9051 section 9: a literal holds no NUL
            imap.literal = octets           # imaplib's append() would change line ends
            assert imap._simple_command("APPEND", "Archive")[0] == "OK", path
            sent.append(octets)
    imap.select("Archive")
    assert list(fetch_all(imap).values()) == sent


def test_bare_line_ends_are_refused_and_never_repaired(server):
    before = len(fetch_all(server.imap("bob@example.org")))
    for bad in (b"Subject: x\r\n\r\nbare\nLF\r\n", b"Subject: x\r\n\r\nbare\rCR\r\n",
                b"Subject: x\r\n\r\nhidden\n.\nMAIL FROM:<x@example.org>\r\n"):
        code, text = server.deliver("bob@example.org", bad)
        assert 500 <= code < 600, (bad, code, text)
    assert len(fetch_all(server.imap("bob@example.org"))) == before
