"""Started by root, front and back run as users of their own; and IPv6."""
import os
import pathlib
import pwd
import shutil
import smtplib
import socket
import subprocess

import pytest

from server import BODE, CLIENT_NAME, free_ports, open_to_all

# Two users that every Debian has.
FRONT, BACK = "nobody", "games"


def owner(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(text.split("\nUid:")[1].split()[0])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change users")
def test_front_and_back_run_as_users_of_their_own(new_server):
    server = new_server(users=())
    text = server.config.read_text()
    server.config.write_text(text.replace(
        "[server]\n", f"[server]\nuser_front = {FRONT}\nuser_back = {BACK}\n"))
    for path in (server.state, *server.state.rglob("*")):
        shutil.chown(path, BACK, None)
    # As root; the command becomes the back's user.
    server.folder.chmod(0o700)
    done = subprocess.run([BODE, "--config", server.config, "user", "list"], capture_output=True,
                          text=True)
    assert done.returncode == 1 and f'user "{BACK}"' in done.stderr and "chmod o+x" in done.stderr
    open_to_all(server.folder)
    server.add_user("alice@example.org")
    server.start()
    children = server.children()
    assert owner(children["front"]) == pwd.getpwnam(FRONT).pw_uid
    assert owner(children["back"]) == pwd.getpwnam(BACK).pw_uid
    assert server.deliver("alice@example.org", b"Subject: x\r\n\r\nx\r\n")[0] == 250
    assert int(server.imap("alice@example.org").select()[1][0]) == 1
    for path in server.state.rglob("*"):
        assert path.name.endswith(".pem") or path.stat().st_uid in (0, pwd.getpwnam(BACK).pw_uid)


def test_ipv6(new_server):
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError as problem:
            pytest.skip(f"no IPv6 on this machine: {problem}")
    server = new_server()
    port = free_ports(1)[0]
    text = server.config.read_text()
    server.config.write_text(text.replace(f"smtp = 127.0.0.1:{server.ports['smtp']}",
                                          f"smtp = 127.0.0.1:{server.ports['smtp']} [::1]:{port}"))
    server.start()
    with smtplib.SMTP("::1", port, local_hostname=CLIENT_NAME) as client:
        assert client.sendmail("a@elsewhere.example", ["alice@example.org"],
                               b"Subject: six\r\n\r\nx\r\n") == {}
    stored = server.imap("alice@example.org").fetch("1", "(BODY.PEEK[HEADER])")[1][0][1]
    assert b"[IPv6:::1]" in stored
