"""What the tests of displays share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.display_cases import no_windows


@pytest.fixture(autouse=True)
def _figures() -> Iterator[None]:
    with no_windows():
        yield
