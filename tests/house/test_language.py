"""English and Russian: no message without its translation, and nothing that programs read depends on the language."""

import ast
import io
import json
import os
import re
import string
import subprocess
import sys

import catalog
import pytest
from babel.messages.pofile import read_po
from conftest import PROGRAM, come_back
from support import PAIR, ROOT

from hhtoken.commands.parser import COMMANDS
from hhtoken.console import language
from hhtoken.store import record
from hhtoken.text import N_, counted

RUSSIAN = {"LANG": "ru_RU.UTF-8"}


# -- the catalogs --


def russian():
    return list(read_po(io.BytesIO(catalog.po_of("ru").read_bytes()), "ru"))[1:]


def forms(message):
    return list(message.string) if message.pluralizable else [message.string]


def sources(message):
    return list(message.id) if message.pluralizable else [message.id]


def test_the_template_holds_what_the_source_says():
    assert catalog.TEMPLATE.read_bytes() == catalog.as_po(catalog.extracted()), "type: make catalog"


@pytest.mark.parametrize("tongue", catalog.TRANSLATED)
def test_each_catalog_is_up_to_date_and_compiled(tongue):
    path = catalog.po_of(tongue)
    current = catalog.updated(tongue, catalog.extracted())
    assert path.read_bytes() == catalog.as_po(current), "type: make catalog"
    assert path.with_suffix(".mo").read_bytes() == catalog.as_mo(current), "type: make catalog"


def test_no_message_lacks_its_translation():
    missing = [message.id for message in russian() if not message.string or not all(forms(message))]
    assert not missing, "translate them in hhtoken/console/locale/ru, then type: make catalog"
    assert not [message.id for message in russian() if message.fuzzy]
    assert all(len(forms(message)) == 3 for message in russian() if message.pluralizable)


def placeholders(sentence):
    braces = {name + spec for _text, name, spec, _how in string.Formatter().parse(sentence) if name is not None}
    return braces | set(re.findall(r"%(?:\(\w+\))?[srd]", sentence))


def test_a_translation_has_the_placeholders_of_its_message():
    for message in russian():
        for form in forms(message):
            assert placeholders(form) == placeholders(sources(message)[0]), message.id


def test_a_translation_leaves_commands_names_and_the_shape_of_a_sentence_alone():
    kept = re.compile(r"(?<!\w)(?:'hhtoken|--[a-z-]+|HH[A-Z]*_[A-Z_]+|[a-z]+_[a-z_]+|[a-z]+\.(?:json|py))")
    for message in russian():
        source = sources(message)[-1]
        bare = re.sub(r"{.*?}|%\(\w+\)s", "", source)
        for form in forms(message):
            assert sorted(kept.findall(re.sub(r"{.*?}|%\(\w+\)s", "", form))) == sorted(kept.findall(bare)), message.id
            assert form.endswith(".") == source.endswith(".") or form.endswith(" дн."), message.id
            assert form[:1].isspace() == source[:1].isspace() and form.endswith("\n") == source.endswith("\n")
            assert not form[0].isupper() or source[0].isupper() or form.startswith(("HeadHunter", "JSON")), message.id


def test_most_of_a_translation_is_russian():
    for message in russian():
        if re.search(r"[a-z]{3,} [a-z]{3,}", re.sub(r"'.*?'|{.*?}|type: .*", "", sources(message)[-1])):
            assert re.search("[а-яё]", forms(message)[0]), message.id


def test_install_rewrites_no_path_inside_a_message():
    rewritten = ("/usr/local/lib/hhtoken", "/usr/local/share/hhtoken", "/etc/hh-token", "/usr/bin/python3")
    for message in russian():
        assert not any(path in source for source in sources(message) for path in rewritten), message.id


# -- every sentence is marked --

MARKS = ("N_", "counted", "_")
ELSEWHERE = ("event", "_beginning")  # to syslog, which is in English; argparse's own phrases
SENTENCE = re.compile(r"[A-Za-z]{2,}[,;:]? (X )?[a-z]{2,}")
NO_SENTENCES = re.compile(  # what the source holds for programs
    r"<|:root|read timeout$|%\(prog\)s|# (hhtoken|HELP|TYPE)|line X|text/html|Authorization: Bearer|an error$|\* "
    r"|(When|Whether|The|Attempts|1 for) .*\.$|; the answer named no life|token has already been refreshed$"
    r"|Welcome to nginx$| is not set$|X-Forwarded-Proto https$|module X has no|callback listener: refused$|import "
    r"|X; systemctl |hhtoken: error: hhtoken needs Python "
    r"|(sudo|hhtoken|systemctl|timedatectl|nginx|ss|getent|chmod|chown|curl) "
)
BORROWED = {"_(phrase)", "N_((error.strerror or type(error).__name__).lower())"}  # from argparse, from the C library


def literal(node):
    """Return the text of a literal, with X for what an f-string fills in; None for any other node."""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def unmarked(source):
    """Given the text of a module, return its sentences that no catalog can hold."""
    found = []

    def visit(node):
        called = getattr(node, "func", None)
        name = getattr(called, "attr", getattr(called, "id", ""))
        if name in MARKS and not isinstance(node.args[0], ast.Constant) and ast.unparse(node) not in BORROWED:
            found.append(ast.unparse(node))
        if name in (*MARKS, *ELSEWHERE) or isinstance(node, ast.Expr) and literal(node.value) is not None:
            return  # a docstring, too
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).isupper() and "HINT" not in ast.dump(node):
            if all(len(said.split()) <= 5 for said in map(literal, ast.walk(node.value)) if said):
                return  # names for things: a reader meets none of them
        said = literal(node)
        if said is not None:
            if SENTENCE.search(said) and not NO_SENTENCES.match(said):
                found.append(said)
            return
        for child in node.values if isinstance(node, ast.Dict) else ast.iter_child_nodes(node):  # keys are data
            visit(child)

    visit(ast.parse(source))
    return found


def modules():
    ours = {path for path in catalog.PACKAGE.rglob("*.py") if "sandbox" not in path.relative_to(ROOT).parts}
    return sorted(ours - {catalog.PACKAGE / "text.py"})


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(catalog.PACKAGE)))
def test_every_sentence_is_marked_for_translation(path):
    assert not unmarked(path.read_text()), "mark it (docs/development.md); if nobody reads it, see NO_SENTENCES"


@pytest.mark.parametrize(
    "source",
    [
        'raise errors.UsageError("there is no such thing")',
        'raise errors.UsageError(N_("wrong"), f"type {command} again")',
        'reporting.message("nothing is " + "due now")',
        'reporting.message(N_(f"waiting for {host}"))',
        'reporting.message(N_("waiting for " + host))',
        'parser.add_argument("--x", help="what it is for")',
    ],
)
def test_an_unmarked_sentence_is_found(source):
    assert unmarked(source)


# -- which language --

CHOICES = [
    ({}, False),
    ({"LANG": "ru_RU.UTF-8"}, True),
    ({"LANG": "ru"}, True),
    ({"LANG": "en_US.UTF-8"}, False),
    ({"LANG": "ru_RU.UTF-8", "LC_ALL": "C"}, False),
    ({"LANG": "ru_RU.UTF-8", "LC_ALL": "POSIX", "LANGUAGE": "ru"}, False),
    ({"LANG": "ru_RU.UTF-8", "LC_ALL": ""}, True),
    ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "ru_RU.UTF-8"}, True),
    ({"LANG": "ru_RU.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, False),
    ({"LANG": "en_US.UTF-8", "LANGUAGE": "ru"}, True),
    ({"LANG": "ru_RU.UTF-8", "LANGUAGE": "en"}, False),
    ({"LANG": "ru_RU.UTF-8", "LANGUAGE": "de:ru:en"}, True),
    ({"LANGUAGE": "ru"}, False),  # no locale is the C locale
    ({"LANG": "ru_RU.KOI8-R"}, False),  # what we write is UTF-8
]


@pytest.mark.parametrize("environment, is_russian", CHOICES, ids=lambda value: str(value))
def test_the_language_is_the_one_that_gettext_would_choose(monkeypatch, environment, is_russian):
    for name in ("LANGUAGE", *language.LOCALES):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (language.translated(N_("nothing is due")) == "обновление не требуется") is is_russian
    assert (language._("NAME") == "ИМЯ") is is_russian


def test_a_sentence_in_a_sentence_and_a_number_are_said_in_the_language(monkeypatch):
    monkeypatch.setenv("LC_ALL", "ru_RU.UTF-8")
    sentence = N_("{fix}; then {authorize}", fix=N_("use --state-dir"), authorize="X") + "; Y"
    assert language.translated(sentence) == "укажите --state-dir; затем X; Y"
    said = [
        language.translated(counted("{count} time in a row", "{count} times in a row", n)) for n in (1, 2, 5, 11, 21)
    ]
    assert said == ["1 раз подряд", "2 раза подряд", "5 раз подряд", "11 раз подряд", "21 раз подряд"]
    assert language.translated("as it is") == "as it is" and language.translated(N_("")) == ""


@pytest.mark.parametrize("damage", [b"", b"no catalog", b"\xde\x12\x04\x95" + b"\xff" * 40])
def test_a_damaged_catalog_costs_the_translation_only(monkeypatch, tmp_path, damage):
    (tmp_path / "ru" / "LC_MESSAGES").mkdir(parents=True)
    (tmp_path / "ru" / "LC_MESSAGES" / "hhtoken.mo").write_bytes(damage)
    monkeypatch.setattr(language, "CATALOGS", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "ru_RU.UTF-8")
    assert language.translated(N_("nothing is due")) == "nothing is due"


def test_a_record_keeps_the_english_sentence_and_says_it_in_russian_later(monkeypatch):
    message = N_("HeadHunter answered {status}", status=503) + N_(", to {host}", host="h")
    one = record.Record(outcome=record.TRY_LATER, message=message)
    stored = record.to_text(one)
    assert json.loads(stored)["message"] == "HeadHunter answered 503, to h"
    monkeypatch.setenv("LC_ALL", "ru_RU.UTF-8")
    assert language.translated(record.from_text(stored).message) == "HeadHunter ответил 503, на h"


# -- the program as people run it --

NAMES = re.compile(
    r"'[^']*'|applicant, employer|\w+_\w+|hhtoken [a-z-]+|https?://\S+|/\S+|%\S+|textfile collector|client id"
    r"|redirect URI|SANDBOX\S+|JSON|HH_\w+|--[a-z-]+(=\S+)?|\[[^\]]*\]|-- |hhtoken: (error|hint|warning): "
)
LATIN_SENTENCE = re.compile(r"[A-Za-z]{2,}[,;:]? +[A-Za-z]{2,}")


def assert_russian(shown):
    assert re.search("[а-яё]{3}", shown), shown
    for line in shown.splitlines():
        assert not LATIN_SENTENCE.search(NAMES.sub(" . ", line)), line


def run(*arguments, **environment):
    return subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, text=True, env={"COLUMNS": "200", **environment}, timeout=60
    )


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_is_russian_throughout_and_has_the_same_flags(command):
    words = [*([command] if command else []), "--help"]
    shown, english = run(*words, **RUSSIAN), run(*words, LANG="en_US.UTF-8")
    assert (shown.returncode, shown.stderr, english.returncode, english.stderr) == (0, "", 0, "")
    assert_russian(shown.stdout)
    assert not re.search("[А-я]", english.stdout)
    assert set(re.findall("--[a-z-]+", shown.stdout)) == set(re.findall("--[a-z-]+", english.stdout))


MISTAKES = [
    ["shov"],
    [],
    ["show", "--field"],
    ["show", "--json", "--header"],
    ["show", "SECRET"],
    ["refresh", "--force=SECRET"],
    ["authorize-url", "--role", "SECRET"],
    ["serve-callback", "--listen", "SECRET"],
    ["serve-callback", "--timeout", "0"],
    ["sandbox", "--fault", "SECRET"],
    ["sandbox", "--redirect-uri", "SECRET"],
    ["sandbox", "--expires-in", "SECRET"],
    ["exec"],
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=" ".join)
def test_a_mistake_is_explained_in_russian_and_never_repeated(lonely, mistake):
    settings = {"HH_REDIRECT_URI": "https://hh.example.org/callback", "HH_CLIENT_ID": "ID", "HH_CLIENT_SECRET": "S"}
    finished = lonely.run(*mistake, expect=2, **settings, **RUSSIAN)
    assert finished.stdout == "" and "SECRET" not in finished.stderr
    assert finished.stderr.startswith("hhtoken: error: ") and "hhtoken: hint: " in finished.stderr
    assert_russian(finished.stderr)
    assert lonely.run(*mistake, expect=2, **settings).stderr.isascii()


SETTINGS = {"HH_CLIENT_ID": "ID", "HH_REDIRECT_URI": "http://example.org/callback"}
# (exit code, command, settings, what lies in the state directory)
FAILURES = [
    (77, "refresh", {}, None),
    (78, "authorize-url", {}, None),
    (78, "authorize-url", {"HH_CLIENT_ID": "your_id"}, None),
    (78, "authorize-url", SETTINGS, None),
    (78, "show --env-file /nowhere", {}, None),
    (2, "import /nowhere", {}, None),
    (65, "import /etc/passwd", {}, None),
    (69, "show --field access_token", {}, PAIR),
    (75, "refresh", {}, PAIR),  # nothing listens there
    (2, "show --field nonsense --allow-expired", {}, PAIR),
    (65, "refresh", {}, "[]"),
    (74, "show", {"HHTOKEN_STATE_DIR": "/tmp"}, PAIR),
]


@pytest.mark.parametrize("code, command, settings, stored", FAILURES)
def test_a_failure_ends_with_the_same_code_in_both_languages(lonely, code, command, settings, stored):
    if stored:
        lonely.store(PAIR, left=-5)
    if stored == "[]":
        lonely.token_file.write_text(stored)
    russian = lonely.run(*command.split(), expect=code, **settings, **RUSSIAN)
    assert_russian(russian.stderr)
    english = lonely.run(*command.split(), expect=code, **settings)
    assert english.stdout == russian.stdout and not re.search("[А-я]", english.stderr)


def test_what_programs_read_is_the_same_in_both_languages(operator, sandbox, expired):
    sandbox.weather.add("service_unavailable")
    operator.run("refresh", expect=75, **RUSSIAN)
    stored = json.loads((operator.state / "last-refresh.json").read_text())
    assert stored["message"].isascii() and stored["hint"].isascii()
    for words in (["status", "--json"], ["status", "--prometheus"], ["show", "--json", "--allow-expired"]):
        results = [operator.run(*words, expect=(0, 69, 75), **environment) for environment in ({}, RUSSIAN)]
        assert results[0].code == results[1].code
        assert results[0].stdout.isascii() and _timeless(results[0].stdout) == _timeless(results[1].stdout)
    shown = operator.run("status", expect=75, **RUSSIAN).stdout
    assert "HeadHunter ответил 503" in shown and "последняя попытка" in shown
    operator.run("refresh", "--force", **RUSSIAN)
    assert operator.stored()["access_token"] in operator.run("show", "--header", **RUSSIAN).stdout
    assert operator.run("show", **RUSSIAN).stdout.startswith("токен доступа:     годен, осталось ")
    assert_russian(operator.run("status", **RUSSIAN).stdout.replace("hh-token-refresh.timer hh-token-due.timer", ""))


def _timeless(output):
    return re.sub(r"\d+", "N", output)


def test_an_authorization_in_russian(operator):
    assert_russian(operator.run("authorize-url", **RUSSIAN).stderr)
    run = operator.run("exchange", input=come_back(operator), **RUSSIAN)
    assert "авторизация выполнена: новая пара сохранена" in run.stderr


# -- logs are in English, and what a person is told is in theirs --


def test_units_log_in_english_and_notify_in_the_language_of_the_system():
    for unit in (ROOT / "systemd").glob("*.service"):
        is_for_a_person = unit.name.startswith("hh-token-notify")
        is_fixed = "\nUnsetEnvironment=LANG LANGUAGE LC_ALL LC_MESSAGES\n" in unit.read_text()
        assert is_fixed is not is_for_a_person, unit.name


def script(name, operator, **environment):
    return subprocess.run(
        [ROOT / "bin" / name], capture_output=True, text=True, env={**operator.environment, **environment}, timeout=60
    )


def test_what_the_timer_runs_speaks_english(lonely):
    lonely.store(PAIR, left=-5)
    finished = script("hh-token-refresh.sh", lonely, LANGUAGE="ru", **RUSSIAN)
    assert finished.returncode == 75 and not re.search("[А-я]", finished.stderr)


def test_the_operator_is_told_in_their_language(lonely, tmp_path):
    hook, told = tmp_path / "notify", tmp_path / "told"
    hook.write_text(f"#!/bin/sh\ncat > '{told}'\n")
    hook.chmod(0o755)
    lonely.state.mkdir(mode=0o700)
    (lonely.state / "token.json").write_text("[]")
    assert script("hh-token-notify.sh", lonely, HH_TOKEN_NOTIFY=str(hook), **RUSSIAN).returncode == 0
    assert_russian(told.read_text())


def test_make_install_brings_the_catalogs(tmp_path):
    environment = {"PATH": os.environ["PATH"], "DESTDIR": str(tmp_path), "PYTHON": sys.executable}
    subprocess.run(["make", "-s", "install"], cwd=ROOT, env=environment, check=True, capture_output=True, timeout=60)
    program = tmp_path / "usr/local/lib/hhtoken/bin/hhtoken"
    shown = subprocess.run([sys.executable, "-I", program], capture_output=True, text=True, env=RUSSIAN, timeout=60)
    assert "не указана команда" in shown.stderr
