"""Reading ``KEY=VALUE`` lines as systemd's ``EnvironmentFile=`` and a shell's ``.env`` both do. Pure; never sourced."""


class Malformed(Exception):
    """``line``: the number of the first line that cannot be read."""

    def __init__(self, line):
        super().__init__(f"line {line} is not KEY=VALUE")
        self.line = line


def parse(text):
    """Given the text, return ``{name: (value, line number)}``; the last of several counts. Raise Malformed.

    Comments (``#``, ``;``), blank lines, ``export``, quotes that may span lines, backslashes, CRLF and a BOM are
    read; nothing is expanded. Where the two readers differ, spaces inside a bare value are kept (as systemd does)
    and a ``#`` after a space starts a comment (as a shell does).
    """
    text = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    found, position, line = {}, 0, 1
    if "\0" in text:
        raise Malformed(text.count("\n", 0, text.index("\0")) + 1)
    while position < len(text):
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        stripped = text[position:end].strip()
        if not stripped or stripped[0] in "#;":
            position, line = end + 1, line + 1
            continue
        name, equals, _ = text[position:end].partition("=")
        start = position + len(name) + 1
        name = name.strip()
        name = name[len("export") :].strip() if name.startswith(("export ", "export\t")) else name
        if not equals or not _is_name(name):
            raise Malformed(line)
        value, position = _value(text, start, line)
        found[name] = (value, line)
        line = text.count("\n", 0, position) + 1
    return found


def _value(text, position, line):
    """Return the value that starts at a position, and the position behind its line; raise Malformed."""
    pieces, quote, kept = [], None, 0  # kept: how many pieces must survive the trimming of trailing spaces
    while position < len(text):
        character = text[position]
        position += 1
        if quote:
            if character == quote:
                quote, kept = None, len(pieces)
            elif character == "\\" and quote == '"' and text[position : position + 1] in ('"', "\\", "$", "`", "\n"):
                pieces.append(text[position].replace("\n", ""))
                position += 1
            else:
                pieces.append(character)
        elif character == "\n":
            break
        elif character in "'\"":
            quote, kept = character, len(pieces)
        elif character == "\\" and position < len(text):
            pieces.append(text[position].replace("\n", ""))
            position, kept = position + 1, len(pieces)
        elif character == "#" and text[position - 2] in " \t" and (not pieces or len(pieces) > kept):
            position = text.find("\n", position) + 1 or len(text)
            break
        elif character not in " \t" or pieces:
            pieces.append(character)
    if quote:
        raise Malformed(line)
    return "".join(pieces[:kept]) + "".join(pieces[kept:]).rstrip(), position


def _is_name(name):
    return name.isascii() and name.replace("_", "a").isalnum() and not name[0].isdigit()
