"""Mail comes in from files and other servers, and goes out again: bode import, bode export."""
import email.utils
import json
import mailbox as pymailbox
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import pytest

from server import BODE, PASSWORD, fetch_all, wait_until

ALICE, BOB = "alice@example.org", "bob@example.org"


def imported(server, *words, user=ALICE, typed="", status=0):
    """The table as {mailbox: (imported, already there, skipped)}, and standard error."""
    done = subprocess.run([BODE, "--config", server.config, "import", "--user", user, "--json",
                           *map(str, words)], input=typed.encode(), capture_output=True)
    problems = done.stderr.decode(errors="replace")
    assert done.returncode == status, f"{done.returncode}\n{done.stdout.decode()}{problems}"
    table = {row["mailbox"]: (row["imported"], row["already_there"], row["skipped"])
             for row in json.loads(done.stdout)} if done.stdout else {}
    return table, problems


def exported(server, folder, *words, user=ALICE, status=0):
    done = subprocess.run([BODE, "--config", server.config, "export", "--user", user, "--json",
                           *words, str(folder)], capture_output=True)
    problems = done.stderr.decode(errors="replace")
    assert done.returncode == status, f"{done.returncode}\n{done.stdout.decode()}{problems}"
    table = {row["mailbox"]: (row["exported"], row["skipped"])
             for row in json.loads(done.stdout)} if done.stdout else {}
    return table, problems


def message(number, body="Hello\nyou\n", end="\n"):
    text = (f"From: bob@elsewhere.example\nDate: Sat, 03 Jan 2015 01:05:34 +0000\n"
            f"Subject: number {number}\nMessage-ID: <{number}@elsewhere.example>\n\n{body}")
    return text.replace("\n", end).encode()


class Maildir:
    """Writes one as Dovecot leaves it."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        for name in ("cur", "new", "tmp"):
            (self.path / name).mkdir(parents=True)

    def add(self, base, flags, content, date=1420247134, where="cur"):
        name = self.path / where / (base + (f":2,{flags}" if where == "cur" else ""))
        name.write_bytes(content)
        os.utime(name, (date, date))
        return name

    def uidlist(self, uidvalidity, uidnext, uids):
        lines = [f"3 V{uidvalidity} N{uidnext} G0123456789abcdef0123456789abcdef"]
        lines += [f"{uid} W120 S110 :{base}" for uid, base in uids]
        (self.path / "dovecot-uidlist").write_text("\n".join(lines) + "\n")

    def folder(self, name):
        return Maildir(self.path / name)


def fill(path, count=30):
    """A tree with a bit of everything. Returns it and the contents by Maildir base name."""
    root, contents = Maildir(path), {}
    for number in range(count):
        base = f"14202471{number:02}.M{number}P1.host"
        ends = "\r\n" if number % 5 == 0 else "\n"
        contents[base] = message(number, f"Body {number}\n" * (1 + number * 37), ends)
        root.add(base, ["", "S", "RS", "FS", "DT", "Sa", "PSb"][number % 7], contents[base],
                 1420247134 + number)
    root.uidlist(1500000000, 200, [(3 + 2 * number, f"14202471{number:02}.M{number}P1.host")
                                   for number in range(count)])
    (root.path / "dovecot-keywords").write_text("0 $Label1\n1 Wichtig\n")
    fresh = root.add("1420250000.M1P1.host", "", message("new"), where="new")
    contents[fresh.name] = fresh.read_bytes()
    work = root.folder(".Work.R&AOk-sum&AOk-")
    work.add("1420247134.M1P1.host", "S", message("work"))
    work.uidlist(1400000000, 8, [(7, "1420247134.M1P1.host")])
    root.folder(".Empty")
    (root.path / "subscriptions").write_text("V\t2\n\nWork\tR&AOk-sum&AOk-\nGone\n")
    (root.path / "dovecot.index.log").write_bytes(b"\0" * 100)
    return root, contents


def uids_and_flags(imap):
    found = {}
    for line in imap.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE)")[1]:
        text = (line[0] if isinstance(line, tuple) else line).decode()
        uid = int(re.search(r"UID (\d+)", text).group(1))
        flags = set(re.search(r"FLAGS \(([^)]*)\)", text).group(1).split()) - {"\\Recent"}
        date = re.search(r'INTERNALDATE "([^"]*)"', text).group(1)
        found[uid] = flags, email.utils.parsedate_to_datetime(date.replace("-", " ", 2)).timestamp()
    return found


def test_maildir_comes_with_everything_and_once(new_server, tmp_path):
    server = new_server().start()
    root, contents = fill(tmp_path / "Maildir")
    table, _ = imported(server, root.path)
    assert table == {"INBOX": (31, 0, 0), "Empty": (0, 0, 0), "Work/Résumé": (1, 0, 0)}

    imap = server.imap(ALICE)
    assert imap.response("UIDVALIDITY")[1] == [b"1500000000"]
    assert imap.response("UIDNEXT")[1] == [b"200"]
    found = uids_and_flags(imap)
    assert sorted(found) == [3 + 2 * number for number in range(30)] + [62]
    assert found[3] == (set(), 1420247134)
    assert found[7] == ({"\\Answered", "\\Seen"}, 1420247136)
    assert found[11] == ({"\\Deleted", "\\Draft"}, 1420247138)
    assert found[13][0] == {"\\Seen", "$Label1"}
    assert found[15][0] == {"\\Seen", "$Forwarded", "Wichtig"}
    for content in fetch_all(imap).values():
        number = re.search(rb"Subject: number (\w+)", content).group(1).decode()
        base = "1420250000.M1P1.host" if number == "new" else \
            f"14202471{int(number):02}.M{number}P1.host"
        assert content == contents[base].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    names = b"\n".join(imap.lsub()[1])
    assert b"Work/R&AOk-sum&AOk-" in names and b"Gone" in names and b"Empty" not in names
    imap.select('"Work/R&AOk-sum&AOk-"')
    assert list(uids_and_flags(imap)) == [7]
    imap.select("INBOX")

    # Again, with flags changed and a message more: only that comes, while a session looks on.
    old = root.path / "cur" / "1420247100.M0P1.host:2,"
    old.rename(str(old) + "S")
    root.add("1420260000.M1P1.host", "S", message("late"))
    imap.uid("STORE", "5", "+FLAGS", "\\Deleted")
    imap.uid("EXPUNGE", "5")
    table, _ = imported(server, root.path)
    assert table == {"INBOX": (1, 31, 0), "Empty": (0, 0, 0), "Work/Résumé": (0, 1, 0)}
    wait_until(lambda: len(fetch_all(imap)) == 31, "the late message")
    assert 5 not in fetch_all(imap)


def test_round_trip_keeps_bytes_flags_dates_and_uids(new_server, tmp_path):
    server = new_server().start()
    root, contents = fill(tmp_path / "Maildir")
    imported(server, root.path)
    out = tmp_path / "out"
    table, _ = exported(server, out)
    assert table["INBOX"] == (31, 0) and table["Work/Résumé"] == (1, 0)

    uidlist = (out / "dovecot-uidlist").read_text().splitlines()
    assert uidlist[0].split()[:3] == ["3", "V1500000000", "N200"]
    listed = dict(re.match(r"(\d+).* :(.*)", line).groups() for line in uidlist[1:])
    files = {path.name.partition(":")[0]: path for path in (out / "cur").iterdir()}
    assert sorted(files) == sorted(listed.values())
    for number in range(30):
        path = files[listed[str(3 + 2 * number)]]
        want = contents[f"14202471{number:02}.M{number}P1.host"]
        assert path.read_bytes() == want
        assert path.stat().st_mtime == 1420247134 + number
        assert f",S={len(want)}," in path.name
        # $Forwarded is a flag of Maildir's and a keyword of Dovecot's.
        flags = ["", "S", "RS", "FS", "DT", "Sa", "PSbc"][number % 7]
        assert path.name.endswith(":2," + flags)
    assert (out / "dovecot-keywords").read_text() == "0 $Label1\n1 $Forwarded\n2 Wichtig\n"
    assert "Work\tR&AOk-sum&AOk-\n" in (out / "subscriptions").read_text()
    work = out / ".Work.R&AOk-sum&AOk-"
    assert (work / "dovecot-uidlist").read_text().startswith("3 V1400000000 N8\n7 :")

    # And into another account: all the same again.
    imported(server, out, user=BOB)
    again = tmp_path / "again"
    exported(server, again, user=BOB)
    for folder in ("cur", ".Work.R&AOk-sum&AOk-/cur"):
        names = sorted(path.name for path in (out / folder).iterdir())
        assert names == sorted(path.name for path in (again / folder).iterdir())
        for name in names:
            assert (out / folder / name).read_bytes() == (again / folder / name).read_bytes()
    for name in ("dovecot-uidlist", "dovecot-keywords"):
        assert (out / name).read_text() == (again / name).read_text()
    assert "not an empty folder" in exported(server, again, status=1)[1]


def test_killed_anywhere_nothing_is_doubled(new_server, tmp_path):
    server = new_server()
    root = Maildir(tmp_path / "Maildir")
    for number in range(3000):
        root.add(f"1420{number:06}.M1P1.host", "S", message(number, "x" * 3000 + "\n"))
    root.add("1430000000.M1P1.host", "S", message("large", ("y" * 70 + "\n") * 20000))
    words = [BODE, "--config", str(server.config), "import", "--user", ALICE, str(root.path)]
    kills = 0
    for wait in (0.15, 0.3, 0.5, 0.8, 1.2):
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(wait)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills > 0
    table, _ = imported(server, root.path)
    assert table["INBOX"][0] + table["INBOX"][1] == 3001
    server.start()
    found = fetch_all(server.imap(ALICE))
    subjects = [re.search(rb"Subject: number (\w+)", content).group(1)
                for content in found.values()]
    assert len(subjects) == 3001 and len(set(subjects)) == 3001
    assert list(found) == sorted(found)
    assert imported(server, root.path)[0] == {"INBOX": (0, 3001, 0)}


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root reads all")
def test_what_is_broken_is_skipped_and_named(new_server, tmp_path):
    server = new_server()
    root, _ = fill(tmp_path / "Maildir", 5)
    (root.path / "cur" / "1.link:2,S").symlink_to("/etc/passwd")
    (root.path / "cur" / "2.folder:2,S").mkdir()
    (root.path / "cur" / "3.empty:2,S").touch()
    os.mkfifo(root.path / "cur" / "4.pipe:2,S")
    (root.path / "cur" / ":2,S").write_bytes(message("no name"))
    (root.path / "cur" / "evil\x1b[31m:2,S").write_bytes(b"")
    (root.path / ".Broken&name").mkdir()
    (root.path / ".NoCur").mkdir()
    (root.path / ".Link").symlink_to(root.path)
    os.makedirs(os.fsencode(root.path) + b"/.\xff\xfe/cur")
    table, problems = imported(server, root.path, status=1)
    assert table["INBOX"] == (6, 0, 6)
    for words in ("1.link:2,S: a symbolic link", "2.folder:2,S: no file", "3.empty:2,S: the file is",
                  "4.pipe:2,S: no file", "cur/:2,S: no message has such a name",
                  ".NoCur: no Maildir folder", ".Link: a symbolic link", "evil?[31m",
                  "/.??: its name is no folder's"):
        assert words in problems, (words, problems)
    # Once more: what was good is there, what was broken still is.
    assert imported(server, root.path, status=1)[0]["INBOX"] == (0, 6, 6)

    assert "cannot be read: No such file" in imported(server, tmp_path / "none", status=1)[1]
    (tmp_path / "fifo").parent.joinpath("pipe").write_bytes(b"")
    assert "there is no user" in imported(server, root.path, user="no@example.org", status=1)[1]
    bare = subprocess.run([BODE, "--config", server.config, "import", root.path],
                          capture_output=True)
    assert bare.returncode == 2 and b"--user" in bare.stderr
    # A list of UIDs that is noise costs the UIDs, not the messages.
    noise = Maildir(tmp_path / "Noise")
    noise.add("1420247134.M1P1.host", "S", message(1))
    (noise.path / "dovecot-uidlist").write_bytes(os.urandom(2000))
    table, problems = imported(server, "--into", "Noise", noise.path)
    assert table == {"Noise": (1, 0, 0)} and "dovecot-uidlist: not understood" in problems


def test_names_of_folders_are_composed(new_server, tmp_path):
    """As files of some systems are not."""
    server = new_server()
    root = Maildir(tmp_path / "Maildir")
    root.folder(".e&AwE-t&AOk-").add("1420247134.M1P1.host", "S", message(1))
    imported(server, root.path)
    imported(server, root.path)
    server.start()
    with server.imap(ALICE) as client:
        names = b" ".join(row for row in client.list()[1])
        assert b'"/" &AOk-t&AOk-' in names and b"&AwE-" not in names
        assert client.select("e&AwE-t&AOk-")[1] == [b"1"]


def test_mbox_in_all_dialects(new_server, tmp_path):
    server = new_server().start()
    tree = tmp_path / "Mail"
    (tree / "Work.sbd").mkdir(parents=True)
    quoted = (b"From bob@example.org Sat Jan  3 01:05:34 2015\nSubject: one\nStatus: RO\n"
              b"X-Status: AF\nX-Keywords: Wichtig  $Label2\n\n>From here\n>>From there\nend\n\n"
              b"From amy@example.org Sat Jan  3 01:05:35 2015 +0100\nSubject: two\n\nFrom me\n\n")
    (tree / "Inbox").write_bytes(quoted)
    (tree / "Inbox.msf").write_bytes(b"<!-- index -->")
    body = b"first\n\nFrom x@y Sat Jan  3 01:05:34 2015\nSubject: not a message\n\n>From me\n"
    (tree / "Work").write_bytes(
        b"From bob Sat Jan  3 01:05:34 2015\nSubject: length\nContent-Length: %d\n\n%s\n"
        b"From - Sat Jan  3 01:05:36 2015\r\nSubject: lies\r\nContent-Length: 9999\r\n"
        b"X-Mozilla-Status: 0005\r\nX-Mozilla-Keys: $Label3\r\n\r\nbye\r\n" % (len(body), body))
    (tree / "Work.sbd" / "Old.mbox").write_bytes(
        b"From MAILER-DAEMON Sat Jan  3 01:05:34 2015\nFrom: x\nX-IMAP: 1 2\n"
        b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n\nnotes\n\n" +
        (b"From bob Sat Jan  3 01:05:34 2015\nSubject: same\n\nsame\n\n" * 3))
    (tree / "Work.sbd" / "Nothing").write_bytes(b"")
    (tree / "one.eml").write_bytes(message("eml"))
    (tree / "noise.bin").write_bytes(b"\0\1\2")
    table, problems = imported(server, tree, status=1)
    assert table == {"INBOX": (3, 0, 0), "Work": (2, 0, 0), "Work/Nothing": (0, 0, 0),
                     "Work/Old": (3, 0, 0)}
    assert "noise.bin: neither" in problems and "Inbox.msf" not in problems
    imap = server.imap(ALICE)
    found = fetch_all(imap)
    assert b"Subject: one\r\n\r\nFrom here\r\n>From there\r\nend\r\n" in found.values()
    assert b"Subject: two\r\n\r\nFrom me\r\n" in found.values()
    flags = uids_and_flags(imap)
    uid = [uid for uid, content in found.items() if content.startswith(b"Subject: one")][0]
    assert flags[uid] == ({"\\Seen", "\\Answered", "\\Flagged", "Wichtig", "$Label2"}, 1420247134)
    uid = [uid for uid, content in found.items() if content.startswith(b"Subject: two")][0]
    assert flags[uid] == (set(), 1420243535)
    imap.select("Work")
    found, flags = fetch_all(imap), uids_and_flags(imap)
    assert found[1] == b"Subject: length\r\n\r\n" + body.replace(b"\n", b"\r\n")
    assert found[2] == b"Subject: lies\r\n\r\nbye\r\n"
    assert flags[2][0] == {"\\Seen", "\\Flagged", "$Label3"}

    # A program has marked messages since, and deleted the first.
    (tree / "Inbox").write_bytes(quoted[quoted.index(b"From amy"):].replace(
        b"Subject: two\n", b"Subject: two\nStatus: RO\n"))
    assert imported(server, tree, status=1)[0]["INBOX"] == (0, 2, 0)
    assert imported(server, "--format", "mboxo", "--into", "O", tree / "Inbox")[0] == {"O": (1, 0, 0)}
    assert imported(server, "--format", "x", tree, status=2)[1].count("\n") == 1


def test_mbox_out_and_back(new_server, tmp_path):
    server = new_server().start()
    root, _ = fill(tmp_path / "Maildir", 7)
    tricky = b"Subject: tricky\n\nFrom me\n>From you\n\nFrom x@y Sat Jan  3 01:05:34 2015\nA: b\n"
    root.add("1430000000.M1P1.host", "FS", tricky)
    imported(server, root.path)
    out = tmp_path / "out"
    table, _ = exported(server, out, "--format", "mbox")
    assert table["INBOX"] == (9, 0)
    assert len(pymailbox.mbox(out / "INBOX.mbox")) == 9
    imported(server, out, user=BOB)
    before, after = server.imap(ALICE), server.imap(BOB)
    one, two = fetch_all(before), fetch_all(after)
    assert list(one.values()) == list(two.values())
    assert list(uids_and_flags(before).values()) == list(uids_and_flags(after).values())
    after.select('"Work/R&AOk-sum&AOk-"')
    assert len(fetch_all(after)) == 1


@pytest.mark.parametrize("form", ["maildir", "mbox"])
def test_damage_is_left_out_of_an_export_and_named(new_server, tmp_path, form):
    server = new_server()
    root = Maildir(tmp_path / "Maildir")
    # What cannot be compressed stands in the store as it is.
    noise = bytes(byte for byte in os.urandom(30000) if byte not in b"\0\r\n")
    root.add("1.M1P1.host", "S", message(1))
    root.add("2.M1P1.host", "S", b"Subject: number 2\n\n" + noise + b"\n")
    root.add("3.M1P1.host", "S", message(3))
    imported(server, root.path)
    store = next((server.state / "store").rglob("data.mdb"))
    data = bytearray(store.read_bytes())
    at = data.index(noise[20000:20040])
    data[at] ^= 1
    store.write_bytes(data)
    out = tmp_path / "out"
    table, problems = exported(server, out, "--format", form, status=1)
    assert table["INBOX"] == (2, 1)
    assert "skipped INBOX, UID 2: its content is damaged" in problems
    if form == "maildir":
        assert len(list((out / "cur").iterdir())) == 2 and not list((out / "tmp").iterdir())
    else:
        box = pymailbox.mbox(out / "INBOX.mbox")
        assert [one["Subject"] for one in box] == ["number 1", "number 3"]


@pytest.mark.skipif(not shutil.which("doveadm"), reason="no Dovecot here")
def test_dovecot_reads_what_goes_out_and_writes_what_comes_in(new_server, tmp_path):
    server = new_server().start()
    root, _ = fill(tmp_path / "Maildir")
    imported(server, root.path)
    # Dovecot does not work as root, and others may not look into the test's own folder.
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        out, config = pathlib.Path(home) / "out", pathlib.Path(home) / "dovecot.conf"
        exported(server, out)
        uid = os.geteuid() or 65534
        config.write_text(f"log_path = {home}/log\nbase_dir = {home}/run\nstate_dir = {home}/run\n"
                          f"mail_location = maildir:{out}\nmail_uid = {uid}\nmail_gid = {uid}\n"
                          "first_valid_uid = 1\nfirst_valid_gid = 1\nssl = no\n"
                          "namespace inbox {\ninbox = yes\nseparator = /\n}\n")
        if os.geteuid() == 0:
            os.chmod(home, 0o755)
            subprocess.run(["chown", "-R", f"{uid}:{uid}", home], check=True)

        def doveadm(*words):
            done = subprocess.run(["doveadm", "-f", "flow", "-c", config, *words],
                                  capture_output=True, text=True,
                                  env={**os.environ, "USER": "nobody", "HOME": home, "TZ": "UTC"})
            assert done.returncode == 0, done.stderr
            return done.stdout

        def seen():
            lines = doveadm("fetch", "uid flags date.received size.virtual", "mailbox", "INBOX")
            return [re.match(r"uid=(\d+) flags=(.*) date.received=(.*) size.virtual=(\d+)",
                             line).groups() for line in lines.splitlines()]
        found = seen()
        assert [int(row[0]) for row in found] == [3 + 2 * number for number in range(30)] + [62]
        assert found[2][1:3] == ("\\Answered \\Seen", "2015-01-03 01:05:36")
        assert set(found[6][1].split()) == {"\\Seen", "$Forwarded", "Wichtig"}
        assert doveadm("mailbox", "status", "uidvalidity uidnext", "INBOX").split() == \
            ["INBOX", "uidnext=200", "uidvalidity=1500000000"]
        assert "Work/Résumé" in doveadm("mailbox", "list", "-s")

        doveadm("mailbox", "create", "-s", "Büro/x y")
        doveadm("copy", "Büro/x y", "mailbox", "INBOX", "uid", "3:9")
        doveadm("flags", "add", "Neu \\Flagged", "mailbox", "INBOX", "uid", "3:9")
        doveadm("expunge", "mailbox", "INBOX", "uid", "11")
        table, _ = imported(server, out, user=BOB)
        assert table["INBOX"] == (30, 0, 0) and table["Büro/x y"] == (4, 0, 0)
        imap = server.imap(BOB)
        flags = uids_and_flags(imap)
        assert 11 not in flags and flags[7][0] == {"\\Answered", "\\Seen", "\\Flagged", "Neu"}
        assert imap.response("UIDVALIDITY")[1] == [b"1500000000"]
        assert b"B&APw-ro/x y" in b"".join(imap.lsub()[1])


# ---- from other servers ----

def from_server(target, source, *words, user="bob%40example.org", scheme="imaps", password=PASSWORD,
                status=0, ca=True):
    if ca:
        words = ("--ca", source.certificate(), *words)
    return imported(target, "--password-stdin", *words,
                    f"{scheme}://{user}@localhost:{source.ports[scheme]}/", typed=password + "\n",
                    status=status)


def test_from_an_imap_server_with_tls(new_server, tmp_path):
    source, target = new_server().start(), new_server().start()
    root, _ = fill(tmp_path / "Maildir", 200)
    imported(source, root.path, user=BOB)
    there = source.imap(BOB)
    there.create("Reisen")
    there.append("Sent", "(\\Seen)", '"03-Jan-2015 01:05:34 +0000"',
                 message("sent", end="\r\n"))
    there.append("Reisen", None, None, message("large", ("z" * 70 + "\n") * 30000, "\r\n"))
    there.subscribe("Reisen")

    table, _ = from_server(target, source)
    assert table["INBOX"] == (201, 0, 0) and table["Sent"] == (1, 0, 0)
    assert table["Reisen"] == (1, 0, 0) and table["Work/Résumé"] == (1, 0, 0)
    here = target.imap(ALICE)
    there.select("INBOX")
    assert here.response("UIDVALIDITY")[1] == there.response("UIDVALIDITY")[1]
    for name in ("INBOX", "Sent", "Reisen", '"Work/R&AOk-sum&AOk-"'):
        here.select(name)
        there.select(name)
        assert fetch_all(here) == fetch_all(there)
        assert uids_and_flags(here) == uids_and_flags(there)
    assert b"Reisen" in b"".join(here.lsub()[1])

    # Only what is new comes the second time; STARTTLS is as good.
    there.append("Reisen", None, None, message("late", end="\r\n"))
    table, _ = from_server(target, source, scheme="imap")
    assert table["INBOX"] == (0, 201, 0) and table["Reisen"] == (1, 1, 0)
    table, _ = from_server(target, source, "--into", "Old")
    assert table["Old"] == (201, 0, 0) and table["Old/Sent"] == (1, 0, 0)

    problem = from_server(target, source, password="wrong", status=1)[1]
    assert "refused user or password" in problem
    problem = from_server(target, source, ca=False, status=1)[1]
    assert "not trusted" in problem and problem.count("\n") <= 3
    problem = from_server(target, target, ca=True, password="x", user="alice", status=1)[1]
    assert "refused" in problem
    assert "write it as imaps://" in imported(target, "--password-stdin", "imaps://localhost/",
                                              typed="x\n", status=1)[1]


def test_an_import_from_a_server_that_was_killed_goes_on(new_server, tmp_path):
    source, target = new_server().start(), new_server()
    root = Maildir(tmp_path / "Maildir")
    for number in range(2000):
        root.add(f"1420{number:06}.M1P1.host", "S", message(number, "x" * 2000 + "\n"))
    imported(source, root.path, user=BOB)
    words = [BODE, "--config", str(target.config), "import", "--user", ALICE, "--password-stdin",
             "--ca", str(source.certificate()),
             f"imaps://{BOB}@localhost:{source.ports['imaps']}"]
    for wait in (0.4, 0.8):
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        process.stdin.write(PASSWORD.encode() + b"\n")
        process.stdin.close()
        time.sleep(wait)
        process.kill()
        process.wait()
    table, _ = from_server(target, source)
    assert sum(table["INBOX"][:2]) == 2000
    assert from_server(target, source)[0]["INBOX"] == (0, 2000, 0)
    target.start()
    assert len(fetch_all(target.imap(ALICE))) == 2000


class OddServer(threading.Thread):
    """Says what other servers say: a prefix, dots, contents before UIDs, quoted contents."""

    LISTS = [br'(\HasChildren) "." "INBOX"', br'(\Sent) "." "INBOX.Gesendet"',
             br'(\Noselect) "." "INBOX.Nothing"', br'() "." {15}' + b"\r\n" + br'INBOX.R&AOk-sum',
             br'() "." "user.other"', br'() "." "INBOX.Bad..Name"']
    MESSAGES = [
        br'* 1 FETCH (BODY[] {13}' + b"\r\nA: 1\r\n\r\nbody\n" + br' FLAGS (\Seen $X "%%") UID 4 '
        br'INTERNALDATE "03-Jan-2015 01:05:34 +0100")',
        br'* 2 FETCH (UID 9 BODY[] "A: 2\"" INTERNALDATE " 3-Jan-2015 01:05:34 +0000" FLAGS ())',
        br'* 3 FETCH (UID 12 BODY[] NIL FLAGS ())',
        br'* 1 FETCH (FLAGS (\Deleted) UID 4)',
        br'* 4 FETCH (UID 77 BODY[] {3}' + b"\r\nxyz)",
    ]

    def __init__(self, noise=b""):
        super().__init__(daemon=True)
        self.noise, self.socket = noise, socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        connection = self.socket.accept()[0]
        file = connection.makefile("rwb")

        def say(line):
            file.write(line + b"\r\n")
            file.flush()
        say(b"* OK hello")
        mailbox = b""
        try:
            for line in file:
                tag, command = line.rstrip().split(b" ", 1)
                word = command.split(b" ")[0].upper()
                if word == b"CAPABILITY":
                    say(b"* CAPABILITY IMAP4rev1 NAMESPACE")
                elif word == b"LOGIN":
                    say(b"+ more")
                    assert file.readline() == b"me {8}\r\n"
                    say(b"+ more")
                    assert file.readline() == b'se"cret \r\n'
                elif word == b"NAMESPACE":
                    say(b'* NAMESPACE (("INBOX." ".")) (("user." ".")) NIL')
                elif word == b"LIST":
                    for one in self.LISTS:
                        say(b"* LIST " + one)
                elif word == b"LSUB":
                    say(b'* LSUB () "." INBOX.Gesendet')
                    say(b'* LSUB () "." "INBOX.Gone"')
                elif word == b"EXAMINE":
                    mailbox = command.split(b" ", 1)[1]
                    if self.noise:
                        connection.sendall(self.noise)
                        connection.close()
                        return
                    say(b"* 4 EXISTS")
                    say(b"* OK [UIDVALIDITY 7] .")
                    say(b"* OK [UIDNEXT 20] .")
                elif command.upper().startswith(b"UID SEARCH"):
                    say(b"* SEARCH 4 9 12 15" if mailbox == b'"INBOX"' else b"* SEARCH")
                elif command.upper().startswith(b"UID FETCH"):
                    for one in self.MESSAGES:
                        say(one)
                say(tag + b" OK done")
        except (OSError, ValueError):
            pass


def test_odd_and_hostile_servers(new_server):
    server = new_server().start()

    def run(odd, status=1):
        return imported(server, "--password-stdin", f"imap://me@127.0.0.1:{odd.port}",
                        typed='se"cret \n', status=status)
    table, problems = run(OddServer())
    assert table == {"INBOX": (2, 0, 2), "Sent": (0, 0, 0), 'Résum': (0, 0, 0)}, problems
    assert "UID 15: the server listed it" in problems and "UID 12: the server" in problems
    assert "Bad//Name: no mailbox can have this name" in problems
    imap = server.imap(ALICE)
    assert fetch_all(imap) == {4: b"A: 1\r\n\r\nbody\r\n", 9: b'A: 2"'}
    assert uids_and_flags(imap) == {4: ({"\\Seen", "$X"}, 1420243534), 9: (set(), 1420247134)}
    assert imap.response("UIDVALIDITY")[1] == [b"7"]
    assert b"Gone" in b"".join(imap.lsub()[1])
    assert run(OddServer())[0]["INBOX"] == (0, 2, 2)
    for noise in (b"* " + b"x" * (17 << 20), b"* LIST {99999999999}\r\n", os.urandom(5000), b"\r\n",
                  b"* BYE go away\r\n"):
        _, problems = run(OddServer(noise))
        assert "run the import again" in problems, problems
    nobody = socket.create_server(("127.0.0.1", 0))
    port = nobody.getsockname()[1]
    nobody.close()
    assert "Connection refused" in imported(server, "--password-stdin",
                                            f"imaps://me@127.0.0.1:{port}", typed="x\n",
                                            status=1)[1]
