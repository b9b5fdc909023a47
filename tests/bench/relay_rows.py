"""Rows about mail that leaves: submitted here, and at the end with another server, which is Postfix's
smtp-sink for everybody; a queue that is full of mail for servers that do not answer."""
import base64
import os
import shutil
import smtplib
import socket
import statistics
import subprocess
import threading
import time

from peer import BUILD, MB

BODE = BUILD / "bode"
# Recipients in one transaction: what both have as their default.
RECIPIENTS_AT_ONCE = {"bode": 100}
RECIPIENTS_AT_ONCE_OF_OTHERS = 50
MESSAGE = b"From: u1@bench.test\r\nSubject: latency\r\n\r\n" + b"x" * 76 + b"\r\n"


def sink(peer, messages):
    """smtp-sink; it ends with the last message."""
    program = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin:/sbin:/bin")
    sink = subprocess.Popen([program, *(("-u", "nobody") if os.getuid() == 0 else ()), "-M",
                             str(messages), f"127.0.0.1:{peer.env['SINK']}", "1000"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            socket.create_connection(("127.0.0.1", int(peer.env["SINK"])), 5).close()
            return sink
        except ConnectionRefusedError:
            if sink.poll() is not None:
                raise SystemExit("smtp-sink does not run") from None
            time.sleep(0.01)


def submit(peer, n, **options):
    return peer.load("smtp", n, to="sink.test", auth=1, blind=1,
                     smtp=peer.env["SUBMISSION"], **options)


def relayed(peer, n, transactions, **options):
    """Seconds from the first octet of the submission to the end of the last message at the sink."""
    end = sink(peer, transactions)
    started = time.monotonic()
    figures = submit(peer, n, **options)
    end.wait(600)
    return time.monotonic() - started, figures


def many(peer, quick):
    n = 1000 if quick else peer.share(20000)
    peer.start()
    relayed(peer, 200, 200, size=4096, conns=20)  # warm
    cpu = peer.cgroup.cpu_us()
    seconds, figures = relayed(peer, n, n, size=4096, conns=20)
    yield "relayed", n / seconds, "msg/s"
    yield "accepted", figures["accept"], "msg/s"
    yield "server_cpu", (peer.cgroup.cpu_us() - cpu) / n, "us/msg"
    peer.stop()


def submit_pipelined(peer, count):
    """One message for so many recipients, all of them named in one go."""
    plain = base64.b64encode(f"\0{peer.login('u1')}\0{peer.env['PASS']}".encode()).decode()
    commands = ["EHLO load.test", f"AUTH PLAIN {plain}", "MAIL FROM:<u1@bench.test>\r\n" + "".join(
        f"RCPT TO:<user{n}@sink.test>\r\n" for n in range(count)) + "DATA"]
    with socket.create_connection(("127.0.0.1", int(peer.env["SUBMISSION"]))) as client, \
            client.makefile("rb") as lines:
        def expect(code, replies=1):
            while replies:
                line = lines.readline()
                if line[3:4] == b" ":
                    replies -= 1
                    if not line.startswith(code):
                        raise SystemExit(f"{peer.name}: {line}")
        expect(b"220")
        for command, code, replies in zip(commands, (b"250", b"235", b"250"), (1, 1, 1 + count)):
            client.sendall(command.encode() + b"\r\n")
            expect(code, replies)
        expect(b"354")
        client.sendall(MESSAGE * 40 + b".\r\n")
        expect(b"250")


def recipients(peer, quick):
    """One message for 1,000 recipients at one destination, until the last of them is done."""
    transactions = -(-1000 // RECIPIENTS_AT_ONCE.get(peer.name, RECIPIENTS_AT_ONCE_OF_OTHERS))
    peer.start()
    times = []
    for _ in range(4 if quick else 21):
        end = sink(peer, transactions)
        started = time.monotonic()
        submit_pipelined(peer, 1000)
        end.wait(600)
        times.append((time.monotonic() - started) * 1000)
    yield "until_the_last", statistics.median(times[1:]), "ms"
    peer.stop()


class Clock(threading.Thread):
    """A sink that notes when the end of each message's data has come."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", port), backlog=100)
        self.times, self.came = [], threading.Semaphore(0)
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client, client.makefile("rb") as lines:
            client.sendall(b"220 sink\r\n")
            while line := lines.readline():
                verb = line[:4].upper()
                if verb == b"DATA":
                    client.sendall(b"354 go\r\n")
                    while lines.readline() not in (b".\r\n", b""):
                        pass
                    self.times.append(time.monotonic())
                    self.came.release()
                client.sendall(b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
                               if verb == b"EHLO" else b"250 2.0.0 fine\r\n")
                if verb == b"QUIT":
                    return

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def idle(peer, quick):
    """From the 250 of a submission to the end of the message's data at the other server."""
    peer.start()
    clock = Clock(int(peer.env["SINK"]))
    waits = []
    with smtplib.SMTP("127.0.0.1", int(peer.env["SUBMISSION"]), local_hostname="localhost") as client:
        client.ehlo()
        client.login(peer.login("u1"), peer.env["PASS"])
        for _ in range(5 if quick else 100):
            client.sendmail("u1@bench.test", ["someone@sink.test"], MESSAGE)
            acknowledged = time.monotonic()
            clock.came.acquire()
            waits.append((clock.times[-1] - acknowledged) * 1000)
            time.sleep(0.05)
    clock.stop()
    yield "latency_p50", max(statistics.median(waits), 0.01), "ms"
    yield "latency_max", max(max(waits), 0.01), "ms"
    peer.stop()


def full(peer, quick):
    """100,000 entries for 10,000 destinations that cannot be reached."""
    if peer.name != "bode":
        return
    # As many destinations under way as there are: of more, what is new would wait for the first.
    messages, destinations = (1, 100) if quick else (1000, 10000)
    peer.start()
    before = peer.cgroup.anonymous_octets()
    peer.load("smtp", messages, to="nowhere.test", spread=destinations, rcpts=100, users=100000,
              size=4096, conns=4, auth=1, blind=1, smtp=peer.env["SUBMISSION"])
    config = peer.folder / "bode.conf"
    time.sleep(2 if quick else 20)  # the first attempts at each
    # What the processes have for themselves. With it, smaps counts as private those pages of the
    # store's file that one process alone has mapped: the kernel's cache, which it drops at will.
    yield "private", peer.cgroup.anonymous_octets() / MB, "MB"
    yield "private_and_mapped", peer.cgroup.smaps("Private_Clean", "Private_Dirty") / MB, "MB"
    yield "private_before", before / MB, "MB"
    times = []
    for _ in range(5):
        started = time.monotonic()
        page = subprocess.run([BODE, "--config", config, "queue", "list"], check=True,
                              capture_output=True, text=True).stdout
        times.append((time.monotonic() - started) * 1000)
    if len(page.splitlines()) < 101:
        raise SystemExit(f"the queue does not hold what was submitted: {page[:500]}")
    yield "list_first_page", statistics.median(times), "ms"
    end = sink(peer, 200)
    started = time.monotonic()
    submit(peer, 200, size=4096, conns=20)
    end.wait(600)
    yield "relayed_beside", 200 / (time.monotonic() - started), "msg/s"
    peer.stop()


# smtp-sink ends without a reply to its last message, which is tried again: so the full queue comes
# first, where one server serves all rows.
ROWS = {"relay_queue_full": full, "relay_4K_c20": many, "relay_1000_recipients": recipients,
        "relay_idle": idle}
