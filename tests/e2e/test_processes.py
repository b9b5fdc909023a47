"""The three processes: locked in, started again, stopped in order, reloaded under load."""
import contextlib
import os
import pathlib
import resource
import signal
import smtplib
import socket
import ssl
import subprocess

import pytest

from server import BODE, wait_until

ALICE, BOB = "alice@example.org", "bob@example.org"
MESSAGE = b"Subject: %d\r\n\r\nhello\r\n"


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def opened_by(pid):
    opened = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            opened.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return opened


def connect(server, service):
    client = socket.create_connection(("127.0.0.1", server.ports[service]), 60)
    return client, client.makefile("rb")


def kill_child(server, role):
    """SIGKILL; returns once another one has taken its place."""
    old = server.children()
    os.kill(old[role], signal.SIGKILL)
    ready = server.log().count(f"event=child-ready role={role}")
    wait_until(lambda: server.log().count(f"event=child-ready role={role}") > ready,
               f"a new {role}")
    new = server.children()
    assert new[role] != old[role]
    other = {"front": "back", "back": "front"}[role]
    assert new[other] == old[other], "the other one was to go on"


def subjects(server, user=BOB):
    imap = server.imap(user)
    _, data = imap.search(None, "ALL")
    found = []
    for number in data[0].split():
        _, parts = imap.fetch(number, "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        found.append(int(parts[0][1].split(b":")[1]))
    imap.logout()
    return found


# ---- locked in ----

def test_everybody_is_locked_in(new_server):
    server = new_server().start()
    for role, pid in {**server.children(), "supervisor": server.process.pid}.items():
        status = status_of(pid)
        assert status["Seccomp"].strip() == "2", role
        assert status["NoNewPrivs"].strip() == "1", role
        if role != "supervisor":
            assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0, role
    front = server.children()["front"]
    if os.geteuid() == 0:
        # The root directory of the front: empty, and without a name.
        assert os.listdir(f"/proc/{front}/root") == []
    opened = opened_by(front)
    assert not any(str(server.state) in path for path in opened), opened


def test_children_inherit_nothing(new_server):
    """Whatever a library or whoever started the server has left open."""
    ours, theirs = os.pipe()
    with os.fdopen(ours), os.fdopen(theirs, "w"):
        server = new_server().start(inherited=(theirs,))
        name = os.readlink(f"/proc/self/fd/{ours}")
        assert name in opened_by(server.process.pid)
        for pid in server.children().values():
            assert name not in opened_by(pid)


# A filter of seccomp(2): the system call of that number is not known; all others are.
WITHOUT_CLOSE_RANGE = """#!/usr/bin/python3
import ctypes, errno, os, struct, sys
CLOSE_RANGE, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 436, 38, 22, 2
program = b"".join(struct.pack("HBBI", *instruction) for instruction in (
    (0x20, 0, 0, 0),                        # load the number
    (0x15, 0, 1, CLOSE_RANGE),              # is it the one?
    (0x06, 0, 0, 0x00050000 | errno.ENOSYS),
    (0x06, 0, 0, 0x7fff0000)))              # allowed
room = ctypes.create_string_buffer(program)
filter = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(room)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter, 0, 0) == 0
os.execv(os.environ["TRUE_BODE"], ["bode", *sys.argv[1:]])
"""


def test_a_kernel_that_cannot_close_them_is_told_of(new_server, tmp_path, monkeypatch):
    server = new_server()
    old_kernel = tmp_path / "bode"
    old_kernel.write_text(WITHOUT_CLOSE_RANGE)
    old_kernel.chmod(0o755)
    monkeypatch.setenv("TRUE_BODE", BODE)
    monkeypatch.setattr("server.BODE", str(old_kernel))
    server.start()
    assert "event=sandbox-layer-missing layer=close_range errno=ENOSYS" in server.log()
    assert server.deliver(BOB, MESSAGE % 1)[0] == 250


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change users")
def test_root_gives_its_children_other_users(new_server):
    import pwd
    nobody = pwd.getpwnam("nobody").pw_uid
    server = new_server()
    text = server.config.read_text().replace("[listen]", "user_front = nobody\n[listen]")
    server.config.write_text(text)
    server.start()
    assert status_of(server.children()["front"])["Uid"].split() == [str(nobody)] * 4
    assert server.deliver(BOB, MESSAGE % 1)[0] == 250


# ---- started again ----

def test_front_dies(new_server):
    server = new_server().start()
    assert server.deliver(BOB, MESSAGE % 1)[0] == 250
    imap = server.imap(BOB)
    kill_child(server, "front")
    with pytest.raises((imap.abort, OSError)):
        imap.noop()
    assert server.deliver(BOB, MESSAGE % 2)[0] == 250
    assert subjects(server) == [1, 2]


def test_no_client_is_refused_while_the_front_is_away(new_server):
    """The sockets stay open: who comes meanwhile waits for the next front."""
    server = new_server().start()
    for _ in range(4):
        os.kill(server.children()["front"], signal.SIGKILL)
        with server.smtp() as client:
            assert client.noop()[0] == 250
        wait_until(lambda: "front" in server.children(), "a front")


def test_back_dies(new_server):
    server = new_server().start()
    for number in range(20):
        assert server.deliver(BOB, MESSAGE % number)[0] == 250
    kill_child(server, "back")
    assert subjects(server) == list(range(20))
    assert server.deliver(BOB, MESSAGE % 20)[0] == 250
    assert subjects(server) == list(range(21))


def test_smtp_says_later_while_the_back_is_away(new_server):
    server = new_server().start()
    client = server.smtp()
    client.ehlo("client.example")
    front = server.children()["front"]
    answers = set()
    # The supervisor waits a little longer each time.
    for _ in range(8):
        wait_until(lambda: "back" in server.children(), "a back")
        os.kill(server.children()["back"], signal.SIGKILL)
        client.docmd("MAIL FROM:<a@elsewhere.example>")
        answers.add(client.docmd(f"RCPT TO:<{BOB}>")[0])
        client.rset()
    assert 451 in answers and answers <= {250, 451}, answers

    def accepted():
        client.docmd("MAIL FROM:<a@elsewhere.example>")
        code = client.docmd(f"RCPT TO:<{BOB}>")[0]
        client.rset()
        return code == 250
    wait_until(accepted, "the back's return on the same connection")
    assert server.children()["front"] == front
    assert server.deliver(BOB, MESSAGE % 1)[0] == 250


def test_children_die_with_their_supervisor(new_server):
    server = new_server().start()
    children = server.children()
    server.process.kill()
    server.process.wait()

    def gone(pid):
        try:
            return status_of(pid)["State"].startswith("Z")
        except OSError:
            return True
    for role, pid in children.items():
        wait_until(lambda: gone(pid), f"the end of the {role}")
    # What it left behind is in nobody's way.
    server.start()
    assert server.deliver(BOB, MESSAGE % 1)[0] == 250


# ---- stopped in order ----

def test_sessions_hear_goodbye(new_server):
    server = new_server("[auth]\nplaintext = loopback").start()
    smtp, smtp_lines = connect(server, "smtp")
    assert smtp_lines.readline().startswith(b"220")
    imap, imap_lines = connect(server, "imap")
    imap_lines.readline()
    imap.sendall(f'a login {BOB} "correct horse"\r\nb select inbox\r\nc idle\r\n'.encode())
    wait_until(lambda: imap_lines.readline().startswith(b"+"), "IDLE")
    guest, guest_lines = connect(server, "imap")
    guest_lines.readline()
    pop, pop_lines = connect(server, "pop3")
    pop.sendall(f"user {ALICE}\r\npass correct horse\r\n".encode())
    for _ in range(3):
        assert pop_lines.readline().startswith(b"+OK")
    assert server.stop() == 0
    assert smtp_lines.read().startswith(b"421 4.3.2")
    assert imap_lines.read().startswith(b"* BYE")
    assert guest_lines.read().startswith(b"* BYE")
    assert pop_lines.read() == b"-ERR [SYS/TEMP] the server is stopping\r\n"
    for client in (smtp, imap, guest, pop):
        client.close()
    log = server.log()
    assert "stop-incomplete" not in log and "child-killed" not in log
    assert not (server.state / "control").exists()


def test_what_was_accepted_before_the_stop_is_there_after_it(new_server):
    server = new_server().start()
    for number in range(10):
        assert server.deliver(BOB, MESSAGE % number)[0] == 250
    assert server.stop() == 0
    server.start()
    assert subjects(server) == list(range(10))


def test_a_client_that_never_leaves_delays_no_stop(new_server):
    server = new_server().start()
    with contextlib.ExitStack() as stack:
        for service in ("smtp", "imaps", "pop3"):  # and a TLS handshake that never begins
            stack.enter_context(connect(server, service)[0])
        assert server.stop() == 0


# ---- reloaded ----

def test_new_certificate_without_dropping_a_session(new_server):
    server, donor = new_server(), new_server()
    first = server.start().certificate().read_text()
    imap = server.imap(BOB)
    early, early_tls = server.smtp(), server.tls()
    early.ehlo()
    donor.start()
    second = donor.certificate().read_text()
    assert first != second
    server.write_config(f"[tls]\ncertificate = {donor.certificate()}\n"
                        f"key = {donor.state / 'key.pem'}\n")
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "event=reloaded" in server.log(), "the reload")

    def served():
        return ssl.get_server_certificate(("127.0.0.1", server.ports["imaps"]))
    wait_until(lambda: ssl.PEM_cert_to_DER_cert(served()) == ssl.PEM_cert_to_DER_cert(second),
               "the new certificate")
    assert imap.noop()[0] == "OK"
    early.starttls(context=early_tls)  # with what was there when it came
    assert early.noop()[0] == 250
    # One that is born now has it, too.
    kill_child(server, "front")
    assert ssl.PEM_cert_to_DER_cert(served()) == ssl.PEM_cert_to_DER_cert(second)


def test_new_limits(new_server):
    server = new_server().start()
    server.write_config("[limits]\nmessage_size = 1 MiB\n")
    server.process.send_signal(signal.SIGHUP)

    def size():
        with server.smtp() as client:
            client.ehlo()
            return client.esmtp_features["size"] == "1048576"
    wait_until(size, "the new size limit")


@pytest.mark.parametrize("settings, complaint", [
    ("[limits]\nrecipient = 100\n", "unknown key"),
    ("[tls]\ncertificate = /nowhere.pem\nkey = /nowhere.key\n", "cannot be read"),
    ("[relay]\nsmarthost = 127.0.0.1:25\nsmarthost_user = alice\n"
     "smarthost_password_file = /dev/zero\n", "smarthost_password_file names: File too large"),
])
def test_an_error_changes_nothing(new_server, settings, complaint):
    server = new_server().start()
    server.write_config(settings)
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "event=reload-refused" in server.log(), "the refusal")
    assert complaint in server.log()
    assert "of=certificate" not in server.log()
    assert server.deliver(BOB, MESSAGE % 1)[0] == 250
    assert subjects(server) == [1]


# ---- told by the admin's process ----

def test_idle_hears_of_what_another_process_filed(new_server):
    server = new_server("[auth]\nplaintext = loopback").start()
    imap, lines = connect(server, "imap")
    imap.sendall(f'a login {BOB} "correct horse"\r\nb select inbox\r\nc idle\r\n'.encode())
    wait_until(lambda: lines.readline().startswith(b"+"), "IDLE")
    server.bode("deliver", BOB, typed=MESSAGE % 1)
    wait_until(lambda: lines.readline() == b"* 1 EXISTS\r\n", "EXISTS")
    imap.close()


# ---- too many clients ----

def test_limit_per_address(new_server):
    server = new_server("[limits]\nconnections_per_address = 3\n").start()
    with contextlib.ExitStack() as stack:
        def greeting():
            client, lines = connect(server, "smtp")
            stack.enter_context(client)
            return client, lines.readline()
        wait_until(lambda: "event=closed" in server.log(), "the end of the first look")
        inside = [greeting() for _ in range(3)]
        assert all(line.startswith(b"220") for _, line in inside)
        assert greeting()[1].startswith(b"421 4.7.0")
        client, lines = connect(server, "imap")
        assert lines.readline().startswith(b"* BYE")
        client, lines = connect(server, "pop3")
        assert lines.readline().startswith(b"-ERR [SYS/TEMP]")
        inside[0][0].close()
        wait_until(lambda: greeting()[1].startswith(b"220"), "room for another")


def test_exempt_networks_have_no_limit(new_server):
    server = new_server("[limits]\nconnections = 2\nconnections_per_address = 2\n"
                        "exempt = 127.0.0.0/8\n").start()
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            client, lines = connect(server, "smtp")
            stack.enter_context(client)
            assert lines.readline().startswith(b"220")


def test_out_of_descriptors(new_server):
    """Who cannot be served is told so, at once, by whichever loop hears him, and the rest goes on."""
    server = new_server().start()
    front = server.children()["front"]
    used, reserved = len(os.listdir(f"/proc/{front}/fd")), 32
    resource.prlimit(front, resource.RLIMIT_NOFILE, (used + 10 + reserved,) * 2)
    with contextlib.ExitStack() as stack:
        greetings = []
        for _ in range(200):
            client, lines = connect(server, "smtp")
            stack.enter_context(client)
            greetings.append(lines.readline()[:3])
        assert 8 <= greetings.count(b"220") <= 12, greetings
        assert greetings.count(b"421") + greetings.count(b"220") == 200, greetings
        assert "why=no-descriptors" in server.log()
    wait_until(lambda: server.smtp().noop()[0] == 250, "service after the crowd")
    assert server.children()["front"] == front


# ---- what does not start says why ----

def refused(server):
    done = subprocess.run([BODE, "--config", server.config, "serve"], capture_output=True,
                          timeout=60, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    assert done.returncode == 1
    sentences = [line for line in done.stderr.decode().splitlines()
                 if not line.startswith("20")]  # those of the log begin with a date
    assert len(sentences) == 1, sentences
    return sentences[0]


def test_the_state_directory_is_in_use(new_server):
    server = new_server().start()
    assert "in use by another running server" in refused(server)
    assert server.deliver(BOB, MESSAGE % 1)[0] == 250


def test_the_port_is_taken(new_server):
    server, other = new_server().start(), new_server()
    other.ports["imaps"] = server.ports["imaps"]
    other.write_config()
    sentence = refused(other)
    assert f"127.0.0.1:{server.ports['imaps']}" in sentence and "imaps" in sentence
    assert "another program listens there" in sentence


def test_there_is_no_store(new_server, tmp_path):
    server = new_server()
    (tmp_path / "empty").mkdir()
    server.config.write_text(server.config.read_text().replace(str(server.state),
                                                               str(tmp_path / "empty")))
    assert "bode setup" in refused(server)
    server.config.write_text(server.config.read_text().replace(str(tmp_path / "empty"),
                                                               str(tmp_path / "nowhere")))
    assert "does not exist" in refused(server)


def test_the_key_is_anothers(new_server):
    server, donor = new_server().start(), new_server().start()
    other = new_server()
    other.write_config(f"[tls]\ncertificate = {server.certificate()}\n"
                       f"key = {donor.state / 'key.pem'}\n")
    assert "cannot be used" in refused(other)


def test_roles_are_not_for_people():
    done = subprocess.run([BODE, "--config", "/dev/null", "serve", "--role", "front"],
                          capture_output=True, timeout=60)
    assert done.returncode == 2 and b"bode serve" in done.stderr
