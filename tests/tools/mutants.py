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
LEAST_PERCENT = 90
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

READS_ON = "a byte or none more is asked for; what is too large is refused all the same"
ANY_NAME = "any random name does"
SLOWER = "the parser proper has the word then, and says the same, later"
# Mutants that no test can tell from the original: module -> {the changed line: why}.
EQUIVALENT = {
    "private_directory": {
        "CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW & os.O_CLOEXEC": "Python adds O_CLOEXEC by itself, and with O_EXCL no link is followed",
        "if self.owner > os.geteuid():": "only root writes for another owner, and no number is below root's",
        "if is_new and outer.owner > os.geteuid():": "the same",
        "if status.st_uid != me and me > 0:": "no number is below root's",
        "piece = os.read(descriptor, limit + size)": READS_ON,
        "while size != limit:": READS_ON,
        "while size <= limit:": READS_ON,
        "while size is not limit:": READS_ON,
        "data = _read_all(descriptor, limit + 2)": READS_ON,
        "pieces, size = [], -1": READS_ON,
        "continue": "each further step does nothing, too, where there is no directory",
        'temporary = f".{name}.{os.getpid()}.{os.urandom( 5).hex()}{TEMPORARY_SUFFIX}"': ANY_NAME,
        'temporary = f".{name}.{os.getpid()}.{os.urandom( 3).hex()}{TEMPORARY_SUFFIX}"': ANY_NAME,
    },
    "pair": {
        "return value if end > len(text) and isinstance(value, dict) else parse_object(data)": SLOWER,
        "return value if end >= len(text) and isinstance(value, dict) else parse_object(data)": "the end of what was read is never behind the end of the text",
        "value, end = make_scanner(_Hooks)(text, 1)": SLOWER,
        "value, end = make_scanner(_Hooks)(text, -1)": SLOWER,
        'return value if abs(value) < float("inf") else None': "nothing is above infinity, and NaN does not come here",
        "and 0 != len(value) <= LONGEST_TOKEN_CHARACTERS": "no length is below 0",
    },
    "token_store": {
        "raise self._damaged(error.args[ -1]) from None": "there is one argument",
        'raise self._damaged(N_("larger than {size} KiB", size=LARGEST_FILE_BYTES // 1023)) from None': "64 KiB either way",
        "self.publish(is_new=False)": "a file that was just replaced has another time than the published one",
    },
}


def main(modules):
    shutil.rmtree(SCRATCH, ignore_errors=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(modules, pool.map(_mutants_of, modules)))  # noqa: B905 (Python 3.9)
    killed = survived = equivalent = 0
    print(f"{'':18} mutants  killed  equivalent  survived")
    for module, mutants in found.items():
        same = [line for line, is_killed in mutants if not is_killed and line in EQUIVALENT.get(module, {})]
        alive = [line for line, is_killed in mutants if not is_killed and line not in same]
        dead = len(mutants) - len(same) - len(alive)
        print(f"{module:18} {len(mutants):7} {dead:7} {len(same):11} {len(alive):9}")
        for line in alive:
            print(f"    {line}")
        killed, survived, equivalent = killed + dead, survived + len(alive), equivalent + len(same)
    percent = 100 * killed / (killed + survived)
    print(f"{'all':18} {killed + survived + equivalent:7} {killed:7} {equivalent:11} {survived:9}")
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
