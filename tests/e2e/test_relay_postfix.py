"""Postfix as the other server, both ways: what is submitted here arrives there, and what its users
send arrives here, with reports of both kinds going back."""
import email
import os
import pathlib
import pwd
import re
import shutil
import smtplib
import subprocess
import tempfile

import pytest
from cryptography.hazmat.primitives import serialization

from certificates import Authority
from relaying import MESSAGE, RELAY, queue_is_empty, report_text, reports, submit
from server import CLIENT_NAME, WAIT_SECONDS, Server, fetch_all, free_ports, wait_until
from test_relay_downgrade import MESSAGES as EIGHT_BITS
from test_relay_downgrade import leaves

MASTER = pathlib.Path("/usr/share/postfix/master.cf.dist")


class Postfix:
    def __init__(self, folder, bode_port):
        self.folder, self.port = folder, free_ports(1)[0]
        for name in ("conf", "spool", "data", "mail"):
            (folder / name).mkdir()
        shutil.chown(folder / "data", "postfix")
        shutil.chown(folder / "mail", "nobody")
        certificate = Authority().issue("localhost")
        (folder / "chain.pem").write_bytes(certificate.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()) + certificate.pem())
        (folder / "conf" / "main.cf").write_text(f"""
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
myhostname = mx.far.example
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
virtual_mailbox_domains = far.example
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{bob@far.example=bob/}}
virtual_uid_maps = static:{pwd.getpwnam("nobody").pw_uid}
virtual_gid_maps = static:{pwd.getpwnam("nobody").pw_gid}
transport_maps = inline:{{{{example.org = smtp:[127.0.0.1]:{bode_port}}}}}
smtpd_tls_chain_files = {folder}/chain.pem
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtp_tls_security_level = may
""")
        master = re.sub(r"(?m)^smtp( +inet +n +- +)[yn-]", rf"127.0.0.1:{self.port}\1n",
                        MASTER.read_text())
        master = re.sub(r"(?m)^([a-z0-9]+ +(?:unix|unix-dgram) +\S+ +\S+ +)y", r"\1n", master)
        (folder / "conf" / "master.cf").write_text(master)
        self.run("start")
        wait_until(self.greets, "Postfix's greeting")

    def run(self, verb):
        # Its master becomes a daemon and keeps the output open, so that goes to a file.
        with open(self.folder / "output", "ab") as output:
            done = subprocess.run(["postfix", "-c", self.folder / "conf", verb], stdout=output,
                                  stderr=output, timeout=WAIT_SECONDS)
        assert done.returncode == 0 or verb == "stop", (self.folder / "output").read_text()

    def greets(self):
        try:
            with smtplib.SMTP("127.0.0.1", self.port, local_hostname=CLIENT_NAME,
                              timeout=WAIT_SECONDS):
                return True
        except OSError:
            return False

    def mail(self):
        """What bob has got."""
        return [path.read_bytes() for path in sorted((self.folder / "mail").glob("bob/new/*"))]

    def log(self):
        return (self.folder / "maillog").read_text(errors="replace")


@pytest.fixture(scope="module")
def pair():
    if os.getuid() != 0 or not shutil.which("postfix") or not MASTER.exists():
        pytest.skip("Postfix is not installed, or cannot be started without root")
    with tempfile.TemporaryDirectory(prefix="bode-postfix-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)  # Postfix's own user goes through it
        (folder / "bode").mkdir()
        (folder / "postfix").mkdir()
        [port] = free_ports(1)
        server = Server(folder / "bode", f"{RELAY}[route far.example]\nto = smtp:127.0.0.1:{port}\n")
        server.add_user("alice@example.org")
        postfix = Postfix(folder / "postfix", server.ports["smtp"])
        server.config.write_text(server.config.read_text().replace(f":{port}\n",
                                                                   f":{postfix.port}\n"))
        server.start()
        yield server, postfix
        server.stop()
        server.check_log()
        postfix.run("stop")


def test_postfix_that_takes_7_bits_gets_no_more(pair):
    """It looks itself at what it gets: no 8 bits, no label on a multipart or message but 7bit. First of
    all, while no connection is kept that knows it otherwise."""
    server, postfix = pair
    main = postfix.folder / "conf" / "main.cf"
    usual = main.read_text()
    main.write_text(usual + """
smtpd_discard_ehlo_keywords = 8bitmime, chunking
strict_7bit_headers = yes
strict_8bitmime_body = yes
strict_mime_encoding_domain = yes
""")
    postfix.run("reload")

    def takes_7_bits():
        with smtplib.SMTP("127.0.0.1", postfix.port, local_hostname=CLIENT_NAME,
                          timeout=WAIT_SECONDS) as client:
            client.ehlo()
            return not client.has_extn("8bitmime")

    wait_until(takes_7_bits, "the other settings")
    submit(server, content=EIGHT_BITS["parts"], options=["BODY=8BITMIME"])
    got = wait_until(postfix.mail, "the message")[0]
    assert max(got) < 0x80 and "event=content-converted" in server.log()
    assert leaves(got.replace(b"\n", b"\r\n")) == leaves(EIGHT_BITS["parts"])
    wait_until(lambda: queue_is_empty(server), "an empty queue")
    for path in (postfix.folder / "mail").glob("bob/new/*"):
        path.unlink()
    main.write_text(usual)
    postfix.run("reload")


def test_mail_to_postfix_arrives_whole(pair):
    server, postfix = pair
    large = MESSAGE + b"".join(b".%070d\r\n" % n for n in range(20000))
    submit(server, content=large)
    got = wait_until(postfix.mail, "the message")[0]
    assert got.replace(b"\n", b"\r\n").endswith(large)
    assert b"TLS" in got.split(b"\n\n")[0] and "relay-secured" in server.log()
    wait_until(lambda: queue_is_empty(server), "an empty queue")


def test_what_postfix_refuses_comes_back(pair):
    server, postfix = pair
    before = len(reports(server))
    submit(server, ["nobody@far.example"])
    report = wait_until(lambda: reports(server)[before:], "the report")[0]
    assert report.get_payload(1).get_payload(1)["Status"] == "5.1.1"
    assert "nobody@far.example" in report_text(report)


def test_postfix_tells_of_success_where_it_is_asked_to(pair):
    server, postfix = pair
    before = len(reports(server))
    submit(server, options=["ENVID=abc"], rcpt_options=["NOTIFY=SUCCESS"])
    report = wait_until(lambda: reports(server)[before:], "the report")[0]
    assert "MAILER-DAEMON@mx.far.example" in report["From"]
    status = report.get_payload(1)
    assert status.get_payload(0)["Original-Envelope-Id"] == "abc"
    assert status.get_payload(1)["Action"] == "delivered"
    assert len(reports(server)) == before + 1


def test_mail_from_postfix_arrives_and_what_we_refuse_goes_back(pair):
    server, postfix = pair
    before = len(postfix.mail())
    with smtplib.SMTP("127.0.0.1", postfix.port, local_hostname=CLIENT_NAME,
                      timeout=WAIT_SECONDS) as client:
        client.sendmail("bob@far.example", ["alice@example.org", "nobody@example.org"],
                        b"From: bob@far.example\r\nSubject: from postfix\r\n\r\n.dots\r\n")

    def came():
        return [m for m in fetch_all(server.imap("alice@example.org")).values()
                if b"Subject: from postfix" in m]
    message = wait_until(came, "the message")[0]
    assert message.endswith(b"\r\n\r\n.dots\r\n") and b"with ESMTPS" in message
    bounce = wait_until(lambda: postfix.mail()[before:], "Postfix's report")[0]
    status = email.message_from_bytes(bounce).get_payload(1).get_payload(1)
    assert status["Final-Recipient"] == "rfc822; nobody@example.org"
    assert status["Status"] == "5.1.1"
