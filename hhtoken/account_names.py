"""The names of accounts. Each account has a state directory of its own inside the main one. Pure, but for the program
and the flags of this command line, which the commands in hints have, too."""

from hhtoken.wording import text

DIRECTORY = "accounts"  # in the main state directory; in it, one directory for each name
MAIN = "-"  # where accounts are listed: the pair of the main directory, which has no name
LONGEST_CHARACTERS = 64
HINT = text("a name has up to 64 letters, digits, '-', '_' and '.', and begins with none of '-' and '.'")

COMMAND = "'hhtoken "  # as it stands in hints

_program = "hhtoken"  # as it is to be typed
_flags = {}  # of this command line, without which a command would have other settings, or look elsewhere


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


def call(program):
    """Given how the program was called, let every command to type call it so: it may be nowhere in PATH."""
    global _program
    _program = program


def repeat(flags):
    """Given flags and their values as they were typed, or None, let every command to type have those that were."""
    _flags.clear()
    _flags.update((flag, value) for flag, value in flags.items() if value)


def addressed(sentence, name):
    """Given a sentence with commands to type in it, and the account that it is about (or None), return it with
    commands for that account, and with the flags of this command line."""
    if not sentence or COMMAND not in sentence:
        return sentence
    flags = {"--account": name, **_flags} if name else _flags
    words = "".join(f"{flag} {_escaped(value)} " for flag, value in flags.items())
    return sentence.replace(COMMAND, f"'{_escaped(_program)} {words}")


def _escaped(word):
    """Return a word for a shell without quotes, since the command stands in quotes already."""
    plain = "/._-+=:,@%"
    return "".join(letter if letter.isalnum() or letter in plain else f"\\{letter}" for letter in word)
