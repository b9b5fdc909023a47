"""IMAP and SMTP as bare as it gets: what matters here is whether an answer came, and which.

Unanswered is raised when the connection ends before it. What was asked may have happened then,
or not. TurnedAway is the server's own word that one may come again later."""
import re
import time
import socket

WAIT_SECONDS = 60


class Unanswered(Exception):
    pass


class TurnedAway(Unanswered):
    pass


class Wire:
    def __init__(self, port):
        try:
            self.socket = socket.create_connection(("127.0.0.1", port), WAIT_SECONDS)
            self.file = self.socket.makefile("rb")
        except OSError as problem:
            raise Unanswered(f"no connection: {problem}") from problem

    def send(self, octets):
        try:
            self.socket.sendall(octets)
        except OSError as problem:
            raise Unanswered(str(problem)) from problem

    def line(self):
        try:
            line = self.file.readline()
        except TimeoutError:
            raise AssertionError(f"no answer and no end within {WAIT_SECONDS} s") from None
        except OSError as problem:
            raise Unanswered(str(problem)) from problem
        if not line.endswith(b"\r\n"):
            raise Unanswered(f"the end came in {line!r}")
        return line

    def octets(self, count):
        try:
            octets = self.file.read(count)
        except OSError as problem:
            raise Unanswered(str(problem)) from problem
        if len(octets) < count:
            raise Unanswered("the end came in a literal")
        return octets

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Imap(Wire):
    """With plain text and without TLS; the user is signed in."""

    def __init__(self, port, user, password):
        super().__init__(port)
        self.tag, self.selected = 0, None
        self.greeting = self.line()
        if not self.greeting.startswith(b"* OK"):
            raise TurnedAway(f"not now: {self.greeting!r}")
        answer = self.ask(f'LOGIN {user} "{password}"')
        if not answer.ok:
            self.close()
            raise TurnedAway(f"not now: {answer.text!r}")

    def response(self):
        """One response, with its literals in it."""
        whole = line = self.line()
        while found := re.search(rb"\{(\d+)\}\r\n$", line):
            octets = self.octets(int(found.group(1)))
            line = self.line()
            whole += octets + line
        return whole

    def ask(self, command, literal=None):
        """Sends a command and waits for its end."""
        self.tag += 1
        tag = f"t{self.tag} ".encode()
        self.send(tag + command.encode() +
                  (b" {%d+}\r\n" % len(literal) + literal if literal is not None else b"") +
                  b"\r\n")
        untagged = []
        while True:
            response = self.response()
            if response.startswith(tag):
                return Answer(response[len(tag):], untagged)
            untagged.append(response)

    def see(self, command):
        """Asks for what only reads. While a disk fails the store is opened anew now and then, and
        says so; that passes."""
        for _ in range(100):
            answer = self.ask(command)
            if not answer.text.startswith("NO [UNAVAILABLE]"):
                break
            time.sleep(0.1)
        assert answer.ok, f"{command}: {answer.text}"
        return answer

    def select(self, mailbox):
        if self.selected != mailbox:
            self.selected = None
            self.see(f'SELECT "{mailbox}"')
            self.selected = mailbox

    def status(self, mailbox):
        answer = self.see(f'STATUS "{mailbox}" (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)')
        words = re.search(rb"\(([^()]*)\)\r\n$", answer.untagged[-1]).group(1).split()
        return {words[i].decode(): int(words[i + 1]) for i in range(0, len(words), 2)}

    def mailboxes(self):
        answer = self.see('LIST "" "*"')
        return [re.search(rb'"/" "?(.*?)"?\r\n$', line).group(1).decode()
                for line in answer.untagged if line.startswith(b"* LIST")]

    def messages(self, mailbox):
        """{UID: (text, flags)} and UIDVALIDITY."""
        self.selected = None
        answer = self.see(f'EXAMINE "{mailbox}"')
        uidvalidity = int(re.search(rb"UIDVALIDITY (\d+)", b"".join(answer.untagged)).group(1))
        found = {}
        answer = self.see("UID FETCH 1:* (UID FLAGS BODY.PEEK[])")
        for response in answer.untagged:
            head = re.match(rb"\* \d+ FETCH \(.*?BODY\[\] \{(\d+)\}\r\n", response, re.S)
            if not head:
                continue
            text = response[head.end():head.end() + int(head.group(1))]
            rest = response[:head.end()] + response[head.end() + len(text):]
            uid = int(re.search(rb"UID (\d+)", rest).group(1))
            flags = set(re.search(rb"FLAGS \(([^()]*)\)", rest).group(1).decode().split())
            assert uid not in found, f"UID {uid} twice"
            found[uid] = (text, frozenset(flags - {"\\Recent"}))
        return found, uidvalidity


class Answer:
    def __init__(self, text, untagged):
        self.text, self.untagged = text.decode(), untagged
        self.ok = text.startswith(b"OK")

    def code(self, name):
        """The words of a response code, tagged or not."""
        found = re.search(rf"\[{name} ([^\]]*)\]",
                          b"".join(self.untagged).decode(errors="replace") + self.text)
        return found and found.group(1).split()


class Smtp(Wire):
    def __init__(self, port):
        super().__init__(port)
        if self.reply()[0] != 220:
            raise TurnedAway("not now")
        self.ask("EHLO client.example")

    def reply(self):
        while True:
            line = self.line()
            if line[3:4] != b"-":
                return int(line[:3]), line[4:].decode(errors="replace").strip()

    def ask(self, command):
        self.send(command.encode() + b"\r\n")
        return self.reply()

    def deliver(self, sender, recipients, text):
        """The reply that decides: to the content, or whatever came first and was no yes."""
        self.send(f"RSET\r\nMAIL FROM:<{sender}>\r\n".encode() +
                  b"".join(f"RCPT TO:<{to}>\r\n".encode() for to in recipients) + b"DATA\r\n")
        self.reply()
        replies = [self.reply() for _ in range(len(recipients) + 2)]
        if replies[-1][0] != 354:
            return next(reply for reply in replies if reply[0] >= 400)
        if any(code != 250 for code, _ in replies[:-1]):
            raise TurnedAway("not to all: better to nobody, so the connection ends here")
        self.send(text + b".\r\n")
        return self.reply()
