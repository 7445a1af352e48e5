"""What a family tells the docs page about itself, beside its operations."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


class Example(NamedTuple):
    """A request that works. `url`: path and query; `body`: as JSON, None for none."""

    url: str
    body: Any = None


def _no_examples(_now: int) -> Mapping[str, Example]:
    return {}


class Guide(NamedTuple):
    about: str = ""
    examples: Callable[[int], Mapping[str, Example]] = _no_examples
    """Operation as `POST /job/{db}` → example, for this moment (ms): times lie in the future."""
    fields: Mapping[str, Mapping[str, str]] = {}
    """Shape → field → what it means."""
    errors: Sequence[tuple[str, str]] = ()
    """Code and meaning of each error."""
