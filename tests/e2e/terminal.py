"""What a program draws on a terminal."""
import os
import pty
import subprocess


def drawn_on_terminal(command, seconds=60):
    """Runs it with its standard error on a terminal: exit status and what it drew."""
    master, slave = pty.openpty()
    done = subprocess.Popen(command, stderr=slave, stdout=subprocess.DEVNULL)
    os.close(slave)
    drawn = b""
    try:
        while piece := os.read(master, 4096):
            drawn += piece
    except OSError:  # the other end is closed
        pass
    os.close(master)
    return done.wait(seconds), drawn
