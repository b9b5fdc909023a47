"""How programs of the machine send mail: bode sendmail, by that name and by its link."""
import json
import os
import re
import subprocess

import pytest

from server import BODE, WAIT_SECONDS, fetch_all

EX_OK, EX_USAGE, EX_DATAERR, EX_NOUSER, EX_UNAVAILABLE, EX_NOPERM, EX_TEMPFAIL = (
    0, 64, 65, 67, 69, 77, 75)


@pytest.fixture
def machine(new_server, tmp_path):
    server = new_server(f"lmtp = {tmp_path}/lmtp\n[addresses]\norigin = example.org\n").start()
    server.link = tmp_path / "sendmail"
    os.symlink(os.path.abspath(BODE), server.link)
    # As somebody sees it who has no access to the store: only the socket is left.
    server.outside = server.folder / "outside.conf"
    server.outside.write_text(server.config.read_text().replace(
        f"state_dir = {server.state}", f"state_dir = {server.folder}/nothing"))
    return server


def sendmail(server, *words, typed=b"Subject: x\n\nhello\n", status=EX_OK, config=None):
    done = subprocess.run([server.link, "-C", config or server.config, *words], input=typed,
                          capture_output=True, timeout=WAIT_SECONDS)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done.stdout.decode() + done.stderr.decode()


def mail_of(server, user="alice@example.org"):
    return list(fetch_all(server.imap(user)).values())


@pytest.mark.parametrize("way", ["store", "lmtp"])
def test_a_message_arrives_by_either_way(machine, way):
    config = machine.config if way == "store" else machine.outside
    sendmail(machine, "-oi", "-f", "cron", "-F", 'Cron "the" Daemon', "alice",
             typed=b"Subject: job\nTo: alice\n\none\n.\ntwo\r\nthree", config=config)
    message = mail_of(machine)[-1]
    assert message.startswith(b"Return-Path: <cron@example.org>\r\nReceived: ")
    assert message.count(b"Return-Path:") == 1
    assert b'\r\nFrom: "Cron \\"the\\" Daemon" <cron@example.org>\r\n' in message
    assert b"\r\nDate: " in message and b"\r\nMessage-ID: <" in message
    assert message.endswith(b"\r\n\r\none\r\n.\r\ntwo\r\nthree\r\n")
    # No header at all, and a dot that ends it.
    sendmail(machine, "alice@example.org", typed=b"words: are\nno, field\n.\nnot this\n",
             config=config)
    sendmail(machine, "alice@example.org", typed=b"just words\n\nmore\n", config=config)
    messages = mail_of(machine)
    assert messages[-2].endswith(b"\r\n\r\nno, field\r\n") and b"words: are\r\n" in messages[-2]
    assert messages[-1].endswith(b"\r\n\r\njust words\r\n\r\nmore\r\n")
    # From the header, whose Bcc nobody sees; each recipient once.
    sendmail(machine, "-t", "-i", "-f", "<>", "bob@example.org",
             typed=b"From: me@example.org\nTo: Alice <alice@example.org>,\n bob@Example.org\n"
                   b"Bcc: bob\nSubject: three\n\nx\n", config=config)
    for user in ("alice@example.org", "bob@example.org"):
        message = mail_of(machine, user)[-1]
        assert message.startswith(b"Return-Path: <>\r\n") and b"Subject: three\r\n" in message
        assert b"Bcc" not in message
    assert len(mail_of(machine, "bob@example.org")) == 1
    # Users of the machine who have no address stand for the postmaster.
    sendmail(machine, "root", typed=b"Subject: to root\n\n", config=config)
    assert b"Subject: to root\r\n" in mail_of(machine)[-1]


@pytest.mark.parametrize("way", ["store", "lmtp"])
def test_exit_codes_say_what_went_wrong(machine, way):
    config = machine.config if way == "store" else machine.outside
    problem = sendmail(machine, "nobody@example.org", "alice@example.org", status=EX_NOUSER,
                       config=config)
    assert "nobody@example.org" in problem and "alice" not in problem
    assert len(mail_of(machine)) == 1
    sendmail(machine, "nouser-of-this-machine", status=EX_NOUSER, config=config)
    sendmail(machine, "x@elsewhere.example", config=config,
             status=EX_OK if way == "store" else EX_UNAVAILABLE)
    sendmail(machine, status=EX_USAGE, config=config)
    sendmail(machine, "-bp", status=EX_USAGE, config=config)
    sendmail(machine, "-t", typed=b"Subject: nobody\n\n", status=EX_DATAERR, config=config)
    sendmail(machine, "-bi", config=config)


def test_without_a_server_root_still_files_and_others_are_told(machine):
    machine.stop()
    sendmail(machine, "alice@example.org", typed=b"Subject: in the night\n\n")
    assert "reached" in sendmail(machine, "alice@example.org", status=EX_TEMPFAIL,
                                 config=machine.outside)
    machine.start()
    assert b"Subject: in the night\r\n" in mail_of(machine)[-1]


def test_smtp_on_standard_input(machine):
    dialog = (b"EHLO x\r\nMAIL FROM:<a@b.example> SIZE=3\nRCPT TO:<alice@example.org>\n"
              b"RCPT TO:<bob@example.org>\nDATA\nSubject: by -bs\n\n..dot\n.\n"
              b"MAIL FROM:<>\nDATA\nRCPT TO:<no@example.org>\nDATA\nx\n.\nNOOP\nDANCE\nQUIT\n")
    codes = re.findall(r"^(\d+) ", sendmail(machine, "-bs", typed=dialog), re.M)
    assert codes == ["220", "250", "250", "250", "250", "354", "250", "250", "503", "250", "354",
                     "550", "250", "500", "221"]
    assert mail_of(machine)[-1].endswith(b"\r\n\r\n.dot\r\n")
    # What ends in the middle is no message.
    sendmail(machine, "-bs", typed=b"MAIL FROM:<>\nRCPT TO:<alice@example.org>\nDATA\nhalf\n")
    assert len(mail_of(machine)) == 1


def test_what_a_user_may_submit_is_shown_and_set(new_server):
    server = new_server()
    limits = json.loads(server.bode("user", "limits", "alice@example.org", "--json"))
    assert limits == [{"user": "alice@example.org", "messages_today": 0, "messages_per_day": 1000,
                       "new_recipients_today": 0, "new_recipients_per_day": 300}]
    server.bode("user", "limits", "alice@example.org", "--messages", "1", "--recipients", "0")
    server.bode("user", "allow", "alice@example.org", "Sales@Elsewhere.example", "@partner.example")
    assert json.loads(server.bode("user", "allowed", "alice@example.org", "--json")) == [
        {"sender": "@partner.example"}, {"sender": "sales@elsewhere.example"}]
    assert "not allowed" in server.bode("user", "disallow", "alice@example.org", "x@y.example",
                                        status=1)
    assert "there is no user" in server.bode("user", "limits", "no@example.org", status=1)
    server.start()
    message = "From: any@partner.example\r\nSubject: x\r\n\r\n"
    with server.submission("alice@example.org") as client:
        assert client.sendmail("sales@elsewhere.example", ["bob@example.org"], message) == {}
        client.mail("alice@example.org")
        code, text = client.rcpt("bob@example.org")
        assert code == 451 and text.startswith(b"4.7.1") and b"tomorrow" in text
    server.bode("user", "limits", "alice@example.org", "--messages", "default")
    server.bode("user", "disallow", "alice@example.org", "@partner.example")
    with server.submission("alice@example.org") as client:
        client.mail("sales@elsewhere.example")
        client.rcpt("bob@example.org")
        assert client.data(message)[0] == 550
    assert "2" not in server.bode("user", "limits", "alice@example.org").splitlines()[1].split()[1]
