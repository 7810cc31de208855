"""The house's rules over the imports, the README and the package: nothing else watches them."""

import ast
import configparser
import http.client
from pathlib import Path

import pytest
import requests
import urllib3

PACKAGE = Path(__file__).parent.parent / "hhtoken"

# A module imports only from levels below its own; adapters and commands also not from each other.
LEVELS = {
    "wording": -1,
    "errors": 0,
    "account_names": 1,
    "accounts": 4,
    "all_accounts": 7,
    **dict.fromkeys(
        (
            "addresses answer api_answers authorization callback_page callback_rules durations env_file "
            "manual notices outcomes provider_errors record refresh_policy token_status tokens"
        ).split(),
        1,
    ),
    **dict.fromkeys(
        (
            "arguments file_lock http_transfer journal language pasting private_directory progress "
            "published_file ready_commands reporting signals"
        ).split(),
        2,
    ),
    **dict.fromkeys("api_endpoint callback_server config pending_state token_endpoint token_store sandbox".split(), 3),
    **dict.fromkeys("application_token bookkeeping invitation listening".split(), 4),
    **dict.fromkeys("confirmation desktop systemd_units terminal".split(), 2),
    "status_screen": 1,
    "renewers": 3,
    "socket_unit": 4,
    **dict.fromkeys("recovery shared".split(), 5),
    **dict.fromkeys("grants revocation stores".split(), 6),
    **dict.fromkeys("arrival doctor".split(), 7),
    "living_token": 7,  # for programs in Python, as commands are for a shell
    "headhunter_auth": 8,
    "client": 9,
    "commands": 8,
    "cli": 9,
    "doorway": 10,
    "__main__": 11,
}
PURE = [name for name, level in LEVELS.items() if level <= 1]
IMPURE_MODULES = {
    "os", "socket", "requests", "subprocess", "random", "secrets", "threading", "selectors", "signal", "fcntl", "sys",
    "syslog", "tempfile", "shutil", "pathlib", "logging",
}  # fmt: skip
SIBLINGS_ALLOWED = {1, 2}  # small words may build on each other; adapters and commands may not


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


def house_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path):
    """Return the full names that a module imports, at its top or inside its functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_the_levels_below(path):
    here = house_of(path)
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] != "hhtoken" or len(parts) < 2 or parts[1] not in LEVELS and parts[1] != "commands":
            continue
        there = parts[1]
        if here == there:
            continue
        assert there in LEVELS, f"{path.name} imports {name}, which has no level"
        allowed = LEVELS[there] < LEVELS[here] or LEVELS[there] == LEVELS[here] in SIBLINGS_ALLOWED
        assert allowed, f"{path.name} (level {LEVELS[here]}) imports {name} (level {LEVELS[there]})"


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_touches_no_file_clock_network_or_environment(name):
    source = (PACKAGE / f"{name}.py").read_text()
    assert not {full.split(".")[0] for full in imports_of(PACKAGE / f"{name}.py")} & IMPURE_MODULES
    for word in ("open(", "time.time(", "time.sleep(", "print("):
        assert word not in source


def test_every_module_has_a_level():
    assert {house_of(path) for path in modules()} == set(LEVELS)


def test_every_command_that_may_save_a_pair_publishes_it():
    for path in (PACKAGE / "commands").glob("*.py"):
        source = path.read_text()
        if any(word in source for word in ("grants.", "Arrival(", ".save(")):
            ways = ("published=settings.published_file()", "published=published", "stores.of_settings(")
            assert any(way in source for way in ways), path


def test_requests_is_used_in_one_place_and_where_a_bots_own_requests_are_signed():
    users = {path.name for path in modules() if any(name.split(".")[0] == "requests" for name in imports_of(path))}
    assert users == {"http_transfer.py", "headhunter_auth.py"}


def library_sources():
    yield Path(http.client.__file__)
    for library in (requests, urllib3):
        yield from Path(library.__file__).parent.rglob("*.py")


def own_fields(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.attr


def attributes_of_others(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") not in ("self", "cls"):
            yield node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("getattr", "setattr", "delattr")):
            yield from (word.value for word in node.args if isinstance(word, ast.Constant))


def test_nothing_stands_on_what_requests_urllib3_and_http_client_keep_to_themselves():
    theirs = {
        name
        for source in library_sources()
        for node in ast.walk(ast.parse(source.read_text()))
        for name in (getattr(node, "attr", None), getattr(node, "name", None))
        if name and name.startswith("_") and not name.startswith("__")
    }
    assert {"_fp", "_read_status", "_original_response"} <= theirs
    theirs -= {"_", "_replace"}  # a variable, and a documented method of named tuples
    trees = {path: ast.parse(path.read_text()) for path in (*modules(), *Path(__file__).parent.rglob("*.py"))}
    theirs -= {name for tree in trees.values() for name in own_fields(tree)}  # of the same name
    for path, tree in trees.items():
        used = theirs & set(attributes_of_others(tree))
        assert not used, f"{path}: {used}"


def test_one_place_prints():
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"), path


def test_names_do_not_shadow_the_standard_library():
    import sys

    ours = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert not ours & sys.stdlib_module_names if hasattr(sys, "stdlib_module_names") else True


def test_every_public_function_says_what_it_does():
    for path in modules():
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), path
        if house_of(path) == "commands":
            continue
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and len(node.body) > 2:
                assert ast.get_docstring(node), f"{path.name}: {node.name}"


def test_every_module_whose_branches_are_measured_exists():
    setup = configparser.ConfigParser()
    setup.read(PACKAGE.parent / "setup.cfg")
    listed = setup["coverage:report"]["include"].split()
    assert listed and [name for name in listed if not (PACKAGE.parent / name).is_file()] == []
