"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from sklearn_l2rw.meta_gradient import merged as both
from sklearn_l2rw.meta_gradient.memory import MEMORY
from tests.oracle import WAYS

torch.set_num_threads(1)  # nets are tiny: a second thread takes as long and gains nothing


@pytest.fixture(autouse=True)
def _torch_generator() -> Iterator[None]:
    """Every test starts with the same state of torch's generator, and leaves it as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    """No test knows what another one has found out about an architecture."""
    MEMORY.forget()


@pytest.fixture(autouse=True)
def _merged_takes_a_quarter() -> Iterator[None]:
    """Small batches have that share of clean examples, and ``"merged"`` is to be tried on them."""
    before, both.RATIO = both.RATIO, 4
    yield
    both.RATIO = before


@pytest.fixture(params=["auto", *WAYS])
def way(request: pytest.FixtureRequest) -> str:
    """A value of `meta_gradient`."""
    return str(request.param)
