"""Machines of a network of their own: one namespace each, joined by a bridge, that can be cut off and joined again."""

import os
import subprocess

SUBNET = "10.77.0."


def run(*command, check=True):
    return subprocess.run(command, check=check, capture_output=True, text=True, timeout=30)


class Network:
    """Namespaces are named after this process, so that two runs do not meet, and are gone after ``close``."""

    def __init__(self):
        self._prefix = f"hhtoken-{os.getpid()}-"
        self._names = []
        self._switch = self._namespace("switch")
        self._ip(self._switch, "link", "add", "bridge", "type", "bridge")
        self._ip(self._switch, "link", "set", "bridge", "up")

    def machine(self, name, number):
        """Add a machine with this last number in its address; return the Machine."""
        namespace = self._namespace(name)
        peer = ("peer", "name", name, "netns", self._switch)
        run("ip", "link", "add", "eth0", "netns", namespace, "type", "veth", *peer)
        self._ip(self._switch, "link", "set", name, "master", "bridge", "up")
        self._ip(namespace, "address", "add", f"{SUBNET}{number}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            self._ip(namespace, "link", "set", device, "up")
        return Machine(name, namespace, f"{SUBNET}{number}")

    def close(self):
        for name in self._names:
            run("ip", "netns", "delete", name, check=False)

    def _namespace(self, name):
        run("ip", "netns", "add", self._prefix + name)
        self._names.append(self._prefix + name)
        return self._prefix + name

    def _ip(self, namespace, *words):
        run("ip", "-n", namespace, *words)


class Machine:
    """``name``, ``namespace``, ``address``."""

    def __init__(self, name, namespace, address):
        self.name, self.namespace, self.address = name, namespace, address

    def command(self, *words):
        """Return the command line that runs these words on the machine."""
        return ["ip", "netns", "exec", self.namespace, *map(str, words)]

    def cut_off(self):
        run("ip", "-n", self.namespace, "link", "set", "eth0", "down")

    def join(self):
        run("ip", "-n", self.namespace, "link", "set", "eth0", "up")

    def block(self, *others):
        """Drop what goes to these machines. A new connection fails at once; one that comes from there gets no answer,
        and waits."""
        for other in others:
            run("ip", "-n", self.namespace, "route", "add", "blackhole", other.address, check=False)

    def unblock(self, *others):
        for other in others:
            run("ip", "-n", self.namespace, "route", "delete", "blackhole", other.address, check=False)
