"""Reproducible fits that leave torch's global generators alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from sklearn.utils import check_random_state
from torch import Tensor

from ..meta_gradient.generators import GENERATORS


@contextmanager
def seeded(
    random_state: Any, device: torch.device, resume: list[Tensor] | None
) -> Iterator[list[Tensor]]:
    """Run a block on generators seeded by `random_state`, and put the global ones back.

    torch has one generator for all threads, so blocks that are seeded come one after the other.
    Inside of one, as in a callback, do not wait for another thread that enters one.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        None leaves the global generators in charge, as torch's users expect.
    device : torch.device
        Device whose generator is seeded with the CPU's.
    resume : list of torch.Tensor or None
        States to go on from, as an earlier block yielded them.

    Yields
    ------
    states : list of torch.Tensor
        Filled on leaving: where the generators stood.

    """
    states: list[Tensor] = []
    if random_state is None:
        yield states
        return
    cuda = device.type == "cuda"
    with GENERATORS, torch.random.fork_rng(devices=[device] if cuda else []):
        if resume:
            torch.set_rng_state(resume[0])
            if cuda:
                torch.cuda.set_rng_state(resume[-1], device)
        else:
            seed = int(random_state_of(random_state).randint(2**31 - 1))
            torch.default_generator.manual_seed(seed)
            if cuda:
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(seed)
        yield states
        states.append(torch.get_rng_state())
        if cuda:
            states.append(torch.cuda.get_rng_state(device))


def random_state_of(random_state: Any) -> Any:
    """Make a generator of NumPy's of what the user gives as `random_state`."""
    try:
        return check_random_state(random_state)
    except (ValueError, TypeError):
        raise ValueError(
            f"Got random_state={random_state!r}, which can seed nothing, but expected a seed, an "
            "int between 0 and 2**32 - 1, a numpy.random.RandomState, or None."
        ) from None


def draw_seed() -> int:
    """Draw a seed from torch's global generator."""
    return int(torch.randint(2**31 - 1, ()))
