"""Rows about a server that takes mail while a backup or a check of the store runs beside it."""
import shutil
import subprocess
import time

from peer import BUILD, MB

LOAD = {"size": 4096, "conns": 20}


def beside(peer, n, arguments):
    """The rate of a load that begins with a command of bode's, again and again until it ends."""
    bode = [BUILD / "bode", "--config", peer.folder / "bode.conf", *arguments]
    load = peer.load_begin("smtp", n, **LOAD)
    times, begun = 0, time.monotonic()
    while load.poll() is None:
        subprocess.run(bode, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times += 1
    return peer.load_end(load)["accept"], (time.monotonic() - begun) / times


def busy(peer, quick):
    if peer.name != "bode":
        return
    n, mails = (1000, 500) if quick else (20_000, 20_000)
    folder = peer.folder.parent / "bode-backup"
    shutil.rmtree(folder, ignore_errors=True)
    peer.start()
    mail = peer.load("append", mails, size=0, conns=50, batch=1)["bytes"]
    alone = peer.load("smtp", n, **LOAD)["accept"]
    yield "alone", alone, "msg/s"
    yield "mail", mail / MB, "MB"
    for name, arguments in (("verify", ["verify"]), ("backup", ["backup", folder])):
        rate, seconds = beside(peer, n, arguments)
        yield f"beside_{name}", rate, "msg/s"
        yield f"{name}_share_of_alone", rate / alone, ""
        yield f"{name}_takes", seconds, "s"
    peer.stop()
    shutil.rmtree(folder)


ROWS = {"busy": busy}
