"""The module that is trained when none is given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from torch import nn


class MLP(nn.Sequential):
    """Multilayer perceptron with ReLU units: the default module, for tabular data.

    Parameters
    ----------
    n_features : int
        Number of columns of X, at least 1.
    n_outputs : int
        Number of outputs, at least 1: classes, labels or targets.
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer, as in :class:`sklearn.neural_network.MLPClassifier`; an int is
        one layer.

    Examples
    --------
    >>> import torch
    >>> from sklearn_l2rw import MLP
    >>> MLP(n_features=4, n_outputs=3)(torch.zeros(5, 4)).shape
    torch.Size([5, 3])

    """

    def __init__(
        self, n_features: int, n_outputs: int, hidden_layer_sizes: int | Sequence[int] = (100,)
    ) -> None:
        if not isinstance(hidden_layer_sizes, Iterable):
            hidden_layer_sizes = (hidden_layer_sizes,)
        sizes = [n_features, *hidden_layer_sizes]
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(sizes):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        super().__init__(*layers, nn.Linear(sizes[-1], n_outputs))
