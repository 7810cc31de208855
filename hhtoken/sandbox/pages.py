"""The pages that a person sees, in Russian or English. They load nothing, and whatever is not ours is escaped."""

import re
from html import escape

from hhtoken.sandbox.authorization import BAD_REDIRECT_URI, REPEATED_PARAMETER, UNKNOWN_CLIENT
from hhtoken.sandbox.users import ROLES

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 34em; margin: 10vh auto; padding: 0 1em }
code { overflow-wrap: anywhere } .quiet { font-size: .9em; opacity: .7 }
button, select { font: inherit; padding: .5em 1.5em; margin: 1em 1em 0 0 }
"""

# No form-action: browsers apply it to the redirect after the form as well, and that leads to the client.
HEADERS = (
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    ("Referrer-Policy", "same-origin"),  # "no-referrer" would make browsers send "Origin: null" with our own forms
)

_TEXTS = {
    "en": {
        "title": "hhtoken sandbox",
        "question": "Allow “hhtoken sandbox” to use your HeadHunter account?",
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
        "used_ticket": "This page has been answered already. Start again from your program.",
        "no_answer": "The form was sent without an answer.",
    },
    "ru": {
        "title": "Песочница hhtoken",
        "question": "Разрешить приложению «hhtoken sandbox» доступ к вашему аккаунту HeadHunter?",
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
        "used_ticket": "На эту страницу уже ответили. Начните заново из своей программы.",
        "no_answer": "Форма отправлена без ответа.",
    },
}


def language(accept_language):
    """Given an Accept-Language header or None, return the first of "en" and "ru" in it: browsers put first what is
    wanted most."""
    found = re.search(r"\b(en|ru)\b", (accept_language or "").lower())
    return found[1] if found else "en"


def consent(lang, asked, ticket):
    """Return the page that asks the user; ``ticket`` makes its answer good once."""
    text = _TEXTS[lang]
    choices = (f'<option value="{role}"{" selected" * (role == asked.role)}>{text[role]}</option>' for role in ROLES)
    return _page(
        lang,
        text["question"],
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
