"""Figures of an entry's process, as the document writes them."""

import os

import psutil
import pytest

from undercroft.families.sync.http.entries import human_size, info_of, spent_text
from undercroft.machinery.processes.children import Figures, Measured, created_at


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.00"), (0.05, "0:00.05"), (0.19, "0:00.19"), (1, "0:01.00"), (59.994, "0:59.99"), (59.996, "1:00.00"),
     (61.5, "1:01.50"), (599.999, "10:00.00"), (3_661.01, "61:01.01")],
)  # fmt: skip
def test_time_spent(seconds: float, text: str) -> None:
    assert spent_text(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (512, "512B"), (1_023, "1023B"), (1_024, "1K"), (2**20 - 1, "1023K"), (2**20, "1M"),
     (18 * 2**20 + 999, "18M"), (707 * 2**20, "707M"), (2**30, "1G"), (5 * 2**40, "5120G")],
)  # fmt: skip
def test_sizes(size: int, text: str) -> None:
    assert human_size(size) == text


def test_all_eight() -> None:
    info = info_of(Figures(0.0, 0.19, 1.8321, 18 * 2**20, 707 * 2**20, 1406628957.07), 1406628957_370, 1406628978_071)
    assert (info.age, info.cpu, info.create_time, info.ctime) == (20.701, 0.0, 1406628957.07, "0:00.19")
    assert (info.mem, info.mem_info1, info.mem_info2, info.started) == (1.8, "18M", "707M", 1406628957.37)


def test_what_the_machine_does_not_show_is_not_available(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that hides its processes can't be had here: the part of psutil that reads them says so in its place."""

    def denied(*_: object, **__: object) -> None:
        raise psutil.AccessDenied

    assert None not in me().figures()
    for name in ("cpu_times", "memory_info", "create_time"):
        monkeypatch.setattr(psutil._psplatform.Process, name, denied)
    info = info_of(me().figures(), 1_000, 2_500)
    assert (info.age, info.started) == (1.5, 1.0)
    told = (info.cpu, info.create_time, info.ctime, info.mem, info.mem_info1, info.mem_info2)
    assert told == ("N/A",) * 6


def test_the_first_look_at_the_processor_is_none() -> None:
    assert me().figures().percent == 0.0


def test_a_process_that_is_gone_has_no_figures() -> None:
    with pytest.raises(LookupError):
        Measured(2**22 + 1, 1)
    with pytest.raises(LookupError):
        Measured(os.getpid(), 1).figures()  # another has its pid


def me() -> Measured:
    created = created_at(os.getpid())
    assert created is not None
    return Measured(os.getpid(), created)
