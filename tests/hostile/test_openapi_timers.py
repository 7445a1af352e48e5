"""What OpenAPI says of timers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hostile.openapi import LONGEST, require_its_word_is_kept
from tests.services.croft import Croft


@pytest.mark.timeout(LONGEST)
def test_its_word_is_kept(start_croft: Callable[..., Croft], database_url: str, tmp_path: Path) -> None:
    require_its_word_is_kept(start_croft, database_url, tmp_path, "timers")
