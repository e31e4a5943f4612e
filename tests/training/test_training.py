"""Training with the estimator equals the literal algorithm, over the zoo."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from sklearn_l2rw import ALGORITHM_1, L2RWClassifier
from tests import zoo_parts as z
from tests.reference import literal_training
from tests.zoo import ZOO, for_oracle
from tests.zoo_case import SEED, cast, cast_module

# Batches of 12, 12 and 6 rows: others, and other ones, than the first, on which a way is chosen.
ROWS, BATCH, CLEAN = 30, 12, 6
PER_EXAMPLE = nn.CrossEntropyLoss(reduction="none")
# Trained in training mode with cross-entropy, on rows whose form does not depend on their number.
NAMES = [
    name
    for name, case in ZOO.items()
    if case.literal and case.train and case.y is z.labels and "loss" not in name
]
# skorch hands a tuple of inputs on as one argument.
TUPLES = ("tuple_of_inputs", "packed_bidirectional_gru")
NAMES = [name for name in NAMES if name not in (*TUPLES, "uneven_sequences")]


def rows(X: Any, start: int, stop: int) -> Any:
    if isinstance(X, dict):
        return {name: rows(x, start, stop) for name, x in X.items()}
    return tuple(rows(x, start, stop) for x in X) if isinstance(X, tuple) else X[start:stop]


def make(name: str) -> tuple[nn.Module, Any, Tensor, Any, Tensor]:
    """Module, training and clean data: the same at each call."""
    torch.manual_seed(SEED)
    case = ZOO[name]
    y = (torch.arange(ROWS) % z.CLASSES)[torch.randperm(ROWS)]
    return case.module(), case.X(ROWS), y, case.X(CLEAN), torch.arange(CLEAN) % z.CLASSES


def literal(name: str, lr: float) -> nn.Module:
    module, X, y, X_clean, y_clean = make(name)
    cast_module(module, torch.float64)
    X, clean_batch = cast(X, torch.float64), (cast(X_clean, torch.float64), y_clean)
    batches = [(rows(X, i, i + BATCH), y[i : i + BATCH]) for i in range(0, ROWS, BATCH)]
    problem = for_oracle(z.Problem(module, PER_EXAMPLE, batches[0], clean_batch))
    with sdpa_kernel(SDPBackend.MATH):
        literal_training(
            problem.module, PER_EXAMPLE, batches, [clean_batch] * 3, lr=lr, momentum=0.5
        )
    return module


def draws(name: str) -> bool:
    """Whether there are random numbers in it: then the order of all draws would count."""
    module, X, *_ = make(name)
    args, kwargs = ((), X) if isinstance(X, dict) else (X if isinstance(X, tuple) else (X,), {})
    before = torch.get_rng_state()
    module(*args, **kwargs)
    return not torch.equal(before, torch.get_rng_state())


# torch's own, of its fast path for padded sequences in evaluation.
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.parametrize("way", ["auto", "forward"])
@pytest.mark.parametrize("name", NAMES)
def test_a_fit_equals_the_literal_algorithm(name: str, way: str) -> None:
    if draws(name):
        pytest.skip("draws random numbers: see test_classifier.py")
    module, X, y, X_clean, y_clean = make(name)
    net = L2RWClassifier(
        module,
        clean_set=(X_clean, y_clean),
        meta_gradient=way,
        lr=0.3,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.5,
        max_epochs=1,
        batch_size=BATCH,
        iterator_train__shuffle=False,
        **ALGORITHM_1,
        verbose=0,
    )
    try:
        net.fit(X, y)
    except ValueError as error:
        if way in ZOO[name].refused and "cannot be differentiated" in str(error):
            pytest.skip("refused")
        raise
    expected = literal(name, lr=0.3).state_dict()
    assert any(
        not torch.equal(value, net.module_.state_dict()[key])
        for key, value in module.state_dict().items()
    ), "nothing was learned"
    learned = cast(net.module_.state_dict(), torch.float64)
    atol = 1e-2 if name == "autocast" else 2e-5
    torch.testing.assert_close(learned, dict(expected), rtol=0, atol=atol)
