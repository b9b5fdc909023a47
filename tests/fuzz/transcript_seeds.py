"""Seeds for fuzzers of sessions: what clients say in the transcripts, in the form that the fuzzer reads."""
import base64
import pathlib
import re

TRANSCRIPTS = pathlib.Path(__file__).resolve().parent.parent / "transcripts"
LINE = re.compile(r"C(\d?)(<?): (.*)", re.DOTALL)
ESCAPE = re.compile(rb"\\x([0-9a-f]{2})|\\([rnt0\\])|\{base64:([^}]*)\}|\{repeat (\d+) ([^}]*)\}")
PLAIN = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}
REPEAT_MAX_OCTETS = 2000


def unescaped(text):
    def one(match):
        octet, letter, coded, count, word = match.groups()
        if octet:
            return bytes([int(octet, 16)])
        if letter:
            return PLAIN[letter]
        if coded is not None:
            return base64.b64encode(ESCAPE.sub(one, coded))
        return (word * int(count))[:REPEAT_MAX_OCTETS]
    return ESCAPE.sub(one, text)


def said(path):
    """(connection, octets) for each line of a client."""
    for line in path.read_text(encoding="utf8").splitlines():
        match = LINE.fullmatch(line)
        if match and match.group(3) not in ("(closed)", "(ended)"):
            yield (int(match.group(1) or 1),
                   unescaped(match.group(3).encode()) + (b"" if match.group(2) else b"\r\n"))


def imap_session(path):
    """As tests/fuzz/imap_session.c says: the first core is the login's, two are signed in."""
    cores, next_core, high = 3, b"\xfe", re.compile(rb"[\xfa-\xfe]")
    signed_in = " signed in as " in path.read_text(encoding="utf8")
    core = first = 1 if signed_in else 0
    seed = b""
    for connection, octets in said(path):
        wanted = (first + connection - 1) % cores
        seed += next_core * ((wanted - core) % cores) + high.sub(b"\xff", octets)
        core = wanted
    return bytes([first]) + seed


def pop3_session(path):
    """As tests/fuzz/pop3_session.c says: whether it is signed in, and how large the pieces are."""
    signed_in = " signed in as " in path.read_text(encoding="utf8")
    return bytes([signed_in, 0]) + b"".join(octets for _, octets in said(path))


def write(name, folder):
    """The folder, with the seeds; None: there are none for that target."""
    form = {"imap_session": imap_session, "pop3_session": pop3_session}.get(name)
    if not form:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((TRANSCRIPTS / name.removesuffix("_session")).glob("*.txt")):
        (folder / path.stem).write_bytes(form(path))
    return folder
