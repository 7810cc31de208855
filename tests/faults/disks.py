"""Small disks of their own to fill and to break. A test that fills a disk asserts first that it is such a disk."""

import contextlib
import os
import subprocess

import pytest

LARGEST_DISK_BYTES = 64 * 1024 * 1024


def do(*words):
    subprocess.run([str(word) for word in words], check=True, capture_output=True)


@contextlib.contextmanager
def mounted(path, *options):
    """Mount something; skip by name where that is not allowed here."""
    path.mkdir()
    try:
        do("mount", *options, path)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot mount here: {' '.join(map(str, options))} ({getattr(error, 'stderr', error)})")
    try:
        assert_small(path)
        yield path
    finally:
        do("umount", "--lazy", path)


def tmpfs(path, *options):
    return mounted(path, "-t", "tmpfs", "-o", ",".join(["mode=700", *options]), "tmpfs")


@contextlib.contextmanager
def ext4(path):
    """A file system of 16 MiB in a file."""
    image = path.with_suffix(".img")
    with open(image, "wb") as file:
        file.truncate(16 * 1024 * 1024)
    do("mkfs.ext4", "-q", "-m", "0", "-F", image)
    with mounted(path, "-o", "loop", image):
        yield path


FILE_SYSTEMS = {"tmpfs": lambda path: tmpfs(path, "size=1m"), "ext4": ext4}


def assert_small(path):
    """A mount that failed unseen would let the root disk be filled."""
    assert os.path.ismount(path)
    status = os.statvfs(path)
    assert status.f_blocks * status.f_frsize < LARGEST_DISK_BYTES


def fill(path):
    """Take the last byte of a disk."""
    assert_small(path)
    with open(path / "filling", "ab", buffering=0) as file:
        for size in (65536, 512, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
        with contextlib.suppress(OSError):
            os.fsync(file.fileno())


@contextlib.contextmanager
def attribute(path, letter):
    """Give a file an attribute of chattr(1); skip by name where the file system has none."""
    try:
        do("chattr", f"+{letter}", path)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"no chattr +{letter} on this file system")
    try:
        yield
    finally:
        do("chattr", f"-{letter}", path)
