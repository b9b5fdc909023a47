"""A Bode of one's own: the real three processes, sandboxed, on free loopback ports.

    server = Server(folder); server.add_user("alice@example.org"); server.start(); ...; server.stop()
"""
import collections
import fcntl
import imaplib
import os
import pathlib
import poplib
import random
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BODE = os.environ.get("BODE", str(ROOT / "build-test" / "bode"))
# Folders of messages: tests/corpora/README.md.
CORPORA = [ROOT / "tests" / "corpora",
           *(pathlib.Path(more) for more in [os.environ.get("BODE_CORPORA")] if more)]
SERVICES = ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s")
PASSWORD = "correct horse"
WAIT_SECONDS = 60  # for anything that should take no time; sanitizers and busy machines are slow
# What clients call themselves: smtplib would ask the DNS for this machine's name, and may wait long.
CLIENT_NAME = "client.example"


PARTS = 32


def take_part():
    """A part of the ports for this process alone, whoever else runs tests on this machine: between the
    choice of a port and the moment when a server has it, a second may pass, or many."""
    for part in range(PARTS):
        try:
            lock = os.open(f"{tempfile.gettempdir()}/bode-test-ports-{part}",
                           os.O_RDONLY | os.O_CREAT, 0o644)
        except OSError:  # another user's
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return part
        except OSError:
            os.close(lock)
    return os.getpid() % PARTS


# Below the ports that the kernel gives to whoever connects.
PORTS = range(10_000 + take_part(), 32_000, PARTS)
given = collections.deque(maxlen=len(PORTS) // 2)  # the last ones: some are not in use yet


def is_free(port):
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def free_ports(count):
    """Ports that nobody has now, and that were not given lately."""
    ports = []
    while len(ports) < count:
        port = random.choice(PORTS)
        if port not in given and is_free(port):
            given.append(port)
            ports.append(port)
    return ports


def open_to_all(folder):
    """Lets users other than root through to what the test makes there, as in a real installation."""
    for path in (folder, *folder.parents):
        if path.stat().st_uid == 0 and str(path).startswith("/tmp/"):
            path.chmod(0o755)


def wait_until(condition, what, seconds=WAIT_SECONDS):
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.02)


started = set()  # servers of this process


class Server:
    def __init__(self, folder, settings=""):
        self.folder = pathlib.Path(folder)
        self.state, self.config = self.folder / "state", self.folder / "bode.conf"
        self.log_path = self.folder / "log"
        self.ports = dict(zip(SERVICES, free_ports(len(SERVICES))))
        self.process = None
        self.state.mkdir(mode=0o700)
        self.write_config(settings)
        self.bode("domain", "add", "example.org")

    def write_config(self, settings=""):
        listens = "\n".join(f"{name} = 127.0.0.1:{port}" for name, port in self.ports.items())
        # A section of `settings` may repeat none of these. DNS: nobody answers, unless it says who.
        if "[dns]" not in settings:
            settings += f"\n[dns]\nforward = 127.0.0.1:{free_ports(1)[0]}\n"
        self.config.write_text(f"[server]\nhostname = localhost\nstate_dir = {self.state}\n"
                               f"loops = 2\n[listen]\n{listens}\n{settings}\n")

    def bode(self, *words, typed="", status=0):
        """Runs an admin command; returns what it printed (standard error where it must fail)."""
        done = subprocess.run([BODE, "--config", self.config, *words], capture_output=True,
                              input=typed if isinstance(typed, bytes) else typed.encode(),
                              timeout=WAIT_SECONDS)
        out, problems = done.stdout.decode(), done.stderr.decode()
        assert done.returncode == status, f"bode {words}: {done.returncode}\n{out}{problems}"
        return problems if status else out

    def add_user(self, address, password=PASSWORD):
        self.bode("user", "add", address, "--password-stdin", typed=password + "\n")

    # ---- life ----

    def start(self, inherited=()):
        started.add(self)
        # What a sandboxed process may not do ends it here; in production it is logged.
        environment = {**os.environ, "BODE_SANDBOX": "kill",
                       "ASAN_OPTIONS": "detect_leaks=0:" + os.environ.get("ASAN_OPTIONS", "")}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([BODE, "--config", self.config, "serve"], stderr=log,
                                            stdout=log, env=environment, pass_fds=inherited)
        self.wait_ready()
        return self

    def wait_ready(self):
        def greets():
            assert self.process.poll() is None, f"the server ended:\n{self.log()}"
            try:
                with socket.create_connection(("127.0.0.1", self.ports["smtp"]), 5) as client:
                    return client.recv(100).startswith(b"220")
            except OSError:
                return False
        wait_until(greets, "the greeting")

    def stop(self, seconds=15):
        """SIGTERM; returns the exit status."""
        if self.process is None or self.process.poll() is not None:
            return self.process and self.process.returncode
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"no end within {seconds} s of SIGTERM:\n{self.log()}")

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        return self.log_path.read_text(errors="replace")

    def check_log(self):
        """What must stand in no log, whatever the test did."""
        for word in ("AddressSanitizer", "runtime error:", "Assertion", "LeakSanitizer"):
            assert word not in self.log(), self.log()[-8000:]

    def child_pids(self):
        """Those that have not said yet what they are, too."""
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True)
        return [int(pid) for pid in found.stdout.split()]

    def children(self):
        """{"front": pid, "back": pid} of the processes that run now."""
        found = {}
        for pid in self.child_pids():
            try:
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            for role in ("front", "back"):
                if role.encode() in words:
                    found[role] = pid
        return found

    # ---- clients: Python's own ----

    def certificate(self):
        for path in self.state.glob("*.pem"):
            if "BEGIN CERTIFICATE" in path.read_text(errors="replace"):
                return path
        raise AssertionError("no certificate was made")

    def tls(self):
        context = ssl.create_default_context()
        context.load_verify_locations(self.certificate())
        return context

    def smtp(self):
        return smtplib.SMTP("127.0.0.1", self.ports["smtp"], local_hostname=CLIENT_NAME,
                            timeout=WAIT_SECONDS)

    def submission(self, user, password=PASSWORD):
        client = smtplib.SMTP("localhost", self.ports["submission"], local_hostname=CLIENT_NAME,
                              timeout=WAIT_SECONDS)
        client.starttls(context=self.tls())
        client.login(user, password)
        return client

    def imap(self, user, password=PASSWORD, mailbox="INBOX"):
        client = imaplib.IMAP4_SSL("localhost", self.ports["imaps"], ssl_context=self.tls(),
                                   timeout=WAIT_SECONDS)
        client.login(user, password)
        if mailbox:
            assert client.select(mailbox)[0] == "OK"
        return client

    def pop3(self, user, password=PASSWORD):
        poplib._MAXLINE = 100_000_000  # its limit of 2,048 is shorter than lines of real mail
        client = poplib.POP3_SSL("localhost", self.ports["pop3s"], context=self.tls(),
                                 timeout=WAIT_SECONDS)
        client.user(user)
        client.pass_(password)
        return client

    def deliver(self, recipient, message, sender="someone@elsewhere.example"):
        """By SMTP, with every octet as it is (CRLF line ends are the caller's)."""
        with self.smtp() as client:
            client.ehlo("client.example")
            for command in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>"):
                code, text = client.docmd(command)
                assert code == 250, (command, code, text)
            code, text = client.docmd("DATA")
            assert code == 354, (code, text)
            stuffed = re.sub(rb"(?m)^\.", b"..", message)
            client.send(stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n")
            return client.getreply()


def finds_no_store(command, tmp_path):
    """Where there is none the command says so, and makes none."""
    empty = tmp_path / "empty"
    empty.mkdir()
    config = tmp_path / "empty.conf"
    config.write_text(f"[server]\nhostname = localhost\nstate_dir = {empty}\n")
    done = subprocess.run([BODE, "--config", config, command], capture_output=True)
    assert done.returncode == 1 and b"there is no store" in done.stderr
    assert not any(empty.iterdir())


def fetch_all(imap):
    """Every message of the selected mailbox, by UID."""
    found = {}
    status, data = imap.uid("FETCH", "1:*", "(UID BODY.PEEK[])")
    assert status == "OK"
    for item in data:
        if isinstance(item, tuple):
            uid = int(re.search(rb"UID (\d+)", item[0]).group(1))
            found[uid] = item[1]
    return found


def retrieve_raw(pop, number):
    """RETR with every octet kept: poplib strips line ends of its own idea."""
    pop._putcmd(f"RETR {number}")
    assert pop._getresp().startswith(b"+OK")
    message = b""
    while True:
        line = pop.file.readline()
        assert line, "the connection ended inside a message"
        if line == b".\r\n":
            return message
        message += line[1:] if line.startswith(b"..") else line
