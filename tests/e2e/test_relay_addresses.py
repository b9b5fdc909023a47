"""Which of a host's addresses mail goes to, where that cannot be seen on loopback: in a network
namespace of its own, with made-up addresses, this file runs once more as a program."""
import functools
import pathlib
import socket
import subprocess
import sys

import pytest

from nameserver import NameServer
from remote import Remote
from server import Server, wait_until

# Addresses of documentation would be private ones, which have no name to be looked at.
OURS = {4: "44.0.2.25", 6: "2a00:db8::25"}
THEIRS = {4: "192.0.2.80", 6: "2001:db8::80"}
SILENT = {4: "192.0.2.81", 6: "2001:db8::81"}
REVERSE = {4: "25.2.0.44.in-addr.arpa",
           6: ".".join("5200000000000000000000008bd000a2") + ".ip6.arpa"}
MESSAGE = b"From: alice@example.org\r\nSubject: hello\r\n\r\nhello\r\n"
NAMES = {f"{REVERSE[4]} PTR": ["localhost.example."], f"{REVERSE[6]} PTR": ["localhost.example."],
         "localhost.example A": [OURS[4]], "localhost.example AAAA": [OURS[6]]}


@functools.cache
def why_not():
    """None, or why there is no namespace to be had."""
    try:
        done = subprocess.run(["unshare", "-rn", "ip", "link", "set", "lo", "up"],
                              capture_output=True, text=True, timeout=60)
    except OSError as problem:
        return str(problem)
    return None if done.returncode == 0 else done.stderr.strip() or "unshare failed"


def run_inside(scene, folder):
    if why_not():
        pytest.skip(f"no network namespace: {why_not()}")
    done = subprocess.run(["unshare", "-rn", sys.executable, __file__, scene, folder],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]


@pytest.mark.parametrize("scene", ["six_is_preferred", "a_silent_six_holds_nobody_up",
                                   "a_silent_four_holds_nobody_up", "a_nameless_six_is_avoided",
                                   "a_nameless_six_is_used_where_there_is_no_four",
                                   "a_name_that_leads_elsewhere_is_none"])
def test_addresses(scene, tmp_path):
    run_inside(scene, tmp_path)


# ---- inside ----

def ip(*words):
    subprocess.run(["ip", *words], check=True)


def prepare():
    ip("link", "set", "lo", "up")
    for family, bits in ((4, 32), (6, 128)):
        for address in (OURS[family], THEIRS[family], SILENT[family]):
            nodad = ("nodad",) if family == 6 else ()
            ip("addr", "add", f"{address}/{bits}", "dev", "lo", *nodad)
        ip(f"-{family}", "route", "add", "default", "dev", "lo", "src", OURS[family])


def keep_silent(address, port):
    """What connects there gets no answer at all: the queue is full."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, port), family=family, backlog=0)
    held = [listener]
    for _ in range(2):
        held.append(socket.socket(family))
        held[-1].setblocking(False)
        held[-1].connect_ex((address, port))
    return held


def deliver(folder, names, addresses, awaited="", checked=()):
    """Who got the message: 4 or 6. `awaited` stands in the log before it is sent; `checked` are the
    questions that DNS must have been asked."""
    dns = NameServer({**names, "far.example MX": ["10 mx.far.example."],
                      **{f"mx.far.example {kind}": data for kind, data in addresses.items()}})
    four = Remote(host=THEIRS[4])
    six = Remote(host=THEIRS[6], port=four.port)
    silent = [keep_silent(address, four.port) for address in SILENT.values()]
    server = Server(folder, f"[relay]\nretry = 1 s\nport = {four.port}\n{dns.settings()}")
    server.add_user("alice@example.org")
    server.start()
    try:
        wait_until(lambda: awaited in server.log(), awaited)
        wait_until(lambda: all(question in dns.asked for question in checked), str(checked))
        with server.submission("alice@example.org") as client:
            client.sendmail("alice@example.org", ["bob@far.example"], MESSAGE)
        got = wait_until(lambda: {f for f, r in ((4, four), (6, six)) if r.messages}, "the message")
        assert len(four.messages) + len(six.messages) == 1 and silent
        return got.pop()
    finally:
        server.stop()
        server.check_log()


BOTH = {"AAAA": [THEIRS[6]], "A": [THEIRS[4]]}
NAMELESS = {key: data for key, data in NAMES.items() if key != f"{REVERSE[6]} PTR"}
WARNING = "event=no-name-for-address family=6"
FOUR_IS_CHECKED = ("localhost.example A",)


def six_is_preferred(folder):
    assert deliver(folder, NAMES, BOTH, checked=("localhost.example AAAA",)) == 6


def a_silent_six_holds_nobody_up(folder):
    assert deliver(folder, NAMES, {"AAAA": [SILENT[6]], "A": [THEIRS[4]]}) == 4


def a_silent_four_holds_nobody_up(folder):
    addresses = {"AAAA": [SILENT[6], THEIRS[6]], "A": [SILENT[4]]}
    assert deliver(folder, NAMES, addresses) == 6


def a_nameless_six_is_avoided(folder):
    assert deliver(folder, NAMELESS, BOTH, WARNING, FOUR_IS_CHECKED) == 4


def a_nameless_six_is_used_where_there_is_no_four(folder):
    assert deliver(folder, NAMELESS, {"AAAA": [THEIRS[6]]}, WARNING) == 6


def a_name_that_leads_elsewhere_is_none(folder):
    names = {**NAMES, "localhost.example AAAA": [THEIRS[6]]}
    assert deliver(folder, names, BOTH, WARNING, FOUR_IS_CHECKED) == 4


if __name__ == "__main__":
    prepare()
    globals()[sys.argv[1]](pathlib.Path(sys.argv[2]))
