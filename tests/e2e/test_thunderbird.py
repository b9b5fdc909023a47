"""Thunderbird, as people have it: the list of folders, reading, moving, flags, news, sending.

One of it for all tests of the file, with a window, so each test has messages of its own. At the end
nothing that it asked may have been refused.
"""
import email
import email.policy
import textwrap

import pytest
from cryptography.hazmat.primitives import serialization

from certificates import Authority
from server import PASSWORD, Server, fetch_all, wait_until
from thunderbird import CannotStart, Thunderbird

pytestmark = pytest.mark.long

USER, OTHER = "thunder@example.org", "bird@example.org"
FIRST = {"INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive"}
UMLAUTS = "Projekte/Grüße"
SHARED = f"Other Users/{OTHER}/Team"


class Certified(Server):
    """With a certificate of an authority, as Thunderbird believes no other without a question."""
    def __init__(self, folder):
        authority = Authority()
        self.authority = authority.write(folder / "authority.pem")
        certificate = authority.issue("localhost")
        (folder / "certificate.pem").write_bytes(certificate.pem() + authority.pem())
        key = folder / "key.pem"
        key.touch(mode=0o600)
        key.write_bytes(certificate.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))
        super().__init__(folder, f"[tls]\ncertificate = {folder}/certificate.pem\nkey = {key}\n")

    def certificate(self):
        return self.authority


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    one = Certified(tmp_path_factory.mktemp("bode"))
    one.bode("user", "add", USER, "--quota", "100 MiB", "--password-stdin", typed=PASSWORD + "\n")
    one.add_user(OTHER)
    one.start()
    imap = one.imap(USER)
    imap.create('"Projekte"')
    imap.create('"Projekte/Gr&APwA3w-e"')
    for name in ('"Projekte"', '"Projekte/Gr&APwA3w-e"'):
        imap.subscribe(name)
    imap.create("Unwanted")
    imap.unsubscribe("Unwanted")
    other = one.imap(OTHER, mailbox=None)
    other.create("Team")
    assert other.setacl("Team", USER, "lrs")[0] == "OK"
    assert imap.subscribe(f'"{SHARED}"')[0] == "OK"
    yield one
    assert one.stop() == 0, one.log()[-4000:]
    one.check_log()


@pytest.fixture(scope="module")
def thunderbird(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("thunderbird")
    try:
        one = Thunderbird(folder, USER, PASSWORD, server.ports, server.authority)
    except CannotStart as why:
        pytest.skip(f"Thunderbird: {why}")
    with one:
        watch(one)  # with the first connection it asks for the folders, too
        yield one
    one.check_dialogs()


def watch(thunderbird):
    """Has the inbox shown, and waits until Thunderbird listens for what comes."""
    thunderbird.display("INBOX")
    if not thunderbird.speaks():
        thunderbird.stop()
        thunderbird.start()
        thunderbird.display("INBOX")
    wait_until(lambda: thunderbird.listens_to("INBOX"), "IDLE")


def deliver(server, name, body="Hello\r\n", subject=None):
    """Puts a message into the inbox; returns its Message-ID."""
    message_id = f"{name}@elsewhere.example"
    text = textwrap.dedent(f"""\
        From: Alice <alice@elsewhere.example>
        To: {USER}
        Subject: {subject or name}
        Message-ID: <{message_id}>
        Date: Sat, 21 Nov 2026 09:55:06 +0000
        """).replace("\n", "\r\n")
    if "MIME-Version" not in body:
        body = "\r\n" + body
    assert server.deliver(USER, (text + body).encode())[0] == 250
    return message_id


def holds(server, mailbox, message_id):
    """The UIDs of the messages with this Message-ID."""
    imap = server.imap(USER, mailbox=mailbox)
    found = imap.uid("SEARCH", "HEADER", "Message-ID", f"<{message_id}>")[1][0].split()
    imap.logout()
    return found


def test_it_lists_the_folders(server, thunderbird):
    wanted = FIRST | {"Projekte", UMLAUTS, SHARED}
    shown = thunderbird.wait_for("""
        const shown = folders().filter(one => pane.folderPane.getRowForFolder(one.URI));
        return wanted.every(path => shown.includes(folder(path))) &&
          shown.filter(one => !one.noSelect).map(one => one.onlineName);
        """, "the folders in the pane", wanted=sorted(wanted))
    assert set(shown) == wanted  # and not what it is not subscribed to
    assert thunderbird.run("return folder(path).name", path=UMLAUTS) == "Grüße"
    uses = thunderbird.run("""
        return Object.fromEntries(["Inbox", "Drafts", "SentMail", "Junk", "Trash", "Archive"]
          .map(use => [use, folders().filter(one => one.getFlag(Ci.nsMsgFolderFlags[use]))
                                     .map(one => one.onlineName)]))""")
    assert uses == {"Inbox": ["INBOX"], "Drafts": ["Drafts"], "SentMail": ["Sent"],
                    "Junk": ["Junk"], "Trash": ["Trash"], "Archive": ["Archive"]}
    # It has used what makes it quick.
    sent = [line.upper() for line in thunderbird.sent()]
    for command in ("AUTHENTICATE PLAIN", "COMPRESS DEFLATE", "ENABLE UTF8=ACCEPT", "ID (",
                    "NAMESPACE", 'LIST (SUBSCRIBED) "" "*" RETURN (SPECIAL-USE)', "MYRIGHTS",
                    "GETQUOTAROOT", "IDLE"):
        assert any(line.startswith(command) for line in sent), (command, sent)


def test_it_knows_the_quota(server, thunderbird):
    quota = thunderbird.wait_for("""
        const all = folder("INBOX").getQuota();
        return all.length && all.map(one => [one.name, one.limit]);""", "the quota")
    assert any("STORAGE" in name and limit == 100 * 1024 for name, limit in quota), quota


def test_it_opens_a_mail(server, thunderbird):
    message_id = deliver(server, "opened", subject="=?utf-8?q?Gr=C3=BC=C3=9Fe?=",
                         body=textwrap.dedent("""\
        MIME-Version: 1.0
        Content-Type: multipart/mixed; boundary="outer"

        --outer
        Content-Type: multipart/alternative; boundary="inner"

        --inner
        Content-Type: text/plain; charset=utf-8

        plain

        --inner
        Content-Type: text/html; charset=utf-8
        Content-Transfer-Encoding: quoted-printable

        <p>Viele <b>Gr=C3=BC=C3=9Fe</b> aus =
        K=C3=B6ln</p>

        --inner--
        --outer
        Content-Type: application/octet-stream; name="data.bin"
        Content-Disposition: attachment; filename="data.bin"
        Content-Transfer-Encoding: base64

        AAECAwQFBgcICQ==

        --outer--
        """).replace("\n", "\r\n"))
    shown = thunderbird.read("INBOX", message_id)
    assert "Viele Grüße aus Köln" in shown["text"]
    assert "Grüße" in shown["subject"]
    assert shown["attachments"] == ["data.bin"]
    wait_until(lambda: seen(server, message_id), "what is read to be read for others, too")


def seen(server, message_id):
    return server.imap(USER).search(None, "SEEN", "HEADER", "Message-ID", message_id)[1] != [b""]


def test_it_opens_a_long_one(server, thunderbird):
    lines = "".join(f"line {number} of many, with some more in it\r\n" for number in range(6000))
    shown = thunderbird.read("INBOX", deliver(server, "long", lines + "the last line\r\n"))
    assert "line 0 of many" in shown["text"] and "line 3000 of" in shown["text"]
    assert shown["text"].rstrip().endswith("the last line")
    # In pieces, with so many octets.
    assert any("BODY[]<0." in line.upper() for line in thunderbird.sent())


def test_it_reads_what_another_shares(server, thunderbird):
    imap = server.imap(OTHER, mailbox="Team")
    imap.append("Team", None, None, b"From: a@example.org\r\nSubject: ours\r\n"
                b"Message-ID: <ours@example.org>\r\n\r\nFor all of us\r\n")
    assert "For all of us" in thunderbird.read(SHARED, "ours@example.org")["text"]
    assert thunderbird.run("return folder(path).getPermissionsForUser(server.username)",
                           path=SHARED) == "lrs"
    assert not thunderbird.run("return folder(path).canDeleteMessages", path=SHARED)


def test_it_copies_a_mail(server, thunderbird):
    message_id = deliver(server, "copied")
    thunderbird.read("INBOX", message_id)
    thunderbird.run("pane.commandController.doCommand('cmd_copyMessage', folder('Archive'))")
    wait_until(lambda: holds(server, "Archive", message_id), "the copy")
    assert holds(server, "INBOX", message_id)


@pytest.mark.parametrize("target,encoded", [("Archive", "Archive"),
                                            (UMLAUTS, '"Projekte/Gr&APwA3w-e"')],
                         ids=["ascii", "umlauts"])
def test_it_moves_a_mail(server, thunderbird, target, encoded):
    message_id = deliver(server, f"moved-to-{target[:4]}")
    thunderbird.read("INBOX", message_id)
    thunderbird.run("pane.commandController.doCommand('cmd_moveMessage', folder(target))",
                    target=target)
    wait_until(lambda: holds(server, encoded, message_id), f"the message in {target}")
    assert not holds(server, "INBOX", message_id)
    assert "Hello" in thunderbird.read(target, message_id)["text"]
    thunderbird.wait_for("return !message('INBOX', id)", "it to leave the inbox", id=message_id)


def test_it_hears_of_new_mail(server, thunderbird):
    watch(thunderbird)
    thunderbird.run("window.heard = null")
    thunderbird.run("""
        MailServices.mailSession.AddFolderListener(window.listener = {
          QueryInterface: ChromeUtils.generateQI(["nsIFolderListener"]),
          onMessageAdded(parent, one) { if (one.messageId == id) window.heard = one.messageId; },
        }, Ci.nsIFolderListener.added)""", id="news@elsewhere.example")
    message_id = deliver(server, "news")
    thunderbird.wait_for("return window.heard == id", "the news", id=message_id)
    thunderbird.run("MailServices.mailSession.RemoveFolderListener(window.listener)")
    thunderbird.wait_for("return pane.gDBView.findIndexOfMsgHdr(message('INBOX', id), true) != "
                         "0xffffffff", "it in the list that is shown", id=message_id)
    # And of what others expunge.
    imap = server.imap(USER)
    uid = holds(server, "INBOX", message_id)[0]
    imap.uid("STORE", uid, "+FLAGS", r"(\Deleted)")
    imap.expunge()
    thunderbird.wait_for("return !message('INBOX', id)", "its end", id=message_id)


def test_flags_go_both_ways(server, thunderbird):
    watch(thunderbird)
    message_id = deliver(server, "flags")
    thunderbird.message("INBOX", message_id)
    imap = server.imap(USER)
    uid = holds(server, "INBOX", message_id)[0]

    def flags():
        return imap.uid("FETCH", uid, "(FLAGS)")[1][0].decode()
    imap.uid("STORE", uid, "+FLAGS", r"(\Flagged \Seen $label1)")
    thunderbird.wait_for("""
        const one = message("INBOX", id);
        return one.isFlagged && one.isRead && one.getStringProperty("keywords").includes("$label1");
        """, "the flags of another", id=message_id)
    imap.uid("STORE", uid, "-FLAGS", r"(\Flagged \Seen $label1)")
    thunderbird.wait_for("""
        const one = message("INBOX", id);
        return !one.isFlagged && !one.isRead && !one.getStringProperty("keywords").includes("$lab");
        """, "them to go", id=message_id)
    thunderbird.run("""
        const one = message("INBOX", id);
        one.folder.markMessagesFlagged([one], true);
        one.folder.markMessagesRead([one], true);
        one.folder.addKeywordsToMessages([one], "$label2");""", id=message_id)
    wait_until(lambda: all(flag in flags() for flag in (r"\Flagged", r"\Seen", "$label2")),
               "the flags of Thunderbird")
    thunderbird.run("""
        const one = message("INBOX", id);
        one.folder.markMessagesFlagged([one], false);
        one.folder.removeKeywordsFromMessages([one], "$label2");""", id=message_id)
    wait_until(lambda: r"\Flagged" not in flags() and "$label2" not in flags(), "them to go")
    tag = thunderbird.run("""
        MailServices.tags.addTag("Für später", "#00ff00", "");
        const tag = MailServices.tags.getKeyForTag("Für später");
        const one = message("INBOX", id);
        one.folder.addKeywordsToMessages([one], tag);
        return tag;""", id=message_id)
    wait_until(lambda: tag.lower() in flags().lower(), f"its own keyword {tag}")
    thunderbird.run("""
        const one = message("INBOX", id);
        one.folder.addKeywordsToMessages([one], "Junk");
        one.folder.addMessageDispositionState(one, Ci.nsIMsgFolder.nsMsgDispositionState_Replied);
        one.folder.addMessageDispositionState(one, Ci.nsIMsgFolder.nsMsgDispositionState_Forwarded);
        """, id=message_id)
    wait_until(lambda: all(flag in flags() for flag in (r"\Answered", "$Forwarded", " Junk")),
               "what it has done with it")


WINDOWS = "[...Services.wm.getEnumerator('msgcompose')]"


def write(thunderbird, subject, body):
    """Opens the window to write in."""
    thunderbird.run("""
        const params = Cc["@mozilla.org/messengercompose/composeparams;1"]
          .createInstance(Ci.nsIMsgComposeParams);
        const fields = Cc["@mozilla.org/messengercompose/composefields;1"]
          .createInstance(Ci.nsIMsgCompFields);
        Object.assign(fields, { to, subject, body });
        params.composeFields = fields;
        params.type = Ci.nsIMsgCompType.New;
        params.format = Ci.nsIMsgCompFormat.PlainText;
        params.identity = account.defaultIdentity;
        MailServices.compose.OpenComposeWindowWithParams(null, params);""",
                    to=OTHER, subject=subject, body=body)
    thunderbird.wait_for(f"return {WINDOWS}[0]?.composeEditorReady", "the window to write in")


def test_it_sends(server, thunderbird):
    write(thunderbird, "Viele Grüße", "Es grüßt Thunderbird\n")
    thunderbird.run(f"{WINDOWS}[0].goDoCommand('cmd_sendNow')")
    thunderbird.wait_for(f"return !{WINDOWS}.length", "that window to close")
    for imap in (server.imap(OTHER), server.imap(USER, mailbox="Sent")):
        sent = email.message_from_bytes(wait_until(lambda imap=imap: list(fetch_all(imap).values()),
                                                   "what was sent")[0], policy=email.policy.SMTP)
        assert sent["Subject"] == "Viele Grüße" and sent["From"].addresses[0].addr_spec == USER
        assert "Es grüßt Thunderbird" in sent.get_content()
    assert server.imap(USER, mailbox="Sent").search(None, "SEEN")[1] == [b"1"]


def test_it_keeps_one_draft(server, thunderbird):
    def drafts():
        imap = server.imap(USER, mailbox="Drafts")
        uids = imap.uid("SEARCH", "UNDELETED", "DRAFT")[1][0].split()
        return [imap.uid("FETCH", uid, "(BODY.PEEK[])")[1][0][1].decode() for uid in uids]

    def save(what):
        thunderbird.run(f"{WINDOWS}[0].goDoCommand('cmd_saveAsDraft')")
        wait_until(lambda: len(drafts()) == 1 and what in drafts()[0], what)
        thunderbird.wait_for(f"return !{WINDOWS}[0].gWindowLocked && {WINDOWS}[0].gSaveOperationIn"
                             "Progress !== true", "the window to be free again")
    write(thunderbird, "unfinished", "The first of it\n")
    save("The first of it")
    thunderbird.run(f"{WINDOWS}[0].gMsgCompose.editor.insertText('And the next. ')")
    save("And the next.")  # in the other's place
    thunderbird.run(f"{WINDOWS}[0].close()")
    thunderbird.wait_for(f"return !{WINDOWS}.length", "that window to close")


def test_it_deletes_and_expunges(server, thunderbird):
    message_id = deliver(server, "deleted")
    thunderbird.read("INBOX", message_id)
    thunderbird.run("pane.commandController.doCommand('cmd_deleteMessage')")
    wait_until(lambda: holds(server, "Trash", message_id), "the message in the trash")
    assert not holds(server, "INBOX", message_id)
    thunderbird.read("Trash", message_id)
    # For good.
    thunderbird.run("""
        const one = message("Trash", id);
        one.folder.deleteMessages([one], top.msgWindow, true, false, null, false);""",
                    id=message_id)
    wait_until(lambda: not holds(server, "Trash", message_id) or is_deleted(server, message_id),
               "its end")
    thunderbird.run("await finished(one => folder('Trash').compact(one, top.msgWindow))")
    assert not holds(server, "Trash", message_id)


def is_deleted(server, message_id):
    imap = server.imap(USER, mailbox="Trash")
    return imap.search(None, "DELETED", "HEADER", "Message-ID", message_id)[1] != [b""]


def test_the_server_searches_for_it(server, thunderbird):
    message_id = deliver(server, "searched", body="MIME-Version: 1.0\r\n"
                         "Content-Type: text/plain; charset=utf-8\r\n"
                         "Content-Transfer-Encoding: base64\r\n\r\n"
                         "RWluIEZsw7bDn2NoZW4K\r\n")  # Ein Flößchen
    deliver(server, "not-searched")
    watch(thunderbird)
    thunderbird.message("INBOX", message_id)
    found = thunderbird.run("""
        const session = Cc["@mozilla.org/messenger/searchSession;1"]
          .createInstance(Ci.nsIMsgSearchSession);
        session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, folder("INBOX"));
        const term = session.createTerm();
        term.attrib = Ci.nsMsgSearchAttrib.Body;
        term.op = Ci.nsMsgSearchOp.Contains;
        const value = term.value;
        value.attrib = term.attrib;
        value.str = "flößchen";
        term.value = value;
        term.booleanAnd = true;
        session.appendTerm(term);
        const hits = [];
        await new Promise((resolve, reject) => {
          session.registerListener({
            QueryInterface: ChromeUtils.generateQI(["nsIMsgSearchNotify"]),
            onSearchHit(one) { hits.push(one.messageId); },
            onSearchDone(status) { status ? reject(new Error(`status ${status}`)) : resolve(); },
            onNewSearch() {},
          });
          session.search(top.msgWindow);
        });
        return hits;""")
    assert found == [message_id]


def test_it_asks_how_many_there_are(server, thunderbird):
    mailbox = thunderbird.run("return folder('Projekte').serverTotal")
    server.imap(USER).append("Projekte", None, None, b"Subject: one\r\n\r\nx\r\n")
    thunderbird.run("await finished(one => folder('Projekte').updateStatus(one, top.msgWindow))")
    assert thunderbird.run("return folder('Projekte').serverTotal") == max(mailbox, 0) + 1


def test_it_takes_mail_along(server, thunderbird):
    watch(thunderbird)
    ids = [deliver(server, f"along-{number}", "to take along\r\n" * 9) for number in range(3)]
    for one in ids:
        thunderbird.message("INBOX", one)
    thunderbird.run("""
        folder("INBOX").setFlag(Ci.nsMsgFolderFlags.Offline);
        await finished(one => folder("INBOX").downloadAllForOffline(one, top.msgWindow))""")
    thunderbird.wait_for("""
        return ids.every(id => folder("INBOX").hasMsgOffline(message("INBOX", id).messageKey))""",
                         "all of them to be here", ids=ids)
    thunderbird.run("folder('INBOX').clearFlag(Ci.nsMsgFolderFlags.Offline)")


def test_it_makes_renames_and_removes_a_folder(server, thunderbird):
    thunderbird.run("server.rootFolder.createSubfolder('Zoë', top.msgWindow)")
    thunderbird.wait_for("return !!folder('Zoë')", "the new folder")
    assert server.imap(USER, mailbox=None).select('"Zo&AOs-"')[0] == "OK"
    thunderbird.run("folder('Zoë').rename('Zoë & Co', top.msgWindow)")
    thunderbird.wait_for("return !!folder('Zoë & Co')", "its new name")
    imap = server.imap(USER, mailbox=None)
    wait_until(lambda: imap.select('"Zo&AOs- &- Co"')[0] == "OK", "it at the server")
    imap.unselect()
    thunderbird.run("""await finished(one => MailServices.imap.deleteFolder(
        folder('Zoë & Co'), one, top.msgWindow))""")
    assert imap.select('"Zo&AOs- &- Co"')[0] == "NO"


def test_it_learns_what_changed_while_it_was_away(server, thunderbird):
    """And this time it comes by STARTTLS."""
    watch(thunderbird)
    kept, gone = deliver(server, "kept"), deliver(server, "gone")
    for one in (kept, gone):
        thunderbird.message("INBOX", one)
    thunderbird.run("Services.prefs.savePrefFile(null)")
    thunderbird.stop()
    imap = server.imap(USER)
    imap.uid("STORE", holds(server, "INBOX", kept)[0], "+FLAGS", r"(\Flagged)")
    imap.uid("STORE", holds(server, "INBOX", gone)[0], "+FLAGS", r"(\Deleted)")
    imap.expunge()
    new = deliver(server, "came-meanwhile")
    thunderbird.prefer({"mail.server.server1.port": server.ports["imap"],
                        "mail.server.server1.socketType": 2})
    thunderbird.start()
    watch(thunderbird)
    assert any(line == "STARTTLS" for line in thunderbird.sent())
    thunderbird.message("INBOX", new)
    thunderbird.wait_for("return message('INBOX', id).isFlagged", "the flag", id=kept)
    thunderbird.wait_for("return !message('INBOX', id)", "the end of the other", id=gone)
    assert any("CHANGEDSINCE" in line for line in thunderbird.sent())
