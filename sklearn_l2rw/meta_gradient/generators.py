"""The global generators: which of them a module draws from, and how they are put back.

Other threads draw from the same generators. So they are touched only where the module at hand
draws from them, which is found out by looking at its operations, not at the generators.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from threading import RLock

import torch
from torch import nn

from .watch import Watch

# Held while what all threads share is not as they left it: generators, and torch's settings.
GENERATORS = RLock()

Streams = frozenset[str]
NO_STREAMS: Streams = frozenset()
ALL_STREAMS: Streams = frozenset({"torch", "random", "numpy"})

# Generators that the module at hand draws from; None where that is not known.
STREAMS: ContextVar[Streams | None] = ContextVar("streams", default=None)


@contextmanager
def drawing_from(streams: Streams | None) -> Iterator[None]:
    """Say which generators the module draws from: within, the others are not touched."""
    token = STREAMS.set(streams)
    try:
        yield
    finally:
        STREAMS.reset(token)


def hides_operations(module: nn.Module) -> bool:
    """Whether some of the module's operations are run where they cannot be seen."""
    return any(
        hasattr(m, "_orig_mod")
        or getattr(m, "_compiled_call_impl", None) is not None
        or isinstance(m, nn.DataParallel)
        for m in module.modules()
    )


def _devices(modules: Sequence[nn.Module]) -> list[torch.device]:
    """CUDA devices that hold a parameter or a buffer of one of the modules."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return []
    tensors = [t for m in modules for t in (*m._parameters.values(), *m._buffers.values())]
    devices = {t.device for t in tensors if t is not None}
    return sorted((d for d in devices if d.type == "cuda"), key=str)


class Positions:
    """Where the generators stand now."""

    def __init__(self, modules: Sequence[nn.Module], streams: Streams) -> None:
        numpy = sys.modules.get("numpy") if "numpy" in streams else None
        self._torch = torch.get_rng_state()
        self._cuda = [(d, torch.cuda.get_rng_state(d)) for d in _devices(modules)]
        self._random = random.getstate() if "random" in streams else None
        self._numpy = numpy.random.get_state() if numpy else None

    def moved(self) -> Streams:
        """Generators of Python and of NumPy that have moved since."""
        found = set()
        if self._random is not None and random.getstate() != self._random:
            found.add("random")
        if self._numpy is not None:
            now = sys.modules["numpy"].random.get_state()
            if now[2:] != self._numpy[2:] or (now[1] != self._numpy[1]).any():
                found.add("numpy")
        return frozenset(found)

    def restore(self, streams: Streams) -> None:
        """Put generators back, as far as their positions are known."""
        if "torch" in streams:
            torch.set_rng_state(self._torch)
            for device, state in self._cuda:
                torch.cuda.set_rng_state(state, device)
        if "random" in streams and self._random is not None:
            random.setstate(self._random)
        if "numpy" in streams and self._numpy is not None:
            sys.modules["numpy"].random.set_state(self._numpy)


def _seed_by_a_draw(modules: Sequence[nn.Module], streams: Streams) -> None:
    seed = int(torch.empty((), dtype=torch.int64).random_())
    torch.default_generator.manual_seed(seed)
    for device in _devices(modules):
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    if "random" in streams:
        random.seed(seed)
    if "numpy" in streams and "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)


@contextmanager
def generators_untouched(module: nn.Module, *, own_stream: bool = False) -> Iterator[None]:
    """Put the global generators back on leaving, those that the module draws from.

    With ``own_stream`` the pass inside draws from a stream of its own (seeded by one draw from
    the global generator, which is put back too): the clean batch's dropout masks must not repeat
    those of the training batch, or examples would be favoured for their place in the batch.
    """
    known = STREAMS.get()
    if known is not None and not known:
        yield
        return
    if known is None and not own_stream and not hides_operations(module):
        with watched(module, 1):
            yield
        return
    streams = ALL_STREAMS if known is None else known
    with GENERATORS:
        modules = list(module.modules())
        positions = Positions(modules, streams)
        try:
            if own_stream:
                _seed_by_a_draw(modules, streams)
            yield
        finally:
            positions.restore(streams | {"torch"})


class Habits:
    """What a pass did: which generators it drew from, and two things more.

    Whether data decided which way it took, and whether it put examples together, outside of the
    graph, too.
    """

    def __init__(
        self, streams: Streams = ALL_STREAMS, decides: bool = True, mixes: bool = True
    ) -> None:
        self.streams, self.decides, self.mixes = streams, decides, mixes


@contextmanager
def watched(module: nn.Module, n: int) -> Iterator[Habits]:
    """Look at a pass over n examples, and put back the generators that it draws from."""
    habits = Habits(NO_STREAMS, False, False)
    with GENERATORS:
        positions = Positions(list(module.modules()), ALL_STREAMS)
        watch = Watch(n)
        try:
            with watch:
                yield habits
        finally:
            habits.streams = positions.moved()
            if watch.draws or habits.streams:
                habits.streams |= {"torch"}
            habits.decides, habits.mixes = watch.decides, watch.mixes
            positions.restore(habits.streams)
