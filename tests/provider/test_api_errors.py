"""What each answer of the API means for an operator: the documented errors, the weather, and nonsense."""

import json

import pytest

from hhtoken import errors
from hhtoken.provider import api_errors
from hhtoken.provider.answer import Answer

USER = {"id": "7", "first_name": "Иван", "last_name": "Петров", "is_applicant": True, "email": "i@example.com"}


def answer(status, body=b"", complete=True, **details):
    body = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
    return Answer(status, body, complete, **details)


def refusal(kind, value=None, status=403):
    return answer(status, {"errors": [{"type": kind, **({"value": value} if value else {})}], "request_id": "r"})


TABLE = [
    (refusal("oauth", "bad_authorization"), "bad_authorization", errors.NOPERM, "does not know", "refresh --force"),
    (refusal("oauth", "token_expired"), "token_expired", errors.UNAVAILABLE, "expired", "hhtoken refresh"),
    (refusal("oauth", "token_revoked"), "token_revoked", errors.NOPERM, "revoked", "hhtoken login"),
    (refusal("oauth", "application_not_found"), "application_not_found", errors.CONFIG, "removed", "dev.hh.ru"),
    (refusal("oauth", "user_auth_expected"), "user_auth_expected", errors.NOPERM, "application's", "hhtoken login"),
    (refusal("bad_user_agent", "unset", 400), "bad_user_agent", errors.CONFIG, "saw no", "HH_USER_AGENT"),
    (refusal("bad_user_agent", "blacklisted", 400), "bad_user_agent", errors.CONFIG, "black list", "HH_USER_AGENT"),
    (refusal("bad_user_agent", "odd", 400), "bad_user_agent", errors.CONFIG, "refuses the User", "HH_USER_AGENT"),
    (answer(403, b"<html>wait</html>"), "try_later", errors.TEMPFAIL, "guard", "HH_USER_AGENT"),
    (answer(403), "try_later", errors.TEMPFAIL, "guard", "later"),
    (answer(429), "try_later", errors.TEMPFAIL, "429", "later"),
    (answer(429, retry_after="7", received_at=0), "try_later", errors.TEMPFAIL, "429", "in 7 seconds"),
    (answer(503, {"errors": [{"type": "service_unavailable"}]}), "try_later", errors.TEMPFAIL, "503", "later"),
    (refusal("oauth", "token_revoked", 500), "try_later", errors.TEMPFAIL, "500", "later"),
    (answer(0, failure="the connection broke"), "try_later", errors.TEMPFAIL, "connection broke", "later"),
    (answer(0), "try_later", errors.TEMPFAIL, "nothing came", "later"),
    (answer(302), "try_later", errors.TEMPFAIL, "redirect", "HH_API_URL"),
    (refusal("not_found", status=404), "misaddressed", errors.CONFIG, "404", "HH_API_URL"),
    (answer(405), "misaddressed", errors.CONFIG, "405", "HH_API_URL"),
    (refusal("oauth", "something_new"), "unclear", errors.TEMPFAIL, "oauth: something_new", "later"),
    (refusal("captcha_required"), "unclear", errors.TEMPFAIL, "[captcha_required]", "later"),
    (answer(401, b"what"), "unclear", errors.TEMPFAIL, "401", "later"),
    (answer(200, b"<html>hotel</html>"), "nonsense", errors.DATAERR, "no sense", "HH_API_URL"),
    (answer(200, b"[]"), "nonsense", errors.DATAERR, "no sense", "HH_API_URL"),
    (answer(200, {"id": "7"}), "nonsense", errors.DATAERR, "no sense", "HH_API_URL"),
    (answer(204), "nonsense", errors.DATAERR, "no sense", "HH_API_URL"),
    (answer(200, b'{"id": "7", "is_appl', complete=False), "try_later", errors.TEMPFAIL, "no whole", "later"),
]


@pytest.mark.parametrize("came, kind, code, meaning, hint", TABLE)
def test_each_refusal_has_its_kind_exit_code_meaning_and_hint(came, kind, code, meaning, hint):
    verdict, person = api_errors.identify(came)
    assert person is None
    assert (verdict.kind, verdict.exit_code) == (kind, code)
    assert meaning in verdict.meaning and hint in verdict.hint
    assert verdict.failure().exit_code == code


def test_one_known_error_among_others_decides():
    body = {"errors": [{"type": "odd"}, 5, {"type": "oauth", "value": "token_revoked"}]}
    assert api_errors.judge(answer(403, body)).kind == "token_revoked"


@pytest.mark.parametrize("listed", [None, {}, "x", [1], [{}], [{"type": 1, "value": []}], [[]]])
def test_a_malformed_list_of_errors_is_no_defect(listed):
    assert api_errors.judge(answer(403, {"errors": listed})).exit_code == errors.TEMPFAIL


def test_the_request_id_stands_with_every_refusal():
    came = refusal("oauth", "token_revoked")
    came.request_id = "abc"
    assert "(request id abc)" in api_errors.judge(came).meaning


def test_a_person_is_introduced_by_name_role_and_id_and_by_email_if_wanted():
    verdict, person = api_errors.identify(answer(200, USER))
    assert verdict.kind == "accepted" and verdict.exit_code == 0
    assert person.introduction() == "Иван Петров (applicant, id 7)"
    assert person.introduction(with_email=True) == "Иван Петров (applicant, id 7, i@example.com)"
    assert "Иван" not in repr(person)


def test_an_application_and_a_nameless_user_are_introduced_too():
    _verdict, person = api_errors.identify(answer(200, {"is_application": True}))
    assert person.introduction() == "application"
    _verdict, person = api_errors.identify(answer(200, {"is_employer": True, "is_admin": True, "id": 9}))
    assert person.introduction() == "employer, administrator, id 9"


def test_a_name_cannot_drive_the_terminal_or_repeat_a_secret():
    fields = {**USER, "first_name": "\x1b[2JEve\n\u202e", "last_name": "SECRET-TOKEN" + "x" * 999}
    _verdict, person = api_errors.identify(answer(200, fields), ("SECRET-TOKEN", None))
    said = person.introduction()
    assert said.isprintable() and "SECRET-TOKEN" not in said and len(said) < 500


def test_a_secret_that_is_echoed_is_not_repeated():
    came = refusal("SECRET-TOKEN", "SECRET-TOKEN")
    came.request_id = "SECRET-TOKEN"
    assert "SECRET-TOKEN" not in api_errors.judge(came, ("SECRET-TOKEN",)).meaning
