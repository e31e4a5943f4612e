"""A whole step on learned weights, for training loops of one's own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .algorithm import Wanted, Weighed
from .composed import Parts, check_parts, take_step
from .generators import GENERATORS
from .gradients import at_output
from .parameters import MetaParameters, trainable
from .weights import check_finite, chooser_of, prepare
from .wrappers import processes_of


class ReweightedStep(NamedTuple):
    """What :func:`reweighted_backward` computed of a batch.

    Attributes
    ----------
    loss : torch.Tensor of shape ()
        The loss that the step is on.
    weights : torch.Tensor of shape (n,)
        Weights of the examples; they sum to 1, or are all 0.
    losses : torch.Tensor of shape (n,)
        Losses of the examples.
    clean_loss : torch.Tensor of shape ()
        Mean loss of the clean batch.
    output : object
        What the module put out for the training batch. Its graph has been gone through.

    Examples
    --------
    >>> import torch
    >>> from sklearn_l2rw import reweighted_backward
    >>> module, loss = torch.nn.Linear(2, 2), torch.nn.CrossEntropyLoss(reduction="none")
    >>> X, y = torch.eye(2), torch.tensor([0, 1])
    >>> step = reweighted_backward(module, loss, (X, y), (X, y))
    >>> step.weights.sum().round(decimals=4)
    tensor(1.)

    """

    loss: Tensor
    weights: Tensor
    losses: Tensor
    clean_loss: Tensor
    output: Any


def reweighted_backward(
    module: nn.Module,
    loss: Callable[[Any, Any], Tensor],
    batch: tuple[Any, Tensor],
    clean_batch: tuple[Any, Tensor],
    *,
    clean_loss_weight: float = 0.3,
    scale_slopes: bool = True,
    meta_gradient: str = "auto",
    meta_parameters: MetaParameters = None,
) -> ReweightedStep:
    r"""Weigh a training batch, and add the gradient of the weighted loss to the parameters.

    Stands where ``loss(module(X), y).mean().backward()`` would: ``zero_grad`` comes before it,
    ``optimizer.step`` behind. The gradient is that of

    .. math::

        \sum_i w_i f_i(\theta) + \lambda L(\theta), \qquad
        w_i = \frac{\max(u_i / s_i, 0)}{\sum_j \max(u_j / s_j, 0)}, \qquad
        u_i = \langle \nabla f_i(\theta), \nabla L(\theta) \rangle,

    with the losses :math:`f_i` of the training batch and the mean loss :math:`L` of the clean
    batch. Weights and gradient come of the same passes, so that it takes less time than
    :func:`example_weights` and a step of its own.

    Parameters
    ----------
    module, loss, batch, clean_batch, meta_gradient, meta_parameters
        As in :func:`example_weights`.

    clean_loss_weight : float, default=0.3
        :math:`\lambda`, what the clean batch counts in the step, at least 0. With 0 it is not
        trained on, as in the paper.

    scale_slopes : bool, default=True
        Whether :math:`s_i` is the norm of the gradient of the losses, :math:`\sum_j f_j`, at the
        module's (first) output for example i, so that the weights follow the direction of an
        example's gradient, not its length; 1 in the paper. For a module that returns logits: at
        probabilities or their logarithms, that norm says something else, and False is better.

    Returns
    -------
    step : ReweightedStep
        A named tuple of ``loss``, ``weights``, ``losses``, ``clean_loss`` and ``output``.

    Raises
    ------
    TypeError, ValueError
        As :func:`example_weights`; if `clean_loss_weight` is negative or not finite, or slopes
        are to be scaled and the loss has no gradient at the module's output.

    See Also
    --------
    L2RWClassifier : Does the same in a scikit-learn estimator, and averages the parameters.
    torch.optim.swa_utils.AveragedModel : Averages the parameters, which takes most of the noise
        out of a net that is trained on learned weights.

    Notes
    -----
    With ``clean_loss_weight=0, scale_slopes=False`` it is the step of Algorithm 1 of [1]_. Buffers
    and generators are afterwards as one pass over the training batch leaves them.

    With a module in ``DistributedDataParallel`` the step is that of one process on the batch of
    all (see :func:`example_weights`): ``.grad`` has the sum over the processes, the same in each,
    ``loss`` and ``clean_loss`` are those of all, and ``weights``, ``losses`` and ``output`` this
    process's. As ``DistributedDataParallel`` does, it leaves the first process's buffers in all.

    References
    ----------
    .. [1] M. Ren, W. Zeng, B. Yang, R. Urtasun. Learning to Reweight Examples for Robust Deep
       Learning. ICML 2018. https://arxiv.org/abs/1803.09050

    Examples
    --------
    >>> import torch
    >>> from sklearn_l2rw import reweighted_backward
    >>> model = torch.nn.Linear(1, 2, bias=False)
    >>> _ = torch.nn.init.zeros_(model.weight)
    >>> loss = torch.nn.CrossEntropyLoss(reduction="none")
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> X, y = torch.tensor([[1.0], [-1.0], [2.0]]), torch.tensor([1, 0, 0])
    >>> X_clean, y_clean = torch.tensor([[1.0], [-1.0]]), torch.tensor([1, 0])
    >>> optimizer.zero_grad()
    >>> step = reweighted_backward(model, loss, (X, y), (X_clean, y_clean))
    >>> optimizer.step()
    >>> step.weights  # the third label is wrong
    tensor([0.5000, 0.5000, 0.0000])

    """
    check_parts(clean_loss_weight, scale_slopes)
    parts = Parts(clean_loss_weight, scale_slopes)
    bare, processes = processes_of(module)
    given = processes.agreed(
        lambda: prepare(bare, loss, batch, clean_batch, meta_gradient, meta_parameters)
    )
    everything = trainable(given.objective) if clean_loss_weight else {}
    link = at_output if scale_slopes else None
    given = given._replace(wanted=Wanted(everything, link))
    chooser = chooser_of(bare, meta_gradient)

    def weigh() -> Weighed:
        with GENERATORS if chooser.streams else nullcontext():
            return check_finite(chooser(*given))

    with torch.inference_mode(False), torch.enable_grad():
        found, weights, total = take_step(given, weigh, None, parts, processes)
    return ReweightedStep(total, weights, found.losses.detach(), found.clean_loss, found.output)
