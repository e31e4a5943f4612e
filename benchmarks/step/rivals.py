"""Implementations of one L2RW training step, beside a plain one, behind one signature.

An arm is made of a `Setting` and takes a full optimiser step on its batches whenever its `step` is
called; it returns the example weights that it used, None if it used none. Packages that are not
installed, or do not get through, raise: the runner says so.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from sklearn_l2rw.meta_gradient.algorithm import Wanted, normalize
from sklearn_l2rw.meta_gradient.algorithm import literal_weights as algorithm_1
from sklearn_l2rw.meta_gradient.choice import Chooser
from sklearn_l2rw.meta_gradient.composed import Parts, descend
from sklearn_l2rw.meta_gradient.gradients import at_output
from sklearn_l2rw.meta_gradient.objective import Objective
from sklearn_l2rw.meta_gradient.parameters import select_parameters
from sklearn_l2rw.meta_gradient.ways import WAYS
from sklearn_l2rw.training.averaging import Average

Batch = tuple[Tensor, Tensor]
Step = Callable[[], Tensor | None]
LR = 1e-3  # of the virtual step: it cancels in the weights


@dataclass(frozen=True)
class Setting:
    """What an arm is given: a net and an optimizer of its own, and the batches of all arms.

    Where `twice` is set, the net's own kernels have no second derivative (fused attention, and
    recurrent ones of cuDNN), so that arms which need one get others for these passes.
    """

    net: nn.Module
    optimizer: torch.optim.Optimizer
    batch: Batch
    clean_batch: Batch
    twice: bool = False

    def kernels(self) -> AbstractContextManager[Any]:
        """Context for passes that are differentiated twice."""
        return _plain_kernels() if self.twice else nullcontext()

    def losses(self, batch: Batch, net: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Per-example losses (n,)."""
        X, y = batch
        return nn.functional.cross_entropy((net or self.net)(X), y, reduction="none")

    def descend(self, weights: Tensor) -> Tensor:
        """Take the weighted step."""
        self.optimizer.zero_grad()
        (weights * self.losses(self.batch)).sum().backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return weights


@contextmanager
def _plain_kernels() -> Any:
    with sdpa_kernel(SDPBackend.MATH), torch.backends.cudnn.flags(enabled=False):
        yield


@dataclass(frozen=True)
class Arm:
    """A step, and what there is to say about how it is taken."""

    step: Step
    note: Callable[[], str] = str


def plain(setting: Setting) -> Arm:
    """Training without weights."""

    def step() -> None:
        setting.optimizer.zero_grad()
        setting.losses(setting.batch).mean().backward()  # type: ignore[no-untyped-call]
        setting.optimizer.step()

    return Arm(step)


def _objective(setting: Setting) -> Objective:
    return Objective(setting.net, nn.CrossEntropyLoss(reduction="none"))


def _parameters(setting: Setting, meta_parameters: str | None) -> dict[str, nn.Parameter]:
    """Parameters that the meta-gradient is taken over, by their names in the objective."""
    chosen = select_parameters(setting.net, meta_parameters)
    return {f"module.{name}": p for name, p in chosen.items()}


def ours(setting: Setting, meta_gradient: str = "auto", meta_parameters: str | None = None) -> Arm:
    """What L2RWClassifier does to a batch by Algorithm 1, without skorch's loop around it."""
    objective, choose = _objective(setting), Chooser(meta_gradient)

    def step() -> Tensor:
        setting.optimizer.zero_grad()
        parameters = _parameters(setting, meta_parameters)
        found = choose(objective, setting.batch, setting.clean_batch, parameters)
        weights = normalize(found.slopes)
        found.backward(weights, 0.0)
        setting.optimizer.step()
        return weights

    return Arm(step, lambda: choose.name)


def default(setting: Setting) -> Arm:
    """What it does to a batch by default: the composed step, and the mean of the parameters.

    Its weights are not Algorithm 1's, and are not compared with them.
    """
    objective, choose, average = _objective(setting), Chooser("auto"), Average(0.5)
    modules = {"module": setting.net}

    def step() -> None:
        setting.optimizer.zero_grad()
        parameters = _parameters(setting, None)
        wanted = Wanted(parameters, at_output)
        found = choose(objective, setting.batch, setting.clean_batch, parameters, wanted)
        descend(found, None, Parts())
        setting.optimizer.step()
        average.update(modules)

    return Arm(step, lambda: choose.name)


def literal_weights(setting: Setting, meta_parameters: str | None = None) -> Tensor:
    """Algorithm 1 as the paper has it: the virtual step stays in the graph."""
    parameters = _parameters(setting, meta_parameters)
    with setting.kernels():
        return algorithm_1(_objective(setting), setting.batch, setting.clean_batch, parameters)


def literal(setting: Setting) -> Arm:
    """Algorithm 1, literally."""
    return Arm(lambda: setting.descend(literal_weights(setting)))


def higher(setting: Setting) -> Arm:
    """The virtual step by higher's differentiable optimizer, as in its documentation."""
    package = importlib.import_module("higher")

    def step() -> Tensor:
        virtual = torch.optim.SGD(setting.net.parameters(), LR)
        context = package.innerloop_ctx(setting.net, virtual, copy_initial_weights=False)
        with setting.kernels(), context as (net, optimizer):
            losses = setting.losses(setting.batch, net)
            eps = torch.zeros_like(losses, requires_grad=True)
            optimizer.step((eps * losses).sum())
            (slope,) = torch.autograd.grad(setting.losses(setting.clean_batch, net).mean(), eps)
        return setting.descend(normalize(-slope))

    return Arm(step)


def torchopt(setting: Setting) -> Arm:
    """The virtual step by TorchOpt's MetaSGD, taken back afterwards."""
    package = importlib.import_module("torchopt")

    def step() -> Tensor:
        optimizer = package.MetaSGD(setting.net, lr=LR)
        before = package.extract_state_dict(setting.net, by="reference")
        try:
            with setting.kernels():
                losses = setting.losses(setting.batch)
                eps = torch.zeros_like(losses, requires_grad=True)
                optimizer.step((eps * losses).sum())
                (slope,) = torch.autograd.grad(setting.losses(setting.clean_batch).mean(), eps)
        finally:
            package.recover_state_dict(setting.net, before)
        return setting.descend(normalize(-slope))

    return Arm(step)


def betty(setting: Setting) -> Arm:
    """Betty's default hypergradient, by finite differences, of a weight for each example.

    Its Engine cannot take the step: weights of one batch are no parameters that live on, and a
    virtual step cannot be taken back (``roll_back`` keeps references to the parameters, not
    copies). So its problems and its hypergradient are used without the Engine. The hypergradient
    leaves the parameters displaced (``p.data.add`` stands where ``add_`` is meant), which is
    mended here.
    """
    problems = importlib.import_module("betty.problems")
    config = importlib.import_module("betty.configs").Config(type="darts")
    get_grads = importlib.import_module("betty.hypergradient").get_grads
    device = str(setting.batch[0].device)
    weights = nn.ParameterList([torch.zeros(len(setting.batch[1]), device=device)])

    class Net(problems.ImplicitProblem):  # type: ignore[name-defined]
        def training_step(self, batch: Batch) -> Tensor:
            loss: Tensor = (weights[0] * setting.losses(batch)).sum()
            return loss

    net = Net("net", config, setting.net, device=device)
    net.cur_batch = setting.batch
    upper = problems.ImplicitProblem("weights", config, weights, device=device)
    parameters = [p.data for p in setting.net.parameters()]

    def step() -> Tensor:
        before = [p.clone() for p in parameters]
        clean_loss = setting.losses(setting.clean_batch).mean()
        (slope,) = get_grads(clean_loss, [upper, net, upper], False)
        torch._foreach_copy_(parameters, before)
        return setting.descend(normalize(-slope))

    return Arm(step)


OURS: dict[str, Callable[[Setting], Arm]] = {
    "ours": ours,
    "ours:default": default,
    **{f"ours:{name}": partial(ours, meta_gradient=name) for name in WAYS},
    "ours:last": partial(ours, meta_parameters="last"),
}
ARMS: dict[str, Callable[[Setting], Arm]] = {
    "plain": plain,
    **OURS,
    "literal": literal,
    "higher": higher,
    "torchopt": torchopt,
    "betty": betty,
}
RIVALS = ("higher", "torchopt", "literal")  # exact ones of other makers
INEXACT = (*(f"ours:{name}" for name, way in WAYS.items() if not way.exact), "betty")
