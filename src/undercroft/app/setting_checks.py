"""What can't work although each setting could be read: said with a hint, before anything starts."""

import os
import re
from pathlib import Path

from undercroft.app.notation import Secret
from undercroft.app.settings import Problem, Settings, did_you_mean
from undercroft.base.clock import SECOND
from undercroft.machinery.mail.schedule import KEYS_KEPT

# What `anonymous` may open.
OPENABLE = frozenset({"timers", "locks", "mail", "sync", "metrics", "docs"})
SHORTEST_TOKEN = 16


def check(settings: Settings) -> list[Problem]:
    """Looks at nothing but the settings."""
    found = [
        *_check_anonymous(settings.anonymous),
        *_check_listen(settings.listen),
        *_check_token(settings.admin_token),
        *_check_mail(settings),
        *_check_files(settings),
    ]
    if not re.fullmatch(r"[\w.:@-]{1,128}", settings.node_name):
        found.append(
            Problem(
                "node_name",
                f"{settings.node_name!r} is no name for a node",
                "1 to 128 of A-Z a-z 0-9 . : @ _ -",
            )
        )
    return found


def check_places(settings: Settings) -> list[Problem]:
    """What the settings need of this machine's folders. Changes nothing."""
    folder = settings.data_dir.absolute()
    ground = next(path for path in (folder, *folder.parents) if os.access(path, os.F_OK))
    found = []
    if not ground.is_dir():
        found.append(Problem("data_dir", f"{ground} is no folder", "name another with --data"))
    elif not os.access(ground, os.W_OK | os.X_OK):
        hint = "name another with --data, or let this user write there"
        found.append(Problem("data_dir", f"may not write in {ground}", hint))
    sockets = [Path(address.path).parent for address in settings.addresses if address.path]
    hint = "make it, or name another"
    return found + [Problem("listen", f"{path} is no folder", hint) for path in sockets if not path.is_dir()]


def _check_anonymous(names: tuple[str, ...]) -> list[Problem]:
    message = "{!r} can't be opened to callers without a token"
    could_be = "it may name " + ", ".join(sorted(OPENABLE))
    return [
        Problem("anonymous", message.format(name), did_you_mean(name, OPENABLE, could_be))
        for name in names
        if name not in OPENABLE
    ]


def _check_listen(listen: tuple[str, ...]) -> list[Problem]:
    if not listen:
        return [Problem("listen", "names no address", "write at least one, such as 127.0.0.1:3862")]
    twice = {text for text in listen if listen.count(text) > 1 and not text.endswith(":0")}
    return [Problem("listen", f"{text} is named twice", "name each address once") for text in sorted(twice)]


def _check_token(token: Secret) -> list[Problem]:
    text, hint = token.reveal(), "make one: openssl rand -hex 20"
    if not (text.isascii() and text.isprintable() and " " not in text):
        return [Problem("admin_token", "holds spaces or other than ASCII characters", hint)]
    if text and len(text) < SHORTEST_TOKEN:
        return [Problem("admin_token", f"is shorter than {SHORTEST_TOKEN} characters", hint)]
    return []


def _check_mail(settings: Settings) -> list[Problem]:
    found = []
    if settings.smtp_url and not settings.mail_from:
        hint = "say who mail is from: no-reply@example.com or Shop <no-reply@example.com>"
        found.append(Problem("mail_from", "is missing, and smtp_url is set", hint))
    if settings.mail_keep * SECOND < KEYS_KEPT:
        hint = "make it 1d or longer: who asks again under the same key is told what became of the first e-mail"
        found.append(Problem("mail_keep", "is shorter than idempotency keys are kept", hint))
    if not settings.dkim_key:
        return found
    name = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
    given = {"dkim_selector": settings.dkim_selector, "dkim_domain": settings.dkim_domain}
    found += [
        Problem(which, "is missing or no name, and dkim_key is set", "such as mail for the selector, example.com")
        for which, text in given.items()
        if not name.fullmatch(text)
    ]
    return found or _check_signing(settings)


def _check_files(settings: Settings) -> list[Problem]:
    given = ("messaging_files_endpoint", "messaging_files_key", "messaging_files_secret")
    if not settings.messaging_files:
        hint = "name the bucket: messaging_files = s3://BUCKET/FOLDER"
        return [Problem(name, "is set, and messaging_files is not", hint) for name in given if getattr(settings, name)]
    key, secret = bool(settings.messaging_files_key), bool(settings.messaging_files_secret)
    if key == secret:
        return []
    lacking = "messaging_files_secret" if key else "messaging_files_key"
    return [
        Problem(lacking, "is missing", "key and secret belong together; without both the machine's own role is used")
    ]


def _check_signing(settings: Settings) -> list[Problem]:
    from undercroft.machinery.mail.signing import signer

    try:
        signer(settings.dkim_selector, settings.dkim_domain, settings.dkim_key.reveal())
    except ValueError as error:
        message, _, hint = str(error).partition(": ")
        return [Problem("dkim_key", message, hint)]
    return []
