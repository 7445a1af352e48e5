"""What OpenAPI says of all else, and that nothing is left out."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hostile.openapi import LONGEST, PARTS, paths_of, require_its_word_is_kept
from tests.services.croft import Croft


def test_each_path_is_of_one_part(start_croft: Callable[..., Croft]) -> None:
    document = start_croft().http.get("/openapi.json").json()
    tried = [path for part in PARTS for path in paths_of(document, part)]
    assert sorted(tried) == sorted(document["paths"])


@pytest.mark.timeout(LONGEST)
def test_its_word_is_kept(start_croft: Callable[..., Croft], database_url: str, tmp_path: Path) -> None:
    require_its_word_is_kept(start_croft, database_url, tmp_path, "others")
