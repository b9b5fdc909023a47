"""How programs of the machine send mail: bode sendmail, by that name and by its link."""
import json
import os
import pathlib
import re
import resource
import shutil
import socket
import subprocess
import tempfile

import pytest

from server import BODE, WAIT_SECONDS, fetch_all

EX_OK, EX_USAGE, EX_DATAERR, EX_NOUSER, EX_NOPERM, EX_TEMPFAIL = 0, 64, 65, 67, 77, 75


@pytest.fixture
def machine(new_server, tmp_path):
    server = new_server(f"sendmail = {tmp_path}/socket\n[addresses]\norigin = example.org\n").start()
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


@pytest.mark.parametrize("way", ["store", "socket"])
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


@pytest.mark.parametrize("way", ["store", "socket"])
def test_exit_codes_say_what_went_wrong(machine, way):
    config = machine.config if way == "store" else machine.outside
    problem = sendmail(machine, "nobody@example.org", "alice@example.org", status=EX_NOUSER,
                       config=config)
    assert "nobody@example.org" in problem and "alice" not in problem
    assert len(mail_of(machine)) == 1
    sendmail(machine, "nouser-of-this-machine", status=EX_NOUSER, config=config)
    sendmail(machine, "x@elsewhere.example", config=config)
    sendmail(machine, status=EX_USAGE, config=config)
    sendmail(machine, "-bt", status=EX_USAGE, config=config)
    sendmail(machine, "-t", typed=b"Subject: nobody\n\n", status=EX_DATAERR, config=config)
    sendmail(machine, "-bi", config=config)
    # What could not be read in the queue again does not get there.
    for sender in (b"a\x02b@example.org", b"x" * 2000 + b"@example.org", b"@example.org"):
        problem = sendmail(machine, "-f", sender, "x@elsewhere.example", status=EX_DATAERR,
                           config=config)
        assert "the sender is no mail address" in problem
    problem = sendmail(machine, b"a\x02b@elsewhere.example", "alice@example.org",
                       status=EX_DATAERR, config=config)
    assert "this is no mail address" in problem and "alice" not in problem
    assert len(json.loads(machine.bode("queue", "list", "--json"))) == 1
    assert len(mail_of(machine)) == 2


def test_more_recipients_than_a_message_may_have(machine):
    many = [f"x{i}@elsewhere.example" for i in range(1001)]
    assert "too much" in sendmail(machine, *many, status=EX_DATAERR, config=machine.outside)
    too_many = [f"{'x' * 60}{i}@{'y' * 60}.example" for i in range(4000)]
    assert "too many" in sendmail(machine, *too_many, status=EX_DATAERR, config=machine.outside)
    sendmail(machine, *many[:1000], config=machine.outside)
    assert len(json.loads(machine.bode("queue", "list", "--json"))) == 10


@pytest.fixture
def open_folder():
    """Where other users of the machine may look; pytest's own folders are closed to them."""
    with tempfile.TemporaryDirectory(prefix="bode-") as folder:
        os.chmod(folder, 0o755)
        yield pathlib.Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_users_of_the_machine_send_as_themselves(new_server, open_folder):
    server = new_server(f"sendmail = {open_folder}/socket\n[addresses]\norigin = example.org\n")
    server.start()
    config = open_folder / "bode.conf"
    config.write_text(server.config.read_text())
    program = open_folder / "sendmail"
    shutil.copy(BODE, program)

    def run(*words, status=EX_OK, typed=b"Subject: x\n\nhello\n"):
        done = subprocess.run([program, "-C", config, *words], input=typed, user="nobody",
                              group="nogroup", extra_groups=[], cwd="/", capture_output=True,
                              env={"ASAN_OPTIONS": "detect_leaks=0"}, timeout=WAIT_SECONDS)
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return done.stderr.decode()

    def queued():
        return json.loads(server.bode("queue", "list", "--json"))

    run("alice@example.org")
    assert mail_of(server)[-1].startswith(b"Return-Path: <nobody@example.org>\r\n")
    # To elsewhere as well; each recipient hears what became of him.
    problem = run("x@elsewhere.example", "missing@example.org", status=EX_NOUSER)
    assert "missing@example.org" in problem and "elsewhere" not in problem
    assert [e["from"] for e in queued()] == ["nobody@example.org"]
    run("-f", "nobody@localhost", "alice@example.org")
    run("-f", "<>", "alice@example.org")
    # Not as somebody else,
    assert "may not send as" in run("-f", "bob@example.org", "alice@example.org", status=EX_NOPERM)
    assert "may not send as" in run("-f", "x@elsewhere.example", "alice@example.org",
                                    status=EX_NOPERM)
    assert "may not send as" in run("alice@example.org", typed=b"From: bob@example.org\n\nx\n",
                                    status=EX_NOPERM)
    # not even as who reads his mail,
    server.bode("alias", "add", "nobody@example.org", "bob@example.org")
    assert "may not send as" in run("-f", "bob@example.org", "alice@example.org", status=EX_NOPERM)
    server.bode("alias", "remove", "nobody@example.org")
    # unless there is an account for the user that may.
    server.add_user("nobody@example.org")
    server.bode("user", "allow", "nobody@example.org", "news@elsewhere.example")
    server.bode("user", "limits", "nobody@example.org", "--messages", "1")
    run("-f", "news@elsewhere.example", "alice@example.org")
    assert "tomorrow" in run("alice@example.org", status=EX_TEMPFAIL)
    assert len(mail_of(server)) == 4
    told = server.bode("why", "nobody@example.org")
    assert 'sendmail' in told


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may set another process's limits")
def test_a_back_without_descriptors_lives_on(machine):
    back = machine.children()["back"]
    before = resource.prlimit(back, resource.RLIMIT_NOFILE)
    resource.prlimit(back, resource.RLIMIT_NOFILE, (3, before[1]))
    assert "hung up" in sendmail(machine, "alice@example.org", status=EX_TEMPFAIL,
                                 config=machine.outside)
    assert "descriptor-lost" in machine.log()
    resource.prlimit(back, resource.RLIMIT_NOFILE, before)
    sendmail(machine, "alice@example.org", config=machine.outside)
    assert machine.children()["back"] == back
    assert len(mail_of(machine)) == 1


def test_what_is_no_message_is_not_answered(machine, tmp_path):
    head = b"\0\0\0\0" + (5).to_bytes(8, "big") + (1).to_bytes(4, "big")
    for said in (b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\xff" * 9, b"\0\0\0\x04head", b"",
                 b"\0\0", len(head).to_bytes(4, "big") + head):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "socket"))
            client.sendall(said)
            client.shutdown(socket.SHUT_WR)
            client.settimeout(WAIT_SECONDS)
            assert client.recv(100) == b""
    # A head that is whole, and half of the message.
    path = b"alice@example.org"
    head += len(path).to_bytes(4, "big") + path + b"\0\0\0\0"
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "socket"))
        client.sendall(len(head).to_bytes(4, "big") + head + b"abc")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "socket"))
        client.sendall(len(head).to_bytes(4, "big") + head + b"a\r\n\r\n")
        assert client.recv(100) == b"\0"
    assert len(mail_of(machine)) == 1


def test_without_a_server_root_still_files_and_others_are_told(machine):
    machine.stop()
    sendmail(machine, "alice@example.org", typed=b"Subject: in the night\n\n")
    assert "reached" in sendmail(machine, "alice@example.org", status=EX_TEMPFAIL,
                                 config=machine.outside)
    machine.start()
    assert b"Subject: in the night\r\n" in mail_of(machine)[-1]


def test_mailq_lists_what_waits(machine):
    assert "the queue is empty" in sendmail(machine, "-bp")
    sendmail(machine, "x@elsewhere.example")
    assert "x@elsewhere.example" in sendmail(machine, "-bp")
    assert "only root" in sendmail(machine, "-bp", status=EX_NOPERM, config=machine.outside)
    mailq = machine.link.parent / "mailq"
    os.symlink(os.path.abspath(BODE), mailq)
    done = subprocess.run([mailq, "-C", machine.config], capture_output=True,
                          timeout=WAIT_SECONDS)
    assert done.returncode == EX_OK and b"x@elsewhere.example" in done.stdout


def test_smtp_on_standard_input(machine):
    dialog = (b"EHLO x\r\nMAIL FROM:<a@b.example> SIZE=3\nRCPT TO:<alice@example.org>\n"
              b"RCPT TO:<bob@example.org>\nRCPT TO:<no address>\nDATA\nSubject: by -bs\n\n..dot\n.\n"
              b"MAIL FROM:<>\nDATA\nRCPT TO:<no@example.org>\nDATA\nx\n.\nNOOP\nDANCE\nQUIT\n")
    codes = re.findall(r"^(\d+) ", sendmail(machine, "-bs", typed=dialog), re.M)
    assert codes == ["220", "250", "250", "250", "250", "501", "354", "250", "250", "503", "250", "354",
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
