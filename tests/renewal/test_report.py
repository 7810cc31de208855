"""The state of the token, why, and what to do next: the report and its forms for programs."""

import json
import os
import re
import shutil
import subprocess
import time

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families
from reports import (
    ALIVE,
    DAMAGED,
    DEAD,
    GUARD,
    LOCKED,
    LOST,
    NONSENSE,
    NOT_YET,
    NOW,
    REFRESH,
    RENEWED,
    REPORTS,
    REVOKED,
    UNCLEAR_FOR_DAYS,
    WRONG_SECRET,
    judged,
    pair,
)
from support import ROOT

from hhtoken import __version__, errors
from hhtoken.provider import token_errors
from hhtoken.renewal import report as reporting
from hhtoken.store import record
from hhtoken.store.record import Record
from hhtoken.store.token_store import fingerprint, open_store


@pytest.fixture(autouse=True)
def moscow(monkeypatch):
    monkeypatch.setitem(os.environ, "TZ", "Europe/Moscow")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


EVERY_REPORT = pytest.mark.parametrize("name", REPORTS)


def report_of(name):
    return REPORTS[name][0]


# -- the report --


@EVERY_REPORT
def test_every_situation_has_its_state_and_exit_code(name):
    report, state, exit_code = REPORTS[name]
    assert (report.state, report.exit_code) == (state, exit_code)
    assert report.reason


def test_every_state_is_met_here():
    assert {state for _report, state, _code in REPORTS.values()} == set(reporting.STATES)


@EVERY_REPORT
def test_a_next_step_is_named_unless_all_is_well(name):
    report, state, _exit_code = REPORTS[name]
    assert bool(report.next_step) == (state != "valid")


def test_the_reason_is_what_the_last_refresh_came_to():
    assert report_of("locked").reason == LOCKED.message and report_of("locked").next_step == LOCKED.hint
    assert report_of("lost").reason == LOST.message
    assert report_of("damaged").reason == DAMAGED.message and report_of("damaged").next_step == DAMAGED.hint
    assert report_of("no refresh token").next_step == token_errors.HINT_AUTHORIZE


@pytest.mark.parametrize(
    "name, at",
    [
        ("fresh", NOW + 500),
        ("expired", NOW),
        ("not yet", NOW + 5),
        ("guard", NOW + 70),
        ("lost", NOW),
        ("dead", None),
        ("dead but valid", None),
        ("no pair", None),
        ("damaged", None),
        ("no refresh token", None),
        ("no refresh token, valid", None),
    ],
)
def test_the_next_refresh_is_promised_for_when_it_is_possible(name, at):
    assert json.loads(reporting.to_json(report_of(name), "/state"))["next_refresh_at"] == at


def test_a_store_is_looked_at_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "none"))
    store = open_store(str(tmp_path / "state"), create=True)
    assert reporting.look(store, NOW).state == "no_pair"
    store.begin({}).close()
    assert (reporting.look(store, NOW).state, reporting.look(store, NOW).exit_code) == ("in_flight", 69)
    store.settle()
    store.save(pair(500))
    store.remember(NOT_YET)
    assert (reporting.look(store, NOW).state, reporting.look(store, NOW).last) == ("valid", None)
    about_this_pair = judged(400, "invalid_grant", "token deactivated")
    about_this_pair.refresh_token_sha256 = fingerprint(REFRESH)
    store.remember(about_this_pair)
    assert reporting.look(store, NOW).state == "authorization_needed"
    store.remember(NOT_YET)
    store.begin({}).close()
    assert reporting.look(store, NOW).state == "in_flight"
    (tmp_path / "state" / "journal").unlink()
    (tmp_path / "state" / "journal").mkdir()  # what is in flight cannot be told
    assert reporting.look(store, NOW).state == "in_flight"
    (tmp_path / "state" / "token.json").write_text("{")
    assert reporting.look(store, NOW).state == "damaged"


@pytest.mark.parametrize("kind, said", [("refresh", "a refresh is"), ("code", "an authorization is"),
                                        ("revoke", "a revocation is"), ("other", "a refresh is")])  # fmt: skip
def test_what_is_in_flight_is_told_by_its_intent(tmp_path, monkeypatch, kind, said):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "none"))
    store = open_store(str(tmp_path / "state"), create=True)
    store.save(pair(500))
    store.begin({"kind": kind}).close()
    report = reporting.look(store, NOW)
    assert report.state == "in_flight" and report.reason.startswith(said + " under way, or was interrupted")
    assert ("hhtoken revoke" in report.next_step) == (kind == "revoke")


def test_a_revocation_that_was_interrupted_after_the_pair_had_gone_leaves_no_pair(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "none"))
    store = open_store(str(tmp_path / "state"), create=True)
    store.begin({"kind": "revoke"}).close()
    assert (reporting.look(store, NOW).state, reporting.look(store, NOW).exit_code) == ("no_pair", 77)


@pytest.mark.parametrize("last", [None, GUARD, LOST, NONSENSE, NOT_YET])
def test_where_a_refresh_is_due_a_directory_that_cannot_be_written_is_told(tmp_path, monkeypatch, last):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "none"))
    store = open_store(str(tmp_path / "state"), create=True)
    store.save(pair())
    if last:
        store.remember(Record(**{**last.as_dict(), "refresh_token_sha256": fingerprint(REFRESH)}))
    before = reporting.look(store, NOW)
    trouble = errors.StorageError("no space left on device", "make room")
    monkeypatch.setattr(type(store), "why_no_room", lambda _store: trouble)
    report = reporting.look(store, NOW)
    assert (report.state, report.exit_code) == (before.state, 74) and before.exit_code != 74
    assert report.reason == f"{before.reason}; no new pair could be stored: no space left on device"
    assert report.next_step == "make room; the next run, or 'hhtoken refresh', then renews the pair"


@pytest.mark.parametrize("last, left", [(None, 500), (DEAD, -5), (LOCKED, -5), (WRONG_SECRET, -5)])
def test_a_directory_that_cannot_be_written_is_not_looked_at_where_no_refresh_can_help(
    tmp_path, monkeypatch, last, left
):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "none"))
    store = open_store(str(tmp_path / "state"), create=True)
    store.save(pair(left))
    if last:
        store.remember(Record(**{**last.as_dict(), "refresh_token_sha256": fingerprint(REFRESH)}))
    monkeypatch.setattr(type(store), "why_no_room", None)
    assert reporting.look(store, NOW).exit_code == (last.exit_code if last else 0)


def test_what_a_new_pair_was_said_to_live_for_does_not_count_against_the_file():
    """Only HeadHunter's "not yet" says that our own computation was wrong."""
    said = Record(outcome=record.AUTHORIZED, at=NOW - 50, message="stored a new pair", lives_until=NOW + 500)
    report = reporting.of_pair(pair(-NOW - 5), said, NOW)
    assert (report.state, report.exit_code, report.seconds_left, report.is_usable) == ("due", 69, 0, False)


def test_during_a_pause_the_step_is_one_that_does_something():
    assert report_of("not yet").next_step == "wait, or type 'hhtoken refresh --force' to ask at once"
    after = reporting.of_pair(pair(), NOT_YET, NOT_YET.not_before)
    assert after.next_step == reporting.HINT_REFRESH
    assert "'hhtoken refresh --force' now" in report_of("guard").next_step


# -- for programs --

SCHEMA = json.loads((ROOT / "docs" / "status.schema.json").read_text())
REFERENCE = (ROOT / "docs" / "reference.md").read_text()


@EVERY_REPORT
def test_the_json_is_what_its_schema_says(name):
    fields = json.loads(reporting.to_json(report_of(name), "/state"))
    jsonschema.validate(fields, SCHEMA, jsonschema.Draft202012Validator)


def test_the_schema_is_one_and_knows_every_field_and_no_other():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    fields = json.loads(reporting.to_json(report_of("dead"), "/state"))
    assert list(fields) == list(SCHEMA["properties"]) == SCHEMA["required"]
    last = SCHEMA["$defs"]["last_refresh"]
    assert list(fields["last_refresh"]) == list(last["properties"]) == last["required"] == list(record.DEFAULTS)
    assert tuple(SCHEMA["properties"]["state"]["enum"]) == tuple(reporting.STATES)
    assert tuple(last["properties"]["outcome"]["enum"]) == record.OUTCOMES


@pytest.mark.parametrize(
    "spoil",
    [
        {"schema": 2},
        {"state": "fine"},
        {"usable": 1},
        {"seconds_left": -1},
        {"expires_at": "2026"},
        {"last_refresh": {}},
        {"exit_code": 1},
        {"state_directory": "state"},
    ],
    ids=str,
)
def test_the_schema_refuses_what_is_wrong(spoil):
    fields = {**json.loads(reporting.to_json(report_of("dead"), "/state")), **spoil}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(fields, SCHEMA, jsonschema.Draft202012Validator)


def test_the_reference_describes_every_field_and_every_metric():
    last = SCHEMA["$defs"]["last_refresh"]
    exported = metrics(reporting.to_prometheus([(None, report_of("dead"))]))
    for name in [*SCHEMA["properties"], *last["properties"], *exported]:
        assert f"`{name}`" in REFERENCE, name


@EVERY_REPORT
def test_without_a_pair_nothing_is_usable(name):
    report = report_of(name)
    fields = json.loads(reporting.to_json(report, "/state"))
    if report.pair is None:
        assert (fields["usable"], fields["seconds_left"], fields["next_refresh_at"]) == (False, 0, None)
        found = metrics(reporting.to_prometheus([(None, report)]))
        assert found["hhtoken_token_usable"] == found["hhtoken_token_expiry_timestamp_seconds"] == {None: 0}


def test_a_token_that_the_provider_calls_alive_is_usable_whatever_we_had_computed():
    report = reporting.of_pair(pair(-10), ALIVE, NOW)
    fields = json.loads(reporting.to_json(report, "/state"))
    assert (report.state, report.exit_code) == ("valid", 0)
    assert (fields["usable"], fields["seconds_left"], fields["expires_at"]) == (True, 100, NOW + 100)
    assert reporting.of_pair(pair(-10), ALIVE, NOW + 100).state == "not_yet"
    assert reporting.of_pair(pair(-10), ALIVE, NOW + 100).expires_at == NOW - 10
    assert reporting.of_pair(pair(500), ALIVE, NOW).expires_at == NOW + 500


@EVERY_REPORT
def test_the_json_agrees_with_the_report(name):
    report, state, exit_code = REPORTS[name]
    fields = json.loads(reporting.to_json(report, "/state"))
    assert (fields["schema"], fields["state"], fields["exit_code"]) == (1, state, exit_code)
    assert (fields["reason"], fields["next_step"], fields["state_directory"]) == (
        report.reason,
        report.next_step,
        "/state",
    )
    assert fields["usable"] == (fields["seconds_left"] > 0 and report.last is not REVOKED)
    if report.pair:
        assert (fields["obtained_at"], fields["expires_at"]) == (report.pair.obtained_at, report.pair.expires_at)
    else:
        assert (fields["usable"], fields["obtained_at"], fields["expires_at"]) == (False, None, None)


def test_the_json_counts_the_seconds_that_are_left():
    assert json.loads(reporting.to_json(report_of("fresh"), "/state"))["seconds_left"] == 500
    assert json.loads(reporting.to_json(report_of("renewed"), "/state"))["seconds_left"] == 499
    assert json.loads(reporting.to_json(report_of("expired"), "/state"))["seconds_left"] == 0


# -- for node_exporter --


def metrics(text):
    """Read the Prometheus text format as strictly as promtool; return {name: {labels: value}}."""
    found, declared, current = {}, {}, None
    for line in text.split("\n"):
        if line.startswith("# HELP "):
            name, _space, help_text = line[7:].partition(" ")
            assert re.fullmatch("[a-z_][a-z0-9_]*", name) and help_text.strip() == help_text != ""
            assert name not in declared, f"a second HELP for {name}"
            declared[name], current = ["HELP"], name
        elif line.startswith("# TYPE "):
            name, _space, kind = line[7:].partition(" ")
            assert declared[name] == ["HELP"] and name == current and kind == "gauge"
            declared[name].append("TYPE")
            found[name] = {}
        else:
            match = re.fullmatch(r'([a-z0-9_]+)(\{[a-z]+="[a-z_0-9.]+"\})? (-?\d+)', line)
            assert match, f"not a sample: {line!r}"
            name, labels, value = match.groups()
            assert name == current and declared[name] == ["HELP", "TYPE"]
            assert labels not in found[name], f"a second sample of {name}{labels}"
            found[name][labels] = int(value)
    assert all(samples for samples in found.values())
    return found


@EVERY_REPORT
def test_the_prometheus_text_is_valid(name):
    text = reporting.to_prometheus([(None, report_of(name))])
    assert not text.endswith("\n")  # standard output adds the one that the format asks for
    assert list(metrics(text)) == [
        "hhtoken_build_info",
        "hhtoken_token_usable",
        "hhtoken_authorization_needed",
        "hhtoken_token_expiry_timestamp_seconds",
        "hhtoken_token_obtained_timestamp_seconds",
        "hhtoken_next_refresh_timestamp_seconds",
        "hhtoken_last_refresh_timestamp_seconds",
        "hhtoken_refresh_failures",
        "hhtoken_state",
    ]
    # promtool's linter: only a counter ends in _total, only histograms and summaries in these
    assert not any(one.endswith(("_total", "_count", "_sum", "_bucket")) for one in metrics(text))


@EVERY_REPORT
def test_prometheus_itself_can_read_the_text(name):
    text = reporting.to_prometheus([(None, report_of(name))]) + "\n"
    read = {(sample.name, *sample.labels.values()): sample.value for family in text_string_to_metric_families(text)
            for sample in family.samples}  # fmt: skip
    ours = {(metric, *re.findall('"(.*)"', labels or "")): value for metric, samples in metrics(text[:-1]).items()
            for labels, value in samples.items()}  # fmt: skip
    assert read == ours
    if shutil.which("promtool"):  # of Debian's prometheus; the parser above is a package of the tests
        linted = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        assert (linted.returncode, linted.stdout + linted.stderr) == (0, "")


@EVERY_REPORT
def test_the_prometheus_text_agrees_with_the_report(name):
    report, state, exit_code = REPORTS[name]
    found = metrics(reporting.to_prometheus([(None, report)]))
    assert found["hhtoken_state"] == {f'{{state="{one}"}}': int(one == state) for one in reporting.STATES}
    assert found["hhtoken_token_usable"] == {None: int(report.is_usable)}
    assert found["hhtoken_authorization_needed"] == {None: int(exit_code == 77)}
    assert found["hhtoken_authorization_needed"] == {None: int(state in ("no_pair", "authorization_needed"))}
    assert found["hhtoken_token_expiry_timestamp_seconds"] == {None: report.pair.expires_at if report.pair else 0}
    assert found["hhtoken_last_refresh_timestamp_seconds"] == {None: report.last.at if report.last else 0}
    assert found["hhtoken_token_obtained_timestamp_seconds"] == {None: report.pair.obtained_at if report.pair else 0}
    fields = json.loads(reporting.to_json(report, "/state"))
    assert found["hhtoken_next_refresh_timestamp_seconds"] == {None: fields["next_refresh_at"] or 0}
    assert found["hhtoken_build_info"] == {f'{{version="{__version__}"}}': 1}


def failures(last):
    report = reporting.of_pair(pair(), last, NOW)
    return metrics(reporting.to_prometheus([(None, report)]))["hhtoken_refresh_failures"][None]


def test_failures_in_a_row_are_counted():
    assert [failures(None), failures(RENEWED), failures(GUARD), failures(UNCLEAR_FOR_DAYS)] == [0, 0, 1, 2]


def test_a_quiet_not_yet_is_no_failure():
    assert failures(NOT_YET) == 0


# -- always --


@EVERY_REPORT
def test_no_form_of_the_report_holds_a_token(name):
    report = report_of(name)
    forms = [reporting.to_json(report, "/"), reporting.to_prometheus([(None, report)])]
    assert "canary" not in "".join(forms) + repr(report)
