"""Rows of the bench about one large mailbox of realistic mail (gen.c's mix).

The mailbox is filled once and stays between the rows of one run, each of which leaves as many
messages in it as there were; `mix_fill` always fills anew. Two clocks of a disk are shown: what
all of the machine wrote to it meanwhile (sectors, so keep the machine quiet), and what the
server's store wrote into its file, page by page. Beside each time stand the commits of the
writer (each is two syncs) and the CPU time of all the server's processes.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess

STORE = pathlib.Path(__file__).resolve().parents[2] / "build/tests/bench/bench-store"
MB = 1e6
SECTOR = 512
BOX, OTHER = "INBOX", "Archive"
USER, NEIGHBOUR = "u1", "u2"


def count_of(quick):
    return 10_000 if quick else 100_000


def store_octets(peer):
    """What the store takes on its disk, whichever way the peer keeps it."""
    total = 0
    for folder, _, names in os.walk(peer.env["STORE"]):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * SECTOR
            except FileNotFoundError:
                pass  # a temporary file of a server that runs
    return total


def device_octets(peer):
    """Written so far to the disk that the store is on."""
    device = os.stat(peer.folder).st_dev
    stat = pathlib.Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
    return int(stat.read_text().split()[6]) * SECTOR


def file_octets(peer):
    """Characters written so far by the process that has Bode's store open; None elsewhere."""
    for pid in peer.cgroup.pids():
        folder = pathlib.Path(f"/proc/{pid}")
        try:
            if b"\0back\0" in (folder / "cmdline").read_bytes():
                return int(re.search(r"wchar: (\d+)", (folder / "io").read_text()).group(1))
        except OSError:
            pass
    return None


class Cost:
    """What a block cost the server: CPU, octets written, by two counts."""

    def __init__(self, peer):
        self.peer = peer

    def __enter__(self):
        os.sync()
        self.device, self.file = device_octets(self.peer), file_octets(self.peer)
        self.cpu_us = self.peer.cgroup.cpu_us()
        return self

    def __exit__(self, *_):
        self.cpu_us = self.peer.cgroup.cpu_us() - self.cpu_us
        os.sync()
        self.device = device_octets(self.peer) - self.device
        if self.file is not None:
            self.file = file_octets(self.peer) - self.file


def append(peer, n, seed):
    return peer.load("append", n, size=0, conns=50, batch=1, user=USER, seed=seed, box=BOX)


def steps(peer, *commands, probe=True):
    words = {"user": USER}
    if probe:
        words["probe"] = NEIGHBOUR
    return peer.load("imap", 1, steps=list(commands), **words)


def keep_apart(peer):
    """The filled store is not where other rows make theirs."""
    peer.folder = peer.folder.parent / f"{peer.name}-mix"


def fill(peer, quick):
    n = count_of(quick)
    keep_apart(peer)
    peer.start()
    append(peer, 200, 99)  # warm, and part of the mail
    with Cost(peer) as cost:
        figures = append(peer, n - 200, 1)
    mail = figures["bytes"]
    (peer.folder / "filled").write_text(json.dumps({"run": os.getpid(), "messages": n}))
    yield "filled", figures[""], "msg/s"
    yield "disk", store_octets(peer) / (mail * n / (n - 200)), "octet/octet"
    yield "device_written", cost.device / mail, "octet/octet"
    if cost.file is not None:
        yield "file_written", cost.file / mail, "octet/octet"
        yield "pages", cost.file / 4096 / n, "page/msg"
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
    warm = [steps(peer, f"-s=SELECT {BOX}", f"w=SELECT {BOX}")["w"] for _ in range(5)]
    yield "warm", min(warm) * 1e3, "ms"
    cold = []
    for _ in range(3):
        peer.stop()
        os.sync()
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
        peer.start(fresh=False)
        # Signing in warms what every session needs; the mailbox itself is cold.
        cold.append(steps(peer, f"c=SELECT {BOX}", probe=False)["c"])
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
        for take in range(times):
            for box, text in before:
                steps(peer, f"-s=SELECT {box}", "-p=" + text.replace("SPAN", span), probe=False)
            with Cost(peer) as cost:
                figures = steps(peer, f"-s=SELECT {BOX}", "x=" + command.replace("SPAN", span))
            takes.append((figures["x"] * 1e3, figures["x_noop"], cost))
            for box, text in after:
                steps(peer, f"-s=SELECT {box}", "-p=" + text.replace("SPAN", span), probe=False)
            if refill:
                append(peer, count, 1000 + take)
        time_ms, _, cost = min(takes, key=lambda take: take[0])
        yield "time", time_ms, "ms"
        yield "noop_of_another", min(take[1] for take in takes), "ms"
        if cost.file is not None:
            yield "pages", cost.file / 4096, "page"
        yield "device_written", cost.device / MB, "MB"
        yield "server_cpu", cost.cpu_us / count, "us/msg"
        peer.stop()
    return row


def scale(peer, quick):
    """Few messages of a mailbox of 10,000 and of one of 1,000,000 (entries that share bodies)."""
    times = 10 if quick else 100
    peer.start()
    peer.load("append", 10_000, size=1024, conns=50, batch=1, user=USER, box=BOX)
    steps(peer, f"-s=SELECT {BOX}", *[f"-c=COPY 1:* {OTHER}"] * times, probe=False)
    commands = {"fetch": "*1000 FETCH %d (FLAGS ENVELOPE)",
                "flags": "*300 STORE %d +FLAGS.SILENT (FLAG)",
                "move": "*300 MOVE 500 Trash",
                "select": "*100 SELECT BOX"}
    for name, command in commands.items():
        cpu = {}
        for flag in (r"\Flagged", r"\Answered", r"\Draft"):
            for box in (BOX, OTHER):
                before = peer.cgroup.cpu_us()
                step = command.replace("BOX", box).replace("FLAG)", f"{flag})")
                steps(peer, f"-s=SELECT {box}", f"x={step}", probe=False)
                spent = (peer.cgroup.cpu_us() - before) / int(command.split()[0][1:])
                cpu[box] = min(cpu.get(box, spent), spent)
        yield f"{name}_small", cpu[BOX], "us/cmd"
        yield f"{name}_large", cpu[OTHER], "us/cmd"
        yield f"{name}_ratio", cpu[OTHER] / cpu[BOX], ""
    peer.stop()


def churn(peer, quick):
    """Six turnovers of the content, by the store's own bench: only Bode has one."""
    if peer.name != "bode":
        return
    shutil.rmtree(peer.folder, ignore_errors=True)
    peer.folder.mkdir(parents=True)
    n = 5_000 if quick else 100_000
    done = subprocess.run([STORE, peer.folder, "churn", str(n), "6"], check=True,
                          capture_output=True, text=True)
    for line in done.stdout.splitlines():
        words = line.split()
        if words[0] == "churn":
            yield f"disk_after_{words[1]}", float(words[2]), "octet/octet"
    shutil.rmtree(peer.folder)


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
    "mix_churn": churn,
    "mix_scale": scale,
}
