"""What the API says of a token: accepted and as whom, refused, or nothing of use."""

import json

import pytest

from hhtoken import errors
from hhtoken.provider import api_errors
from hhtoken.provider.answer import Answer
from hhtoken.store.record import REFUSAL_KINDS

USER = {"id": "7", "first_name": "Иван", "last_name": "Петров", "is_applicant": True, "email": "i@example.com"}


def answer(status, body=b"", complete=True, **details):
    body = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
    return Answer(status, body, complete, **details)


def refusal(kind, value=None, status=403, **details):
    return answer(status, {"errors": [{"type": kind, **({"value": value} if value else {})}]}, **details)


TABLE = [
    (refusal("oauth", "bad_authorization"), "bad_authorization", errors.NOPERM, "does not know", "hhtoken refresh"),
    (refusal("oauth", "token_expired"), "token_expired", errors.UNAVAILABLE, "expired", "type 'hhtoken refresh'"),
    (refusal("oauth", "token_revoked"), "token_revoked", errors.NOPERM, "revoked", "hhtoken login"),
    (answer(429, retry_after="7", received_at=0), "try_later", errors.TEMPFAIL, "429", "in 7 seconds"),
    (answer(0, failure="the connection broke"), "try_later", errors.TEMPFAIL, "connection broke", "later"),
    (answer(0), "try_later", errors.TEMPFAIL, "nothing came", "later"),
    (answer(200, b"<html>hotel</html>"), "nonsense", errors.DATAERR, "no sense", "HH_API_URL"),
    (answer(200, b"[]"), "nonsense", errors.DATAERR, "no sense", "HH_API_URL"),
    (answer(204), "nonsense", errors.DATAERR, "no sense", "HH_API_URL"),
    (answer(200, b'{"id": "7", "is_appl', complete=False), "try_later", errors.TEMPFAIL, "no whole", "later"),
]


@pytest.mark.parametrize("came, kind, code, meaning, hint", TABLE)
def test_each_refusal_has_its_kind_exit_code_meaning_and_hint(came, kind, code, meaning, hint):
    verdict, owner = api_errors.identify(came)
    assert owner is None
    assert (verdict.kind, verdict.exit_code) == (kind, code)
    assert meaning in verdict.meaning and hint in verdict.hint
    assert verdict.failure().exit_code == code


def test_type_value_and_request_id_stand_with_a_refusal():
    said = api_errors.judge(refusal("oauth", "token_revoked", request_id="abc")).meaning
    assert said.endswith("[oauth: token_revoked] (request id abc)")
    in_body = answer(403, {"errors": [{"type": "x"}], "request_id": "def"})
    assert api_errors.judge(in_body).meaning.endswith("[x] (request id def)")
    assert "SECRET" not in api_errors.judge(refusal("x", "y", request_id="SECRET-TOKEN"), ("SECRET-TOKEN",)).meaning


def test_what_is_remembered_of_a_token_is_in_the_table():
    assert set(REFUSAL_KINDS) < set(api_errors.REFUSALS) and set(api_errors.OF_TOKEN) < set(REFUSAL_KINDS)


EMPLOYER = {"employer": {"id": "42", "name": "Рога"}, "manager": {"id": "5", "is_main": True}}


@pytest.mark.parametrize(
    "fields, roles, introduction",
    [
        (USER, ["applicant"], "Иван Петров (applicant, id 7)"),
        ({"auth_type": "applicant"}, ["applicant"], "applicant"),
        ({**USER, "is_applicant": False, "auth_type": "applicant"}, [], "Иван Петров (id 7)"),
        (
            {**USER, "is_applicant": False, "is_employer": True, **EMPLOYER},
            ["employer"],
            "Иван Петров (employer, id 7, Рога, employer id 42, manager id 5)",
        ),
        ({"auth_type": "employer", **EMPLOYER}, ["employer"], "employer, Рога, employer id 42, manager id 5"),
        ({"is_employer": True, "is_admin": True, "id": 9}, ["employer", "admin"], "employer, administrator, id 9"),
        ({"is_application": True}, ["application"], "application"),
        ({"auth_type": "application", "is_application": True}, ["application"], "application"),
        (
            {"auth_type": "employer_integration", "employer": {"id": 42}},
            ["employer_integration"],
            "employer's integration, employer id 42",
        ),
        ({"is_employer_integration": True}, ["employer_integration"], "employer's integration"),
        ({"auth_type": None, "employer": None, "manager": "x"}, [], "nobody is named"),
        ({"employer": {"name": "no id"}, "manager": []}, [], "nobody is named"),
        ({}, [], "nobody is named"),
    ],
)
@pytest.mark.parametrize("status", [200, 201, 206])
def test_each_2xx_with_an_object_is_accepted_and_tells_whose_the_token_is(fields, roles, introduction, status):
    verdict, owner = api_errors.identify(answer(status, fields))
    assert (verdict.kind, verdict.exit_code) == ("accepted", 0)
    assert [role for role in api_errors.ROLES if owner[f"is_{role}"]] == roles
    assert api_errors.introduction(owner) == introduction and set(owner) == set(api_errors.OWNER_FIELDS)


def test_an_email_is_told_only_if_wanted():
    _verdict, owner = api_errors.identify(answer(200, USER))
    assert api_errors.introduction(owner, with_email=True) == "Иван Петров (applicant, id 7, i@example.com)"


def test_a_name_cannot_drive_the_terminal_or_repeat_a_secret():
    fields = {**USER, "first_name": "\x1b[2JEve\n\u202e", "last_name": "SECRET-TOKEN" + "x" * 999}
    fields["employer"] = {"id": 1, "name": "SECRET-TOKEN\x1b"}
    _verdict, owner = api_errors.identify(answer(200, fields), ("SECRET-TOKEN", None))
    said = api_errors.introduction(owner)
    assert said.isprintable() and "SECRET-TOKEN" not in said and len(said) < 500
