"""The house's rules over the imports, the README and the package: nothing else watches them."""

import ast
import configparser
import http.client
from pathlib import Path

import pytest
import requests
import urllib3

ROOT = next(path for path in Path(__file__).parents if (path / "setup.cfg").is_file())
PACKAGE = ROOT / "hhtoken"

# Arrows go down this list only, and within a room.
FLOORS = (
    ("__main__",),
    ("main",),
    ("commands",),
    ("client", "authorization"),
    ("settings", "renewal"),
    ("store",),
    ("provider",),
    ("console",),
    ("errors", "pair"),
    ("text",),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
BESIDE = {("commands", "sandbox"), ("sandbox", "text")}  # a HeadHunter of its own, that knows nothing of the rest

# They decide; others look at the world.
PURE = (
    "text errors pair console/durations provider/addresses provider/answer provider/verdict provider/api_errors "
    "provider/token_errors store/account_names store/record settings/env_file renewal/policy renewal/judgement "
    "renewal/report authorization/request authorization/pages authorization/callback_rules commands/status_screen"
).split()
IMPURE_MODULES = {
    "os", "socket", "requests", "subprocess", "random", "secrets", "threading", "selectors", "signal", "fcntl", "sys",
    "syslog", "tempfile", "shutil", "pathlib", "logging",
}  # fmt: skip


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room_of(path):
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
def test_arrows_go_down(path):
    here = room_of(path)
    rooms = {parts[1] for parts in (name.split(".") for name in imports_of(path)) if parts[0] == "hhtoken"}
    for there in rooms & {*FLOOR_OF, "sandbox"} - {here}:
        is_down = FLOOR_OF.get(here, len(FLOORS)) < FLOOR_OF.get(there, -1)
        assert is_down or (here, there) in BESIDE, f"{here} -> {there}"


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_touches_no_file_clock_network_or_environment(name):
    source = (PACKAGE / f"{name}.py").read_text()
    assert not {full.split(".")[0] for full in imports_of(PACKAGE / f"{name}.py")} & IMPURE_MODULES
    for word in ("open(", "time.time(", "time.sleep(", "print("):
        assert word not in source


def test_every_file_is_in_a_room():
    assert {room_of(path) for path in modules()} == {*FLOOR_OF, "sandbox"}


def test_requests_is_used_in_one_place_and_where_a_bots_own_requests_are_signed():
    users = {path.name for path in modules() if any(name.split(".")[0] == "requests" for name in imports_of(path))}
    assert users == {"transfer.py", "requests_auth.py"}


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
    trees = {path: ast.parse(path.read_text()) for path in (*modules(), *(ROOT / "tests").rglob("*.py"))}
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
        of_a_verb = ("add_arguments", "run") if room_of(path) == "commands" else ()
        for node in tree.body:
            if (
                isinstance(node, ast.FunctionDef)
                and not node.name.startswith("_")
                and len(node.body) > 2
                and node.name not in of_a_verb
            ):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"


def test_every_module_whose_branches_are_measured_exists():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = setup["coverage:report"]["include"].split()
    assert listed and [name for name in listed if not (ROOT / name).is_file()] == []
