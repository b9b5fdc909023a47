"""Rows about memory: at rest, for each connection that idles, for one large message."""
import json
import pathlib
import time

from peer import HERE, KB, MB, Cgroup, Peak


def rest(peer, quick):
    peer.start()
    peer.settle(2)
    yield "private", peer.cgroup.smaps("Private_Clean", "Private_Dirty") / MB, "MB"
    yield "pss", peer.cgroup.smaps("Pss") / MB, "MB"
    yield "kernel", peer.cgroup.kernel_octets() / MB, "MB"
    yield "processes", len(peer.cgroup.pids()), "processes"
    peer.stop()


def snapshot(path, settle_s):
    """What the generator runs while its connections idle."""
    time.sleep(settle_s)
    cgroup = Cgroup()
    pathlib.Path(path).write_text(json.dumps([
        cgroup.smaps("Pss"), cgroup.kernel_octets(),
        cgroup.smaps("Private_Clean", "Private_Dirty")]))


def idle(tls, count):
    def row(peer, quick):
        n = 20 if quick else count
        peer.start()
        peer.load("append", min(n, 50), size=4096, conns=min(n, 50), batch=1)
        peer.load("login", min(n, 50), conns=20, tls=tls)
        peer.settle(2)
        path = peer.folder / "snapshot"
        before = peer.cgroup.smaps("Pss"), peer.cgroup.kernel_octets()
        peer.load("idle", n, tls=tls, conns=20,
                  exec=f"{HERE}/bench --snapshot {path} {0.2 if quick else 2}")
        pss, kernel, private = json.loads(path.read_text())
        yield "processes", (pss - before[0]) / n / KB, "kB/conn"
        yield "kernel", (kernel - before[1]) / n / KB, "kB/conn"
        yield "together", (pss - before[0] + kernel - before[1]) / n / KB, "kB/conn"
        yield "private_in_all", private / MB, "MB"
        yield "kernel_in_all", (kernel - before[1]) / MB, "MB"
        peer.stop()
    return row


def large(peer, quick):
    user, size = "u3", 10_000_000 if quick else 50_000_000
    peer.start()
    before = peer.count(user)
    peer.load("smtp", 20, size=4096, user=user)
    peer.load("smtp", 1, size=1_000_000, user=user)
    small, whole = (f"FETCH {before + number} (BODY.PEEK[])" for number in (21, 22))
    peer.steps("-s=SELECT INBOX", f"-f={small}", user=user)
    peer.settle(1)
    with Peak(peer) as peak:
        figures = peer.load("smtp", 1, size=size, user=user)
    yield "receive_memory", peak.octets / MB, "MB"
    yield "receive", size / MB * figures["accept"], "MB/s"
    for tls in (False, True):
        name = "fetch_tls" if tls else "fetch"
        peer.steps("-s=SELECT INBOX", f"-f={small}", user=user, tls=tls)
        with Peak(peer) as peak:
            figures = peer.steps("-s=SELECT INBOX", f"f={whole}", user=user, tls=tls)
        yield f"{name}_memory", peak.octets / MB, "MB"
        yield name, figures["f_MBps"], "MB/s"
    peer.stop()


ROWS = {
    "rest": rest,
    "idle_plain": idle(False, 1000),
    "idle_plain_5000": idle(False, 5000),
    "idle_tls": idle(True, 1000),
    "idle_tls_5000": idle(True, 5000),
    "large_50M": large,
}
