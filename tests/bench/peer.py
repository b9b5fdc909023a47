"""A server that is measured: its processes in a control group of their own, and the loads."""
import imaplib
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build"
LOAD, LIMITS = BUILD / "tests/bench/bench-load", BUILD / "tests/bench/bench-limits"
STORE = BUILD / "tests/bench/bench-store"
MB, KB = 1e6, 1e3
SECTOR = 512


class Cgroup:
    """The server's own control group, version 1 or 2."""

    def __init__(self):
        self.v1 = os.path.isdir("/sys/fs/cgroup/cpuacct")
        roots = ["cpuacct", "memory"] if self.v1 else [""]
        self.folders = [pathlib.Path("/sys/fs/cgroup", root, "bode-bench") for root in roots]
        for folder in self.folders:
            folder.mkdir(exist_ok=True)

    def join(self):
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(os.getpid()))

    def pids(self):
        return [int(pid) for pid in (self.folders[0] / "cgroup.procs").read_text().split()]

    def cpu_us(self):
        if self.v1:
            return int((self.folders[0] / "cpuacct.usage").read_text()) / 1000
        return int(re.search(r"usage_usec (\d+)",
                             (self.folders[0] / "cpu.stat").read_text()).group(1))

    def kernel_octets(self):
        folder = self.folders[-1]
        if self.v1:
            return sum(int((folder / name).read_text()) for name in
                       ("memory.kmem.usage_in_bytes", "memory.kmem.tcp.usage_in_bytes"))
        text = (folder / "memory.stat").read_text()
        return sum(int(n) for n in re.findall(r"^(?:kernel|sock) (\d+)", text, re.M))

    def smaps(self, *fields):
        """Sum of fields of smaps_rollup over all processes, in octets."""
        total = 0
        for pid in self.pids():
            try:
                text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += sum(int(n) for field in fields
                         for n in re.findall(rf"^{field}: +(\d+)", text, re.M))
        return total * 1024

    def anonymous_octets(self):
        total = 0
        for pid in self.pids():
            try:
                text = pathlib.Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            total += sum(int(n) for n in re.findall(r"^Rss(?:Anon|Shmem):\s+(\d+)", text, re.M))
        return total * 1024


class Peer:
    """One server, as its script in peers/ starts and stops it. Where things have to be quick it stays
    from one row to the next (`lasting`), with the mail that it has."""

    templates = set()  # folders beside which a copy stands: set up, users made, no mail yet

    def __init__(self, name, folder, lasting=False):
        self.name, self.home, self.folder, self.cgroup = name, folder, folder, Cgroup()
        self.script = HERE / "peers" / name
        self.env, self.lasting, self.running = {}, lasting, None
        self.loads = set()  # generators under way

    def share(self, n):
        """How many messages tell this server's rate, which does not hang on their number. The others
        need a minute for what takes Bode seconds."""
        return n if self.name == "bode" else n // 5

    def run_script(self, verb, **more):
        with open(f"{self.folder}.log", "ab") as log:
            subprocess.run([self.script, verb, self.folder], check=True, stdout=log, stderr=log,
                           **more)

    def settle(self, seconds):
        """Time in which a server does what it left for later."""
        time.sleep(seconds / 10 if self.lasting else seconds)

    def start(self, fresh=True, settle_s=1):
        if self.running:
            if self.running == self.folder:
                return
            here, self.folder = self.folder, self.running
            self.end()
            self.folder = here
        if fresh:
            self.renew()
        self.run_script("start", preexec_fn=self.cgroup.join)
        self.running = self.folder
        lines = (self.folder / "env").read_text().split()
        self.env = dict(line.split("=", 1) for line in lines)
        self.settle(settle_s)

    def renew(self):
        """A folder without mail. Making users takes seconds, so they are made once."""
        template = pathlib.Path(f"{self.folder}.template")
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.lasting:
            self.folder.mkdir(parents=True)
            return
        if self.folder not in self.templates:
            shutil.rmtree(template, ignore_errors=True)
            self.folder.mkdir(parents=True)
            self.run_script("start", preexec_fn=self.cgroup.join)
            self.end()
            self.folder.rename(template)
            self.templates.add(self.folder)
        subprocess.run(["cp", "-a", template, self.folder], check=True)

    def stop(self):
        """The end of a row."""
        if not self.lasting:
            self.end()

    def end(self):
        """Of the server, and of the loads that a row which failed left behind."""
        for load in self.loads:
            load.kill()
        self.running = None
        self.run_script("stop")
        deadline = time.monotonic() + 15
        while self.cgroup.pids():
            if time.monotonic() > deadline:
                sys.exit(f"{self.name} still has processes")
            time.sleep(0.01)

    def stop_cold(self):
        """Nothing of it stays in memory."""
        self.end()
        os.sync()
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")

    def command(self, command, n, tls=False, **options):
        env = self.env
        words = {"name": "x", "n": n, "host": env["HOST"], "smtp": env["SMTP"],
                 "imap": env["IMAPS" if tls else "IMAP"], "pop3": env["POP3S" if tls else "POP3"],
                 "domain": env["DOMAIN"], "pass": env["PASS"], "users": env["USERS"],
                 "login": env["LOGIN"], "tls": int(tls)}
        steps = options.pop("steps", [])
        words.update(options)
        return [LOAD, command] + [f"+{k}={v}" for k, v in words.items()] + steps

    def load(self, command, n, **options):
        """Runs the load generator; returns its figures."""
        return self.load_end(self.load_begin(command, n, **options))

    def load_begin(self, command, n, **options):
        load = subprocess.Popen(self.command(command, n, **options), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        self.loads.add(load)
        return load

    def load_end(self, load):
        try:
            out, problems = load.communicate()
        finally:
            load.kill()  # where we are interrupted
            self.loads.discard(load)
        if load.returncode:
            sys.exit(f"{self.name}: {' '.join(map(str, load.args[1:]))}: {problems.strip()[-500:]}")
        figures = {}
        for line in out.splitlines():
            words = line.split()
            if len(words) == 3:
                figures[words[0].removeprefix("x").removeprefix("_")] = float(words[1])
        return figures

    def steps(self, *commands, **options):
        """IMAP commands of u1, "name=COMMAND" each; their times."""
        return self.load("imap", 1, steps=list(commands), **{"user": "u1"} | options)

    def count(self, user, box="INBOX"):
        with imaplib.IMAP4(self.env["HOST"], int(self.env["IMAP"])) as client:
            client.login(self.login(user), self.env["PASS"])
            return int(client.select(box, readonly=True)[1][0])

    def login(self, user):
        return f"{user}@{self.env['DOMAIN']}" if self.env["LOGIN"] == "address" else user

    def commits(self):
        """(jobs, commits) of Bode's writer, from the line it logs when it ends."""
        log = self.folder / "log"
        found = not self.running and log.exists() and re.findall(r"event=writer-stopped jobs=(\d+) batches=(\d+)",
                                            log.read_text(errors="replace"))
        return tuple(map(int, found[-1])) if found else None

    def commit_number(self):
        """Of the last commit, as LMDB's two meta pages tell; each synced twice. None elsewhere."""
        try:
            with open(pathlib.Path(self.env["STORE"]) / "store/data.mdb", "rb") as file:
                pages = file.read(8192)
        except FileNotFoundError:
            return None
        return max(struct.unpack_from("<Q", pages, page + 144)[0] for page in (0, 4096))

    def store_octets(self):
        """What the store takes on its disk, whichever way the peer keeps it."""
        total = 0
        for folder, _, names in os.walk(self.env["STORE"]):
            for name in names:
                try:
                    total += os.lstat(os.path.join(folder, name)).st_blocks * SECTOR
                except FileNotFoundError:
                    pass  # a temporary file of a server that runs
        return total

    def device_octets(self):
        """Written so far to the disk that the store is on, by whoever."""
        device = os.stat(self.folder).st_dev
        stat = pathlib.Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
        return int(stat.read_text().split()[6]) * SECTOR

    def file_octets(self):
        """Characters written so far by the process that has Bode's store open; None elsewhere."""
        for pid in self.cgroup.pids():
            folder = pathlib.Path(f"/proc/{pid}")
            try:
                if b"\0back\0" in (folder / "cmdline").read_bytes():
                    return int(re.search(r"wchar: (\d+)",
                                         (folder / "io").read_text()).group(1))
            except OSError:
                pass
        return None


class Cost:
    """What a block cost the server: CPU, octets written by two counts, commits."""

    def __init__(self, peer):
        self.peer = peer

    def __enter__(self):
        os.sync()
        self.device, self.file = self.peer.device_octets(), self.peer.file_octets()
        self.commits = self.peer.commit_number()
        self.cpu_us = self.peer.cgroup.cpu_us()
        return self

    def __exit__(self, *_):
        self.cpu_us = self.peer.cgroup.cpu_us() - self.cpu_us
        if self.commits is not None:
            self.commits = self.peer.commit_number() - self.commits
        os.sync()
        self.device = self.peer.device_octets() - self.device
        if self.file is not None:
            self.file = self.peer.file_octets() - self.file


class Peak:
    """The highest anonymous memory of the server while a block runs, above what it was before."""

    def __init__(self, peer):
        self.peer, self.done = peer, threading.Event()

    def __enter__(self):
        self.before = self.highest = self.peer.cgroup.anonymous_octets()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.done.wait(0.003):
            self.highest = max(self.highest, self.peer.cgroup.anonymous_octets())

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        self.octets = self.highest - self.before
