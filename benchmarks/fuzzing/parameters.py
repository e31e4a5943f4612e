"""Values of parameters, from sensible to absurd."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from skorch.callbacks import EpochScoring, GradientNormClipping, LRScheduler
from skorch.dataset import ValidSplit
from torch import nn

Strategy = st.SearchStrategy[Any]

_NO_NUMBERS = st.sampled_from(
    [None, True, "a", "0.1", 1j, 10**400, -(10**400), [0.1], (), {}, np.array([0.1, 0.2]), object]
)
_EDGES = st.sampled_from(
    [0, -0.0, 1, -1, 1e-320, 1e300, float("inf"), float("-inf"), float("nan"), np.float32("nan"),
     np.float16(0.1), np.int8(1), np.float32(0.5), np.array(0.1), torch.tensor(0.1)]
)  # fmt: skip
_number = _EDGES | st.floats(0, 1) | st.floats() | st.integers(-3, 20) | _NO_NUMBERS
_count = (
    st.integers(-3, 20)
    | st.sampled_from([np.int64(4), np.int8(-1), np.uint8(3), 2**40, 2.0, 1.5, np.float64(2)])
    | _EDGES
    | _NO_NUMBERS
)
_flag: st.SearchStrategy[Any] = st.sampled_from(
    [True, False, np.True_, 0, 1, 2, "yes", "epochs", None, [], 1.5]
)
# a fit of more takes time, and is none that could be refused
_epochs = st.integers(-3, 3) | st.sampled_from(
    [0, 1.0, 1.5, float("nan"), float("inf"), -1e300, np.int64(2), np.float32(1), np.uint8(1), None,
     True, "1", "a", [1], 1j, -(10**400), torch.tensor(1), np.array(1), np.array([1])]
)  # fmt: skip
_classes = st.sampled_from(
    [None, [0, 1], [0, 1, 2], [1, 0], ["no", "yes"], [0], [], [0, 0], 2, "ab", [np.nan, 1],
     np.array([0, 1]), [[0, 1]], [None, 1], {0, 1}, {0: 1, 1: 2}, torch.tensor([0, 1])]
)  # fmt: skip
_class_weight = st.sampled_from(
    ["balanced", {0: 1, 1: 2}, {0: 0, 1: 0}, {}, {5: 1.0}, {0: -1}, {0: float("nan")},
     {0: 10**400}, {0: "a"}, {0: None}, {0: 1j}, {0: [1]}, {"no": 2}, {0: 1e300, 1: 1e-300},
     {0: 1e308, 1: 1e308}, [1, 2], (1, 2), 3, "equal", None, True, np.array([1, 2])]
)  # fmt: skip
_seed = st.integers(0, 100) | st.sampled_from(
    [None, 2**32 - 1, 2**40, -1, 1.5, float("nan"), "a", np.int64(3), np.uint8(3), True,
     np.random.RandomState, np.random.default_rng, torch.Generator, [1, 2], 10**400]
)  # fmt: skip
_criterion = st.sampled_from(
    [nn.CrossEntropyLoss, nn.NLLLoss, nn.BCEWithLogitsLoss, nn.BCELoss, nn.MSELoss, nn.L1Loss,
     nn.HuberLoss, nn.MultiMarginLoss, nn.MultiLabelSoftMarginLoss, nn.PoissonNLLLoss,
     nn.MarginRankingLoss, nn.CTCLoss, nn.Linear, None, "mse", int]
)  # fmt: skip
_optimizer = st.sampled_from(
    [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.LBFGS, torch.optim.Rprop,
     torch.optim.Optimizer, None, "sgd", int]
)  # fmt: skip


def none_of(name: str, parameter: nn.Parameter) -> bool:
    """Take no parameter; of a name, since a net with a lambda cannot be pickled."""
    return False


def all_of(name: str, parameter: nn.Parameter) -> bool:
    """Take every parameter."""
    return True


PARAMETERS: dict[str, Strategy] = {
    "lr": _number,
    "batch_size": _count,
    "max_epochs": _epochs,
    "clean_batch_size": _count,
    "max_grad_norm": _number,
    "clean_loss_weight": _number,
    "scale_slopes": _flag,
    "warm_up": _count,
    "average": _number,
    "record_weights": _flag,
    "random_state": _seed,
    "meta_gradient": st.sampled_from(
        ["auto", "forward", "double_backward", "finite_difference", "layerwise", "nope", None, 1]
    ),
    "meta_parameters": st.sampled_from(
        ["last", "nope", "*", "", [], ["*bias"], 3, none_of, all_of]
    ),
    "class_weight": _class_weight,
    "classes": _classes,
    "threshold": _number,
    "optimizer": _optimizer,
    "optimizer__momentum": _number,
    "optimizer__weight_decay": _number,
    "optimizer__betas": st.tuples(_number, _number),
    "optimizer__nope": st.just(1),
    "criterion": _criterion,
    "criterion__reduction": st.sampled_from(["mean", "sum", "none", "nope"]),
    "criterion__weight": st.sampled_from([torch.ones(2), torch.ones(7), [1.0, 2.0], "a"]),
    "train_split": st.sampled_from([ValidSplit(2), ValidSplit(0.5, random_state=0), None, 3, "a"]),
    "callbacks": st.sampled_from(
        ["disable", None, [], 3, "a", [int], [EpochScoring("accuracy")], [("a", None)],
         [GradientNormClipping(0.1)], [LRScheduler("StepLR", step_size=1)], [EpochScoring("nope")]]
    ),
    "callbacks__nope": st.just(1),
    "iterator_train__drop_last": _flag,
    "iterator_train__shuffle": _flag,
    "iterator_train__batch_size": _count,
    "iterator_valid__batch_size": _count,
    "iterator_train__nope": st.just(1),
    "device": st.sampled_from(["cpu", torch.device("cpu"), None, "nowhere", "meta", 3]),
    "predict_nonlinearity": st.sampled_from(["auto", None, torch.sigmoid, "nope", 3]),
    "warm_start": _flag,
    "dataset": st.sampled_from([int, torch.utils.data.TensorDataset]),
    "verbose": st.just(0),
    "module__n_features": st.integers(-1, 4),
    "module__hidden_layer_sizes": st.sampled_from([0, 3, (3, 2), (), "a", -1, 1.5, None]),
    "module__nope": st.just(1),
    "nope": st.just(1),
}  # fmt: skip

# Functions that make a new one: a case stays as it is, whatever a fit does to what it is given.
_MADE_ANEW = (np.random.RandomState, np.random.default_rng, torch.Generator)


def value_of(name: str, drawn: Any) -> Any:
    """A value of a parameter as it is given to an estimator."""
    if name != "random_state" or drawn not in _MADE_ANEW:
        return drawn
    return drawn() if drawn is torch.Generator else drawn(0)
