"""The state of the token, why, and what to do next: the report and its forms for programs."""

import json
import shutil
import subprocess

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
    UNCLEAR_FOR_DAYS,
    WRONG_SECRET,
    judged,
    pair,
)
from support import ROOT

from hhtoken import __version__, errors
from hhtoken.provider import token_errors
from hhtoken.renewal.report import STATES, look, of_pair, to_fields, to_prometheus
from hhtoken.store import record
from hhtoken.store.record import Record
from hhtoken.store.token_store import fingerprint, open_store

EVERY_REPORT = pytest.mark.parametrize("name", REPORTS)


def report_of(name):
    return REPORTS[name][0]


def fields_of(report):
    return json.loads(json.dumps(to_fields(report, "/state")))


def metrics_of(report):
    return metrics(to_prometheus([(None, report)]))


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "none"))
    return open_store(str(tmp_path / "state"), create=True)


def told(store):
    report = look(store, NOW)
    return report.state, report.exit_code


# -- the report --


@EVERY_REPORT
def test_every_situation_has_its_state_and_exit_code_and_a_next_step_unless_all_is_well(name):
    report, state, exit_code = REPORTS[name]
    assert (report.state, report.exit_code) == (state, exit_code)
    assert report.reason and bool(report.next_step) == (state != "valid")


def test_every_state_is_met_here():
    assert {state for _report, state, _code in REPORTS.values()} == set(STATES)


def test_the_reason_is_what_the_last_refresh_came_to():
    assert report_of("locked").reason == LOCKED.message and report_of("locked").next_step == LOCKED.hint
    assert report_of("lost").reason == LOST.message
    assert report_of("damaged").reason == DAMAGED.message and report_of("damaged").next_step == DAMAGED.hint
    assert report_of("no refresh token").next_step == token_errors.HINT_AUTHORIZE


@pytest.mark.parametrize(
    "name, at",
    [("fresh", NOW + 500), ("expired", NOW), ("not yet", NOW + 5), ("guard", NOW + 70), ("lost", NOW), ("dead", None),
     ("dead but valid", None), ("no pair", None), ("no refresh token", None), ("API says expired", NOW)],
)  # fmt: skip
def test_the_next_refresh_is_promised_for_when_it_is_possible(name, at):
    assert fields_of(report_of(name))["next_refresh_at"] == at


def test_a_store_is_looked_at_as_it_stands(store, tmp_path):
    assert told(store) == ("no_pair", 77)
    store.begin({}).close()
    assert told(store) == ("in_flight", 69)
    store.settle()
    store.save(pair(500))
    store.remember(NOT_YET)
    assert told(store) == ("valid", 0) and look(store, NOW).last is None
    about_this_pair = judged(400, "invalid_grant", "token deactivated")
    about_this_pair.refresh_token_sha256 = fingerprint(REFRESH)
    store.remember(about_this_pair)
    assert told(store) == ("authorization_needed", 77)
    store.remember(NOT_YET)
    store.begin({}).close()
    assert told(store) == ("in_flight", 0)
    (tmp_path / "state" / "journal").unlink()
    (tmp_path / "state" / "journal").mkdir()  # what is in flight cannot be told
    assert told(store) == ("in_flight", 0)
    (tmp_path / "state" / "token.json").write_text("{")
    assert told(store) == ("damaged", 65)


@pytest.mark.parametrize("kind, said", [("refresh", "a refresh is"), ("code", "an authorization is"),
                                        ("revoke", "a revocation is"), ("other", "a refresh is")])  # fmt: skip
def test_what_is_in_flight_is_told_by_its_intent(store, kind, said):
    store.save(pair(500))
    store.begin({"kind": kind}).close()
    report = look(store, NOW)
    assert report.state == "in_flight" and report.reason.startswith(said + " under way, or was interrupted")
    assert ("hhtoken revoke" in report.next_step) == (kind == "revoke")


def test_a_revocation_that_was_interrupted_after_the_pair_had_gone_leaves_no_pair(store):
    store.begin({"kind": "revoke"}).close()
    assert told(store) == ("no_pair", 77)


@pytest.mark.parametrize("last, left, is_told", [
    (None, -5, True), (GUARD, -5, True), (LOST, -5, True), (NONSENSE, -5, True), (NOT_YET, -5, True),
    (None, 500, False), (DEAD, -5, False), (LOCKED, -5, False), (WRONG_SECRET, -5, False),
])  # fmt: skip
def test_where_a_refresh_is_due_a_place_without_room_for_a_new_pair_is_told(store, monkeypatch, last, left, is_told):
    store.save(pair(left))
    if last:
        store.remember(Record(**{**last.as_dict(), "refresh_token_sha256": fingerprint(REFRESH)}))
    before = look(store, NOW)
    trouble = errors.StorageError("no space left on device", "make room")
    monkeypatch.setattr(type(store), "why_no_room", lambda _store: trouble)
    report = look(store, NOW)
    assert (report.state, report.exit_code == 74) == (before.state, is_told)
    if is_told:
        assert report.reason == f"{before.reason}; no new pair could be stored: no space left on device"
        assert report.next_step == "make room; then type 'hhtoken refresh'"


def test_what_a_new_pair_was_said_to_live_for_does_not_count_against_the_file():
    """Only HeadHunter's "not yet" says that our own computation was wrong."""
    said = Record(outcome=record.AUTHORIZED, at=NOW - 50, message="stored a new pair", lives_until=NOW + 500)
    report = of_pair(pair(-NOW - 5), said, NOW)
    assert (report.state, report.exit_code, report.seconds_left, report.is_usable) == ("due", 69, 0, False)


def test_during_a_pause_the_step_is_one_that_does_something():
    assert report_of("not yet").next_step.endswith(", or 'hhtoken refresh --force' now")
    assert of_pair(pair(), NOT_YET, NOT_YET.not_before).next_step == "type 'hhtoken refresh'"
    limited = judged(429, retry_after="120")
    step = of_pair(pair(), limited, NOW).next_step
    assert step.startswith("type 'hhtoken refresh' after 2023-") and "--force" not in step


@pytest.mark.parametrize("refused, code", [("token_expired", 69), ("token_revoked", 77), ("bad_authorization", 77),
                                           ("application_not_found", 78)])  # fmt: skip
def test_what_the_api_refuses_is_not_valid_whatever_the_file_says(refused, code):
    report = of_pair(pair(500), Record(outcome=record.RENEWED, at=NOW - 900, message="m", refused=refused), NOW)
    assert report.state != "valid" and (report.exit_code, report.is_usable) == (code, False)
    assert metrics_of(report)["hhtoken_token_usable"] == {None: 0}


@pytest.mark.parametrize("now", [0, NOW - 5000])
def test_a_clock_before_the_issue_of_the_token_is_called_wrong(now):
    report = of_pair(pair(500), None, now)
    assert (report.state, report.exit_code) == ("due", 69) and "the clock of this machine is wrong" in report.reason
    assert "date" in report.next_step and report.seconds_left <= 1000, "no more than its whole life"


@EVERY_REPORT
def test_no_hint_counts_on_a_run_that_may_not_come(name):
    step = report_of(name).next_step or ""
    assert not [word for word in ("next run", "timer", "by itself") if word in step]


# -- for programs --

SCHEMA = json.loads((ROOT / "docs" / "status.schema.json").read_text())
REFERENCE = (ROOT / "docs" / "reference.md").read_text()


@EVERY_REPORT
def test_the_json_is_what_its_schema_says(name):
    jsonschema.validate(fields_of(report_of(name)), SCHEMA, jsonschema.Draft202012Validator)


def test_the_schema_is_one_and_knows_every_field_and_no_other():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    fields = fields_of(report_of("dead"))
    assert list(fields) == list(SCHEMA["properties"]) == SCHEMA["required"]
    last = SCHEMA["$defs"]["last_refresh"]
    assert list(fields["last_refresh"]) == list(last["properties"]) == last["required"] == list(record.DEFAULTS)
    assert SCHEMA["properties"]["state"]["enum"] == list(STATES)
    assert tuple(last["properties"]["outcome"]["enum"]) == record.OUTCOMES


def test_the_reference_describes_every_field_and_every_metric():
    last = SCHEMA["$defs"]["last_refresh"]
    for name in [*SCHEMA["properties"], *last["properties"], *metrics_of(report_of("dead"))]:
        assert f"`{name}`" in REFERENCE, name


def test_a_token_that_the_provider_calls_alive_is_usable_whatever_we_had_computed():
    report = of_pair(pair(-10), ALIVE, NOW)
    fields = fields_of(report)
    assert (report.state, report.exit_code) == ("valid", 0)
    assert (fields["usable"], fields["seconds_left"], fields["expires_at"]) == (True, 100, NOW + 100)
    assert of_pair(pair(-10), ALIVE, NOW + 100).state == "not_yet"
    assert of_pair(pair(-10), ALIVE, NOW + 100).expires_at == NOW - 10
    assert of_pair(pair(500), ALIVE, NOW).expires_at == NOW + 500


@EVERY_REPORT
def test_the_json_agrees_with_the_report(name):
    report, state, exit_code = REPORTS[name]
    fields = fields_of(report)
    assert (fields["schema"], fields["state"], fields["exit_code"]) == (1, state, exit_code)
    assert (fields["reason"], fields["next_step"], fields["state_directory"]) == (
        report.reason,
        report.next_step,
        "/state",
    )
    is_refused = report.last is not None and report.last.refused in ("token_revoked", "token_expired")
    assert fields["usable"] == (fields["seconds_left"] > 0 and not is_refused and not report.is_clock_wrong)
    if report.pair:
        assert (fields["obtained_at"], fields["expires_at"]) == (report.pair.obtained_at, report.pair.expires_at)
    else:
        assert (fields["usable"], fields["obtained_at"], fields["expires_at"]) == (False, None, None)


def test_who_renews_is_a_field_of_its_own():
    report = of_pair(pair(500), None, NOW)
    for names in ([], ["hh-token-due.timer", "hh-token-refresh.timer"]):
        report.renewed_by = names
        assert fields_of(report)["renewed_by"] == names
        assert metrics_of(report)["hhtoken_renewers"] == {None: len(names)}


# -- for node_exporter --


def metrics(text):
    """Let Prometheus's own parser read the text; return ``{name: {labels or None: value}}``."""
    found = {}
    for family in text_string_to_metric_families(text + "\n"):
        assert family.documentation and family.type == "gauge" and family.name not in found
        labels = [tuple(sample.labels.items()) for sample in family.samples]
        assert len(labels) == len(set(labels)) > 0, "one sample of each"
        found[family.name] = {
            ",".join(f'{name}="{text}"' for name, text in sample.labels.items()) or None: sample.value
            for sample in family.samples
        }
    return found


@EVERY_REPORT
def test_the_prometheus_text_is_valid(name):
    text = to_prometheus([(None, report_of(name))])
    assert not text.endswith("\n")  # standard output adds the one that the format asks for
    assert list(metrics(text)) == [
        f"hhtoken_{metric}"
        for metric in (
            "build_info token_usable authorization_needed token_expiry_timestamp_seconds "
            "token_obtained_timestamp_seconds next_refresh_timestamp_seconds last_refresh_timestamp_seconds renewers "
            "refresh_failures state"
        ).split()
    ]
    if shutil.which("promtool"):  # of Debian's prometheus
        linted = subprocess.run(["promtool", "check", "metrics"], input=text + "\n", capture_output=True, text=True)
        assert (linted.returncode, linted.stdout + linted.stderr) == (0, "")


@EVERY_REPORT
def test_the_prometheus_text_agrees_with_the_report(name):
    report, state, exit_code = REPORTS[name]
    found = metrics_of(report)
    assert found["hhtoken_state"] == {f'state="{one}"': int(one == state) for one in STATES}
    assert found["hhtoken_token_usable"] == {None: int(report.is_usable)}
    assert found["hhtoken_authorization_needed"] == {None: int(exit_code == 77)}
    assert found["hhtoken_authorization_needed"] == {None: int(state in ("no_pair", "authorization_needed"))}
    assert found["hhtoken_token_expiry_timestamp_seconds"] == {None: report.pair.expires_at if report.pair else 0}
    assert found["hhtoken_last_refresh_timestamp_seconds"] == {None: report.last.at if report.last else 0}
    assert found["hhtoken_token_obtained_timestamp_seconds"] == {None: report.pair.obtained_at if report.pair else 0}
    fields = fields_of(report)
    assert found["hhtoken_next_refresh_timestamp_seconds"] == {None: fields["next_refresh_at"] or 0}
    assert found["hhtoken_build_info"] == {f'version="{__version__}"': 1}


def test_failures_in_a_row_are_counted_and_a_quiet_not_yet_is_none():
    for last, count in ((None, 0), (RENEWED, 0), (GUARD, 1), (UNCLEAR_FOR_DAYS, 2), (NOT_YET, 0)):
        assert metrics_of(of_pair(pair(), last, NOW))["hhtoken_refresh_failures"] == {None: count}


# -- always --


@EVERY_REPORT
def test_no_form_of_the_report_holds_a_token(name):
    report = report_of(name)
    forms = [json.dumps(fields_of(report)), to_prometheus([(None, report)])]
    assert "canary" not in "".join(forms) + repr(report)
