"""Rows about how cost grows: with the messages of a mailbox, and with the accounts of a server.

Large mailboxes are made of entries that share bodies."""
import subprocess
import time

from mailbox_rows import BOX
from peer import BUILD, MB

USER, SCALE_USER = "u11", "u12"  # whose mailboxes hold nothing else
ACCOUNTS = BUILD / "tests/bench/bench-accounts"


def label(count):
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if count >= unit:
            return f"{count // unit}{name}"
    return str(count)


def mailboxes(peer, sizes, user):
    """Makes one of each size, in rising order; returns their names."""
    base = 1_000 if sizes[-1] <= 20_000 else 10_000
    boxes = [f"of{label(size)}" for size in sizes]
    peer.load("append", base, size=1024, conns=50 if peer.name == "bode" else 2, batch=100, user=user,
              box=BOX)
    peer.steps(*[f"-c=CREATE {box}" for box in boxes], f"-s=SELECT {BOX}", user=user)
    for box, size in zip(boxes, sizes):
        peer.steps(f"-s=SELECT {BOX}", *[f"-c=COPY 1:{min(base, size)} {box}"] * -(-size // base),
                   user=user)
    return boxes


def start_up(peer, quick):
    """Until the first sign-in on a store of a million messages, and SELECT in it."""
    sizes = (1_000, 2_000) if quick else (1_000, 100_000, 1_000_000)
    peer.start()
    boxes = mailboxes(peer, sizes, USER)
    for cold in (True,) if quick else (False, True):
        peer.stop_cold() if cold else peer.end()
        begun = time.monotonic()
        peer.start(fresh=False, settle_s=0)
        peer.steps("-n=NOOP", user=USER)
        yield "cold" if cold else "warm", (time.monotonic() - begun) * 1e3, "ms"
        if cold:
            time_s = peer.steps(f"s=SELECT {boxes[-1]}", user=USER)["s"]
            yield f"select_{label(sizes[-1])}_cold", time_s * 1e3, "ms"
    for size, box in zip(sizes, boxes):
        selects = [peer.steps(f"-s=SELECT {box}", f"w=SELECT {box}", user=USER)["w"]
                   for _ in range(5)]
        yield f"select_{label(size)}", min(selects) * 1e3, "ms"
    peer.stop()


def scale(peer, quick):
    """Few messages of mailboxes of 1,000 to 1,000,000 (entries that share bodies): how the cost of
    one server grows, so the others are spared the minutes that it would take them."""
    if peer.name != "bode":
        return
    sizes = (1_000, 20_000) if quick else (1_000, 100_000, 1_000_000)
    peer.start()
    boxes = mailboxes(peer, sizes, SCALE_USER)
    commands = {"fetch": "*500 FETCH %d (FLAGS ENVELOPE)",
                "flags": "*300 STORE %d +FLAGS.SILENT (FLAG)",
                "move": "*100 MOVE 500 Trash",
                "select": "*100 SELECT BOX"}

    def cpu_us(*steps):
        before = peer.cgroup.cpu_us()
        peer.steps(*steps, user=SCALE_USER)
        return peer.cgroup.cpu_us() - before

    flags = (r"\Flagged",) if quick else (r"\Flagged", r"\Answered", r"\Draft")
    for name, command in commands.items():
        cpu, count = {}, int(command.split()[0][1:])
        for flag in flags:
            for box in boxes:
                select = f"-s=SELECT {box}"
                step = command.replace("BOX", box).replace("FLAG)", f"{flag})")
                # Less what connecting, signing in and selecting takes.
                spent = (cpu_us(select, f"x={step}") - cpu_us(select)) / count
                cpu[box] = min(cpu.get(box, spent), spent)
        for size, box in zip(sizes, boxes):
            yield f"{name}_{label(size)}", cpu[box], "us/cmd"
        yield f"{name}_ratio", cpu[boxes[-1]] / cpu[boxes[0]], ""
    peer.stop()


def accounts(peer, quick):
    """Mail for all accounts in turn, of a server that has 10, 1,000 and 10,000."""
    if peer.name != "bode":
        return
    counts, n = ((10, 1_000), 1000) if quick else ((10, 1_000, 10_000), 20_000)
    peer.start()
    cpu = []
    for users in counts:
        if users != counts[0]:
            peer.end()
            subprocess.run([ACCOUNTS, peer.folder / "state", str(users)], check=True)
            peer.start(fresh=False)
        peer.load("smtp", 200, size=4096, conns=20, users=users, blind=1)
        before = peer.cgroup.cpu_us()
        rate = peer.load("smtp", n, size=4096, conns=20, users=users, blind=1)["accept"]
        cpu.append((peer.cgroup.cpu_us() - before) / n)
        yield f"acknowledged_{label(users)}", rate, "msg/s"
        yield f"server_cpu_{label(users)}", cpu[-1], "us/msg"
        yield (f"private_{label(users)}",
               peer.cgroup.smaps("Private_Clean", "Private_Dirty") / MB, "MB")
    yield "cpu_ratio", cpu[-1] / cpu[0], ""
    peer.stop()


ROWS = {
    "start_up": start_up,
    "mix_scale": scale,
    "accounts": accounts,
}
