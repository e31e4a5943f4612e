"""Processes that share a batch, and take the step that one process takes on all of it.

With a share of the training batch and ``m_p`` clean examples in each process p,

- the clean loss is the mean over the clean examples of all, ``L = sum_p m_p L_p / sum_p m_p``:
  processes may have a share of the clean batch each, or all the same one;
- slopes are taken along its gradient, ``v = grad L``, which is summed over the processes;
- weights are normalised over the examples of all, whose slopes every process is told;
- the gradients that the processes leave are summed, not averaged.

So a step has two large collectives, the sums of ``v`` and of the gradient, and a few small ones.
They stand here alone, at fixed points of a step, so that it is a process's own affair which way it
takes and how many it tries. All passes are the bare module's: DistributedDataParallel, which would
average the gradient of any of them, is not asked. An error in one process ends the step in all.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist

from .algorithm import Weighed
from .gradients import NOTHING, Shared, by_backward, clean_gradient, dense, sharing
from .graph import inputs_first
from .trial import Given

T = TypeVar("T")


class Alone:
    """A process that has all of the batch."""

    size, rank = 1, 0

    def agreed(self, work: Callable[[], T]) -> T:
        """Result of work that each process does for itself; what fails in one fails in all."""
        return work()

    @contextmanager
    def over(self, given: Given) -> Iterator[None]:
        """Within it a step is taken, along the clean gradient that the processes share."""
        yield

    def gathered(self, *columns: Tensor) -> tuple[list[Tensor], slice]:
        """Numbers of the examples of all processes, and where this one's stand among them."""
        return [*columns], slice(0, len(columns[0]))

    def mean(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Mean of tensors over the processes."""
        return [*tensors]


ALONE = Alone()


class Several(Alone):
    """Processes of a group, of which this is one.

    Parameters
    ----------
    group : torch.distributed.ProcessGroup or None
        The group; None for all processes.
    device : torch.device
        Where tensors are sent from.
    buffers : bool
        Whether a step leaves the first process's buffers in all.
    """

    def __init__(self, group: Any, device: torch.device, *, buffers: bool = True) -> None:
        self.group: Any = dist.group.WORLD if group is None else group
        self.device, self.buffers = device, buffers
        self.size = dist.get_world_size(group)
        self.rank = dist.get_rank(group)
        self._leaves: list[nn.Parameter] = []  # of the step at hand

    def _table(self, numbers: Sequence[float]) -> Tensor:
        """Numbers of each process, (size, len(numbers))."""
        row = torch.tensor([float(x) for x in numbers], dtype=torch.float64, device=self.device)
        rows = [torch.empty_like(row) for _ in range(self.size)]
        dist.all_gather(rows, row, group=self.group)
        return torch.stack(rows).cpu()

    def agreed(self, work: Callable[[], T]) -> T:
        """Result of work that each process does for itself; what fails in one fails in all."""
        results, error = _attempt(work)
        self._settle(error, int(self._table([error is not None]).sum()))
        return results[0]

    def _settle(self, error: Exception | None, n_failed: int) -> None:
        if error is not None:
            raise error
        if n_failed:
            raise RuntimeError(
                f"Got an error in {n_failed} of {self.size} processes, which say what it is; so "
                "this process takes no step either."
            )

    def check_same(self, name: str, numbers: Sequence[float], remedy: str) -> None:
        """Check that some numbers are the same in all processes."""
        self._check_column(name, self._table(numbers), remedy)

    def _check_column(self, name: str, table: Tensor, remedy: str) -> None:
        other = (table != table[0]).any(1).nonzero()[:, 0].tolist()
        if other:
            raise ValueError(
                f"Got {name} in process {other[0]} that differ from those of process 0, but "
                f"expected the same in all {self.size} processes. {remedy}"
            )

    @contextmanager
    def over(self, given: Given) -> Iterator[None]:
        """Within it a step is taken, along the clean gradient that the processes share."""
        objective, _, clean_batch, parameters, wanted = given
        self._leaves = [p for p in objective.parameters() if p.requires_grad]
        everything = {**wanted.clean, **parameters}
        self.agreed(lambda: _check_hooks(objective))
        m = len(clean_batch[1])
        table = self._table([_checksum_of_shapes(objective, everything), m])
        self._check_column("parameters to train", table[:, :1], "Freeze the same layers in all.")
        share = self.size * m / float(table[:, 1].sum())

        def scaled(loss: Tensor, objective: nn.Module, parameters: Any) -> list[Tensor | None]:
            return by_backward(share * loss, objective, parameters)

        def clean() -> list[Tensor | None]:
            with torch.inference_mode(False), sharing(NOTHING):
                loss, found = clean_gradient(objective, clean_batch, everything, scaled)
            return [*(found.get(name) for name in everything), share * loss.double().cpu()]

        like = [*everything.values(), torch.zeros((), dtype=torch.float64)]
        *summed, loss = self._summed(clean, like)
        pairs = zip(everything, summed, strict=True)
        v = {name: g / self.size for name, g in pairs if g is not None}
        with sharing(Shared(loss / self.size, v)):
            yield

    def _summed(self, work: Callable[[], Sequence[Tensor | None]], like: Sequence[Tensor]) -> Any:
        """Sums of what each process finds; None where none does."""
        results, error = _attempt(work)
        found: Sequence[Tensor | None] = results[0] if results else [None] * len(like)
        has = [error is not None, *(t is not None for t in found)]
        counts = torch.tensor(has, dtype=torch.int32, device=self.device)
        dist.all_reduce(counts, group=self.group)
        n_failed, *known = counts.tolist()
        self._settle(error, n_failed)
        parts = [
            _flat(torch.zeros_like(p) if t is None else dense(t)).to(self.device)
            for t, p in zip(found, like, strict=True)
        ]
        totals: list[Tensor | None] = [None] * len(parts)
        for chosen, buffer in _by_dtype(parts):
            dist.all_reduce(buffer, group=self.group)
            for i, part in _split(buffer, chosen, parts):
                totals[i] = _shaped(part, like[i]) if known[i] else None
        return totals

    def gathered(self, *columns: Tensor) -> tuple[list[Tensor], slice]:
        """Numbers of the examples of all processes, and where this one's stand among them."""
        mine = torch.stack([column.to(self.device, torch.float64) for column in columns], 1)
        sizes = [int(n) for n in self._table([len(mine)])[:, 0]]
        padded = mine.new_zeros(max(sizes), len(columns))
        padded[: len(mine)] = mine
        found = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(found, padded, group=self.group)
        whole = torch.cat([rows[:n] for rows, n in zip(found, sizes, strict=True)])
        start = sum(sizes[: self.rank])
        pairs = zip(whole.unbind(1), columns, strict=True)
        return [column.to(like) for column, like in pairs], slice(start, start + len(mine))

    def total(self, number: Tensor) -> Tensor:
        """Sum of a number over the processes."""
        return self._table([float(number)]).sum().to(number)

    def mean(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Mean of tensors over the processes."""
        return [total / self.size for total in self._summed(lambda: tensors, tensors)]

    def backward(self, found: Weighed, weights: Tensor, clean_weight: float) -> None:
        """Add the gradient of the step, that of all processes, to parameters."""
        before = [p.grad for p in self._leaves]
        left: list[Tensor | None] = []

        def work() -> list[Tensor | None]:
            self._check_leaves(found.losses)
            found.backward(weights, clean_weight / self.size)
            left.extend(p.grad for p in self._leaves)
            return left

        for p in self._leaves:
            p.grad = None
        try:
            summed = self._summed(work, self._leaves)
        finally:
            for p, grad in zip(self._leaves, before, strict=True):
                p.grad = grad
        for p, g, total in zip(self._leaves, left, summed, strict=True):
            if total is not None:
                total = total.to_sparse(1) if g is not None and g.is_sparse else total
                p.grad = total if p.grad is None else p.grad + total

    def _check_leaves(self, losses: Tensor) -> None:
        """Check that the gradients of all that is trained are summed."""
        known = {id(p) for p in self._leaves}
        nodes = [] if losses.grad_fn is None else inputs_first(losses.grad_fn)
        if any(hasattr(n, "variable") and id(n.variable) not in known for n in nodes):
            raise ValueError(
                "Got losses that depend on a tensor to train that is not the module's, nor the "
                "loss's if that is a module, so that processes would not share its gradient. "
                "Make it a parameter of one of them."
            )

    def end(self, objective: nn.Module) -> None:
        """Leave all processes the same buffers, as DistributedDataParallel does."""
        if self.buffers:
            self.first([*objective.buffers()])

    @torch.no_grad()
    def first(self, tensors: Sequence[Tensor]) -> None:
        """Give all processes the values of the first."""
        source = dist.get_global_rank(self.group, 0)
        parts = [_flat(t.detach()).to(self.device) for t in tensors]
        for chosen, buffer in _by_dtype(parts):
            dist.broadcast(buffer, source, group=self.group)
            for i, part in _split(buffer, chosen, parts):
                tensors[i].data.copy_(_shaped(part, tensors[i]))


def _attempt(work: Callable[[], T]) -> tuple[list[T], Exception | None]:
    """Result of some work, or what it raised."""
    try:
        return [work()], None
    except Exception as error:
        return [], error


def _check_hooks(objective: nn.Module) -> None:
    """Check that no hook takes one process's gradient for that of the step."""
    for name, p in objective.named_parameters():
        if getattr(p, "_post_accumulate_grad_hooks", None):
            raise ValueError(
                f"Got a hook on the accumulated gradient of {name}, which would see that of one "
                "process alone, but expected none with several processes. Take the optimizer's "
                "step after the backward pass."
            )


def _checksum_of_shapes(objective: nn.Module, wanted: Iterable[str]) -> int:
    """Number that tells what is trained, for processes to see that they train the same."""
    named = objective.named_parameters()
    shapes = [(name, tuple(p.shape), p.dtype) for name, p in named if p.requires_grad]
    return zlib.crc32(repr((shapes, [*wanted])).encode())


def _by_dtype(parts: Sequence[Tensor]) -> Iterator[tuple[list[int], Tensor]]:
    """Rows of numbers put behind each other, those of a type in one; which they are."""
    for dtype in dict.fromkeys(part.dtype for part in parts):
        chosen = [i for i, part in enumerate(parts) if part.dtype == dtype]
        yield chosen, torch.cat([parts[i] for i in chosen])


def _split(
    buffer: Tensor, chosen: Sequence[int], parts: Sequence[Tensor]
) -> Iterator[tuple[int, Tensor]]:
    """Rows of numbers again, from what `_by_dtype` made of them."""
    return zip(chosen, torch.split(buffer, [len(parts[i]) for i in chosen]), strict=True)


def _flat(tensor: Tensor) -> Tensor:
    """Numbers of a tensor in one row, a complex one's as pairs."""
    real: Tensor = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    return real.reshape(-1)


def _shaped(row: Tensor, like: Tensor) -> Tensor:
    """Tensor of the numbers that `_flat` put into a row."""
    if like.is_complex():
        row = torch.view_as_complex(row.clone().view(*like.shape, 2))
    return row.view(like.shape).to(like.device)
