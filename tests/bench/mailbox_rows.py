"""Rows of the bench about one large mailbox of realistic mail (gen.c's mix).

The mailbox is filled once and stays between the rows of one run, each of which leaves as many
messages in it as there were; `mix_fill` always fills anew. Two clocks of a disk are shown: what
all of the machine wrote to it meanwhile (sectors, so keep the machine quiet), and what the
server's store wrote into its file, page by page. Beside each time stand the commits of the
writer (each is one sync by the redo log, or two past it) and the CPU time of all the server's processes.
"""
import imaplib
import json
import os
import shutil
import statistics
import subprocess

from peer import LIMITS, MB, STORE, Cost

BOX, OTHER = "INBOX", "Archive"
USER, NEIGHBOUR = "u1", "u2"


def count_of(quick):
    return 1_000 if quick else 100_000


def append(peer, n, seed):
    """One by one over 50 connections. Where these wait for each other's lock, a hundred to a command:
    what matters is the mailbox that comes of it."""
    conns, batch = (50, 1) if peer.name == "bode" else (2, 100)
    return peer.load("append", n, size=0, conns=conns, batch=batch, user=USER, seed=seed, box=BOX)


def keep_apart(peer):
    """The filled store is not where other rows make theirs, but where one server serves them all."""
    if not peer.lasting:
        peer.folder = peer.home.parent / f"{peer.name}-mix"


def fill(peer, quick):
    n = count_of(quick)
    keep_apart(peer)
    if peer.running == peer.folder and not peer.lasting:
        peer.end()
    peer.start()
    append(peer, 200, 99)  # warm, and part of the mail
    with Cost(peer) as cost:
        figures = append(peer, n - 200, 1)
    mail = figures["bytes"]
    (peer.folder / "filled").write_text(json.dumps({"run": os.getpid(), "messages": n}))
    if peer.name == "bode":
        yield "filled", figures[""], "msg/s"
    yield "disk", peer.store_octets() / (mail * n / (n - 200)), "octet/octet"
    yield "device_written", cost.device / mail, "octet/octet"
    if cost.file is not None:
        yield "file_written", cost.file / mail, "octet/octet"
        yield "pages", cost.file / 4096 / n, "page/msg"
    if peer.name == "bode":
        yield "server_cpu", cost.cpu_us / n, "us/msg"
    peer.stop()
    commits = peer.commits()
    if commits:
        yield "messages_per_sync", commits[0] / commits[1], "msg/commit"


def filled(peer, quick):
    """Starts the peer with the mailbox full."""
    keep_apart(peer)
    try:
        mark = json.loads((peer.folder / "filled").read_text())
    except FileNotFoundError:
        mark = None
    if mark == {"run": os.getpid(), "messages": count_of(quick)}:
        peer.start(fresh=False)
    else:
        for _ in fill(peer, quick):
            pass
        peer.start(fresh=False)


def select(peer, quick):
    filled(peer, quick)
    peer.load("imap", 1, user=USER, steps=[f"-s=SELECT {BOX}"])  # \Recent is claimed once
    warm = [peer.steps(f"-s=SELECT {BOX}", f"w=SELECT {BOX}")["w"] for _ in range(1 if quick else 5)]
    yield "warm", min(warm) * 1e3, "ms"
    cold = []
    for _ in range(1 if quick else 3):
        peer.stop_cold()
        peer.start(fresh=False)
        # Signing in warms what every session needs; the mailbox itself is cold.
        cold.append(peer.steps(f"c=SELECT {BOX}")["c"])
    yield "cold", min(cold) * 1e3, "ms"
    peer.stop()


def large(command, before=(), after=(), refill=0, times=3):
    """A row that does `command` to 10,000 messages in the middle (SPAN) of the mailbox, a few
    times: the quickest counts, since whatever else the machine does only adds. `before` and
    `after` are pairs of a mailbox and a command."""
    def row(peer, quick):
        filled(peer, quick)
        n = count_of(quick)
        count = min(10_000, n // 2)
        span = f"{(n - count) // 2 + 1}:{(n + count) // 2}"
        takes = []
        for take in range(1 if quick else times):
            for box, text in before:
                peer.steps(f"-s=SELECT {box}", "-p=" + text.replace("SPAN", span))
            with Cost(peer) as cost:
                figures = peer.steps(f"-s=SELECT {BOX}", "x=" + command.replace("SPAN", span),
                                     probe=NEIGHBOUR)
            takes.append((figures["x"] * 1e3, figures["x_noop"], cost))
            for box, text in after:
                peer.steps(f"-s=SELECT {box}", "-p=" + text.replace("SPAN", span))
            if refill:
                append(peer, count, 1000 + take)
        time_ms, _, cost = min(takes, key=lambda take: take[0])
        yield "time", time_ms, "ms"
        yield "noop_of_another", min(take[1] for take in takes), "ms"
        if cost.file is not None:
            yield "pages", cost.file / 4096, "page"
            yield "commits", cost.commits, "commit"
        yield "device_written", cost.device / MB, "MB"
        yield "server_cpu", cost.cpu_us / count, "us/msg"
        peer.stop()
    return row


def fetch(peer, quick):
    """`first`: a server with a cache of its own has not filled it yet."""
    filled(peer, quick)
    times = peer.steps(f"-s=SELECT {BOX}", "flags=FETCH 1:* (FLAGS)",
                       "envelope_first=FETCH 1:* (ENVELOPE)", "envelope=FETCH 1:* (ENVELOPE)",
                       "structure_first=FETCH 1:* (BODYSTRUCTURE)",
                       "structure=FETCH 1:* (BODYSTRUCTURE)",
                       "body_first=FETCH 1:* (BODY.PEEK[])", "body=FETCH 1:* (BODY.PEEK[])",
                       "header=*1000 FETCH %d (BODY.PEEK[HEADER])")
    for name in ("flags", "envelope_first", "envelope", "structure_first", "structure"):
        yield name, times[name] * 1e3, "ms"
    yield "body", times["body_MBps"], "MB/s"
    yield "one_header", times["header"], "cmd/s"
    times = peer.steps(f"-s=SELECT {BOX}", "body=FETCH 1:* (BODY.PEEK[])",
                       "flags=FETCH 1:* (FLAGS)", tls=True)
    yield "body_tls", times["body_MBps"], "MB/s"
    yield "flags_tls", times["flags"] * 1e3, "ms"
    peer.stop()


def search(peer, quick):
    filled(peer, quick)
    times = peer.steps(f"-s=SELECT {BOX}", "-w=FETCH 1:* (ENVELOPE)", "unseen=SEARCH UNSEEN",
                       "subject=SEARCH SUBJECT needle", "from=SEARCH FROM needle",
                       "text=SEARCH TEXT haystraw", "body=SEARCH BODY haystraw", probe=NEIGHBOUR)
    for name in ("unseen", "subject", "from", "text", "body"):
        yield name, times[name] * 1e3, "ms"
    yield "noop_of_another", times["text_noop"], "ms"
    peer.stop()


def resync(peer, quick):
    """A client comes back after 1,000 changes (RFC 7162 section 3.2.5)."""
    filled(peer, quick)
    client = imaplib.IMAP4(peer.env["HOST"], int(peer.env["IMAP"]))
    client.login(peer.login(USER), peer.env["PASS"])
    client.enable("QRESYNC")
    client.select(BOX)
    uidvalidity = int(client.response("UIDVALIDITY")[1][0])
    modseq = int(client.response("HIGHESTMODSEQ")[1][0])
    client.logout()
    middle = count_of(quick) // 2
    span = f"{middle}:{middle + min(middle, 1000) - 1}"
    for change in (r"+FLAGS.SILENT (\Answered)", r"-FLAGS.SILENT (\Answered)"):
        peer.steps(f"-s=SELECT {BOX}", f"-c=STORE {span} {change}")
    again = f"SELECT {BOX} (QRESYNC ({uidvalidity} {modseq}))"
    times = [peer.steps("-e=ENABLE QRESYNC", f"-s=SELECT {OTHER}", f"q={again}")["q"]
             for _ in range(5)]
    yield "time", min(times) * 1e3, "ms"
    peer.stop()


def store_single(peer, quick):
    """A command for each message, each on disk before it is answered (where the peer does so). Bode's in turns
    with LMDB's own commits of one record: how fast the disk is changes from second to second."""
    filled(peer, quick)
    turns, n = (3, 100) if quick else (9, 1000)
    rates, shares = [], []
    for _ in range(turns):
        lmdb = lmdb_rate(peer, 0.2 if quick else 0.5) if peer.name == "bode" else None
        rate = peer.steps(f"-s=SELECT {BOX}", rf"-x=STORE 1:{n} -FLAGS.SILENT (\Answered)",
                          rf"x=*{n} STORE %d +FLAGS.SILENT (\Answered)")["x"]
        rates.append(rate)
        if lmdb:
            shares.append(100 * rate / lmdb)
    yield "c1", statistics.median(rates), "cmd/s"
    if shares:
        yield "c1_of_lmdb", statistics.median(shares), "%"
    peer.load("append", 200 if quick else 2000, size=1024, conns=50, batch=1)
    rates = [peer.load("store", 400 if quick else 6_000, conns=20)[""] for _ in range(turns)]
    yield "c20", statistics.median(rates), "cmd/s"
    peer.stop()


def lmdb_rate(peer, seconds):
    """Commits of one record a second, on the same disk."""
    folder = peer.home.parent / "lmdb-beside"
    folder.mkdir(parents=True, exist_ok=True)
    out = subprocess.run([LIMITS, folder, "lmdb", str(seconds)], check=True, capture_output=True,
                         text=True).stdout
    return float(out.split()[1])


def append_rate(peer, quick):
    peer.start()
    peer.load("login", 50, conns=10)  # a first sign-in costs a password hash
    # Of its first thousand messages a store makes a dictionary, a quarter of a second, once.
    peer.load("append", 200 if quick else 1500, size=4096, conns=50, batch=1)
    peer.settle(1)
    for conns in (1, 50):
        n = (100 if quick else 1000) * (1 if conns == 1 else 5)
        cpu = peer.cgroup.cpu_us()
        yield f"c{conns}", peer.load("append", n, size=4096, conns=conns, batch=1)[""], "msg/s"
        yield f"c{conns}_cpu", (peer.cgroup.cpu_us() - cpu) / n, "us/msg"
    peer.stop()


def churn(peer, quick):
    """Turnovers of the content, by the store's own bench: only Bode has one."""
    if peer.name != "bode":
        return
    folder = peer.home.parent / "bode-churn"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    n, turnovers = (2_000, 1) if quick else (100_000, 6)
    done = subprocess.run([STORE, folder, "churn", str(n), str(turnovers)], check=True,
                          capture_output=True, text=True)
    for line in done.stdout.splitlines():
        words = line.split()
        if words[0] == "churn":
            yield f"disk_after_{words[1]}", float(words[2]), "octet/octet"
    shutil.rmtree(folder)


ADD, REMOVE = "STORE {} +FLAGS.SILENT ({})", "STORE {} -FLAGS.SILENT ({})"

ROWS = {
    "mix_fill": fill,
    "mix_select": select,
    "mix_flags": large(ADD.format("SPAN", r"\Flagged"),
                       after=[(BOX, REMOVE.format("SPAN", r"\Flagged"))]),
    "mix_copy": large(f"COPY SPAN {OTHER}", after=[(OTHER, ADD.format("1:*", r"\Deleted")),
                                                   (OTHER, "EXPUNGE")]),
    "mix_move": large(f"MOVE SPAN {OTHER}", after=[(OTHER, f"MOVE 1:* {BOX}")]),
    "mix_expunge": large("EXPUNGE", before=[(BOX, ADD.format("SPAN", r"\Deleted"))],
                         refill=True),
    "mix_fetch": fetch,
    "mix_search": search,
    "mix_resync": resync,
    "mix_store_single": store_single,
    "append": append_rate,
    "mix_churn": churn,
}
