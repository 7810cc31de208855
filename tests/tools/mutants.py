"""Break the store in every small way that cosmic-ray knows, and count how many of these mutants a test notices.

    python tests/tools/mutants.py [MODULE …]

Each module has a copy of the tree and a session of its own below ``.mutants``, so that as many run at once as there
are processors. Only the tests of single modules are run: they take seconds, and a mutant needs one that fails.
"""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRATCH = ROOT / ".mutants"
LEAST_PERCENT = (
    87  # some mutants differ in nothing that a test could see: a byte more is asked for, another random name
)
MODULES = {  # the room of each; the longest first
    "private_directory": "store",
    "pair": "",
    "token_store": "store",
    "record": "store",
    "journal": "store",
    "recovery": "renewal",
}
UNUSED = [f"-pno:{name}" for name in ("cacheprovider", "xdist", "requests_mock", "hypothesispytest")]  # a second each
LONGEST_RUN_SECONDS = 60  # a mutant may loop for ever: that is noticed, too

# One counterpart of each arithmetic operator instead of eleven, most of which end in a TypeError; and no swap of
# "is" and "==", which is the same for None, for numbers and for the constants of this house.
LEFT_OUT = [
    "core/ReplaceBinaryOperator_(?!Add_Sub|Sub_Add|Mul_FloorDiv|FloorDiv_Mul|Pow_Mul|BitOr_BitAnd|BitAnd_BitOr)",
    "core/ReplaceComparisonOperator_(Eq_Is|Is_Eq|NotEq_IsNot|IsNot_NotEq)$",
]


def main(modules):
    shutil.rmtree(SCRATCH, ignore_errors=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(modules, pool.map(_mutants_of, modules)))  # noqa: B905 (Python 3.9)
    killed = survived = 0
    for module, mutants in found.items():
        alive = [line for line, is_killed in mutants if not is_killed]
        print(f"{module}: {len(mutants) - len(alive)} of {len(mutants)} mutants noticed; not:")
        print("".join(f"    {line}\n" for line in alive), end="")
        killed, survived = killed + len(mutants) - len(alive), survived + len(alive)
    percent = 100 * killed / (killed + survived)
    print(f"score: {percent:.1f} % (at least {LEAST_PERCENT})")
    return percent < LEAST_PERCENT


def _mutants_of(module):
    """Return ``[(the changed line, whether a test noticed)]`` of all mutants of a module."""
    copy = SCRATCH / module
    for name in ("hhtoken", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "setup.cfg", copy)
    (copy / "session.toml").write_text(_configuration(module))
    for step in (
        ["cosmic-ray", "init", "session.toml", "session.sqlite"],
        ["cosmic-ray", "baseline", "session.toml"],  # the tests pass as long as nothing is broken
        ["cr-filter-operators", "session.sqlite", "session.toml"],
        ["cosmic-ray", "exec", "session.toml", "session.sqlite"],
    ):
        _run(step, copy)
    results = [json.loads(line)[1] for line in _run(["cosmic-ray", "dump", "session.sqlite"], copy).splitlines()]
    return [
        (_changed_line(result["diff"]), result["test_outcome"] == "killed")
        for result in results
        if result["worker_outcome"] == "normal"  # else left out above, or cosmic-ray could not write it
    ]


def _configuration(module):
    first = _test_of(module)
    others = [name for name in map(_test_of, MODULES) if name != first]
    command = [sys.executable, "-m", "pytest", "-qx", "--noconftest", *UNUSED, first, *others]
    path = Path("hhtoken", MODULES[module], f"{module}.py")
    settings = [
        "[cosmic-ray]",
        f'module-path = "{path}"',
        f"timeout = {LONGEST_RUN_SECONDS}.0",
        "excluded-modules = []",
        f"test-command = {json.dumps(' '.join(command))}",
        '[cosmic-ray.distributor]\nname = "local"',
        f"[cosmic-ray.filters.operators-filter]\nexclude-operators = {json.dumps(LEFT_OUT)}",
    ]
    return "\n".join(settings)


def _test_of(module):
    return f"tests/{MODULES[module] or 'store'}/test_{module}.py"


def _run(command, folder):
    program = Path(sys.executable).parent / command[0]
    environment = {**os.environ, "CI": "1"}  # by which hypothesis always tries the same examples
    done = subprocess.run([program, *command[1:]], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed in {folder}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _changed_line(diff):
    changed = [line[1:].strip() for line in diff.splitlines() if line.startswith("+") and not line.startswith("+++")]
    return " ".join(changed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(MODULES)))
