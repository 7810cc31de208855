"""Sentences that can be said in another language later. Pure.

A message is made once, in English, where it happens: that is what logs, JSON and stored records hold. A ``Text`` is
that English sentence, and remembers what it was made of, so that ``hhtoken.console.language`` can say it to a person in
theirs.
"""

DEEPEST = 8  # of a sentence in a sentence, from a stored file


class Text(str):
    """An English sentence, made of ``template`` and ``values``; with a ``count``, ``singular`` is the form for one."""

    template = ""
    values = {}
    singular = count = None

    def __add__(self, other):
        return N_("{head}{tail}", head=self, tail=other) if other else self

    def __radd__(self, other):
        return N_("{head}{tail}", head=other, tail=self) if other else self


def N_(template, **values):
    """Given a template, which is a literal for the sake of the catalog, and what stands in its braces (strings,
    numbers, or Texts, which are translated in their turn), return the Text."""
    made = Text(template.format(**values) if values else template)
    made.template, made.values = template, values
    return made


def counted(singular, plural, count):
    """Given the templates for one and for many, with ``{count}`` in them, and how many there are, return the Text."""
    made = Text((singular if count == 1 else plural).format(count=count))
    made.template, made.values, made.singular, made.count = plural, {"count": count}, singular, count
    return made


def joined(separator, sentences):
    """Given a separator, and strings or Texts, return one Text of those that are not empty."""
    whole = None
    for sentence in filter(None, sentences):
        whole = sentence if whole is None else N_("{head}" + separator + "{tail}", head=whole, tail=sentence)
    return whole or ""


def translated_by(sentence, catalog):
    """Given a Text, or any other value, which has no translation, and a catalog of ``gettext``, return it in the
    catalog's language."""
    if not isinstance(sentence, Text) or not sentence:  # gettext("") is the catalog's header
        return sentence
    if sentence.count is None:
        template = catalog.gettext(sentence.template)
    else:
        template = catalog.ngettext(sentence.singular, sentence.template, sentence.count)
    if not sentence.values:
        return template
    return template.format(**{name: translated_by(value, catalog) for name, value in sentence.values.items()})


def printable(line):
    """Given a line, perhaps with a path or an answer in it, return one that moves no cursor and breaks nowhere."""
    return "".join(character if character.isprintable() else "?" for character in line)


def escaped(word):
    """Given a path or another word of a command to type, return it for a shell, and without quotes, since most such
    commands stand in quotes already, which ``hints`` takes away; a plain path is the same."""
    plain = "/._-+=:,@%"
    return "".join(letter if letter.isalnum() or letter in plain else f"\\{letter}" for letter in word)


def to_data(sentence):
    """Given a Text or another value, return what JSON can hold of it; ``from_data`` makes it again."""
    if not isinstance(sentence, Text):
        return sentence
    values = {name: to_data(value) for name, value in sentence.values.items()}
    return [sentence.template, values, sentence.singular, sentence.count]


def from_data(data, depth=0):
    """Given what ``to_data`` returned, return the Text; None where it makes no sense."""
    if not isinstance(data, list):
        return data if isinstance(data, (str, int)) else None
    try:
        template, values, singular, count = data
        if depth == DEEPEST or not isinstance(values, dict):
            return None
        if count is not None:
            return counted(singular, template, count)
        return N_(template, **{name: from_data(value, depth + 1) for name, value in values.items()})
    except (ValueError, TypeError, LookupError, AttributeError):
        return None
