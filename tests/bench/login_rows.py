"""Rows about signing in and POP3."""


def login(tls):
    def row(peer, quick):
        n = 100 if quick else 2000
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
    n = 300 if quick else 10_000
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


ROWS = {
    "login_plain": login(False),
    "login_tls": login(True),
    "pop3": pop3,
}
