"""Rows about how cost grows: with the messages of a mailbox, and with the accounts of a server.

Large mailboxes are made of entries that share bodies."""
import subprocess
import time

from mailbox_rows import BOX, OTHER
from peer import BUILD, MB

USER, SCALE_USER = "u11", "u12"  # whose mailboxes hold nothing else
ACCOUNTS = BUILD / "tests/bench/bench-accounts"


def start_up(peer, quick):
    """Until the first sign-in on a store of a million messages, and SELECT in it."""
    n, times = (1000, 10) if quick else (10_000, 90)
    peer.start()
    peer.load("append", n, size=1024, conns=50, batch=1, user=USER, box=BOX)
    small, large, huge = "k1", "k100", "M1"
    peer.steps(*[f"-c=CREATE {box}" for box in (small, large, huge)], f"-s=SELECT {BOX}",
               f"-c=COPY 1:{n // 10} {small}", *[f"-c=COPY 1:* {large}"] * (times // 9),
               *[f"-c=COPY 1:* {huge}"] * times, f"-s=SELECT {large}", f"-c=COPY 1:* {huge}",
               user=USER)
    for cold in (False, True):
        peer.stop_cold() if cold else peer.end()
        begun = time.monotonic()
        peer.start(fresh=False, settle_s=0)
        peer.steps("-n=NOOP", user=USER)
        yield "cold" if cold else "warm", (time.monotonic() - begun) * 1e3, "ms"
        if cold:
            yield "select_1M_cold", peer.steps(f"s=SELECT {huge}", user=USER)["s"] * 1e3, "ms"
    for name, box in (("1k", small), ("100k", large), ("1M", huge)):
        selects = [peer.steps(f"-s=SELECT {box}", f"w=SELECT {box}", user=USER)["w"]
                   for _ in range(5)]
        yield f"select_{name}", min(selects) * 1e3, "ms"
    peer.stop()


def scale(peer, quick):
    """Few messages of a mailbox of 10,000 and of one of 1,000,000 (entries that share bodies): how
    the cost of one server grows, so the others are spared the minutes that it would take them."""
    if peer.name != "bode":
        return
    count, times = (2_000, 10) if quick else (10_000, 100)
    peer.start()
    peer.load("append", count, size=1024, conns=50, batch=1, user=SCALE_USER, box=BOX)
    peer.steps(f"-s=SELECT {BOX}", *[f"-c=COPY 1:* {OTHER}"] * times, user=SCALE_USER)
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
                peer.steps(f"-s=SELECT {box}", f"x={step}", user=SCALE_USER)
                spent = (peer.cgroup.cpu_us() - before) / int(command.split()[0][1:])
                cpu[box] = min(cpu.get(box, spent), spent)
        yield f"{name}_small", cpu[BOX], "us/cmd"
        yield f"{name}_large", cpu[OTHER], "us/cmd"
        yield f"{name}_ratio", cpu[OTHER] / cpu[BOX], ""
    peer.stop()


def accounts(peer, quick):
    """Mail for all accounts in turn, of a server that has 10 and of one that has 10,000."""
    if peer.name != "bode":
        return
    many, n = (1000, 1000) if quick else (10_000, 20_000)
    peer.start()
    cpu = {}
    for users in (10, many):
        if users == many:
            peer.end()
            subprocess.run([ACCOUNTS, peer.folder / "state", str(many)], check=True)
            peer.start(fresh=False)
        peer.load("smtp", 200, size=4096, conns=20, users=users, blind=1)
        before = peer.cgroup.cpu_us()
        rate = peer.load("smtp", n, size=4096, conns=20, users=users, blind=1)["accept"]
        cpu[users] = (peer.cgroup.cpu_us() - before) / n
        name = "few" if users == 10 else "many"
        yield f"acknowledged_{name}", rate, "msg/s"
        yield f"server_cpu_{name}", cpu[users], "us/msg"
        yield f"private_{name}", peer.cgroup.smaps("Private_Clean", "Private_Dirty") / MB, "MB"
    yield "cpu_ratio", cpu[many] / cpu[10], ""
    peer.stop()


ROWS = {
    "start_up": start_up,
    "mix_scale": scale,
    "accounts": accounts,
}
