"""The straight stack: base < database < machinery < families < app, and the order of rooms within."""

from pathlib import Path

import pytest

from tests.architecture.import_graph import modules_in, wrong_imports

SOURCE = Path(__file__).parents[2] / "src"

# What the small houses of the tests below consist of.
HOUSE = (
    "__init__", "__main__", "base/__init__", "base/clock", "database/__init__", "database/sqlite",
    "machinery/__init__", "machinery/loops", "machinery/deliveries/__init__", "machinery/deliveries/model",
    "machinery/deliveries/store", "machinery/deliveries/actions", "families/__init__",
    "families/timers/__init__", "families/timers/model", "families/timers/store", "families/timers/actions",
    "families/timers/http", "families/mail/__init__", "families/mail/model", "families/apps/deploys/model",
    "families/apps/deploys/store_units", "app/__init__", "app/assembly",
)  # fmt: skip


def test_the_house_stands_straight() -> None:
    assert len(modules_in(SOURCE)) > 10
    assert not (wrong := wrong_imports(SOURCE)), "\n" + "\n".join(wrong)


def build(root: Path, module: str, source: str) -> Path:
    for name in (*HOUSE, module):
        path = root / "undercroft" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    path = root / "undercroft" / f"{module}.py"
    path.write_text(source)
    return path


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("base/clock", "import msgspec", "standard library only"),
        ("base/clock", "import undercroft.database", "up from base to database"),
        ("client/calls", "import msgspec", "standard library only"),
        ("client/calls", "import undercroft.machinery", "up from base to machinery"),
        ("__init__", "from undercroft.base import clock\nfrom undercroft import app", "up from base to app"),
        ("database/sqlite", "from undercroft.machinery import loops", "up from database to machinery"),
        ("machinery/loops", "from undercroft.families.timers import model", "up from machinery to families"),
        ("machinery/loops", "from undercroft import families", "up from machinery to families"),
        ("families/timers/http", "import undercroft.app.assembly as house", "up from families to app"),
        ("families/timers/http", "from undercroft import __main__", "up from families to app"),
        ("families/timers/http", "from undercroft.families.mail.model import Mail", "strangers"),
        ("families/timers/http", "from undercroft.families import mail", "strangers"),
        ("families/__init__", "from undercroft.families import mail", "strangers"),
        (
            "families/timers/model",
            "from undercroft.families.timers import store",
            "model must not know store",
        ),
        ("families/timers/model", "from .actions import fire", "model must not know actions"),
        ("families/timers/model", "from undercroft.families.timers.http import Body", "must not know http"),
        ("families/timers/model", "from undercroft.machinery.deliveries import store", "must not know store"),
        ("families/timers/model", "from undercroft.database import Transaction", "a model is pure"),
        ("families/timers/model", "import asyncio", "a model is pure"),
        ("families/timers/model", "from psycopg.rows import dict_row", "a model is pure"),
        ("families/timers/model", "import apsw.ext", "a model is pure"),
        ("families/timers/model", "from sqlite3 import Row", "a model is pure"),
        ("families/timers/store", "from . import actions", "store must not know actions"),
        ("families/timers/store", "from .http import Body", "store must not know http"),
        ("families/timers/actions", "from .http import Body", "actions must not know http"),
        ("families/apps/deploys/model", "from .store_units import units", "model must not know store"),
        ("machinery/deliveries/store", "from .actions import claim", "store must not know actions"),
        ("machinery/deliveries/model", "from undercroft.database.sqlite import x", "a model is pure"),
        # Wherever in the file, however it is written.
        ("base/clock", "def now():\n    import undercroft.database", "up from base to database"),
        ("base/clock", "if TYPE_CHECKING:\n    from ..app import assembly", "up from base to app"),
        ("base/__init__", "from ..app import assembly", "up from base to app"),
        ("base/clock", "class A:\n    async def b(self):\n        from ..database import *", "up from base"),
        ("base/clock", "import importlib\nimportlib.import_module('undercroft.app')", "up from base to app"),
        ("base/clock", "__import__('undercroft.app')", "up from base to app"),
        ("helpers", "import undercroft.base", "undercroft.helpers stands in none of the layers"),
        ("app/assembly", "import undercroft.helpers", "it stands in none of the layers"),
    ],
)
def test_a_wrong_import_is_found(tmp_path: Path, module: str, source: str, complaint: str) -> None:
    path = build(tmp_path, module, source)

    [wrong] = wrong_imports(tmp_path)

    line = 1 if module == "helpers" else len(source.splitlines())
    assert wrong.startswith(f"{path}:{line}: ")
    assert complaint in wrong


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "base/clock",
            "from __future__ import annotations\nimport os.path\nfrom undercroft import __version__",
        ),
        ("database/sqlite", "import apsw\nfrom ..base.clock import Clock\nfrom . import postgres"),
        ("machinery/loops", "from undercroft.machinery.deliveries.actions import claim\nimport asyncio"),
        (
            "machinery/deliveries/store",
            "from undercroft.database import Transaction\nfrom .model import State",
        ),
        ("families/timers/model", "import msgspec\nfrom undercroft.machinery.deliveries.model import State"),
        (
            "families/timers/store",
            "from .model import Job\nfrom undercroft.machinery.deliveries import store",
        ),
        ("families/timers/actions", "import http.client\nfrom . import model, store"),
        ("families/timers/http", "from . import actions, model, store\nimport asyncio, falcon"),
        ("families/timers/__init__", "from undercroft.families.timers import http, store"),
        ("families/apps/deploys/store_units", "from .model import Unit"),
        ("app/assembly", "from undercroft.families import mail, timers\nfrom undercroft.app import node"),
        ("__main__", "from undercroft.app.assembly import main"),
    ],
)
def test_a_right_import_passes(tmp_path: Path, module: str, source: str) -> None:
    build(tmp_path, module, source)

    assert wrong_imports(tmp_path) == []
