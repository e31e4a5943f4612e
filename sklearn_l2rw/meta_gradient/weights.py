"""Example weights of one training batch: Algorithm 1 of Ren et al. (2018), up to the update."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ..nested import leaves
from .algorithm import Weighed, normalize
from .choice import META_GRADIENTS, Chooser
from .generators import ALL_STREAMS, GENERATORS
from .objective import Objective
from .parameters import MetaParameters, select_parameters
from .processes import Alone
from .state import Saved
from .trial import Given
from .wrappers import processes_of

# What was found out about modules seen before, by the way that was asked for.
_choosers: WeakKeyDictionary[nn.Module, dict[str, Chooser]] = WeakKeyDictionary()


def _check_batch(batch: Any, name: str) -> None:
    if not isinstance(batch, Sequence) or isinstance(batch, str) or len(batch) != 2:
        raise TypeError(
            f"Got {name} of type {type(batch).__name__}, but expected a pair (X, y) of tensors."
        )
    X, y = batch
    is_tuple = isinstance(X, tuple) and not isinstance(X, PackedSequence)
    inputs = leaves([*X] if is_tuple else X)
    tensors = [x for x in inputs if isinstance(x, (Tensor, PackedSequence))]
    arrays = [x for x in inputs if hasattr(x, "__array__") and not isinstance(x, Tensor)]
    if not tensors or arrays or not isinstance(y, Tensor):
        got = type(arrays[0] if arrays else X).__name__
        advice = "Convert arrays with torch.as_tensor."
        if isinstance(X, Mapping) and not tensors:
            advice += " Of a tokenizer ask for return_tensors='pt', padding=True."
        raise TypeError(f"Got {name}=({got}, {type(y).__name__}), but expected tensors. {advice}")
    lengths = {len(x) for x in tensors if isinstance(x, Tensor) and x.ndim}
    if len(y) == 0 or (len(lengths) == 1 and lengths != {len(y)}):  # flat text has several
        raise ValueError(
            f"Got {max(lengths, default=0)} inputs and {len(y)} targets in {name}, but expected as "
            "many of one as of the other, and at least one."
        )


def prepare(
    module: nn.Module,
    loss: Callable[[Any, Any], Tensor],
    batch: tuple[Any, Tensor],
    clean_batch: tuple[Any, Tensor],
    meta_gradient: str,
    meta_parameters: MetaParameters,
) -> Given:
    """Check what was given, and put it as the ways take it."""
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"Got module of type {type(module).__name__}, but expected a torch.nn.Module instance."
        )
    if meta_gradient not in META_GRADIENTS:
        raise ValueError(
            f"Got meta_gradient={meta_gradient!r}, but expected one of {list(META_GRADIENTS)}."
        )
    _check_batch(batch, "batch")
    _check_batch(clean_batch, "clean_batch")
    objective = Objective(module, loss)
    parameters = {
        f"module.{name}": p for name, p in select_parameters(module, meta_parameters).items()
    }
    if not parameters:
        raise ValueError(
            "Got a module without a parameter that requires a gradient, but the weights come from "
            "gradients. Unfreeze at least one parameter."
        )
    return Given(objective, batch, clean_batch, parameters)


def chooser_of(module: nn.Module, meta_gradient: str) -> Chooser:
    """What is known of a module that was seen before, and what will be."""
    known = _choosers.setdefault(module, {})
    return known.setdefault(meta_gradient, Chooser(meta_gradient))


def known_chooser(module: nn.Module, meta_gradient: str) -> Chooser | None:
    """What is known of a module, if it was seen before."""
    return _choosers.get(module, {}).get(meta_gradient)


def weigh(given: Given, meta_gradient: str) -> Weighed:
    """Slopes of a batch, by what is known of the module, which is left as it was."""
    chooser = chooser_of(given.objective.get_submodule("module"), meta_gradient)
    with torch.inference_mode(False), GENERATORS if chooser.streams else nullcontext():
        before = Saved(list(given.objective.modules()), ALL_STREAMS)
        try:
            return chooser(*given)
        finally:
            before.restore(chooser.streams)


def check_finite(found: Weighed) -> Weighed:
    """Check that losses, and their gradients, are numbers."""
    if not bool(torch.isfinite(found.losses).all() & torch.isfinite(found.clean_loss)):
        raise ValueError(
            "Got losses that are not finite, so no weights can be computed. Check the inputs and "
            "the module's parameters for NaN and infinity."
        )
    if not bool(torch.isfinite(found.slopes).all()):
        raise ValueError(
            "Got gradients that are not finite, of finite losses, so no weights can be computed. "
            "Check for functions that are not smooth where they are evaluated, such as a root "
            "or a norm at 0."
        )
    return found


def weighed(
    module: nn.Module,
    loss: Callable[[Any, Any], Tensor],
    batch: tuple[Any, Tensor],
    clean_batch: tuple[Any, Tensor],
    meta_gradient: str,
    meta_parameters: MetaParameters,
) -> tuple[Weighed, Alone]:
    """Slopes of a batch, the module left as it was, and the processes that share the batch."""
    bare, processes = processes_of(module)
    given = processes.agreed(
        lambda: prepare(bare, loss, batch, clean_batch, meta_gradient, meta_parameters)
    )
    with processes.over(given):
        return processes.agreed(lambda: check_finite(weigh(given, meta_gradient))), processes


def example_weights(
    module: nn.Module,
    loss: Callable[[Any, Any], Tensor],
    batch: tuple[Any, Tensor],
    clean_batch: tuple[Any, Tensor],
    *,
    meta_gradient: str = "auto",
    meta_parameters: MetaParameters = None,
) -> Tensor:
    r"""Weights of a training batch that would most reduce the loss on a clean batch.

    With per-example losses :math:`f_i` of the training batch and the mean loss :math:`L` of the
    clean batch, at the module's parameters :math:`\theta`,

    .. math::

        w_i = \frac{\max(u_i, 0)}{\sum_j \max(u_j, 0)}, \qquad
        u_i = \langle \nabla f_i(\theta), \nabla L(\theta) \rangle,

    which is lines 4 to 10 of Algorithm 1 of [1]_: the meta-gradient through a virtual gradient
    step is, at :math:`\epsilon = 0`, that inner product times the step's learning rate, and the
    learning rate cancels in :math:`w`. It is computed without a second-order pass where the
    module allows.

    Parameters
    ----------
    module : torch.nn.Module
        The network, in the mode (training or evaluation) in which it is to be used. Any module
        whose parameters have gradients. In ``DistributedDataParallel``, each process gives its
        share of the batch, and its share of the clean batch or all of it (see Notes).

    loss : callable
        ``loss(output, y)`` returns one loss for each example, shape (n,), or (n, ...), which is
        averaged over all but the first dimension. If the module returns a tuple, `loss` gets its
        first element; if it returns a dict, a dataclass or a ``ModelOutput``, a loss that is a
        module with a ``reduction``, as torch's are, gets its ``logits``, and any other callable
        gets the whole.

    batch : (X, y)
        The training batch. X is a tensor of shape (n, ...), a dict of such tensors (passed as
        keyword arguments; a tokenizer's ``BatchEncoding`` is one), or a tuple of them (passed as
        positional arguments), such as flat text and the offsets of its n parts; y is a tensor of
        shape (n, ...). On the module's device.

    clean_batch : (X, y)
        Examples whose labels are trusted, of the same form, with m of them.

    meta_gradient : str, default="auto"
        How the slopes :math:`u_i` are computed: ``"auto"``, or one of these. All ways but the last
        are exact; the fastest come first.

        - ``"merged"``, ``"layerwise"``: layer by layer, as far down as examples do not interact,
          without BatchNorm; the first takes both batches through the module in one pass.
        - ``"forward"``: forward-mode differentiation over the graph of one pass; takes almost any
          module.
        - ``"dual_numbers"``: forward-mode differentiation by PyTorch, in a pass of its own.
        - ``"double_backward"``: differentiates the backward pass.
        - ``"per_example"``: one backward pass for each example; takes any module, and is slow.
        - ``"finite_difference"``: from losses at two points; takes any module, and is not exact.

        ``"auto"`` takes the first that is right for the module, which is found out by trying, once
        for a module, and again when the module computes something else. It never takes the last.

    meta_parameters : None, str, list of str or callable, default=None
        Parameters :math:`\theta` that the inner product runs over: None for all, ``"last"`` for
        those of the last layer (the last module registered that has parameters), a name or a
        pattern such as ``"classifier.*"``, a list of these, or a callable
        ``(name, parameter) -> bool``. Restricting them makes the weights cheaper, since nothing
        below has to be differentiated, and approximate.

    Returns
    -------
    weights : torch.Tensor of shape (n,)
        Non-negative, of the losses' dtype, without a graph. They sum to 1, or are all 0 when no
        example of the batch would reduce the clean loss.

    Raises
    ------
    TypeError
        If `module` is no module, or a batch is not a pair of tensors.
    ValueError
        If a batch is empty or its lengths differ, the loss is not one for each example, a loss
        is not finite, `meta_gradient` is unknown or a way that the module cannot take, or no
        parameter that `meta_parameters` names requires a gradient.

    Notes
    -----
    The module, its buffers, gradients and modes, and the global generators are afterwards as they
    were. The training batch sees the dropout masks that the next forward of the module would
    draw; the clean batch has masks of its own.

    With a module in ``DistributedDataParallel``, all processes are to call this at the same time.
    :math:`L` is the mean over the clean examples of all of them, the sum in :math:`w_i` runs over
    the examples of all, and returned are the weights of this process's. A loss of your own,
    ``(weights * losses).sum()``, then has to be multiplied by the number of processes, over which
    ``DistributedDataParallel`` averages gradients. Statistics of BatchNorm are those of a
    process's share.

    References
    ----------
    .. [1] M. Ren, W. Zeng, B. Yang, R. Urtasun. Learning to Reweight Examples for Robust Deep
       Learning. ICML 2018. https://arxiv.org/abs/1803.09050

    Examples
    --------
    A linear model, in which the third label is wrong:

    >>> import torch
    >>> from sklearn_l2rw import example_weights
    >>> model = torch.nn.Linear(1, 2, bias=False)
    >>> _ = torch.nn.init.zeros_(model.weight)
    >>> loss = torch.nn.CrossEntropyLoss(reduction="none")
    >>> X, y = torch.tensor([[1.0], [-1.0], [2.0]]), torch.tensor([1, 0, 0])
    >>> X_clean, y_clean = torch.tensor([[1.0], [-1.0]]), torch.tensor([1, 0])
    >>> example_weights(model, loss, (X, y), (X_clean, y_clean))
    tensor([0.5000, 0.5000, 0.0000])

    Before they are rectified and normalised, they are :func:`example_slopes`. In a training loop,
    :func:`reweighted_backward` computes weights and step in one.

    """
    found, processes = weighed(module, loss, batch, clean_batch, meta_gradient, meta_parameters)
    (slopes,), mine = processes.gathered(found.slopes)
    return normalize(slopes)[mine]
