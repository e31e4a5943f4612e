"""One step of the method in a training loop: weights, and the gradient to take the step with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from ..data.batches import Batch, n_examples
from ..data.clean_batches import CleanBatches
from ..meta_gradient.algorithm import Link, Wanted
from ..meta_gradient.choice import Chooser
from ..meta_gradient.composed import Parts, take_step
from ..meta_gradient.objective import per_example
from ..meta_gradient.parameters import select_parameters
from ..meta_gradient.processes import Alone
from ..meta_gradient.state import no_trace
from ..meta_gradient.trial import Given
from ..nested import copied


class NetObjective(nn.Module):
    """Per-example losses of a skorch net, with the net's modules and criteria as children.

    A batch is ``(X, y)``, or ``(X, y, weight)`` with what each example's loss is multiplied by.
    """

    fit_params: Mapping[str, Any] = MappingProxyType({})  # of the step at hand

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net
        self.held = _components(net)
        for name, holder in self.held.items():
            if isinstance(holder, nn.Module):
                self.add_module(name, holder)

    def settings_key(self) -> Any:
        """What decides how losses are computed, beside the children: see `memory`."""
        others = [h for h in self.held.values() if not isinstance(h, nn.Module)]
        return type(self.net), list(self.fit_params), others

    def is_of(self, net: Any) -> bool:
        """Whether these are still the net's components; callbacks may make them anew."""
        return all(holder is getattr(net, f"{name}_") for name, holder in self.held.items())

    def trainable(self) -> dict[str, nn.Parameter]:
        """Parameters that require a gradient at this moment, by name."""
        return {name: p for name, p in self.named_parameters() if p.requires_grad}

    def forward(self, batch: Any) -> tuple[Tensor, Any]:
        """Losses (n,), and what the module puts out."""
        X, y, *weight = batch
        # a module may write into its input
        X = X.detach().clone() if isinstance(X, Tensor) else copied(X)
        criteria = (self.held[name] for name in self.net._criteria)
        reductions = [(c, c.reduction) for c in criteria if getattr(c, "reduction", None)]
        for criterion, _ in reductions:  # one loss for each example
            criterion.reduction = "none"
        try:
            output = self.net.infer(X, **self.fit_params)
            losses = self.net.get_loss(output, y, X=X, training=True)
        finally:
            for criterion, reduction in reductions:
                criterion.reduction = reduction
        if not isinstance(losses, Tensor) or losses.ndim != 1 or len(losses) != len(y):
            losses = per_example(losses, n_examples(X, y))
        return losses * weight[0] if weight else losses, output


def _components(net: Any) -> dict[str, Any]:
    return {name: getattr(net, f"{name}_") for name in (*net._modules, *net._criteria)}


class Reweighting:
    """State of the method over a fit.

    Parameters
    ----------
    objective : NetObjective
        Losses of the net.
    clean_batches : CleanBatches
        Source of the clean batches.
    chooser : Chooser
        How slopes are computed.
    meta_parameters : None, str, list of str or callable
        Parameters that the meta-gradient is taken over.
    link : callable
        From the gradient at the module's output to the one whose norm slopes are divided by.
    processes : Alone
        Those that the batches are shared out among.
    """

    def __init__(
        self,
        objective: NetObjective,
        clean_batches: CleanBatches,
        chooser: Chooser,
        meta_parameters: Any,
        link: Link,
        processes: Alone,
    ) -> None:
        self.objective = objective
        self.clean_batches = clean_batches
        self.chooser = chooser
        self.meta_parameters = meta_parameters
        self.link = link
        self.processes = processes
        self.last: dict[str, Any] | None = None  # step on the batch at hand
        self.clean: Any = None  # its clean batch

    @property
    def parts(self) -> Parts:
        """What a step is put together of; callbacks may set other values."""
        net = self.objective.net
        warming = len(net.history) <= net.warm_up
        return Parts(float(net.clean_loss_weight), net.scale_slopes, warming)

    def step(self, batch: Any) -> dict[str, Any]:
        """Weigh a batch, and add the gradient of the weighted loss to the parameters.

        ``p`` (n,), what each example counts, multiplies its loss ``f_i`` and with it the
        slope ``u_i``. With weights ``w_i`` that are normalised so that ``sum_i p_i w_i = 1``, the
        step is on ``sum_i p_i w_i f_i``, and lambda times the clean loss beside (see `composed`);
        an example that counts twice is as good as two.

        Returns what skorch calls a step: the loss that it is on, the output (``y_pred``), and the
        weights ``p_i w_i`` and the mean clean loss besides.

        A batch that comes again keeps its weights: optimizers such as LBFGS evaluate the loss of
        one batch several times, and rely on it being one function of the parameters.
        """
        if self.last is None:
            self.last = self._weigh(batch)
            return self.last
        if self.processes.size > 1:
            raise RuntimeError(
                "Got a batch a second time in one step, but expected an optimizer that evaluates "
                "the loss once, with several processes."
            )
        clean_loss = self.last["clean_loss"]
        if self.parts.clean_loss_weight:
            with no_trace(self.objective, own_stream=True):
                clean_loss = self.objective(self.clean)[0].mean()
        losses, output = self.objective(batch)
        loss = (self.last["weights"] * losses).sum() + self.parts.clean_loss_weight * clean_loss
        loss.backward()
        return {**self.last, "loss": loss, "y_pred": output}

    def _weigh(self, batch: Any) -> dict[str, Any]:
        parts, parameters = self.parts, self._parameters()
        clean = self.clean_batches.next()
        pair, clean_pair = tuple(batch), tuple(clean)
        if clean.weight is not None:
            ones = torch.ones(n_examples(*batch), device=clean.weight.device)
            pair, clean_pair = (*batch, ones), (*clean, clean.weight)
        self.clean = clean_pair
        trained: Mapping[str, nn.Parameter] = {}
        if parts.clean_loss_weight:
            whole = self.meta_parameters is None
            trained = parameters if whole else self.objective.trainable()
        wanted = Wanted(trained, self.link if parts.scale_slopes else None)
        counts = batch.weight if isinstance(batch, Batch) else None
        given = Given(self.objective, pair, clean_pair, parameters, wanted)
        weigh = partial(self.chooser, *given)
        found, weights, loss = take_step(given, weigh, counts, parts, self.processes)
        return {
            "loss": loss,
            "y_pred": found.output,
            "weights": weights,
            "clean_loss": found.clean_loss,
            "slopes": found.slopes,
        }

    def whole(self, batch: Batch, step: Mapping[str, Any]) -> tuple[Batch, Mapping[str, Any]]:
        """Batch and step of all processes, as far as they are kept: no inputs, no outputs."""
        w, u = step["weights"], step["slopes"]
        known = batch.rows is not None
        rows = torch.as_tensor(batch.rows) if known else torch.full((len(w),), -1)
        p = torch.ones_like(w) if batch.weight is None else batch.weight
        (rows, p, w, u), _ = self.processes.gathered(rows, p, w, u)
        known = bool((rows >= 0).all())
        weight = None if batch.weight is None else p
        whole = Batch(None, None, rows.numpy(force=True) if known else None, weight)
        return whole, {**step, "weights": w, "slopes": u}

    def _parameters(self) -> Mapping[str, nn.Parameter]:
        """Parameters of the meta-gradient; asked for at every step, since layers may be frozen."""
        if self.meta_parameters is None:  # those of the criterion too
            parameters = self.objective.trainable()
            if not parameters:
                raise ValueError(
                    "Got a module without a parameter that requires a gradient, but the weights "
                    "come from gradients. Unfreeze at least one parameter."
                )
            return parameters
        if "module" in self.objective.held:
            chosen = select_parameters(self.objective.get_submodule("module"), self.meta_parameters)
            return {f"module.{name}": p for name, p in chosen.items()}
        named = {name: self.objective.get_submodule(name) for name in self.objective.net._modules}
        return select_parameters(nn.ModuleDict(named), self.meta_parameters)
