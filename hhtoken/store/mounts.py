"""What is mounted where, by /proc/self/mountinfo."""

import os
import re

WITHOUT_MODES = ("9p", "cifs", "drvfs", "exfat", "fuseblk", "msdos", "ntfs", "ntfs3", "smb3", "vboxsf", "vfat")


def read():
    """Return the text of it; "" where there is none."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def mount_of(path, mounts):
    """Given a real path and that text, return ``(mount point, type, is read-only)`` of what it lies in, or None."""
    best = None
    for line in mounts.splitlines():
        left, _dash, right = line.partition(" - ")
        fields, more = left.split(" "), right.split(" ")
        if len(fields) < 6 or len(more) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])  # a space is \040
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and (best is None or len(point) >= len(best[0])):
            is_read_only = "ro" in fields[5].split(",") or "ro" in more[2].split(",")
            best = (point, more[0], is_read_only)
    return best


def is_mount_point(path):
    """Tell whether a file, or a directory, is mounted there by itself."""
    real = os.path.realpath(path)
    mount = mount_of(real, read())
    return mount is not None and mount[0] == real


def has_no_modes(path):
    """Tell whether a path lies in a file system for which everybody may do all, as on WSL's /mnt/c."""
    mount = mount_of(os.path.realpath(path), read())
    return mount is not None and mount[1] in WITHOUT_MODES
