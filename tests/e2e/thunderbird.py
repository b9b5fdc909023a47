"""Thunderbird on a screen that nobody sees, with one account, and told what to do by Marionette.

    with Thunderbird(folder, address, password, ports, authority) as one:
        one.run("return folder(path).getTotalMessages(false)", path="INBOX")

Nothing but loopback is asked for anything. Scripts run in the main window, with all that
Thunderbird's own windows may do; PRELUDE is what they find besides. `one.dialogs()` is what was
said on each of its IMAP connections.
"""
import collections
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess

from server import WAIT_SECONDS, wait_until

MUTE_SECONDS = 30
START_SECONDS = 180  # a first start, on a machine that is busy
PROGRAMS = ("/usr/lib/thunderbird/thunderbird", "/usr/lib/thunderbird/thunderbird-bin")
NEEDED = ("Xvfb", "certutil", "thunderbird")

PRELUDE = """
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const tabmail = window.document.getElementById("tabmail");
const pane = tabmail.currentAbout3Pane;
const account = MailServices.accounts.accounts.find(one => one.incomingServer.type == "imap");
const server = account.incomingServer.QueryInterface(Ci.nsIImapIncomingServer);
const folders = () => server.rootFolder.descendants
  .map(one => one.QueryInterface(Ci.nsIMsgImapMailFolder));
const folder = path => folders().find(one => one.onlineName == path);
const message = (path, id) => folder(path)?.msgDatabase.getMsgHdrForMessageID(id);
// Of a URL that runs: nothing, or the code of why it failed.
const finished = start => new Promise((resolve, reject) => start({
  QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
  OnStartRunningUrl() {},
  OnStopRunningUrl(url, status) { status ? reject(new Error(`status ${status}`)) : resolve(); },
}));
"""

Line = collections.namedtuple("Line", "is_sent mailbox text")


class CannotStart(Exception):
    """This machine has no Thunderbird, or it does not get as far as listening."""


def program():
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        raise CannotStart(f"not installed: {', '.join(missing)}")
    # The script of that name in the PATH looks for profiles of former times and asks about them.
    return next((path for path in PROGRAMS if os.access(path, os.X_OK)),
                shutil.which("thunderbird"))


class Screen:
    """An X server that shows nothing to anybody."""
    def __init__(self, folder):
        ours, its = os.pipe()
        with open(folder / "xvfb.log", "wb") as log:
            self.process = subprocess.Popen(
                ["Xvfb", "-displayfd", str(its), "-screen", "0", "1280x1024x24", "-nolisten", "tcp",
                 "-noreset"],
                pass_fds=[its], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        os.close(its)
        number = b""  # it comes in pieces, and Xvfb ends if nobody reads the last of them
        while not number.endswith(b"\n") and select.select([ours], [], [], WAIT_SECONDS)[0] and (
                piece := os.read(ours, 20)):
            number += piece
        os.close(ours)
        self.name = ":" + number.decode().strip()
        if not number.endswith(b"\n"):
            self.close()
            raise CannotStart("Xvfb: " + (folder / "xvfb.log").read_text(errors="replace")[-500:])

    def close(self):
        end_group(self.process)


def end_group(process):
    """Ends a process and those it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            pass


class Marionette:
    """The protocol's client: JSON behind its length, one command at a time."""
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), START_SECONDS)
        self.file = self.socket.makefile("rb")
        self.count = 0
        self.read()  # it says who it is
        self.command("WebDriver:NewSession")
        self.command("WebDriver:SetTimeouts", script=WAIT_SECONDS * 1000)
        self.command("Marionette:SetContext", value="chrome")

    def read(self):
        size = b""
        while not size.endswith(b":"):
            octet = self.file.read(1)
            if not octet:
                raise EOFError("Thunderbird has closed the connection")
            size += octet
        return json.loads(self.file.read(int(size[:-1])))

    def command(self, name, **parameters):
        self.count += 1
        text = json.dumps([0, self.count, name, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(text), text))
        kind, number, problem, result = self.read()
        assert (kind, number) == (1, self.count)
        if problem:
            raise AssertionError(f"{name}: {problem['error']}: {problem['message']}\n"
                                 f"{problem.get('stacktrace', '')}")
        return result

    def close(self):
        self.file.close()
        self.socket.close()


class Thunderbird:
    def __init__(self, folder, address, password, ports, authority):
        """`authority`: the file of whom the servers' certificate is from."""
        self.folder, self.profile = pathlib.Path(folder), pathlib.Path(folder) / "profile"
        self.password, self.starts, self.mute = password, 0, set()
        self.program = program()
        self.process = self.marionette = None
        self.screen = None
        self.profile.mkdir()
        self.prefer(preferences(address, ports))
        database = f"sql:{self.profile}"
        for words in (["-N", "--empty-password"],
                      ["-A", "-n", "authority", "-t", "C,,", "-i", str(authority)]):
            subprocess.run(["certutil", *words, "-d", database], check=True, timeout=WAIT_SECONDS,
                           stdin=subprocess.DEVNULL, capture_output=True)
        try:
            self.screen = Screen(self.folder)
            self.start()
            self.remember_password()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.stop()
        finally:
            if self.screen:
                self.screen.close()

    # ---- life ----

    def prefer(self, preferences):
        """For the next start."""
        with open(self.profile / "user.js", "a") as file:
            file.writelines(f"user_pref({json.dumps(key)}, {json.dumps(value)});\n"
                            for key, value in preferences.items())

    def start(self):
        self.starts += 1
        port_file = self.profile / "MarionetteActivePort"
        port_file.unlink(missing_ok=True)
        environment = {name: value for name, value in os.environ.items()
                       if name in ("PATH", "LANG", "TMPDIR")}
        environment |= {
            "HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.folder), "LC_ALL": "C.UTF-8",
            "DISPLAY": self.screen.name, "GDK_BACKEND": "x11", "MOZ_ENABLE_WAYLAND": "0",
            "LIBGL_ALWAYS_SOFTWARE": "1", "NO_AT_BRIDGE": "1", "GTK_A11Y": "none",
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.folder}/nobody",
            "MOZ_CRASHREPORTER_DISABLE": "1",
            # It shows what this test has sent, on machines that may not let it make a sandbox.
            "MOZ_DISABLE_CONTENT_SANDBOX": "1", "MOZ_DISABLE_SOCKET_PROCESS_SANDBOX": "1",
            "MOZ_LOG": "timestamp,sync,IMAP:4",
            "MOZ_LOG_FILE": str(self.folder / f"imap{self.starts}"),
        }
        with open(self.folder / "thunderbird.log", "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "--profile", str(self.profile), "--no-remote", "--marionette",
                 "--remote-allow-system-access"],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                start_new_session=True)

        def port():
            if self.process.poll() is not None:
                raise CannotStart(f"it ended with {self.process.returncode}: {self.said()[-1000:]}")
            return port_file.exists() and port_file.read_text()
        self.marionette = Marionette(int(wait_until(port, "Thunderbird to listen", START_SECONDS)))
        self.wait_for("return pane?.folderTree?.rowCount > 0", "the main window")

    def stop(self):
        if self.marionette:
            try:
                self.marionette.command("Marionette:Quit", flags=["eForceQuit"])
                self.process.wait(WAIT_SECONDS)
            except (AssertionError, EOFError, OSError, subprocess.TimeoutExpired):
                pass
            self.marionette.close()
        if self.process:
            end_group(self.process)
        self.process = self.marionette = None

    def remember_password(self):
        """Puts it where Thunderbird would have put it, had somebody typed it and ticked the box."""
        self.run("""
            for (const origin of ["imap://localhost", "smtp://localhost"]) {
              const login = Cc["@mozilla.org/login-manager/loginInfo;1"]
                .createInstance(Ci.nsILoginInfo);
              login.init(origin, null, origin, server.username, password, "", "");
              await Services.logins.addLoginAsync(login);
            }""", password=self.password)

    # ---- what it does ----

    def run(self, script, **given):
        """Runs the body of an async function that has `given` as constants; returns its result."""
        body = (PRELUDE + "const given = arguments[0], done = arguments[arguments.length - 1];\n"
                f"(async ({{ {', '.join(given)} }}) => {{ {script} }})(given).then(\n"
                "  value => done([true, value ?? null]),\n"
                "  problem => done([false, `${problem}\\n${problem.stack}`]));")
        well, value = self.marionette.command("WebDriver:ExecuteAsyncScript", script=body,
                                              args=[given])["value"]
        assert well, f"{value}in{script}"
        return value

    def wait_for(self, script, what, **given):
        return wait_until(lambda: self.run(script, **given), what)

    def display(self, path):
        """As by a click on the mailbox in the list of them."""
        self.run("pane.displayFolder(folder(path).URI)", path=path)
        self.wait_for("return pane.gFolder?.onlineName == path && !!pane.gDBView", path,
                      path=path)

    def message(self, path, message_id):
        """Waits until Thunderbird knows of a message."""
        self.wait_for("return !!message(path, id)", f"{message_id} in {path}", path=path,
                      id=message_id)

    def read(self, path, message_id):
        """Opens a message in the pane; returns its text, subject and attachments as shown."""
        self.display(path)
        self.message(path, message_id)
        return self.wait_for("""
            const one = message(path, id);
            if (pane.gDBView.findIndexOfMsgHdr(one, true) == 0xffffffff) return null;
            pane.selectMessage(one);
            const shown = tabmail.currentAboutMessage;
            if (shown?.gMessage?.messageId != id || !shown.msgLoaded) return null;
            const text = shown.getMessagePaneBrowser().contentDocument?.body?.innerText;
            const subject = shown.document.getElementById("expandedsubjectBox").textContent;
            const attachments = shown.currentAttachments.map(each => each.name);
            return text && { text, subject, attachments };
            """, f"{message_id} to be shown", path=path, id=message_id)

    # ---- what it said ----

    def said(self):
        return (self.folder / "thunderbird.log").read_text(errors="replace")

    def dialogs(self, start=None):
        """{connection: [Line]} of a start, or of this one."""
        found = collections.defaultdict(list)
        for path in sorted(self.folder.glob(f"imap{start or self.starts}*.moz_log")):
            for connection, state, what, text in re.findall(
                    r"IMAP ([0-9a-f]+):[^ :]*:([^\r\n]*?):(SendData|CreateNewLineFromSocket): "
                    r"([^\r\n]*)", path.read_text(errors="replace")):
                found[connection].append(Line(what == "SendData", state.removeprefix("S-"), text))
        return found

    def sent(self):
        """Its commands, without tags."""
        return [line.text.partition(" ")[2] for dialog in self.dialogs().values()
                for line in dialog if line.is_sent]

    def listens_to(self, mailbox):
        """Whether a connection's last command is IDLE, and the server has said that it knows."""
        for dialog in self.dialogs().values():
            sent = [number for number, line in enumerate(dialog) if line.is_sent]
            last = dialog[sent[-1]:] if sent else []
            if last and last[0].mailbox == mailbox and last[0].text.endswith(" IDLE") and any(
                    line.text.startswith("+") for line in last):
                return True
        return False

    def speaks(self):
        """Whether its first connection gets as far as the greeting. At its start Thunderbird sometimes
        tells that connection's thread to die, and waits for it for ever."""
        try:
            wait_until(self.dialogs, "Thunderbird to speak", MUTE_SECONDS)
        except AssertionError:
            self.mute.add(self.starts)
        return self.starts not in self.mute

    def check_dialogs(self):
        """What no server should have had to say to a command of Thunderbird's."""
        for start in range(1, self.starts + 1):
            dialogs = self.dialogs(start)
            assert dialogs or start in self.mute, "nothing was said"
            for dialog in dialogs.values():
                for number, line in enumerate(dialog):
                    refused = not line.is_sent and re.match(r"\S+ (BAD|NO)\b", line.text)
                    assert not refused, dialog[max(number - 8, 0):number + 1]


def preferences(address, ports):
    nobody = "http://127.0.0.1:9/"
    return {
        # The account.
        "mail.accountmanager.accounts": "account1",
        "mail.accountmanager.defaultaccount": "account1",
        "mail.account.account1.server": "server1", "mail.account.account1.identities": "id1",
        "mail.identity.id1.fullName": "Tester", "mail.identity.id1.useremail": address,
        "mail.identity.id1.valid": True, "mail.identity.id1.smtpServer": "smtp1",
        "mail.identity.id1.compose_html": False,
        "mail.server.server1.type": "imap", "mail.server.server1.hostname": "localhost",
        "mail.server.server1.port": ports["imaps"], "mail.server.server1.socketType": 3,
        "mail.server.server1.authMethod": 3, "mail.server.server1.userName": address,
        "mail.server.server1.name": "Bode",
        # Nothing before the password is there; later nothing but what the server says by itself.
        "mail.server.server1.login_at_startup": False, "mail.server.server1.check_new_mail": False,
        "mail.server.server1.autosync_offline_stores": False,
        "mail.server.server1.offline_download": False,
        "mail.server.server1.use_condstore": True, "mail.server.server1.allow_utf8_accept": True,
        "mail.smtpservers": "smtp1", "mail.smtp.defaultserver": "smtp1",
        "mail.smtpserver.smtp1.type": "smtp", "mail.smtpserver.smtp1.hostname": "localhost",
        "mail.smtpserver.smtp1.port": ports["submission"], "mail.smtpserver.smtp1.try_ssl": 2,
        "mail.smtpserver.smtp1.authMethod": 3, "mail.smtpserver.smtp1.username": address,
        # Questions that nobody is there to answer.
        "mail.shell.checkDefaultClient": False, "mail.provider.suppress_dialog_on_startup": True,
        "mail.rights.version": 1, "mailnews.start_page.enabled": False,
        "mailnews.start_page_override.mstone": "ignore", "mail.spotlight.firstRunDone": True,
        "app.donation.eoy.version.viewed": 999, "mail.inappnotifications.enabled": False,
        "mail.compose.attachment_reminder": False, "mail.warn_on_send_accel_key": False,
        "mail.biff.show_alert": False, "mail.biff.play_sound": False, "mail.chat.enabled": False,
        "datareporting.policy.dataSubmissionPolicyBypassNotification": True,
        "browser.shell.checkDefaultBrowser": False,
        "mailnews.database.global.indexer.enabled": False,
        "mailnews.mark_message_read.auto": True, "mailnews.mark_message_read.delay": False,
        # Nothing outside: a proxy that is not there, and nobody to tell or to be told by.
        "network.proxy.type": 1, "network.proxy.http": "127.0.0.1", "network.proxy.http_port": 9,
        "network.proxy.ssl": "127.0.0.1", "network.proxy.ssl_port": 9,
        "network.proxy.no_proxies_on": "localhost, 127.0.0.1",
        "network.captive-portal-service.enabled": False,
        "network.connectivity-service.enabled": False, "network.dns.disableIPv6": True,
        "network.trr.mode": 5, "network.manage-offline-status": False,
        "app.update.enabled": False, "app.update.auto": False,
        "app.update.disabledForTesting": True,
        "extensions.update.enabled": False, "extensions.getAddons.cache.enabled": False,
        "extensions.systemAddon.update.enabled": False, "extensions.blocklist.enabled": False,
        "services.settings.server": nobody, "toolkit.telemetry.server": nobody,
        "toolkit.telemetry.enabled": False, "toolkit.telemetry.unified": False,
        "datareporting.healthreport.uploadEnabled": False,
        "datareporting.policy.dataSubmissionEnabled": False,
        "browser.safebrowsing.malware.enabled": False,
        "browser.safebrowsing.phishing.enabled": False,
        "security.OCSP.enabled": 0, "mail.instrumentation.postUrl": "",
        # One window of its own is enough.
        "marionette.port": 0, "fission.autostart": False, "dom.ipc.processCount": 1,
        "dom.ipc.processPrelaunch.enabled": False, "gfx.webrender.software": True,
        "layers.acceleration.disabled": True, "ui.prefersReducedMotion": 1,
        "toolkit.cosmeticAnimations.enabled": False, "extensions.autoDisableScopes": 0,
    }
