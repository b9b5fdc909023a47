"""What grows and shrinks: expunged mail comes back, quota holds, a setting turns it all off."""
import json

MESSAGE = (b"From: Carol <carol@elsewhere.example>\r\nTo: bob@example.org\r\n"
           b"Subject: =?utf-8?q?M=C3=BCnze?=\r\n\r\nbody %d\r\n")


def appended(imap, mailbox, count):
    for number in range(count):
        status, _ = imap.append(mailbox, r"(\Flagged $Work)", '"01-Feb-2020 10:11:12 +0000"',
                                MESSAGE % number)
        assert status == "OK"


def expunge_all(imap, mailbox):
    assert imap.select(mailbox)[0] == "OK"
    assert imap.store("1:*", "+FLAGS", r"(\Deleted)")[0] == "OK"
    assert imap.expunge()[0] == "OK"


def listed(server, *words):
    return json.loads(server.bode("undelete", "list", "bob@example.org", "--json", *words))


def test_expunged_mail_comes_back(new_server):
    server = new_server().start()
    imap = server.imap("bob@example.org")
    appended(imap, "INBOX", 3)
    expunge_all(imap, "INBOX")
    imap.create("Project")
    appended(imap, "Project", 2)
    imap.select("INBOX")
    imap.delete("Project")
    rows = listed(server)
    assert [row["mailbox"] for row in rows] == ["INBOX"] * 3 + ["Project"] * 2
    assert rows[0]["sender"] == "Carol <carol@elsewhere.example>"
    assert rows[0]["subject"] == "Münze"
    assert len(listed(server, "--sender", "CAROL@", "--mailbox", "Project")) == 2
    assert listed(server, "--sender", "mallory") == []
    assert listed(server, "--until", "1d") == []
    assert len(listed(server, "--since", "1h")) == 5
    assert listed(server, "--mailbox", "Trash") == []
    # Expunged mail counts for nothing.
    quota = json.loads(server.bode("user", "quota", "bob@example.org", "--json"))[0]
    assert quota["messages"] == 0 and quota["size_octets"] == 0
    server.bode("undelete", "restore", "bob@example.org", rows[1]["id"])
    assert imap.noop()[0] == "OK"
    status, data = imap.uid("FETCH", "1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")
    assert status == "OK" and len(data) == 2
    assert b"$Work" in data[0][0] and rb"\Flagged" in data[0][0]
    assert rb"\Deleted" not in data[0][0] and b" 1-Feb-2020" in data[0][0]
    assert data[0][1] == MESSAGE % 1
    server.bode("undelete", "restore", "bob@example.org", "--mailbox", "Project")
    assert imap.select("Project")[1] == [b"2"]
    assert len(listed(server)) == 2
    server.bode("undelete", "restore", "bob@example.org", status=2)
    server.bode("undelete", "list", "nobody@example.org", status=1)


def test_quota_holds_for_what_comes_back(new_server):
    server = new_server().start()
    imap = server.imap("bob@example.org")
    appended(imap, "INBOX", 3)
    expunge_all(imap, "INBOX")
    server.bode("user", "quota", "bob@example.org", "--messages", "2")
    server.bode("undelete", "restore", "bob@example.org", "--all", status=1)
    quota = json.loads(server.bode("user", "quota", "bob@example.org", "--json"))[0]
    assert (quota["messages"], quota["quota_messages"]) == (2, 2)
    assert len(listed(server)) == 1
    status, text = imap.append("INBOX", None, None, MESSAGE % 9)
    assert status == "NO" and b"OVERQUOTA" in text[0]
    server.bode("user", "quota", "bob@example.org", "--messages", "0", "--size", "1 MiB")
    server.bode("undelete", "restore", "bob@example.org", "--all")
    assert listed(server) == []


def test_it_may_be_turned_off(new_server):
    server = new_server("[store]\nundelete_days = 0\n").start()
    imap = server.imap("bob@example.org")
    appended(imap, "INBOX", 2)
    expunge_all(imap, "INBOX")
    assert listed(server) == []
