"""Slopes in the open: what weights are made of, before they are rectified and normalised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from .choice import META_GRADIENTS
from .parameters import MetaParameters
from .weights import known_chooser, weighed


def example_slopes(
    module: nn.Module,
    loss: Callable[[Any, Any], Tensor],
    batch: tuple[Any, Tensor],
    clean_batch: tuple[Any, Tensor],
    *,
    meta_gradient: str = "auto",
    meta_parameters: MetaParameters = None,
) -> Tensor:
    r"""How far each training example's gradient points the way of the clean one.

    With the losses :math:`f_i` of the training batch and the mean loss :math:`L` of the clean
    batch, at the module's parameters :math:`\theta`,

    .. math::

        u_i = \langle \nabla f_i(\theta), \nabla L(\theta) \rangle:

    a step of length :math:`\eta` on example i alone lowers the clean loss by :math:`\eta u_i`, to
    first order. :func:`example_weights` are the positive ones over their sum, after equations 8
    and 9 of [1]_. As they are, they can be put together: over the micro-batches of a step, over
    processes, or over steps, as in the value of a row.

    Parameters
    ----------
    module, loss, batch, clean_batch, meta_gradient, meta_parameters
        As in :func:`example_weights`.

    Returns
    -------
    slopes : torch.Tensor of shape (n,)
        Those of this process's examples: of either sign, of the losses' dtype, without a graph, in
        units of the loss over those of the learning rate.

    Raises
    ------
    TypeError, ValueError
        As :func:`example_weights`.

    See Also
    --------
    example_weights : Weights of a batch.
    reweighted_backward : Weights and the step in one.

    References
    ----------
    .. [1] M. Ren, W. Zeng, B. Yang, R. Urtasun. Learning to Reweight Examples for Robust Deep
       Learning. ICML 2018. https://arxiv.org/abs/1803.09050

    Examples
    --------
    The third label is wrong. Weights over two micro-batches, of one clean batch:

    >>> import torch
    >>> from sklearn_l2rw import example_slopes
    >>> model = torch.nn.Linear(1, 2, bias=False)
    >>> _ = torch.nn.init.zeros_(model.weight)
    >>> loss = torch.nn.CrossEntropyLoss(reduction="none")
    >>> X, y = torch.tensor([[1.0], [-1.0], [2.0]]), torch.tensor([1, 0, 0])
    >>> clean = torch.tensor([[1.0], [-1.0]]), torch.tensor([1, 0])
    >>> parts = [example_slopes(model, loss, (X[i], y[i]), clean) for i in ([0, 1], [2])]
    >>> slopes = torch.cat(parts)
    >>> slopes
    tensor([ 0.5000,  0.5000, -1.0000])
    >>> slopes.clamp(min=0) / slopes.clamp(min=0).sum()
    tensor([0.5000, 0.5000, 0.0000])

    """
    found, _ = weighed(module, loss, batch, clean_batch, meta_gradient, meta_parameters)
    return found.slopes


def chosen_meta_gradient(module: nn.Module, meta_gradient: str = "auto") -> str | None:
    """Say how the slopes of a module were last computed.

    Parameters
    ----------
    module : torch.nn.Module
        That was given to :func:`example_weights`, :func:`example_slopes` or
        :func:`reweighted_backward`.
    meta_gradient : str, default="auto"
        What was asked for there.

    Returns
    -------
    name : str or None
        One of the values of `meta_gradient` but ``"auto"``; None if the module was not seen. Of
        an estimator, ``meta_gradient_`` is the same.

    Raises
    ------
    ValueError
        If `meta_gradient` is none of the names.

    Examples
    --------
    >>> import torch
    >>> from sklearn_l2rw import chosen_meta_gradient, example_weights
    >>> model, loss = torch.nn.Linear(3, 2), torch.nn.CrossEntropyLoss(reduction="none")
    >>> batch, clean = ((torch.randn(n, 3), torch.randint(2, (n,))) for n in (8, 2))
    >>> weights = example_weights(model, loss, batch, clean)
    >>> chosen_meta_gradient(model)
    'merged'

    """
    if meta_gradient not in META_GRADIENTS:
        raise ValueError(
            f"Got meta_gradient={meta_gradient!r}, but expected one of {list(META_GRADIENTS)}."
        )
    bare = module.module if isinstance(module, DistributedDataParallel) else module
    chooser = known_chooser(bare, meta_gradient)
    return None if chooser is None else chooser.name or None
