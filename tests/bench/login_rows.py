"""Rows about signing in, POP3, and the start of the server."""
import time


def login(tls):
    def row(peer, quick):
        n = 200 if quick else 2000
        peer.start()
        users = int(peer.env["USERS"])
        cpu = peer.cgroup.cpu_us()
        figures = peer.load("login", users, conns=4, tls=tls)
        yield "first", figures[""], "login/s"
        yield "first_cpu", (peer.cgroup.cpu_us() - cpu) / users, "us/login"
        cpu = peer.cgroup.cpu_us()
        figures = peer.load("login", n, conns=10, tls=tls)
        yield "again", figures[""], "login/s"
        yield "again_cpu", (peer.cgroup.cpu_us() - cpu) / n, "us/login"
        yield "again_latency_p50", figures["lat_p50"], "ms"
        peer.stop()
    return row


def pop3(peer, quick):
    n = 1000 if quick else 10_000
    peer.start()
    peer.load("append", n, size=4096, conns=20, batch=1, user="u2")
    first = peer.load("pop3", n, user="u2")
    yield "sign_in_and_list_first", first["login_stat_uidl"] * 1e3, "ms"
    again = peer.load("pop3", n, user="u2")
    yield "sign_in_and_list_again", again["login_stat_uidl"] * 1e3, "ms"
    yield "retr", again["retr"], "msg/s"
    yield "retr_pipelined", peer.load("pop3", n, user="u2", pipeline=50)["retr"], "msg/s"
    cpu = peer.cgroup.cpu_us()
    yield "retr_tls", peer.load("pop3", n, user="u2", tls=True)["retr"], "msg/s"
    yield "tls_cpu", (peer.cgroup.cpu_us() - cpu) / n, "us/msg"
    peer.stop()


def start_up(peer, quick):
    """Until the first sign-in on a store of a million messages (entries that share bodies)."""
    n, times = (1000, 10) if quick else (10_000, 99)
    peer.start()
    peer.load("append", n, size=1024, conns=50, batch=1, user="u1")
    peer.steps("-c=CREATE Big", "-s=SELECT INBOX", *["-c=COPY 1:* Big"] * times)
    for cold in (False, True):
        peer.stop_cold() if cold else peer.stop()
        begun = time.monotonic()
        peer.start(fresh=False, settle_s=0)
        peer.steps("-n=NOOP")
        yield "cold" if cold else "warm", (time.monotonic() - begun) * 1e3, "ms"
    peer.stop()


ROWS = {
    "login_plain": login(False),
    "login_tls": login(True),
    "pop3": pop3,
    "start_up": start_up,
}
