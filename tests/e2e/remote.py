"""Another mail server, played by a script: takes mail, or misbehaves at a stage one names.

    remote = Remote(); remote.rules["RCPT"] = "550 5.1.1 nobody here"; ...; remote.messages; remote.stop()

A rule is a reply, DROP (the connection ends there), RESET (it ends without the reply having been
sent, after the content was kept), GARBAGE (octets that are no TLS come over a secured
connection, which ends), or a function of the command's line that returns one of them.
"""
import os
import socket
import threading

DROP, RESET, GARBAGE = object(), object(), object()
FEATURES = ("PIPELINING", "8BITMIME", "SIZE 10000000", "ENHANCEDSTATUSCODES", "SMTPUTF8")


def once(how, fine="250 2.0.0 fine"):
    """A rule that is `how` the first time only."""
    count = []

    def rule(_line):
        count.append(1)
        return how if len(count) == 1 else fine
    return rule


class Message:
    def __init__(self, sender, recipients, content):
        self.sender, self.recipients, self.content = sender, recipients, content


class Remote:
    def __init__(self, features=FEATURES, lmtp=False, host="127.0.0.1", port=0, tls=None):
        """With `tls`, a server's ssl.SSLContext, STARTTLS is offered until it is done."""
        self.features, self.lmtp, self.tls = features, lmtp, tls
        self.secured = self.resumed = 0  # connections
        self.rules, self.messages, self.commands = {}, [], []
        self.connections = self.open = self.most_open = 0
        self.most_mails = 0  # over one connection
        self.lock = threading.Lock()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, port), family=family, backlog=100)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def stop(self):
        # Wakes the thread that waits in accept(), too.
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with self.lock:
            self.connections += 1
            self.open += 1
            self.most_open = max(self.open, self.most_open)
        try:
            with client:
                self.talk(client, client.makefile("rb"))
        except OSError:
            pass
        finally:
            with self.lock:
                self.open -= 1

    def rule(self, stage, line, default):
        rule = self.rules.get(stage, default)
        return rule(line) if callable(rule) else rule

    def talk(self, client, lines):
        def say(reply):
            if reply is DROP or reply is RESET:
                return False
            if reply is GARBAGE:
                os.write(client.fileno(), b"no record of TLS\r\n")
                return False
            client.sendall(reply.encode() + b"\r\n" if isinstance(reply, str) else reply)
            return True

        if not say(self.rule("GREETING", "", "220 remote.example ready")):
            return
        sender, recipients, secured, mails = None, [], False, 0
        while line := lines.readline():
            line = line.decode(errors="replace").rstrip("\r\n")
            verb = line.split(" ")[0].upper()
            self.commands.append(line)
            if verb in ("EHLO", "LHLO"):
                names = ["remote.example", *self.features]
                if self.tls and not secured:
                    names.append("STARTTLS")
                default = "\r\n".join(f"250{'-' if n < len(names) - 1 else ' '}{name}"
                                      for n, name in enumerate(names))
            elif verb == "MAIL":
                sender, recipients = line[line.index("<") + 1:line.index(">")], []
                mails += 1
                self.most_mails = max(self.most_mails, mails)
                default = "250 2.1.0 fine"
            elif verb == "RCPT":
                default = "250 2.1.5 fine" if sender is not None else "503 5.5.1 MAIL first"
            elif verb == "DATA":
                default = "354 go" if recipients else "554 5.5.1 no recipients"
            elif verb == "STARTTLS":
                default = "220 go" if self.tls else "502 5.5.1 no"
            elif verb == "QUIT":
                default = "221 bye"
            else:
                default = "250 fine"
            if verb == "BDAT":
                octets = int(line.split(" ")[1])
                content = lines.read(octets)
                if len(content) < octets or not self.take(say, sender, recipients, content):
                    return
                continue
            reply = self.rule(verb, line, default)
            if not say(reply):
                return
            if verb == "STARTTLS" and str(reply).startswith("220"):
                client = self.tls.wrap_socket(client, server_side=True)
                lines, secured, sender = client.makefile("rb"), True, None
                with self.lock:
                    self.secured += 1
                    self.resumed += client.session_reused
            if verb == "MAIL" and not str(reply).startswith("2"):
                sender = None
            if verb == "RCPT" and isinstance(reply, str) and reply.startswith("2"):
                recipients.append(line[line.index("<") + 1:line.index(">")])
            if verb == "QUIT":
                return
            if verb == "DATA" and str(reply).startswith("354"):
                content = b""
                while (piece := lines.readline()) not in (b".\r\n", b""):
                    content += piece[1:] if piece.startswith(b".") else piece
                if piece == b"" or not self.take(say, sender, recipients, content):
                    return

    def take(self, say, sender, recipients, content):
        replies = []
        for recipient in recipients if self.lmtp else recipients[:1] or [""]:
            replies.append(self.rule("END", recipient, "250 2.0.0 queued as 42"))
        kept = [r for r, reply in zip(recipients, replies if self.lmtp else replies * 1000)
                if reply is RESET or (isinstance(reply, str) and reply.startswith("2"))]
        if kept:
            with self.lock:
                self.messages.append(Message(sender, kept, content))
        return all(say(reply) for reply in replies)
