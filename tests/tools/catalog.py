"""The catalogs: extracts the messages from the source, updates the translations, compiles them. `make catalog` runs it.

Babel reads, writes and compiles. No date and no version gets into the files, so that they only change with the words.
"""

import ast
import errno
import io
import os
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract, extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "hhtoken"
MANUAL = "man/manual_text.py"
LOCALE = PACKAGE / "console" / "locale"
TEMPLATE = LOCALE / "hhtoken.pot"
TRANSLATED = ("ru",)
KEYWORDS = {"N_": None, "_": None, "counted": (1, 2)}
WIDTH = 120

# What is said by others in our name, and therefore stands in no source of ours.
ARGPARSE = (  # Python 3.9 to 3.13; what can be met with the parsers that hhtoken makes
    "%(heading)s:",
    "argument %(argument_name)s: %(message)s",
    "expected at least one argument",
    "expected at most one argument",
    "expected one argument",
    "ignored explicit argument %r",
    "invalid choice: %(value)r (choose from %(choices)s)",
    "not allowed with argument %s",
    "one of the arguments %s is required",
    "optional arguments",
    "options",
    "positional arguments",
    "show this help message and exit",
    "the following arguments are required: %s",
    "usage: ",
)
# What the C library says, in lower case.
ERRNOS = """
    EACCES EADDRINUSE EADDRNOTAVAIL EAGAIN EBADF EBUSY ECONNREFUSED ECONNRESET EDQUOT EEXIST EFBIG EHOSTUNREACH
    EINTR EINVAL EIO EISDIR ELOOP EMFILE ENAMETOOLONG ENETUNREACH ENFILE ENOENT ENOEXEC ENOMEM ENOSPC ENOTDIR
    ENOTSUP ENXIO EPERM EPIPE EROFS ESTALE ETIMEDOUT
""".split()
SYSTEM = sorted(
    [os.strerror(getattr(errno, name)).lower() for name in ERRNOS]
    + ["name or service not known", "temporary failure in name resolution"]
)


class PlainCatalog(Catalog):
    """A Catalog whose header says what readers of it need, and nothing that changes by itself."""

    KEPT = ("Language", "Plural-Forms", "MIME-Version", "Content-Type", "Content-Transfer-Encoding")

    @property
    def mime_headers(self):
        return [(name, value) for name, value in super().mime_headers if name in self.KEPT]


def po_of(tongue):
    return LOCALE / tongue / "LC_MESSAGES" / "hhtoken.po"


def marked(file, keywords, comment_tags, options):
    """An extraction method of Babel's, over the syntax tree. Babel's own reads tokens, which differ from one Python to
    the next where f-strings are."""

    def within(node):
        called = getattr(node, "func", None)
        name = getattr(called, "attr", getattr(called, "id", None))
        if name in keywords:
            literals = [word.value for word in node.args if isinstance(word, ast.Constant)]
            if literals:
                yield node.lineno, name, literals if len(literals) > 1 else literals[0], []
        for child in ast.iter_child_nodes(node):
            yield from within(child)

    yield from within(ast.parse(file.read()))


def extracted():
    """Return the Catalog of all that hhtoken can say to a person."""
    catalog = new_catalog(None)
    found = extract_from_dir(str(PACKAGE), [("text.py", "ignore"), ("**.py", marked)], keywords=KEYWORDS)
    found = [(f"hhtoken/{name}", message) for name, _line, message, _comments, _context in found]
    with open(ROOT / MANUAL, "rb") as manual:
        found += [(MANUAL, message) for _line, message, *_more in extract(marked, manual, KEYWORDS)]
    for place, message in sorted(found, key=lambda one: one[0]):
        catalog.add(message, locations=[(place, None)])
    for where, phrases in (("argparse", ARGPARSE), ("strerror", SYSTEM)):
        for phrase in phrases:
            catalog.add(phrase, locations=[(where, None)])
    return catalog


def new_catalog(tongue):
    comment = "What hhtoken says to people. `make catalog` writes this file; only the translations are made by hand."
    return PlainCatalog(locale=tongue, header_comment=f"# {comment}", fuzzy=False)


def updated(tongue, template):
    """Return the Catalog of a language with the messages of the template, and the translations that its file has."""
    catalog = new_catalog(tongue)
    path = po_of(tongue)
    known = read_po(io.BytesIO(path.read_bytes()), tongue) if path.exists() else catalog
    for message in list(template)[1:]:
        translation = known.get(message.id[0] if message.pluralizable else message.id)
        string = translation.string if translation and translation.id == message.id else ""
        catalog.add(message.id, string, locations=message.locations)
    return catalog


def as_po(catalog):
    """Return the bytes of a .po, or .pot, file."""
    file = io.BytesIO()
    write_po(file, catalog, width=WIDTH, include_lineno=False)
    return file.getvalue()


def as_mo(catalog):
    """Return the bytes of a .mo file."""
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def main():
    template = extracted()
    TEMPLATE.parent.mkdir(exist_ok=True)
    TEMPLATE.write_bytes(as_po(template))
    for tongue in TRANSLATED:
        catalog, path = updated(tongue, template), po_of(tongue)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_po(catalog))
        path.with_suffix(".mo").write_bytes(as_mo(catalog))
        missing = [message.id for message in list(catalog)[1:] if not message.string or not all(message.string)]
        print(f"{tongue}: {len(catalog)} messages, {len(missing)} without a translation")


if __name__ == "__main__":
    main()
