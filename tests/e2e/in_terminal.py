"""Runs a program that wants a terminal in one, shows what it drew, and ends with its status.

STEPS in the environment, a list in JSON, is what somebody at the terminal would do: wait until what
a regular expression describes has been drawn since the step before, then type."""
import json
import os
import pty
import re
import select
import signal
import sys
import time

SECONDS = 45

steps = json.loads(os.environ.pop("STEPS", "[]"))
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
deadline = time.monotonic() + SECONDS
seen = b""
while time.monotonic() < deadline:
    if steps and re.search(steps[0][0].encode(), seen):
        os.write(terminal, steps.pop(0)[1].encode())
        seen = b""
    if select.select([terminal], [], [], 0.2)[0]:
        try:
            drawn = os.read(terminal, 65536)
        except OSError:
            drawn = b""
        if not drawn:
            break
        seen += drawn
        sys.stdout.buffer.write(drawn)
else:
    os.kill(pid, signal.SIGKILL)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xff)
