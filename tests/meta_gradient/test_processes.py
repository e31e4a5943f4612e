"""Two processes take the step that one takes on the batch of both."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from sklearn_l2rw import example_weights, reweighted_backward
from sklearn_l2rw.meta_gradient.processes import ALONE
from sklearn_l2rw.meta_gradient.ways import WAYS
from sklearn_l2rw.meta_gradient.wrappers import check_whole, processes_of
from tests.several import error_of, in_two

CROSS_ENTROPY = nn.CrossEntropyLoss(reduction="none")
CUT = 5  # of 14 examples, the first process's
EXACT = [name for name, way in WAYS.items() if way.exact and not way.together]


def batches(seed: int, n: int = 14, m: int = 6) -> tuple[Any, Any]:
    """A training batch and a clean batch of three classes."""
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(n + m, 4, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 3, (n + m,), generator=generator)
    return (X[:n], y[:n]), (X[n:], y[n:])


def share(batch: Any, rank: int, cut: int) -> Any:
    """A process's share of a batch."""
    rows = slice(0, cut) if rank == 0 else slice(cut, None)
    return batch[0][rows], batch[1][rows]


def mlp() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()


class Chunked(nn.Module):
    """A net of BatchNorm that takes a batch as two processes do, each share on its own."""

    def __init__(self, *, apart: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3))
        self.double()
        self.apart = apart

    def forward(self, X: Tensor) -> Tensor:
        cut = {14: CUT, 6: 2}.get(len(X), len(X))
        if not self.apart:
            return torch.as_tensor(self.net(X))
        return torch.cat([self.net(X[:cut]), self.net(X[cut:])])


class Odd(nn.Module):
    """A sparse embedding, numbers of several types, a layer that only some examples use."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(5, 4, sparse=True, dtype=torch.float64)
        self.factor = nn.Parameter(torch.ones(4, dtype=torch.complex128))
        self.single = nn.Linear(4, 3)
        self.sometimes = nn.Linear(4, 3).double()
        self.never = nn.Linear(4, 3).double()

    def forward(self, X: Tensor) -> Tensor:
        embedded = self.embedding((X[:, 0].abs() * 2).long().clamp(max=4))
        hidden = (X.to(torch.complex128) * self.factor).real + embedded
        output = torch.as_tensor(self.single(hidden.float())).double()
        large = X[:, 1] > 0.8
        return output.index_add(0, large.nonzero()[:, 0], self.sometimes(hidden[large]))


def gradients(module: nn.Module) -> list[Any]:
    found = [p.grad for p in module.parameters()]
    return [None if g is None else g.detach().to_dense().clone() for g in found]


def same(found: Any, expected: Any, tolerance: float = 1e-9) -> None:
    """Check that tensors are the same, None being one of them."""
    if isinstance(expected, (list, tuple)):
        for a, b in zip(found, expected, strict=True):
            same(a, b, tolerance)
    elif expected is None:
        assert found is None
    else:
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


Result = tuple[Any, ...]


def one(module: nn.Module, batch: Any, clean: Any, **settings: Any) -> Result:
    """One process's step on the whole: weights, losses, gradients and weights alone."""
    step = reweighted_backward(module, CROSS_ENTROPY, batch, clean, **settings)
    alone = {k: v for k, v in settings.items() if k.startswith("meta_")}
    weights = example_weights(module, CROSS_ENTROPY, batch, clean, **alone)
    return step.weights, step.loss, step.clean_loss, gradients(module), weights


def each(rank: int, make: Any, cases: Any) -> list[Result]:
    """A process's steps on its shares, one after the other; the gradients add up."""
    module = DistributedDataParallel(make())
    return [
        one(module, share(batch, rank, CUT), share(clean, rank, 2) if split else clean, **settings)
        for (batch, clean), split, settings in cases
    ]


def check(make: Any, cases: Any, reference: Any = None, tolerance: float = 1e-9) -> None:
    found = in_two(each, make, cases)
    module = (reference or make)()
    for i, ((batch, clean), _, settings) in enumerate(cases):
        weights, loss, clean_loss, grads, alone = one(module, batch, clean, **settings)
        for rank in range(2):
            rows = slice(0, CUT) if rank == 0 else slice(CUT, None)
            expected = weights[rows], loss, clean_loss, grads, alone[rows]
            same(found[rank][i], expected, tolerance)


@pytest.mark.slow
def test_step_of_one_process() -> None:
    """On several batches, whatever the step is made of, with the clean batch shared or not."""
    settings: list[dict[str, Any]] = [
        {},
        {"clean_loss_weight": 0},
        {"scale_slopes": False},
        {"clean_loss_weight": 0, "scale_slopes": False, "meta_parameters": "last"},
        *({"meta_gradient": name} for name in EXACT),
    ]
    check(mlp, [(batches(i), i % 2, s) for i, s in enumerate(settings)])


def _wrong_in_second(*, everywhere: bool = False) -> Any:
    """A batch whose second share, or all of it, has another label than the clean examples.

    Of positive inputs, to a net at zero: then all slopes of right labels are positive, of wrong
    ones negative.
    """
    (X, y), (X_clean, y_clean) = batches(0)
    wrong = torch.arange(len(y)) >= (0 if everywhere else CUT)
    return (X.abs(), wrong.long()), (X_clean.abs(), torch.zeros_like(y_clean))


@pytest.mark.slow
def test_a_process_of_wrong_labels_alone() -> None:
    """Its examples have no weight, and it takes the other's step; if none has, the clean one."""
    cases: Any = [(_wrong_in_second(everywhere=all_), True, {}) for all_ in (False, True)]
    found = in_two(each, _linear, cases)
    assert float(found[0][0][0].sum()) == pytest.approx(1)
    assert float(found[1][0][0].sum()) == 0
    assert all(float(found[rank][1][0].sum()) == 0 for rank in range(2))
    check(_linear, cases)


def _linear() -> nn.Module:
    layer = nn.Linear(4, 3).double()
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


@pytest.mark.slow
def test_odd_parameters() -> None:
    """Sparse, complex and single ones, and some that one process does not use."""
    settings = {"meta_gradient": "per_example"}
    check(Odd, [(batches(i), True, settings) for i in range(2)], tolerance=1e-5)


@pytest.mark.slow
def test_batch_norm_is_each_processs_own() -> None:
    settings: dict[str, Any] = {"meta_gradient": "double_backward"}
    cases = [(batches(i), True, settings) for i in range(2)]
    check(_together, cases, _apart)
    first, second = in_two(_buffers)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert int(first["net.1.num_batches_tracked"]) == 1


def _together() -> nn.Module:
    return Chunked(apart=False)


def _apart() -> nn.Module:
    return Chunked(apart=True)


def _buffers(rank: int) -> dict[str, Tensor]:
    module = Chunked(apart=False)
    batch, clean = batches(0)
    reweighted_backward(
        DistributedDataParallel(module), CROSS_ENTROPY, share(batch, rank, CUT), clean
    )
    return dict(module.named_buffers())


# What DistributedDataParallel would do


@pytest.mark.slow
def test_nothing_is_averaged_by_accident() -> None:
    """Not in trials, and not where a forward pass of DistributedDataParallel left it waiting."""
    for found in in_two(_after_a_forward):
        same(found, _expected())
    assert in_two(_with_comm_hook) == [0, 0]


def _expected() -> Result:
    batch, clean = batches(0)
    module = mlp()
    step = reweighted_backward(module, CROSS_ENTROPY, batch, clean)
    found = step.loss, step.clean_loss, gradients(module)
    module.zero_grad()
    weights = example_weights(module, CROSS_ENTROPY, batch, clean)
    (weights * CROSS_ENTROPY(module(batch[0]), batch[1])).sum().backward()
    return *found, gradients(module)


def _after_a_forward(rank: int) -> Result:
    module = DistributedDataParallel(mlp(), gradient_as_bucket_view=True)
    batch, clean = (share(both, rank, cut) for both, cut in zip(batches(0), (CUT, 2), strict=True))
    module(batch[0])  # and no backward
    step = reweighted_backward(module, CROSS_ENTROPY, batch, clean)
    found = step.loss, step.clean_loss, gradients(module)
    module.zero_grad()  # it trains on as before
    losses = CROSS_ENTROPY(module(batch[0]), batch[1])  # before the weights, which have trials
    weights = example_weights(module, CROSS_ENTROPY, batch, clean, meta_gradient="forward")
    (2 * weights * losses).sum().backward()
    return *found, gradients(module)


def _with_comm_hook(rank: int) -> int:
    """How often DistributedDataParallel averages gradients in a step of ours."""
    module, calls = DistributedDataParallel(mlp()), [0]

    def hook(state: Any, bucket: Any) -> Any:
        calls[0] += 1
        future: torch.futures.Future[Tensor] = torch.futures.Future()
        future.set_result(bucket.buffer())
        return future

    hook.__annotations__.clear()  # torch looks at them, and does not know names for types
    module.register_comm_hook(None, hook)
    batch, clean = batches(0)
    for _ in range(3):
        reweighted_backward(module, CROSS_ENTROPY, share(batch, rank, CUT), clean)
    return calls[0]


@pytest.mark.slow
def test_training_with_momentum() -> None:
    """Parameters after several steps, in a loop of one's own."""
    found = in_two(_train, True)
    expected = _train(0, False)
    for parameters in found:
        same(parameters, expected)


def _train(rank: int, several: bool) -> list[Tensor]:
    module = mlp()
    model = DistributedDataParallel(module) if several else module
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for i in range(6):
        batch, clean = batches(i)
        optimizer.zero_grad()
        batch = share(batch, rank, CUT) if several else batch
        step = reweighted_backward(model, CROSS_ENTROPY, batch, clean)
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        assert step.output.shape == (len(batch[0]), 3)
        optimizer.step()
    return [p.detach() for p in module.parameters()]


# Errors


@pytest.mark.slow
def test_errors_end_the_step_in_all_processes() -> None:
    first, second = in_two(_errors)
    other = "RuntimeError: Got an error in 1 of 2 processes"
    assert first["nan"].startswith(other)
    assert "not finite" in second["nan"]
    assert first["empty"].startswith(other)
    assert "0 inputs" in second["empty"]
    assert first["loss"].startswith(other)
    assert second["loss"] == "ZeroDivisionError: of the second"
    assert first["frozen"] == second["frozen"]
    assert "parameters to train in process 1" in first["frozen"]
    for name, text in {
        "hooked": "optimizer's step after",
        "sync": "SyncBatchNorm",
        "inside": "around the whole",
        "join": "join()",
        "merged": "several processes share",
        "reentrant": "use_reentrant=False",
        "outside": "Make it a parameter",
        "bare": "UserWarning: Got a bare module in one of 2 processes",
    }.items():
        assert text in first[name]
        assert text in second[name]
    assert first["left"] == second["left"] == [0, 0]


def _second_fails(output: Tensor, y: Tensor) -> Tensor:
    if dist.get_rank() == 1:
        raise ZeroDivisionError("of the second")
    return torch.as_tensor(CROSS_ENTROPY(output, y))


class Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4).double(), mlp()

    def forward(self, X: Tensor) -> Tensor:
        hidden = checkpoint(self.first, X.requires_grad_(), use_reentrant=True)
        return torch.as_tensor(self.second(hidden))


def _errors(rank: int) -> dict[str, Any]:
    module = mlp()
    model = DistributedDataParallel(module)
    batch, clean = batches(0)
    mine = share(batch, rank, CUT)
    bad = (mine[0] * torch.nan, mine[1]) if rank else mine
    empty = (mine[0][:0], mine[1][:0]) if rank else mine
    found: dict[str, Any] = {}

    def fails(name: str, model: nn.Module, loss: Any = CROSS_ENTROPY, batch: Any = mine) -> None:
        with error_of() as texts:
            reweighted_backward(model, loss, batch, clean)
        found[name] = texts[0]

    fails("nan", model, batch=bad)
    fails("empty", model, batch=empty)
    fails("loss", model, _second_fails)
    next(module.parameters()).requires_grad_(rank == 0)
    fails("frozen", model)
    next(module.parameters()).requires_grad_(True)
    hooked: Any = next(module.parameters())
    handle = hooked.register_post_accumulate_grad_hook(lambda p: None)
    fails("hooked", model)
    handle.remove()
    with error_of() as texts:
        reweighted_backward(model, CROSS_ENTROPY, mine, clean, meta_gradient="merged")
    found["merged"] = texts[0]
    synchronized = DistributedDataParallel(nn.Sequential(mlp(), nn.BatchNorm1d(3)))
    synchronized.module[1] = nn.SyncBatchNorm(3)  # on a CPU they are not taken together
    fails("sync", synchronized)
    fails("reentrant", DistributedDataParallel(Checkpointed()))
    scale = torch.ones(3, dtype=torch.float64, requires_grad=True)
    fails("outside", model, lambda output, y: CROSS_ENTROPY(output * scale, y))
    fails("inside", nn.Sequential(model))
    fails("bare", module)
    found["left"] = [sum(p.grad is not None for p in module.parameters())] * 2
    with model.join():
        fails("join", model)
        dist.barrier()
    return found


def test_bare_modules_are_alone() -> None:
    module = mlp()
    assert processes_of(module) == (module, ALONE)


def test_sharded_parameters_are_refused() -> None:
    class FSDPModule:
        pass

    class Sharded(FSDPModule, nn.Linear):
        pass

    with pytest.raises(ValueError, match=r"shared out among processes \(Sharded\)"):
        check_whole(nn.Sequential(Sharded(4, 3)), 1)
