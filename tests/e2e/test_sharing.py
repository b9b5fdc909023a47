"""Mailboxes of others: shared with imaplib and `bode share`, and closed to everybody else."""
import json
import random

import pytest

BOB = '"Other Users/bob@example.org"'
OFFICE = "Shared/office@example.org"
MESSAGE = b"From: carol@elsewhere.example\r\nSubject: %s\r\n\r\n%s\r\n"
SECRET = b"xyzzy-secret"


def shared(server, *words):
    return json.loads(server.bode("share", "list", *words, "--json"))


def names(imap, reference='""', pattern="*"):
    status, rows = imap.list(reference, pattern)
    assert status == "OK"
    return {row.split(b' "/" ')[1].strip(b'"').decode() for row in rows if row}


def test_users_share_by_imap(new_server):
    server = new_server().start()
    bob, alice = server.imap("bob@example.org"), server.imap("alice@example.org")
    assert bob.create("Work")[0] == "OK"
    assert bob.append("Work", None, None, MESSAGE % (b"plan", b"build it"))[0] == "OK"
    assert not any(name.startswith("Other") for name in names(alice))
    assert bob.setacl("Work", "alice@example.org", "lrs")[0] == "OK"
    assert bob.getacl("Work")[1] == [
        b'Work "bob@example.org" lrswipkxtecda "alice@example.org" lrs']
    assert "Other Users/bob@example.org/Work" in names(alice)
    work = BOB[:-1] + '/Work"'
    assert alice.myrights(work)[1] == [b'"Other Users/bob@example.org/Work" lrs']
    assert alice.select(work)[1] == [b"1"]
    status, data = alice.fetch("1", "(BODY[])")
    assert status == "OK" and b"build it" in data[0][1]
    assert alice.store("1", "+FLAGS", r"(\Deleted)")[0] == "NO"
    assert alice.expunge()[0] == "NO"
    assert alice.copy("1", "INBOX")[0] == "OK"
    assert alice.append(work, None, None, MESSAGE % (b"no", b"no"))[0] == "NO"
    assert shared(server) == [{"owner": "bob@example.org", "mailbox": "Work",
                               "identifier": "alice@example.org", "rights": "lrs"}]
    # Everything of it follows a backup.
    server.bode("backup", str(server.folder / "backup"))
    server.bode("verify")
    assert bob.deleteacl("Work", "alice@example.org")[0] == "OK"
    assert alice.select(work)[0] == "NO"
    assert not any(name.startswith("Other") for name in names(alice))


def test_an_office_has_a_mailbox(new_server):
    server = new_server().start()
    server.bode("share", "add", "office@example.org", "--quota", "1 MiB")
    server.bode("share", "add", "office@example.org", status=1)
    server.bode("share", "set", "office@example.org", "INBOX", "alice@example.org", "lrswipkxtea")
    server.bode("share", "set", "office@example.org", "inbox", "anyone", "lr")
    server.bode("share", "set", "--", "office@example.org", "INBOX", "-bob@example.org", "r")
    server.bode("share", "set", "office@example.org", "INBOX", "bob@example.org", "lrz", status=2)
    server.bode("share", "set", "office@example.org", "INBOX", "nobody@example.org", "l", status=1)
    server.bode("share", "set", "office@example.org", "None", "bob@example.org", "l", status=1)
    server.bode("share", "set", "office@example.org", "INBOX", "office@example.org", "l", status=1)
    assert [(row["identifier"], row["rights"]) for row in shared(server, "office@example.org")] \
        == [("anyone", "lr"), ("alice@example.org", "lrswipkxtecda"), ("-bob@example.org", "r")]
    alice, bob = server.imap("alice@example.org"), server.imap("bob@example.org")
    assert alice.select(OFFICE)[1] == [b"0"]
    server.bode("deliver", "office@example.org", typed=MESSAGE % (b"order", b"ten of them"))
    assert alice.noop()[0] == "OK" and alice.response("EXISTS")[1][-1] == b"1"
    assert bob.select(OFFICE)[0] == "NO" and OFFICE in names(bob)
    assert alice.create(OFFICE + "/Orders")[0] == "OK"
    assert alice.uid("MOVE", "1", OFFICE + "/Orders")[0] == "OK"
    assert alice.status(OFFICE + "/Orders", "(MESSAGES)")[1] == [
        b"Shared/office@example.org/Orders (MESSAGES 1)"]
    # All that there is now, at once; a right that is taken away ends what is open.
    server.bode("share", "set", "--all", "office@example.org", "alice@example.org", "none")
    assert alice.noop()[0] == "OK"  # as anyone
    server.bode("share", "set", "--all", "office@example.org", "anyone", "none")
    try:
        assert alice.noop()[0] != "OK"
    except alice.abort as over:
        assert "NOPERM" in str(over) or "EOF" in str(over)
    # What a user was given goes with him, and what he gave.
    bob.setacl("INBOX", "alice@example.org", "lr")
    server.bode("user", "remove", "bob@example.org", "--yes")
    assert shared(server) == []
    server.bode("verify")


def test_an_administrator_sets_quotas(new_server):
    server = new_server().start()
    server.bode("user", "administer", "alice@example.org", "yes")
    server.bode("user", "administer", "alice@example.org", "perhaps", status=2)
    alice, bob = server.imap("alice@example.org"), server.imap("bob@example.org")
    assert "QUOTASET" in alice.capability()[1][0].decode().split()
    assert "QUOTASET" not in bob.capability()[1][0].decode().split()
    assert alice.setquota("bob@example.org", "(STORAGE 100)")[0] == "OK"
    assert bob.setquota("bob@example.org", "(STORAGE 100000)")[0] == "NO"
    quota = json.loads(server.bode("user", "quota", "bob@example.org", "--json"))[0]
    assert quota["quota_octets"] == 100 * 1024
    server.bode("user", "administer", "alice@example.org", "no")
    assert alice.setquota("bob@example.org", "()")[0] == "NO"


# ---- what is not shared ----

def said(imap, line):
    """Everything the server says to a command that needs no continuation, and its reply."""
    tag = imap._new_tag()
    imap.send(tag + b" " + line + b"\r\n")
    out = b""
    while True:
        got = imap.readline()
        assert got, f"the server hung up on {line}"
        out += got
        if got.startswith(tag + b" "):
            return out, got[len(tag) + 1:].split()[0].decode()


def state_of(imap):
    """All that could have changed in an account."""
    found = []
    for name in sorted(names(imap)):
        if name.startswith("Other"):
            continue  # what alice lets everybody see
        quoted = '"' + name + '"'
        found += [imap.status(quoted, "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN DELETED HIGHESTMODSEQ)"),
                  imap.getacl(quoted),
                  said(imap, b"GETMETADATA (DEPTH infinity) " + quoted.encode() +
                       b" (/private /shared)")[0].splitlines()[:-1]]
    return found


VERBS_REFUSED = [
    "SELECT {n}", "EXAMINE {n}", "SELECT {n} (CONDSTORE)", "STATUS {n} (MESSAGES UNSEEN SIZE)",
    "CREATE {n}", "CREATE {n} (USE (\\Sent))", "DELETE {n}", "RENAME {n} Stolen", "RENAME Sent {n}",
    "RENAME {n} {m}", "GETACL {n}", "SETACL {n} alice@example.org lrswipkxtea",
    "SETACL {n} anyone +lr", "SETACL {n} -bob@example.org lr", "DELETEACL {n} bob@example.org",
    "LISTRIGHTS {n} alice@example.org", "MYRIGHTS {n}", "GETQUOTAROOT {n}",
    "SETQUOTA bob@example.org (STORAGE 1)", "GETQUOTA bob@example.org",
    "GETMETADATA {n} (/private/comment /shared/comment)",
    "GETMETADATA (DEPTH infinity) {n} (/private /shared)",
    'SETMETADATA {n} (/shared/comment "mine")', "SETMETADATA {n} (/private/comment NIL)",
    "APPEND {n} (\\Seen) {{9+}}\r\na: b\r\n\r\nc", "APPEND {n} {{9+}}\r\na: b\r\n\r\nc",
    "COPY 1 {n}", "UID COPY 1:* {n}", "MOVE 1 {n}", "UID MOVE 1:* {n}",
    "REPLACE 1 {n} {{9+}}\r\na: b\r\n\r\nc",
    'APPEND Drafts CATENATE (URL "/{u}/;UID=1")', 'APPEND Drafts CATENATE (URL "/{u};UID=1/;SECTION=TEXT")',
]
VERBS = VERBS_REFUSED + [
    'LIST "" {n}', 'LIST {n} *', 'LIST "Other Users/" * RETURN (MYRIGHTS STATUS (MESSAGES))',
    'LIST (SUBSCRIBED RECURSIVEMATCH) "" * RETURN (CHILDREN METADATA (/shared/comment))',
    'LSUB "" *', "SUBSCRIBE {n}", "UNSUBSCRIBE {n}", "NAMESPACE",
    "ESEARCH IN (mailboxes {n}) RETURN (ALL) ALL", "ESEARCH IN (subtree {n}) TEXT xyzzy",
    'ESEARCH IN (subtree "Other Users") ALL', "ESEARCH IN (subscribed) ALL",
    "NOTIFY SET (mailboxes {n} (MessageNew MessageExpunge FlagChange MailboxName))",
    "NOTIFY SET STATUS (subtree {n} (MessageNew MessageExpunge))", "NOTIFY NONE",
    "FETCH 1:* (BODY.PEEK[])", "SEARCH TEXT xyzzy", "NOOP", "SELECT INBOX", "UNSELECT",
]


def variants(rng):
    """Names that lead, or might be thought to lead, into bob's account."""
    login = rng.choice(["bob@example.org"] * 6 + ["BOB@example.org", "bob@EXAMPLE.org", "bob",
                                                  "./bob@example.org", "bob@example.org/.",
                                                  "alice@example.org/../bob@example.org"])
    top = rng.choice(["Other Users/"] * 6 + ["Shared/", "other users/", "Other Users//", "~",
                                             "Other Users/Other Users/"])
    rest = rng.choice(["", "/", "/Vault", "/Vault/Deep", "/INBOX", "/inbox", "/INBOX/Vault",
                       "/Sent", "/New", "/Vault/New", "/Blind", "/*", "/%", "/../Vault"])
    return top + login + rest


def test_nothing_leads_into_anothers_mail(new_server):
    """Thousands of ways to name it, and all verbs: nothing is told, and nothing changes."""
    server = new_server().start()
    bob, alice = server.imap("bob@example.org"), server.imap("alice@example.org")
    for name in ("Vault", "Vault/Deep", "Blind"):
        assert bob.create(name)[0] == "OK"
    for name in ("INBOX", "Vault", "Vault/Deep", "Blind", "Sent"):
        assert bob.append(name, None, None, MESSAGE % (SECRET, SECRET))[0] == "OK"
        assert said(bob, b'SETMETADATA "%s" (/shared/comment "%s" /private/comment "%s")' %
                    (name.encode(), SECRET, SECRET))[1] == "OK"
    # Rights that give nothing: to mark, to write, to post; and one that is taken away again.
    assert bob.setacl("Blind", "alice@example.org", "swtep")[0] == "OK"
    assert bob.setacl("Vault", "anyone", "lrswi")[0] == "OK"
    assert bob.setacl("Vault", "-alice@example.org", "lrswi")[0] == "OK"
    assert alice.append("INBOX", None, None, MESSAGE % (b"own", b"own"))[0] == "OK"
    assert alice.select("INBOX")[0] == "OK"
    before, rng = state_of(bob), random.Random(4314)
    for _ in range(1500):
        template = rng.choice(VERBS)
        name, other = variants(rng), variants(rng)
        line = template.format(n=f'"{name}"', m=f'"{other}"', u=name.replace(" ", "%20"))
        said_back, reply = said(alice, line.encode())
        assert SECRET not in said_back, line
        # Names that do not lead there are alice's own, or none at all.
        if template in VERBS_REFUSED and name.startswith("Other Users/bob@example.org"):
            assert reply != "OK", (line, said_back)
        if said_back.count(b"BAD") and reply == "BAD":
            assert said(alice, b"NOOP")[1] == "OK"  # so that the errors in a row stay few
    assert state_of(bob) == before
    assert SECRET not in said(alice, b'LIST "" * RETURN (METADATA (/shared/comment))')[0]


def test_notify_hears_of_what_another_process_files(new_server):
    """It is not told what has happened in a shared mailbox, only that something has."""
    server = new_server().start()
    bob, alice = server.imap("bob@example.org"), server.imap("alice@example.org", mailbox=None)
    assert bob.setacl("INBOX", "alice@example.org", "lr")[0] == "OK"
    alice.send(b'n NOTIFY SET (subtree "Other Users" (MessageNew MessageExpunge MailboxName)) '
               b"(personal (ServerMetadataChange))\r\n")
    assert alice.readline().startswith(b"n OK")
    for count in (1, 2):
        server.bode("deliver", "bob@example.org", typed="Subject: by hand\r\n\r\nHello\r\n")
        assert b'STATUS "Other Users/bob@example.org" (MESSAGES %d ' % count in alice.readline()


@pytest.mark.parametrize("identifier", ["anyone", "alice@example.org"])
def test_notify_hears_of_what_the_command_line_shares(new_server, identifier):
    """Also of what is given to anyone by one who has shared nothing so far. It is known that no more than
    rights have changed, so nobody's notifications end, whatever else they are about."""
    server = new_server().start()
    alice, bob = server.imap("alice@example.org", mailbox=None), server.imap("bob@example.org")
    alice.send(b'n NOTIFY SET (subtree "Other Users" (MailboxName MailboxMetadataChange)) '
               b"(personal (MailboxName SubscriptionChange))\r\n")
    bob.send(b"n NOTIFY SET (personal (MailboxName SubscriptionChange MailboxMetadataChange))\r\n")
    assert alice.readline().startswith(b"n OK") and bob.readline().startswith(b"n OK")
    for _ in range(2):
        server.bode("share", "set", "bob@example.org", "INBOX", identifier, "lr")
        assert alice.readline() == b'* LIST (\\HasNoChildren) "/" "Other Users/bob@example.org"\r\n'
        server.bode("share", "set", "bob@example.org", "INBOX", identifier, "l")
        assert alice.readline() == \
            b'* LIST (\\NoAccess \\HasNoChildren) "/" "Other Users/bob@example.org"\r\n'
        server.bode("share", "set", "bob@example.org", "INBOX", identifier, "none")
        assert b"(\\NonExistent \\NoAccess " in alice.readline()
    assert said(bob, b"NOOP")[0].count(b"\r\n") == 1
    assert said(alice, b"NOOP")[0].count(b"\r\n") == 1
