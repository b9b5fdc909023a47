"""The programs that people really use: curl, swaks, mbsync, fetchmail, mutt."""
import os
import pathlib
import shutil
import subprocess
import textwrap

import pytest

from server import PASSWORD, WAIT_SECONDS, fetch_all

MESSAGE = (b"From: Alice <alice@example.org>\r\nTo: bob@example.org\r\n"
           b"Subject: By a real client\r\nMessage-ID: <1@example.org>\r\n"
           b"Date: Fri, 21 Nov 1997 09:55:06 +0000\r\n\r\nHello\r\n")


def run(*words, typed=b"", status=0, folder=None, **environment):
    """Runs a client with a home of its own; returns what it printed."""
    if not shutil.which(words[0]):
        pytest.skip(f"{words[0]} is not installed")
    done = subprocess.run([str(word) for word in words], input=typed, capture_output=True,
                          timeout=WAIT_SECONDS, cwd=folder,
                          env={**os.environ, "LC_ALL": "C.UTF-8", **environment})
    output = done.stdout + done.stderr
    assert done.returncode == status, f"{words}: {done.returncode}\n{output.decode(errors='replace')}"
    return output


def last_message(server, user):
    return list(fetch_all(server.imap(user)).values())[-1]


def test_curl_submits_and_reads(server, tmp_path):
    (tmp_path / "message").write_bytes(MESSAGE)
    run("curl", "-sS", "--ssl-reqd", "--cacert", server.certificate(),
        f"smtp://localhost:{server.ports['submission']}/client.example",
        "--user", f"alice@example.org:{PASSWORD}", "--mail-from", "alice@example.org",
        "--mail-rcpt", "bob@example.org", "--upload-file", tmp_path / "message")
    output = run("curl", "-sS", "--cacert", server.certificate(), "--user",
                 f"bob@example.org:{PASSWORD}",
                 f"imaps://localhost:{server.ports['imaps']}/INBOX;MAILINDEX=1")
    assert MESSAGE in output
    output = run("curl", "-sS", "--ssl-reqd", "--cacert", server.certificate(), "--user",
                 f"bob@example.org:{PASSWORD}", f"pop3://localhost:{server.ports['pop3']}/1")
    assert MESSAGE in output
    (tmp_path / "appended").write_bytes(MESSAGE)
    run("curl", "-sS", "--cacert", server.certificate(), "--user", f"bob@example.org:{PASSWORD}",
        f"imaps://localhost:{server.ports['imaps']}/Drafts", "--upload-file", tmp_path / "appended")
    assert list(fetch_all(server.imap("bob@example.org", mailbox="Drafts")).values()) == [MESSAGE]


def test_swaks_tests_delivery_and_submission(server):
    run("swaks", "--server", f"127.0.0.1:{server.ports['smtp']}", "--to", "bob@example.org",
        "--from", "someone@elsewhere.example", "--header", "Subject: by swaks", "--tls",
        "--silent", "1")
    assert b"Subject: by swaks" in last_message(server, "bob@example.org")
    run("swaks", "--server", f"127.0.0.1:{server.ports['submissions']}", "--tlsc", "--auth",
        "LOGIN", "--auth-user", "alice@example.org", "--auth-password", PASSWORD, "--from",
        "alice@example.org", "--to", "bob@example.org", "--header", "Subject: by swaks again",
        "--silent", "1")
    assert b"Subject: by swaks again" in last_message(server, "bob@example.org")
    # 28: authentication failed
    run("swaks", "--server", f"127.0.0.1:{server.ports['submission']}", "-tls", "--auth", "PLAIN",
        "--auth-user", "alice@example.org", "--auth-password", "wrong", "--to",
        "bob@example.org", status=28)


def test_mbsync_carries_both_ways(server, tmp_path):
    server.add_user("sync@example.org")
    for number in range(5):
        server.deliver("sync@example.org", MESSAGE + b"%d\r\n" % number)
    config = tmp_path / "mbsyncrc"
    config.write_text(textwrap.dedent(f"""\
        IMAPAccount bode
        Host localhost
        Port {server.ports['imaps']}
        User sync@example.org
        Pass "{PASSWORD}"
        SSLType IMAPS
        CertificateFile {server.certificate()}

        IMAPStore far
        Account bode

        MaildirStore near
        Path {tmp_path}/mail/
        Inbox {tmp_path}/mail/INBOX
        SubFolders Verbatim

        Channel all
        Far :far:
        Near :near:
        Patterns *
        Create Both
        Expunge Both
        SyncState *
        """))
    (tmp_path / "mail").mkdir()
    run("mbsync", "-c", config, "all", HOME=str(tmp_path))
    inbox = tmp_path / "mail" / "INBOX"
    near = sorted(inbox.glob("new/*")) + sorted(inbox.glob("cur/*"))
    assert len(near) == 5
    assert (tmp_path / "mail" / "Archive").is_dir()
    # A new message here, one read, one deleted; and a flag there.
    (inbox / "new" / "1.added").write_bytes(MESSAGE.replace(b"\r\n", b"\n"))
    read, deleted = near[0], near[1]
    read.rename(inbox / "cur" / (read.name.split(":")[0] + ":2,S"))
    deleted.rename(inbox / "cur" / (deleted.name.split(":")[0] + ":2,T"))
    imap = server.imap("sync@example.org")
    imap.store("5", "+FLAGS", r"(\Flagged)")
    run("mbsync", "-c", config, "all", HOME=str(tmp_path))
    imap.select("INBOX")
    assert len(fetch_all(imap)) == 5
    assert len(imap.search(None, "SEEN")[1][0].split()) == 1
    assert any(name.name.partition(":2,")[2] == "F" for name in inbox.glob("cur/*"))
    before = sorted(path.name for path in inbox.glob("*/*"))
    run("mbsync", "-c", config, "all", HOME=str(tmp_path))
    assert sorted(path.name for path in inbox.glob("*/*")) == before


@pytest.mark.parametrize("protocol", ["IMAP", "POP3"])
def test_fetchmail_empties_a_mailbox(server, tmp_path, protocol):
    user = f"fetch-{protocol.lower()}@example.org"
    server.add_user(user)
    for number in range(3):
        server.deliver(user, MESSAGE + b"%d\r\n" % number)
    port = server.ports["imaps" if protocol == "IMAP" else "pop3s"]
    config = tmp_path / "fetchmailrc"
    config.write_text(f"poll localhost protocol {protocol} port {port}\n"
                      f'  username "{user}" password "{PASSWORD}" ssl\n'
                      f"  sslcertfile {server.certificate()} sslcertck\n"
                      f'  mda "tee -a {tmp_path}/got"\n')
    config.chmod(0o600)
    run("fetchmail", "-f", config, "--pidfile", tmp_path / "pid", HOME=str(tmp_path),
        FETCHMAILHOME=str(tmp_path))
    got = (tmp_path / "got").read_bytes()
    assert got.count(b"Subject: By a real client") == 3
    assert fetch_all(server.imap(user)) == {}


def test_mutt_reads_flags_and_sends(server, tmp_path):
    server.add_user("mutt@example.org")
    server.deliver("mutt@example.org", MESSAGE)
    config = tmp_path / "muttrc"
    base = f"mutt%40example.org:{PASSWORD.replace(' ', '%20')}@localhost"
    config.write_text(textwrap.dedent(f"""\
        set folder = "imaps://{base}:{server.ports['imaps']}/"
        set spoolfile = "imaps://{base}:{server.ports['imaps']}/INBOX"
        set smtp_url = "smtps://{base}:{server.ports['submissions']}/"
        set certificate_file = "{server.certificate()}"
        set from = "mutt@example.org"
        set use_envelope_from = yes
        set record = ""
        set hostname = "example.org"
        set header_cache = ""
        set confirmappend = no
        set confirmcreate = no
        """))
    run("mutt", "-F", config, "-s", "by mutt", "bob@example.org", typed=b"Hello from mutt\n",
        HOME=str(tmp_path), TERM="xterm")
    assert b"Subject: by mutt" in last_message(server, "bob@example.org")
    # Opens the mailbox, flags the message, saves a copy to Archive, leaves.
    script = ('push "<flag-message><copy-message><kill-line>=Archive<enter>'
              '<sync-mailbox><quit>"')
    driver = pathlib.Path(__file__).with_name("in_terminal.py")
    run("/usr/bin/python3", driver, "mutt", "-F", config, "-e", script, HOME=str(tmp_path),
        TERM="xterm")
    imap = server.imap("mutt@example.org")
    assert imap.search(None, "FLAGGED")[1] == [b"1"]
    assert len(fetch_all(server.imap("mutt@example.org", mailbox="Archive"))) == 1
