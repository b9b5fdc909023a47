"""LMTP on a socket of the file system and on loopback, by Python's own client."""
import smtplib
import socket
import stat
import subprocess

from server import BODE, CLIENT_NAME, fetch_all, free_ports

MESSAGE = b"From: a@example.net\r\nSubject: by LMTP\r\n\r\n.dot\r\nbody\r\n"


def listening(new_server, tmp_path):
    """A server with LMTP on a path and on a port, not yet started."""
    path, port = tmp_path / "lmtp", free_ports(1)[0]
    # These lines continue [listen].
    return new_server(f"lmtp = {path} 127.0.0.1:{port}\n"), path, port


def test_delivery_on_both(new_server, tmp_path):
    server, path, port = listening(new_server, tmp_path)
    server.start()
    assert stat.S_IMODE(path.stat().st_mode) == 0o666
    for client in (smtplib.LMTP(str(path), local_hostname=CLIENT_NAME),
                   smtplib.LMTP("127.0.0.1", port, local_hostname=CLIENT_NAME)):
        with client:
            refused = client.sendmail("a@example.net", ["alice@example.org", "bob@example.org",
                                                        "nobody@example.org"], MESSAGE)
            assert list(refused) == ["nobody@example.org"]
            # smtplib reads one answer behind the final dot; the other recipient has one, too.
            assert client.getreply()[0] == 250
    for user in ("alice@example.org", "bob@example.org"):
        stored = list(fetch_all(server.imap(user)).values())
        assert len(stored) == 2 and all(message.endswith(MESSAGE) for message in stored)
        assert all(b" with LMTP id " in message for message in stored)
    assert server.stop() == 0
    assert not path.exists()


def test_what_is_at_the_path_already(new_server, tmp_path):
    server, path, _ = listening(new_server, tmp_path)

    def refusal():
        done = subprocess.run([BODE, "--config", server.config, "serve"], capture_output=True,
                              timeout=60)
        assert done.returncode == 1
        return done.stderr.decode()

    path.write_text("somebody's")
    assert "no socket" in refusal() and path.read_text() == "somebody's"
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        assert "another program listens there" in refusal()
        assert path.exists()
    # Now it is what a killed server leaves behind.
    server.start()
    with smtplib.LMTP(str(path), local_hostname=CLIENT_NAME) as client:
        assert client.sendmail("a@example.net", ["alice@example.org"], MESSAGE) == {}


def test_only_this_machine(new_server):
    server = new_server()
    server.write_config("lmtp = 192.0.2.1:24\n")
    assert "must be the path of a socket" in server.bode("user", "list", status=1)
