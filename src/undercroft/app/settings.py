"""Settings: read once, frozen, wrong ones explained with a hint. docs/settings.md describes each.

Later wins: defaults, the TOML file, UNDERCROFT_* variables (or the content of UNDERCROFT_*_FILE), flags.
"""

import difflib
import re
import socket
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from undercroft.app import notation
from undercroft.app.notation import DatabaseUrl, Secret, SmtpUrl
from undercroft.app.setting_readers import READERS
from undercroft.machinery.mail.schedule import RETRIES

PREFIX = "UNDERCROFT_"
# Read by the command line alone.
OTHER_VARIABLES = frozenset({"UNDERCROFT_URL", "UNDERCROFT_TOKEN", "UNDERCROFT_CONFIG"})
# Kubernetes gives these to every pod beside a service that is called undercroft.
_KUBERNETES = re.compile(r"UNDERCROFT_(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?)")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Durations are seconds, sizes bytes. Relative paths count from the working directory."""

    data_dir: Path = Path("var")
    listen: tuple[str, ...] = ("127.0.0.1:3862",)
    database: DatabaseUrl = DatabaseUrl()
    admin_token: Secret = Secret()
    allow_private_targets: bool = False
    anonymous: tuple[str, ...] = ()
    log_format: str = "auto"
    log_level: str = "info"
    max_body: int = 32 * 2**20
    request_timeout: float = 30.0
    shutdown_grace: float = 20.0
    webhook_default_scheme: str = "http"
    keep_delivered: float = 7 * 86_400.0
    keep_dead: float = 30 * 86_400.0
    lock_default_ttl: float = 0.0
    lock_maximum_ttl: float = 0.0
    lock_timezone: str = "UTC"
    lock_require_token: bool = False
    smtp_url: SmtpUrl = SmtpUrl()
    mail_from: str = ""
    mail_from_allowed: tuple[str, ...] = ()
    mail_wait: float = 20.0
    mail_retries: tuple[float, ...] = RETRIES
    mail_rate: int = 0
    mail_max_attachments: int = 10 * 2**20
    mail_keep: float = 30 * 86_400.0
    dkim_selector: str = ""
    dkim_domain: str = ""
    dkim_key: Secret = Secret()
    messaging_channel: str = ""
    messaging_url: str = ""
    messaging_sender_url: str = ""
    messaging_sender_token: Secret = Secret()
    messaging_sender_private: bool = False
    messaging_identity_url: str = ""
    messaging_identity_token: Secret = Secret()
    messaging_files: str = ""
    messaging_files_endpoint: str = ""
    messaging_files_region: str = "us-east-1"
    messaging_files_key: str = ""
    messaging_files_secret: Secret = Secret()
    sync_entries: Secret = Secret()
    sync_rules: str = ""
    sync_origins: tuple[str, ...] = ()
    sync_keep_bytes: int = 0
    public_signup: bool = False
    login_expires: float = 7 * 86_400.0
    max_sessions: int = 100
    apps_per_user: int = 100
    trusted_proxies: tuple[str, ...] = ()
    host_concurrency: int = 1_000
    database_pool: int = 8
    node_name: str = msgspec.field(default_factory=socket.gethostname)

    @property
    def database_url(self) -> str:
        """To open it with: its password is in there. The embedded database's file where none is named."""
        return self.database.reveal() or f"sqlite:///{self.data_dir.absolute()}/undercroft.db"

    @property
    def addresses(self) -> tuple[notation.Address, ...]:
        return tuple(notation.address(text) for text in self.listen)


class Problem(NamedTuple):
    """What is wrong with which setting, and what to do about it. `setting` says where it was read too."""

    setting: str
    message: str
    hint: str = ""


class Given(NamedTuple):
    """A value as it was written, and where: "UNDERCROFT_LISTEN", "listen in x.toml", "--listen"."""

    value: object
    source: str


class WrongSettings(Exception):
    """`problems` is never empty; `settings` has defaults in place of what could not be read."""

    def __init__(self, problems: list[Problem], settings: Settings) -> None:
        super().__init__("; ".join(f"{p.setting}: {p.message}" for p in problems))
        self.problems = problems
        self.settings = settings


def read_settings(
    environ: Mapping[str, str],
    toml_path: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    defaults: Mapping[str, object] | None = None,
) -> Settings:
    """`overrides` are the flags, None where a flag was not given; `defaults` replace ours.

    Raises WrongSettings with every value that can't be read; `setting_checks.check` tells what is wrong beyond that.
    """
    given, problems = gather(environ, toml_path, overrides or {}, defaults or {})
    values: dict[str, Any] = {}
    for name, (value, source) in given.items():
        try:
            values[name] = READERS[name](value)
        except ValueError as error:
            problems.append(Problem(source, str(error)))
    settings = Settings(**values)
    if problems:
        raise WrongSettings(problems, settings)
    return settings


def gather(
    environ: Mapping[str, str],
    toml_path: Path | None,
    overrides: Mapping[str, object],
    defaults: Mapping[str, object],
) -> tuple[dict[str, Given], list[Problem]]:
    """What was set and where, unread; and the problems met on the way there."""
    problems: list[Problem] = []
    given = {name: Given(value, f"default of {name}") for name, value in defaults.items()}
    if toml_path is not None:
        given |= _from_toml(toml_path, problems)
    given |= _from_environment(environ, problems)
    for name, value in overrides.items():
        if value is not None:
            given[name] = Given(value, FLAGS.get(name, f"--{name.replace('_', '-')}"))
    return given, problems


FLAGS = {"data_dir": "--data"}


def _from_toml(path: Path, problems: list[Problem]) -> dict[str, Given]:
    try:
        table = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:  # a TOMLDecodeError is a ValueError, a UnicodeDecodeError too
        why = error.strerror if isinstance(error, OSError) else str(error)
        problems.append(Problem(str(path), f"can't be read: {why}", "name another file with --config"))
        return {}
    given = {}
    for key, value in table.items():
        if key in READERS:
            given[key] = Given(value, f"{key} in {path}")
        else:
            problems.append(Problem(f"{key} in {path}", "there is no such setting", did_you_mean(key, READERS)))
    return given


def _from_environment(environ: Mapping[str, str], problems: list[Problem]) -> dict[str, Given]:
    """A variable that is set to nothing counts as not set: compose files write `${NAME:-}`."""
    given: dict[str, Given] = {}
    for variable in sorted(name for name in environ if name.startswith(PREFIX) and environ[name]):
        name = variable.removeprefix(PREFIX).lower()
        if variable in OTHER_VARIABLES or _KUBERNETES.fullmatch(variable):
            continue
        if name in READERS:
            given[name] = Given(environ[variable], variable)
        elif name.removesuffix("_file") in READERS:
            _from_file(variable, environ, given, problems)
        else:
            meant = did_you_mean(variable, [PREFIX + known.upper() for known in READERS])
            problems.append(Problem(variable, "there is no such setting", meant))
    return given


def _from_file(variable: str, environ: Mapping[str, str], given: dict[str, Given], problems: list[Problem]) -> None:
    plain, path = variable.removesuffix("_FILE"), Path(environ[variable])
    if environ.get(plain):
        problems.append(Problem(variable, f"{plain} is set too", "keep one of the two"))
        return
    try:
        text = path.read_text().strip()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        problems.append(Problem(variable, f"{path} can't be read: {why}", "name a file that this user may read"))
        return
    given[plain.removeprefix(PREFIX).lower()] = Given(text, variable)


def did_you_mean(word: str, known: Collection[str], otherwise: str = "`croft check` lists them all") -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.7)
    return f"did you mean {near[0]}?" if near else otherwise
