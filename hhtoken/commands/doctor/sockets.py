"""Who listens on a port of this machine, as the kernel tells: /proc/net/tcp and /proc/PID."""

import os
import socket
import struct

LISTENING = "0A"  # TCP_LISTEN


class Listener:
    """``host``: the address it listens on. ``program``: its name, None where we may not see it. ``pid``: or None."""

    __slots__ = ("host", "program", "pid")

    def __init__(self, host, program=None, pid=None):
        self.host = host
        self.program = program
        self.pid = pid


def listeners(port):
    """Given a port, return the Listeners on it."""
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for host, inode in rows(_text(table), port):
            pid, program = _owner(inode)
            found.append(Listener(host, program, pid))
    return found


def rows(table, port):
    """Given the text of /proc/net/tcp or tcp6 and a port, return ``[(address, inode)]`` of those that listen on it."""
    found = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10 or fields[3] != LISTENING:
            continue
        address, _colon, number = fields[1].partition(":")
        if int(number, 16) == port:
            found.append((_address(address), fields[9]))
    return found


def _address(shown):
    """Given an address as the kernel shows it, 32-bit words in the machine's order, return it as people write it."""
    words = [int(shown[at : at + 8], 16) for at in range(0, len(shown), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, packed)


def _owner(inode):
    """Return ``(pid, name)`` of a process that holds a socket; ``(None, None)`` where we may not look. The lowest
    number: systemd keeps a socket that it has passed on."""
    wanted = f"socket:[{inode}]"
    for pid in sorted((name for name in _names("/proc") if name.isdigit()), key=int):
        for descriptor in _names(f"/proc/{pid}/fd"):
            try:
                if os.readlink(f"/proc/{pid}/fd/{descriptor}") == wanted:
                    return int(pid), _text(f"/proc/{pid}/comm").strip() or None
            except OSError:
                continue
    return None, None


def _names(directory):
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _text(path):
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
