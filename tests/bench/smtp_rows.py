"""Rows about mail on its way in: receiving, submission, and until a client hears of it."""


def receive(peer, n, **options):
    """Figures of n messages; counted as delivered when IMAP shows them in their mailboxes."""
    rcpts = options.get("rcpts", 1)
    cpu, file = peer.cgroup.cpu_us(), peer.file_octets()
    figures = peer.load("smtp", n, **options)
    cpu = peer.cgroup.cpu_us() - cpu
    yield "acknowledged", figures["accept"], "msg/s"
    yield "delivered", figures["delivered"], "msg/s"
    if options["size"] > 40000:
        yield "throughput", figures["delivered_MBps"], "MB/s"
    yield "latency_p50", figures["lat_p50"], "ms"
    yield "latency_p99", figures["lat_p99"], "ms"
    yield "server_cpu", cpu / n, "us/msg"
    yield "generator_cpu", figures["gen_cpu"] / n * 1e6, "us/msg of load"
    if file is not None:
        yield "file_written", (peer.file_octets() - file) / (n * rcpts), "octet/msg"


def smtp(count, conns, alone=False, **options):
    """`alone`: nothing to compare with. Postfix serves 100 clients at once by default; with 200 that send
    a megabyte each it came to a stand for minutes."""
    def row(peer, quick):
        if alone and peer.name != "bode":
            return
        n = max(peer.share(count) // (80 if quick else 1), conns * (1 if quick else 5))
        options["conns"] = conns
        if quick:  # what was delivered is counted by a sign-in for each
            options["users"] = max(5, options.get("rcpts", 1))
        peer.start()
        peer.load("smtp", min(max(conns // 2, 1) * (1 if quick else 20), n), **options)  # warm
        yield from receive(peer, n, **options)
        peer.stop()
        commits = peer.commits()
        if commits:
            yield "messages_per_sync", commits[0] / commits[1], "msg/commit"
    return row


def submit(peer, quick):
    """A new connection, TLS and a sign-in for each message."""
    n = 50 if quick else 2000
    peer.start()
    options = {"size": 4096, "conns": 10, "session": 1, "starttls": 1, "auth": 1, "user": "u1",
               "smtp": peer.env["SUBMISSION"]}
    peer.load("smtp", 20, **options)
    yield from receive(peer, n, **options)
    peer.stop()


def held(peer, quick):
    """Mail that flows while many connections stand open and say nothing. Postfix serves no more
    than 100 clients at once by default, so there is nothing to compare with."""
    if peer.name != "bode":
        return
    n, conns = (1000, 200) if quick else (20000, 2000)
    options = {"size": 4096, "conns": 20}
    peer.start()
    peer.load("smtp", 200, **options)
    without = peer.load("smtp", n, **options)["accept"]
    beside = peer.load("smtp", n, hold=conns, **options)["accept"]
    yield "acknowledged_beside", beside, "msg/s"
    yield "share_of_without", beside / without, ""
    peer.stop()


def visible(peer, quick):
    """From the 250 of SMTP to the answer to STATUS that counts the message."""
    peer.start()
    figures = peer.load("visible", 10 if quick else 100, size=4096, user="u8")
    yield "latency_p50", figures["lat_p50"], "ms"
    yield "latency_p99", figures["lat_p99"], "ms"
    peer.stop()


def push(busy):
    """From the 250 of SMTP to EXISTS in IDLE; the mail of a busy server is all for others."""
    def row(peer, quick):
        peer.start()
        others = int(peer.env["USERS"]) - 1
        peer.load("append", 50, size=1024, conns=50, batch=1)
        if busy:
            load = peer.load_begin("smtp", peer.share(1000) if quick else 30000, size=4096, conns=10,
                                   users=others)
        figures = peer.load("push", 5 if quick else 100, size=4096, user=f"u{others + 1}")
        if busy:
            peer.load_end(load)
        yield "latency_p50", figures["lat_p50"], "ms"
        yield "latency_p99", figures["lat_p99"], "ms"
        peer.stop()
    return row


ROWS = {
    "smtp_4K_c1": smtp(3000, 1, size=4096),
    "smtp_4K_c20": smtp(40000, 20, size=4096),
    "smtp_4K_c200": smtp(40000, 200, size=4096),
    "smtp_50K_c1": smtp(1000, 1, size=50_000),
    "smtp_50K_c20": smtp(5000, 20, size=50_000),
    "smtp_50K_c200": smtp(5000, 200, size=50_000),
    "smtp_1M_c1": smtp(100, 1, size=1_000_000),
    "smtp_1M_c20": smtp(500, 20, size=1_000_000),
    "smtp_1M_c200": smtp(1000, 200, alone=True, size=1_000_000),
    "smtp_fan_out": smtp(2000, 4, size=4096, rcpts=20),
    "smtp_fan_out_c20": smtp(4000, 20, size=4096, rcpts=20),
    "smtp_held": held,
    "submit": submit,
    "visible": visible,
    "push": push(False),
    "push_under_load": push(True),
}
