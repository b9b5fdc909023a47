"""More programs that people read their mail with: offlineimap, neomutt, imapfilter, alpine, and what is
written for imapflow, npm's library of IMAP."""
import json
import os
import pathlib
import shutil
import subprocess
import textwrap

import pytest

from server import PASSWORD, ROOT, WAIT_SECONDS, fetch_all
from test_clients import MESSAGE, run

IN_TERMINAL = pathlib.Path(__file__).with_name("in_terminal.py")
IMAPFLOW = "imapflow@1.0.191"


def test_offlineimap_carries_both_ways(server, tmp_path):
    user = "offline@example.org"
    server.add_user(user)
    for number in range(4):
        server.deliver(user, MESSAGE + b"%d\r\n" % number)
    config = tmp_path / "offlineimaprc"
    config.write_text(textwrap.dedent(f"""\
        [general]
        accounts = bode
        metadata = {tmp_path}/metadata
        ui = basic
        [Account bode]
        localrepository = near
        remoterepository = far
        [Repository near]
        type = Maildir
        localfolders = {tmp_path}/mail
        [Repository far]
        type = IMAP
        remotehost = localhost
        remoteport = {server.ports['imaps']}
        remoteuser = {user}
        remotepass = {PASSWORD}
        ssl = yes
        sslcacertfile = {server.certificate()}
        usecompression = yes
        """))
    synchronise = ("offlineimap", "-o", "-c", config)
    run(*synchronise, HOME=str(tmp_path))
    inbox = tmp_path / "mail" / "INBOX"
    near = sorted(inbox.glob("*/*"))
    assert len(near) == 4
    assert (tmp_path / "mail" / "Archive").is_dir()
    # A new message and one read here, a flag and an expunged one there.
    (inbox / "new" / "1.added").write_bytes(MESSAGE.replace(b"\r\n", b"\n"))
    near[0].rename(inbox / "cur" / (near[0].name.split(":")[0] + ":2,S"))
    imap = server.imap(user)
    imap.uid("STORE", "3", "+FLAGS", r"(\Flagged)")
    imap.uid("STORE", "4", "+FLAGS", r"(\Deleted)")
    imap.expunge()
    run(*synchronise, HOME=str(tmp_path))
    imap.select("INBOX")
    assert len(fetch_all(imap)) == 4
    assert len(imap.search(None, "SEEN")[1][0].split()) == 1
    names = [path.name for path in inbox.glob("*/*")]
    assert len(names) == 4
    assert any("F" in name.partition(":2,")[2] for name in names)


def test_neomutt_flags_copies_and_deletes(server, tmp_path):
    user = "neomutt@example.org"
    server.add_user(user)
    server.deliver(user, MESSAGE)
    server.deliver(user, MESSAGE.replace(b"By a real", b"Second by a real"))
    base = f"{user.replace('@', '%40')}@localhost"
    config = tmp_path / "neomuttrc"
    config.write_text(textwrap.dedent(f"""\
        set folder = "imaps://{base}:{server.ports['imaps']}/"
        set spoolfile = "imaps://{base}:{server.ports['imaps']}/INBOX"
        set imap_user = "{user}"
        set imap_pass = "{PASSWORD}"
        set certificate_file = "{server.certificate()}"
        set imap_condstore = yes
        set imap_qresync = yes
        set header_cache = "{tmp_path}/cache"
        set confirmappend = no
        set delete = yes
        set sort = mailbox-order
        """))
    script = ('push "<first-entry><flag-message><copy-message><kill-line>=Archive<enter>'
              '<last-entry><delete-message><sync-mailbox><quit>"')
    run("/usr/bin/python3", IN_TERMINAL, need("neomutt"), "-F", config, "-e", script,
        HOME=str(tmp_path), TERM="xterm")
    imap = server.imap(user)
    assert imap.search(None, "ALL")[1] == [b"1"]
    assert imap.search(None, "FLAGGED")[1] == [b"1"]
    assert len(fetch_all(server.imap(user, mailbox="Archive"))) == 1
    # Again, with the cache of the first time: QRESYNC, and mail that came meanwhile.
    server.deliver(user, MESSAGE.replace(b"By a real", b"Third by a real"))
    script = 'push "<last-entry><flag-message><sync-mailbox><quit>"'
    run("/usr/bin/python3", IN_TERMINAL, "neomutt", "-F", config, "-e", script,
        HOME=str(tmp_path), TERM="xterm")
    imap.select("INBOX")
    assert imap.search(None, "FLAGGED")[1] == [b"1 2"]


def need(program):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    return program


def test_imapfilter_moves_and_flags(server, tmp_path):
    user = "filter@example.org"
    server.add_user(user)
    for subject in (b"By a real", b"[list] by a"):
        server.deliver(user, MESSAGE.replace(b"By a real", subject))
    script = tmp_path / "filter.lua"
    script.write_text(textwrap.dedent(f"""\
        options.create = true
        options.starttls = false
        account = IMAP {{
            server = 'localhost', port = {server.ports['imaps']}, ssl = 'auto',
            username = '{user}', password = '{PASSWORD}',
        }}
        results = account.INBOX:contain_subject('[list]')
        results:move_messages(account['Lists/one'])
        account.INBOX:is_unseen():mark_flagged()
        assert(#account['Lists/one']:select_all() == 1)
        mailboxes, folders = account:list_all()
        assert(#mailboxes > 5)
        """))
    run("imapfilter", "-c", script, "-t", server.certificate(), HOME=str(tmp_path))
    imap = server.imap(user)
    assert imap.search(None, "FLAGGED")[1] == [b"1"]
    assert b"[list]" in list(fetch_all(server.imap(user, mailbox="Lists/one")).values())[0]


@pytest.fixture(scope="session")
def imapflow():
    """The folder in which npm has installed the library."""
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("npm is not installed")
    folder = ROOT / "build-test" / "npm"
    if not (folder / "node_modules" / "imapflow").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        # Where npm's registry cannot be reached, npm tries again for minutes, as it is.
        try:
            done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--fetch-retries", "1",
                                   "--prefix", str(folder), IMAPFLOW], capture_output=True, timeout=200)
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm does not come to an end installing {IMAPFLOW}")
        if done.returncode != 0:
            pytest.skip(f"npm cannot install {IMAPFLOW}: {done.stderr[-200:]!r}")
    return folder


SCRIPT = """
const { ImapFlow } = require('imapflow');
const fs = require('fs');
require('dns').setDefaultResultOrder('ipv4first');  // Node.js 18 tries the first address only
const [port, user, pass, ca] = process.argv.slice(2);
async function main() {
  const said = {};
  const client = new ImapFlow({ host: 'localhost', port: +port, secure: true, logger: false,
    auth: { user, pass }, tls: { ca: fs.readFileSync(ca) } });
  await client.connect();
  said.folders = (await client.list()).map(folder => folder.path).sort();
  const lock = await client.getMailboxLock('INBOX');
  said.mailboxId = client.mailbox.mailboxId;
  const status = await client.status('INBOX', { messages: true, unseen: true, uidNext: true });
  said.messages = status.messages;
  said.subjects = [];
  said.emailIds = [];
  for await (const message of client.fetch('1:*', { envelope: true, bodyStructure: true, uid: true,
                                                    flags: true, threadId: true })) {
    said.subjects.push(message.envelope.subject);
    said.emailIds.push(message.emailId);
  }
  said.found = await client.search({ subject: 'second' }, { uid: true });
  await client.messageFlagsAdd({ uid: '1' }, ['\\\\Flagged', '$Work'], { uid: true });
  const { content } = await client.download('1', '1', { uid: true });
  said.body = '';
  for await (const chunk of content) said.body += chunk;
  await client.mailboxCreate(['Projects', 'Gr\\u00fc\\u00dfe']);
  const moved = await client.messageMove('2', 'Projects/Gr\\u00fc\\u00dfe', { uid: true });
  said.moved = moved.uidMap && [...moved.uidMap];
  const appended = await client.append('Drafts', 'Subject: draft\\r\\n\\r\\nx\\r\\n', ['\\\\Draft']);
  said.appended = appended.uid;
  const arrived = new Promise(resolve => client.once('exists', resolve));
  const idle = client.idle();
  fs.writeSync(1, 'idling\\n');
  said.exists = (await arrived).count;
  await client.noop();
  await idle;
  fs.writeSync(1, JSON.stringify(said) + '\\n');
  lock.release();
  await client.logout();
}
setTimeout(() => { console.error('took too long'); process.exit(2); }, 50000).unref();
main().catch(error => { console.error(error); process.exit(1); });
"""


def test_imapflow_reads_moves_and_hears(server, tmp_path, imapflow):
    user = "flow@example.org"
    server.add_user(user)
    server.deliver(user, MESSAGE)
    server.deliver(user, MESSAGE.replace(b"By a real", b"Second by a real"))
    (tmp_path / "client.js").write_text(SCRIPT)
    with subprocess.Popen(
            ["node", str(tmp_path / "client.js"), str(server.ports["imaps"]), user, PASSWORD,
             server.certificate()], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "NODE_PATH": str(imapflow / "node_modules"), "HOME": str(tmp_path)}) as node:
        assert node.stdout.readline() == b"idling\n", node.stderr.read()
        server.deliver(user, MESSAGE)
        output, errors = node.communicate(timeout=WAIT_SECONDS)
    assert node.returncode == 0, errors
    said = json.loads(output)
    assert said["subjects"] == ["By a real client", "Second by a real client"]
    assert {"INBOX", "Archive", "Drafts", "Sent"} <= set(said["folders"])
    assert said["messages"] == 2 and said["found"] == [2]
    assert said["mailboxId"].startswith("F") and said["emailIds"][0].startswith("M")
    assert said["body"].strip() == "Hello"
    assert said["moved"] == [[2, 1]] and said["appended"] == 1
    assert said["exists"] == 2
    imap = server.imap(user)
    assert imap.search(None, "FLAGGED KEYWORD $Work")[1] == [b"1"]
    assert len(fetch_all(server.imap(user, mailbox='"Projects/Gr&APwA3w-e"'))) == 1
    assert imap.status('"Projects/Gr&APwA3w-e"', "(MESSAGES)")[0] == "OK"


def test_alpine_saves_and_deletes(server, tmp_path):
    user = "alpine@example.org"
    server.add_user(user)
    server.deliver(user, MESSAGE)
    server.deliver(user, MESSAGE.replace(b"By a real", b"Second by a real"))
    port = server.ports["imaps"]
    far = f"{{localhost:{port}/ssl/novalidate-cert/user={user}}}"
    config = tmp_path / "pinerc"
    config.write_text(textwrap.dedent(f"""\
        personal-name=Alpine
        user-domain=example.org
        inbox-path={far}INBOX
        folder-collections=Far {far}[]
        feature-list=quit-without-confirm, expunge-without-confirm, save-will-not-delete
        last-version-used=6.26
        """))
    # Saves the first message to Archive, deletes the second, quits. Where saving takes a moment a
    # bar is drawn instead of the word.
    steps = [("PASSWORD", PASSWORD + "\r"), ("Preserve password", "n"), ("Second by a real", "s"),
             ("SAVE", "\x15Archive\r"),
             (r"copied|DONE\]", "n"), ("", "d"), ("", "q")]
    run("/usr/bin/python3", IN_TERMINAL, need("alpine"), "-p", config, "-i", HOME=str(tmp_path),
        TERM="xterm", STEPS=json.dumps(steps))
    imap = server.imap(user)
    assert imap.search(None, "ALL")[1] == [b"1"]
    assert len(fetch_all(server.imap(user, mailbox="Archive"))) == 1
