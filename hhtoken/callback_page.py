"""The pages that the browser is shown, in Russian and English. Pure: fixed texts, nothing from the request.

They load nothing, are never cached, and may not be framed; the one style sheet is allowed by its hash.
"""

import base64
import hashlib

AUTHORIZED = "authorized"
DENIED = "denied"
REFUSED = "refused"
TRY_LATER = "try_later"
FAILED = "failed"

STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:18px/1.5 system-ui,sans-serif;max-width:32em;margin:15vh auto;padding:0 1.5em}"
    "h1{font-size:1.5em;margin:0 0 .5em}p{margin:.5em 0}"
    "main{border-left:.35em solid #8a8a8a;padding-left:1.2em}"
    "main.good{border-color:#2e8b57}main.bad{border-color:#dc143c}"
    "footer{margin-top:2.5em;font-size:.8em;opacity:.65}"
)
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("Connection", "close"),
)

# name -> (HTTP status, class, {language: (title, what happened, what to do next)})
PAGES = {
    AUTHORIZED: (
        200,
        "good",
        {
            "en": ("Authorized", "HeadHunter has issued a token, and it is stored.", "You can close this window."),
            "ru": ("Доступ получен", "HeadHunter выдал токен, он сохранён.", "Это окно можно закрыть."),
        },
    ),
    DENIED: (
        200,
        "bad",
        {
            "en": (
                "Access was denied",
                "HeadHunter says that the access was not granted. Nothing was stored.",
                "To try again, run hhtoken login and open the new address.",
            ),
            "ru": (
                "Доступ не предоставлен",
                "HeadHunter сообщил, что доступ не предоставлен. Ничего не сохранено.",
                "Чтобы попробовать снова, выполните hhtoken login и откройте новый адрес.",
            ),
        },
    ),
    REFUSED: (
        400,
        "bad",
        {
            "en": (
                "This address is not valid",
                "It does not belong to an authorization that is under way: it is too old, was used, or is incomplete.",
                "Run hhtoken login and open the new address.",
            ),
            "ru": (
                "Этот адрес недействителен",
                "Он не относится к начатой авторизации: устарел, уже использован или неполон.",
                "Выполните hhtoken login и откройте новый адрес.",
            ),
        },
    ),
    TRY_LATER: (
        503,
        "bad",
        {
            "en": (
                "Not just now",
                "The server is busy with the stored token, or cannot write. Nothing was used up.",
                "Look at its messages (journalctl -t hhtoken), then reload this page.",
            ),
            "ru": (
                "Не сейчас",
                "Сервер занят сохранённым токеном или не может записать файл. Ничего не потрачено.",
                "Посмотрите сообщения (journalctl -t hhtoken) и обновите эту страницу.",
            ),
        },
    ),
    FAILED: (
        502,
        "bad",
        {
            "en": (
                "No token was obtained",
                "HeadHunter did not exchange the code for a token. A token that was stored before is untouched.",
                "Look at the messages (journalctl -t hhtoken), then run hhtoken login and open that address.",
            ),
            "ru": (
                "Токен не получен",
                "HeadHunter не обменял код на токен. Сохранённый ранее токен не тронут.",
                "Посмотрите сообщения (journalctl -t hhtoken), затем выполните hhtoken login "
                "и откройте новый адрес.",
            ),
        },
    ),
    404: (404, "bad", {"en": ("Not found", "Nothing is here.", ""), "ru": ("Не найдено", "Здесь ничего нет.", "")}),
}

REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    414: "URI Too Long",
    421: "Misdirected Request",
    431: "Request Header Fields Too Large",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


def response(name, accept_language=None):
    """Given a page's name, or the status of a refusal, and an Accept-Language header, return a whole HTTP response."""
    page_status, look, texts = PAGES.get(name) or PAGES[404 if name == 404 else REFUSED]
    status = name if isinstance(name, int) else page_status
    body = _html(look, language(accept_language), texts)
    headers = [*HEADERS, ("Content-Length", len(body))]
    if status == 405:
        headers.append(("Allow", "GET"))
    head = [f"HTTP/1.0 {status} {REASONS[status]}", *(f"{key}: {value}" for key, value in headers)]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def redirect(address):
    """Given an address, return the whole HTTP response that sends the browser on to it."""
    headers = (("Location", address), *HEADERS[1:], ("Content-Length", 0))
    head = ["HTTP/1.0 302 Found", *(f"{key}: {value}" for key, value in headers)]
    return "\r\n".join(head).encode() + b"\r\n\r\n"


def language(accept_language):
    """Given an Accept-Language header or None, return "ru" or "en", whichever it prefers (RFC 9110 12.5.4)."""
    best, best_weight = "en", 0.0
    for item in (accept_language or "").lower().split(",")[:20]:
        tag, _semicolon, parameter = item.partition(";")
        tongue = tag.strip().partition("-")[0]
        try:
            weight = float(parameter.strip().removeprefix("q=")) if parameter.strip() else 1.0
        except ValueError:
            continue
        if tongue in ("ru", "en") and weight > best_weight:
            best, best_weight = tongue, weight
    return best


def _html(look, tongue, texts):
    title, happened, next_step = texts[tongue]
    paragraphs = "".join(f"<p>{text}</p>" for text in (happened, next_step) if text)
    return (
        f'<!doctype html><html lang="{tongue}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title><style>{STYLE}</style></head>'
        f'<body><main class="{look}"><h1>{title}</h1>{paragraphs}</main><footer>hhtoken</footer></body></html>\n'
    ).encode()
