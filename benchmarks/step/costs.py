"""Time and memory of steps: taken in turn, counted by torch's profiler or by CUDA."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.step.rivals import Arm, Setting


def timed(step: Callable[[], Any], device: str) -> float:
    """Seconds of a step; an accelerator is waited for."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    step()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def time_arms(
    steps: Mapping[str, Callable[[], Any]], rounds: int, device: str
) -> dict[str, list[float]]:
    """Seconds of every step: one of each arm in turn, in every round."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            seconds[name].append(timed(step, device))
    return seconds


def _size(tensors: Iterable[Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)


def _rise_on_cpu(step: Callable[[], Any]) -> int:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        step()
    assert recorded.profiler is not None
    results = recorded.profiler.kineto_results
    assert results is not None
    changes = [(e.start_ns(), e.nbytes()) for e in results.events() if e.name() == "[memory]"]
    level = highest = 0
    for _, change in sorted(changes, key=lambda pair: pair[0]):
        level += change
        highest = max(highest, level)
    return highest


def _rise_on_cuda(step: Callable[[], Any]) -> int:
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def peak_memory(arm: Arm, given: Setting, device: str) -> int:
    """Bytes: what a step starts from, and the most that is allocated beyond it."""
    gc.collect()
    given.optimizer.zero_grad()
    state = [t for slots in given.optimizer.state.values() for t in slots.values()]
    held = [*given.net.parameters(), *given.net.buffers(), *given.batch, *given.clean_batch]
    tensors = [*held, *(t for t in state if isinstance(t, Tensor))]
    rise = _rise_on_cuda if device == "cuda" else _rise_on_cpu
    return _size(tensors) + rise(arm.step)
