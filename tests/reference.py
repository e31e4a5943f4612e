"""Oracle of the tests: Algorithm 1 of Ren et al. (2018) as it stands in the paper, slowly.

It shares no code with the package. Its passes draw dropout masks as the package promises to: those
of the training batch are the ones that the module's next forward would draw, those of the clean
batch come from a stream of their own (see `clean_stream`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

Loss = Callable[[Any, Any], Tensor]
Batch = tuple[Any, Tensor]


@contextmanager
def clean_stream() -> Iterator[None]:
    """Generator for the clean pass: seeded by a draw from the global one, which is put back."""
    with torch.random.fork_rng(devices=[]):
        seed = torch.empty((), dtype=torch.int64).random_().item()
        torch.manual_seed(int(seed))
        yield


def _arguments(X: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(X, Mapping):
        return (), dict(X)
    return (tuple(X), {}) if isinstance(X, (tuple, list)) else ((X,), {})


def _pass(call: Callable[..., Any], loss: Loss, batch: Batch) -> tuple[Tensor, Tensor]:
    """First output, and losses."""
    X, y = batch
    args, kwargs = _arguments(X)
    output = call(*args, **kwargs)
    first = output[0] if isinstance(output, tuple) else output
    return first, loss(first, y).reshape(len(y), -1).mean(1)


def _losses(call: Callable[..., Any], loss: Loss, batch: Batch) -> Tensor:
    return _pass(call, loss, batch)[1]


def _losses_at(
    module: nn.Module, parameters: Mapping[str, Tensor], loss: Loss, batch: Batch
) -> Tensor:
    """Losses at other parameters; the module's buffers are read, never written."""
    values = {
        id(p): parameters[name] for name, p in module.named_parameters() if name in parameters
    }
    state = {name: buffer.clone() for name, buffer in module.named_buffers()}
    # Every layer once, whatever its names; every parameter wherever it is tied in. functional_call
    # itself leaves a layer that has two names changed.
    for prefix, layer in module.named_modules():
        for name, p in layer.named_parameters(prefix, recurse=False):
            state[name] = values.get(id(p), p)

    def call(*args: Any, **kwargs: Any) -> Any:
        return functional_call(module, state, args, kwargs, tie_weights=False)

    return _losses(call, loss, batch)


def normalized(u: Tensor) -> Tensor:
    """Lines 9 and 10: w~ = max(u, 0), w = w~ / (sum w~ + [sum w~ is 0])."""
    w = torch.clamp(u, min=0)
    return w / (w.sum() + (w.sum() == 0).to(w))


def literal_weights(
    module: nn.Module, loss: Loss, batch: Batch, clean_batch: Batch, *, lr: float = 0.1
) -> Tensor:
    """Lines 4 to 10 of Algorithm 1, with the virtual step kept in the graph. Leaves no trace."""
    theta = {name: p for name, p in module.named_parameters() if p.requires_grad}
    assert all(p.dtype in (torch.float64, torch.complex128) for p in theta.values())
    with torch.enable_grad(), torch.random.fork_rng(devices=[]):
        with clean_stream():
            clean_state = torch.get_rng_state()
        f = _losses_at(module, theta, loss, batch)  # line 4
        epsilon = torch.zeros_like(f, requires_grad=True)  # line 5
        gradient = torch.autograd.grad(  # line 6
            (epsilon * f).sum(), list(theta.values()), create_graph=True, allow_unused=True
        )
        theta_hat = {  # line 7
            name: p if g is None else p - lr * g
            for (name, p), g in zip(theta.items(), gradient, strict=True)
        }
        torch.set_rng_state(clean_state)
        clean_loss = _losses_at(module, theta_hat, loss, clean_batch).mean()  # line 8
        (slope,) = torch.autograd.grad(clean_loss, epsilon)  # line 9
    return normalized(-slope)


def _gradient(scalar: Tensor, parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    for p in parameters:
        p.grad = None
    # Not torch.autograd.grad: it stops at reentrant checkpoints.
    scalar.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
    return [g.to_dense() if g.is_sparse else g for g in gradients]


@contextmanager
def _put_back(module: nn.Module) -> Iterator[None]:
    """Gradients, buffers and the global generator are afterwards as before."""
    gradients = [(p, p.grad) for p in module.parameters()]
    buffers = [(b, b.clone()) for b in module.buffers()]
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            for p, grad in gradients:
                p.grad = grad
            for buffer, value in buffers:
                buffer.data.copy_(value)


def per_example_slopes(
    module: nn.Module,
    loss: Loss,
    batch: Batch,
    clean_batch: Batch,
    *,
    over: Collection[str] | None = None,
) -> Tensor:
    """<grad f_i, grad L> for each example of the batch, by one ordinary backward pass each.

    The losses are those of the whole batch at once, so that it holds with BatchNorm too. The inner
    product is over the parameters of these names, or over all.
    """
    parameters = [
        p
        for name, p in module.named_parameters()
        if p.requires_grad and (over is None or name in over)
    ]
    with torch.enable_grad():
        with _put_back(module), clean_stream():
            v = _gradient(_losses(module, loss, clean_batch).mean(), parameters)
        with _put_back(module):
            slopes = []
            for f_i in _losses(module, loss, batch):
                g = _gradient(f_i, parameters)
                # The inner product of the real vectors (Re, Im), where parameters are complex.
                terms = [(g_p.conj() * v_p).real.sum() for g_p, v_p in zip(g, v, strict=True)]
                slopes.append(torch.stack(terms).sum())
    return torch.stack(slopes)


class Step(NamedTuple):
    """Weights, gradient by name, and loss, of a step on ``sum_i w_i f_i + lambda L``."""

    weights: Tensor
    gradients: dict[str, Tensor]
    loss: Tensor


def composed_step(
    module: nn.Module,
    loss: Loss,
    batch: Batch,
    clean_batch: Batch,
    clean_loss_weight: float,
    scale: bool,
    *,
    over: Collection[str] | None = None,
    counts: Tensor | None = None,
) -> Step:
    """One step of the package, by its definition. Leaves no trace.

    The weights come from the slopes (`over` some parameters), if `scale` over the norms of the
    gradients ``d (sum_j f_j) / d z_i`` at the (first) output, by one pass for each loss; times
    what an example `counts`.
    """
    trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
    u = per_example_slopes(module, loss, batch, clean_batch, over=over)
    with torch.enable_grad():
        with _put_back(module), clean_stream():
            clean_loss = _losses(module, loss, clean_batch).mean()
            clean = _gradient(clean_loss, [*trained.values()])
        with _put_back(module):
            z, f = _pass(module, loss, batch)
            if scale:
                rows = [torch.autograd.grad(f_i, z, retain_graph=True)[0] for f_i in f]
                s = torch.stack(rows).sum(0).flatten(1).norm(dim=1)
                u = torch.where(s > 1e-12 * s.max(), u / s, 0.0)  # without a gradient, none
            w = normalized(u if counts is None else counts * u)
            total = (w * f).sum()
            weighted = _gradient(total, [*trained.values()])
    pairs = zip(weighted, clean, strict=True)
    gradients = [g + clean_loss_weight * v for g, v in pairs]
    total = total + clean_loss_weight * clean_loss
    return Step(w, dict(zip(trained, gradients, strict=True)), total.detach())


def literal_training(
    module: nn.Module,
    loss: Loss,
    batches: Sequence[Batch],
    clean_batches: Sequence[Batch],
    *,
    lr: float,
    momentum: float,
    max_norm: float | None = None,
) -> list[Tensor]:
    """Algorithm 1 as a plain loop, which trains the module in place.

    Step t takes the t-th batch of both sequences. Returns the weights of every step.
    """
    optimizer = torch.optim.SGD(module.parameters(), lr=lr, momentum=momentum)
    weights = []
    for batch, clean_batch in zip(batches, clean_batches, strict=True):
        w = literal_weights(module, loss, batch, clean_batch)
        optimizer.zero_grad()
        (w * _losses(module, loss, batch)).sum().backward()  # type: ignore[no-untyped-call]
        if max_norm is not None:
            nn.utils.clip_grad_norm_(module.parameters(), max_norm)
        optimizer.step()
        weights.append(w)
    return weights
