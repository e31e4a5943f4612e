"""One step of the method inside a training loop: weights, and the loss to take the step with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from ..data.clean_batches import CleanBatches
from ..meta_gradient.choice import Plan, choose_plan, situation
from ..meta_gradient.weights import normalize


class Step(NamedTuple):
    """Weights (n,) of a batch, the weighted loss (a number), the output, the clean loss."""

    weights: Tensor
    loss: Tensor
    output: Any
    clean_loss: Tensor


class Reweighting:
    """State of the method over a fit: where the clean batches come from, how slopes are computed.

    Parameters
    ----------
    objective : torch.nn.Module
        ``objective(batch)`` returns the per-example losses (n,) of a batch and the output.
    clean_batches : CleanBatches
        Source of the clean batches.
    meta_gradient : str
        The way that was asked for.
    select : callable
        ``select(objective)`` returns the parameters that the meta-gradient is taken over, by
        name. It is asked at every step, since callbacks may freeze and thaw parameters.

    """

    def __init__(
        self,
        objective: nn.Module,
        clean_batches: CleanBatches,
        meta_gradient: str,
        select: Callable[[nn.Module], Mapping[str, nn.Parameter]],
    ) -> None:
        self.objective = objective
        self.clean_batches = clean_batches
        self.select = select
        self.meta_gradient = meta_gradient
        self.plan: Plan | None = None
        self._chosen_for: tuple[bool, ...] = ()
        self._step: Step | None = None

    def new_batch(self) -> None:
        """Forget the weights of the last batch."""
        self._step = None

    def step(self, batch: Any, prior: Tensor | None = None) -> Step:
        """Weigh a batch, and add the gradient of the weighted loss to the parameters.

        ``prior`` (n,), what each example counts, multiplies its loss ``f_i`` and with it the
        slope ``u_i``. With weights ``w_i`` that are normalised so that ``sum_i p_i w_i = 1``, the
        step is on ``sum_i p_i w_i f_i``; an example that counts twice is as good as two. The
        weights returned are ``p_i w_i``.

        A batch seen before keeps its weights: optimizers such as LBFGS evaluate the loss of one
        batch several times, and rely on it being one function of the parameters.
        """
        if self._step is None:
            self._step = self._weigh(batch, prior)
            return self._step
        losses, output = self.objective(batch)
        loss = (self._step.weights * losses).sum()
        loss.backward()
        return self._step._replace(loss=loss, output=output)

    def _weigh(self, batch: Any, prior: Tensor | None) -> Step:
        clean_batch = self.clean_batches.next()
        parameters = self.select(self.objective)
        now = situation(self.objective)
        if self.plan is None or now != self._chosen_for:
            self._chosen_for = now
            self.plan = choose_plan(
                self.objective, batch, clean_batch, parameters, self.meta_gradient
            )
        found = self.plan(self.objective, batch, clean_batch, parameters)
        slopes = found.slopes if prior is None else prior.to(found.slopes.dtype) * found.slopes
        weights = normalize(slopes)
        found.backward(weights)
        loss = (weights * found.losses.detach()).sum()
        return Step(weights, loss, found.output, found.clean_loss)
