"""The names of accounts. Each account has a state directory of its own inside the main one. Pure."""

from hhtoken.text import N_

DIRECTORY = "accounts"  # in the main state directory; in it, one directory for each name
MAIN = "-"  # where accounts are listed: the pair of the main directory, which has no name
LONGEST_CHARACTERS = 64
HINT = N_("use up to 64 letters, digits, '-', '_' and '.'; do not start with '-' or '.'")


def is_name(name):
    """Tell whether a text may name an account: nothing that a path, a unit's name or a shell could take otherwise."""
    plain = name.replace("-", "").replace("_", "").replace(".", "")
    return (
        0 < len(name) <= LONGEST_CHARACTERS
        and name.isascii()
        and name[0] not in "-."
        and (plain.isalnum() or not plain)
    )


def in_state(name, secret):
    """Given the name of an account, or None, and a fresh secret without a dot, return the state of an authorization,
    which tells the one listener that all accounts share whose it is."""
    return f"{name}.{secret}" if name else secret


def of_state(state):
    """Given any text that came as a state, return the name of the account that it claims to belong to, or None."""
    name, dot, _secret = state.rpartition(".")
    return name if dot and is_name(name) else None


def instance(name):
    """Given the name of an account, or None, return what stands behind the name of a unit for it, e.g. "@alice"."""
    return f"@{name}" if name else ""
