"""The rules of the house about includes: floors, neighbours, foreign headers, front and back."""
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# A room includes itself and what stands on lower floors, never up, never sideways.
FLOOR = {"base": 0, "mail": 1, "runtime": 1, "auth": 2, "storage": 2, "trust": 2, "mda": 3,
         "smtpd": 4, "pop3d": 4, "imapd": 4, "serve": 5, "admin": 6}
FOREIGN = {"lmdb.h": {"storage"}, "uv.h": {"runtime"}, "openssl/": {"runtime"},
           "sodium.h": {"auth"}, "jansson.h": {"admin"}, "ini.h": {"base"},
           "seccomp.h": {"runtime"}, "xxhash.h": {"base"}, "unbound.h": {"runtime"}, "http_parser.h": {"runtime"}, "zstd.h": {"storage"}, "zlib.h": {"imapd", "mda"}, "idn2.h": {"mail"},
           "utf8proc.h": {"mail"}, "iconv.h": {"mail"}}
FRONT_NEVER = {"storage", "mda"}
PROTOCOLS = {"smtpd", "imapd", "pop3d"}


def sources():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.c", "*.h"],
                            cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    return [ROOT / name for name in listed if name.split("/")[0] in FLOOR]


def includes(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
        if found:
            yield number, found.group(1)


def first_comment(path):
    found = re.match(r"\s*/\*(.*?)\*/", path.read_text(), re.S)
    return found.group(1) if found else ""


def test_there_is_something_to_check():
    assert len(sources()) > 50


def test_no_include_climbs_a_floor_or_visits_a_neighbour():
    wrong = []
    for path in sources():
        room = path.relative_to(ROOT).parts[0]
        for number, name in includes(path):
            other = name.split("/")[0]
            if other in FLOOR and other != room and FLOOR[other] >= FLOOR[room]:
                wrong.append(f"{path.relative_to(ROOT)}:{number} includes {name}")
    assert not wrong, "\n".join(wrong)


def test_foreign_headers_stay_in_their_room():
    wrong = []
    for path in sources():
        room = path.relative_to(ROOT).parts[0]
        for number, name in includes(path):
            for header, rooms in FOREIGN.items():
                if (name == header or (header.endswith("/") and name.startswith(header))) \
                        and room not in rooms:
                    wrong.append(f"{path.relative_to(ROOT)}:{number} includes {name}")
    assert not wrong, "\n".join(wrong)


def test_private_headers_stay_in_their_room():
    wrong = []
    for path in sources():
        room = path.relative_to(ROOT).parts[0]
        for number, name in includes(path):
            if name.endswith("_priv.h") and name.split("/")[0] != room:
                wrong.append(f"{path.relative_to(ROOT)}:{number} includes {name}")
    assert not wrong, "\n".join(wrong)


def side(path):
    """front, back or both, as the first comment of a protocol's source says."""
    text = " ".join(first_comment(path).replace("*", " ").split()).lower()
    found = re.search(r"\b(?:runs )?in (?:the )?(front|back|both)\b", text)
    return found.group(1) if found else None


def test_every_protocol_source_says_where_it_runs():
    silent = [str(path.relative_to(ROOT)) for path in sources()
              if path.suffix == ".c" and path.relative_to(ROOT).parts[0] in PROTOCOLS
              and not side(path)]
    assert not silent, "no word of front, back or both in the first comment: " + ", ".join(silent)


def reached(path, seen):
    """All headers of the project that a source sees, through other headers too."""
    for _, name in includes(path):
        header = ROOT / name
        if header.exists() and header not in seen:
            seen.add(header)
            reached(header, seen)
    return seen


def test_what_runs_in_the_front_never_sees_the_store():
    wrong = []
    for path in sources():
        if path.suffix != ".c" or path.relative_to(ROOT).parts[0] not in PROTOCOLS:
            continue
        if side(path) == "back":
            continue
        for header in reached(path, set()):
            if header.relative_to(ROOT).parts[0] in FRONT_NEVER:
                wrong.append(f"{path.relative_to(ROOT)} sees {header.relative_to(ROOT)}")
    assert not wrong, "\n".join(sorted(wrong))


def test_every_source_says_what_it_is_for():
    silent = [str(path.relative_to(ROOT)) for path in sources()
              if not first_comment(path).strip().startswith(str(path.relative_to(ROOT)))]
    assert not silent, "no opening comment with the file's name: " + ", ".join(silent)
