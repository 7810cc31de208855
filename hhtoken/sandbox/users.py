"""Whose a token is, and what ``GET /me`` answers to it: the members that HeadHunter's OpenAPI text requires, and the
person of an applicant or a manager."""

ROLES = ("applicant", "employer", "admin", "integration")  # who can sign in; an admin is an employer's manager as well
APPLICANT, EMPLOYER = ROLES[:2]
APPLICATION = "application"  # nobody signs in: the token of client_credentials

_AUTH_TYPES = {"admin": "employer", "integration": "employer_integration"}  # of the others, the role itself
_KINDS = ("applicant", "employer", "application", "employer_integration")


def wanted(role, user):
    """Given the ``role`` of an authorization request and the sandbox's user, return the role of who signs in."""
    if role not in (APPLICANT, EMPLOYER) or (role == APPLICANT) == (user == APPLICANT):
        return user
    return role


def me(role, api_url):
    """Given a role, or APPLICATION, return the answer of ``GET /me``; an integration and an application are nobody."""
    auth_type = _AUTH_TYPES.get(role, role)
    user = {"auth_type": auth_type, "is_admin": role == "admin"}
    user.update({f"is_{kind}": kind == auth_type for kind in _KINDS})
    if auth_type == APPLICANT:
        user.update(_person("1"), counters={"new_resume_views": 0, "unread_negotiations": 0, "resumes_count": 1})
        user.update(is_anonymous=False, is_in_search=True, employer=None, manager=None)
        user.update(resumes_url=f"{api_url}/resumes/mine", negotiations_url=f"{api_url}/negotiations")
    elif auth_type == EMPLOYER:
        settings_url = f"{api_url}/employers/1455/managers/4/settings"
        manager = {"id": "4", "is_main_contact_person": True, "manager_settings_url": settings_url}
        user.update(_person("2"), employer={"id": "1455", "name": "ООО «Песочница»"}, manager=manager)
    return user


def _person(number):
    return {
        "id": number,
        "first_name": "Песочница",
        "last_name": "Тестовая",
        "middle_name": None,
        "email": "sandbox@example.com",
    }
