"""The pages that a person sees, in Russian or English. They load nothing, and whatever is not ours is escaped."""

import base64
import hashlib
from html import escape

from hhtoken.sandbox.authorization import BAD_REDIRECT_URI, REPEATED_PARAMETER, UNKNOWN_CLIENT
from hhtoken.sandbox.users import ROLES

LANGUAGES = ("en", "ru")  # the first is for those who asked for neither

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 34em; margin: 10vh auto; padding: 0 1em; color: #222 }
h1 { font-size: 1.4em } code { background: #eee; padding: 0 .3em; overflow-wrap: anywhere }
form { display: inline }
button { font: inherit; padding: .5em 1.5em; margin: 1em 1em 0 0; border: 1px solid #999; border-radius: .3em }
button.yes { background: #d6001c; border-color: #d6001c; color: #fff } .quiet { color: #666; font-size: .9em }
@media (prefers-color-scheme: dark) { body { background: #1b1b1b; color: #ddd } code { background: #333 } }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

# No form-action: browsers apply it to the redirect after the form as well, and that leads to the client.
HEADERS = (
    ("Content-Security-Policy", f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'"),
    ("Referrer-Policy", "same-origin"),  # "no-referrer" would make browsers send "Origin: null" with our own forms
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)

_TEXTS = {
    "en": {
        "title": "hhtoken sandbox",
        "question": "Allow “{name}” to use your HeadHunter account?",
        "return": "You will be sent back to {address}",
        "sign_in": "You are",
        "applicant": "an applicant",
        "employer": "an employer's manager",
        "admin": "an employer's manager and administrator",
        "integration": "an employer's integration",
        "allow": "Allow",
        "deny": "Deny",
        "notice": "This is a sandbox on your own machine: there is no account, and nothing leaves it.",
        "refused": "This request cannot be granted",
        UNKNOWN_CLIENT: "No application with this client_id is registered here.",
        BAD_REDIRECT_URI: "The redirect_uri does not fit the registered one: scheme, host, port and the "
        "beginning of the path must be the same.",
        REPEATED_PARAMETER: "A parameter stands in the address more than once.",
        "used_ticket": "This page has been answered already, or is too old. Start again from your program.",
        "no_answer": "The form was sent without an answer.",
    },
    "ru": {
        "title": "Песочница hhtoken",
        "question": "Разрешить приложению «{name}» доступ к вашему аккаунту HeadHunter?",
        "return": "После ответа вы вернётесь на {address}",
        "sign_in": "Вы —",
        "applicant": "соискатель",
        "employer": "менеджер работодателя",
        "admin": "менеджер работодателя и администратор",
        "integration": "интеграция работодателя",
        "allow": "Разрешить",
        "deny": "Отказать",
        "notice": "Это песочница на вашем компьютере: аккаунта нет, и ничто не уходит в сеть.",
        "refused": "Запрос нельзя выполнить",
        UNKNOWN_CLIENT: "Приложение с таким client_id здесь не зарегистрировано.",
        BAD_REDIRECT_URI: "redirect_uri не подходит к зарегистрированному: схема, хост, порт и начало пути "
        "должны совпадать.",
        REPEATED_PARAMETER: "Параметр повторяется в адресе.",
        "used_ticket": "На эту страницу уже ответили, или она устарела. Начните заново из своей программы.",
        "no_answer": "Форма отправлена без ответа.",
    },
}


def language(accept_language):
    """Given an Accept-Language header or None, return the one of LANGUAGES that is wanted most."""
    wanted = []
    for position, item in enumerate((accept_language or "").split(",")):
        tag, _semicolon, quality = item.partition(";")
        name = tag.strip().lower().partition("-")[0]
        if name in LANGUAGES:
            wanted.append((-_quality(quality), position, name))
    return min(wanted)[2] if wanted else LANGUAGES[0]


def consent(lang, name, asked, ticket):
    """Return the page that asks the user; ``ticket`` makes its answer good once."""
    text = _TEXTS[lang]
    choices = (f'<option value="{role}"{" selected" * (role == asked.role)}>{text[role]}</option>' for role in ROLES)
    return _page(
        lang,
        text["question"].format(name=escape(name)),
        f"<p>{text['return'].format(address=f'<code>{escape(asked.destination)}</code>')}</p>"
        '<form method="post" action="/oauth/authorize">'
        f'<input type="hidden" name="ticket" value="{escape(ticket)}">'
        f'<label>{text["sign_in"]} <select name="role">{"".join(choices)}</select></label><br>'
        f'<button class="yes" name="answer" value="allow">{text["allow"]}</button>'
        f'<button name="answer" value="deny">{text["deny"]}</button></form>',
    )


def refused(lang, reason):
    """Return the page for a request that must not end in a redirect."""
    return _page(lang, _TEXTS[lang]["refused"], f"<p>{_TEXTS[lang][reason]}</p>")


def _page(lang, heading, content):
    text = _TEXTS[lang]
    return (
        f'<!DOCTYPE html>\n<html lang="{lang}"><head><meta charset="utf-8"><title>{text["title"]}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>{heading}</h1>{content}"
        f'<p class="quiet">{text["notice"]}</p></body></html>\n'
    )


def _quality(text):
    try:
        return float(text.partition("=")[2]) if text.strip().startswith("q=") else 1.0
    except ValueError:
        return 0.0
