"""Row of the bench about `bode why`: how long it takes to find something in a journal of a million
events, the start of the program included. Bode only."""
import shutil
import subprocess
import time

from peer import BUILD

JOURNAL = BUILD / "tests/bench/bench-journal"
BODE = BUILD / "bode"


def find(peer, quick):
    if peer.name != "bode":
        return
    folder = peer.folder.parent / "bode-journal"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "state").mkdir(parents=True)
    events = 50_000 if quick else 1_000_000
    out = subprocess.run([JOURNAL, folder / "state", str(events)], check=True,
                         capture_output=True, text=True).stdout
    for line in out.splitlines():
        name, value, unit = line.split()
        yield name, float(value), unit
    config = folder / "bode.conf"
    config.write_text(f"[server]\nhostname = localhost\nstate_dir = {folder}/state\n"
                      "[listen]\nsmtp = 127.0.0.1:25\n")
    last = events // 2 - 1
    for name, asked, status in [
            ("address", f"sender{last % 20011}@domain{last % 1009}.example", 0),
            ("message_id", f"{last * 2654435761 % 2**32:08x}.{last}@domain{last % 1009}.example", 0),
            ("user", "u7@bench.test", 0), ("network", "198.51.0.0/16", None),
            ("nothing", "nobody@nowhere.example", 1)]:
        started = time.monotonic()
        done = subprocess.run([BODE, "--config", config, "why", asked], capture_output=True)
        yield f"find_{name}", (time.monotonic() - started) * 1000, "ms"
        if status is not None and done.returncode != status:
            raise SystemExit(f"bode why {asked}: {done.stderr.decode()}")
    shutil.rmtree(folder)


ROWS = {"why": find}
