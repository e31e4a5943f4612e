"""The mixin gives the method to any skorch net."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet, NeuralNetClassifier
from skorch.utils import to_tensor
from torch import nn

from sklearn_l2rw import L2RWMixin
from tests.reference import literal_training
from tests.small import BOUNDED, MLP, Record, blobs, joined, same_state, state_of

N = 90
X, _ = blobs(N)
X_CLEAN, _ = blobs(12, seed=1)
X_TEST, _ = blobs(60, seed=2)
WRONG = np.arange(N) % 5 < 2


class PoissonNet(L2RWMixin, NeuralNet):
    """A net of a user's own: it counts, and has a parameter more."""

    def __init__(self, module: Any = None, *, at_most: float = 100.0, **kwargs: Any) -> None:
        super().__init__(module, criterion=kwargs.pop("criterion", nn.PoissonNLLLoss), **kwargs)
        self.at_most = at_most

    def predict(self, X: Any) -> Any:
        """Expected counts."""
        return np.exp(self.forward(X).numpy()).clip(max=self.at_most)

    def score(self, X: Any, y: Any) -> float:
        """By how little the counts are off."""
        return -float(np.abs(self.predict(X) - y).mean())


def counts_of(rows: Any) -> Any:
    """Expected counts, one column."""
    return np.exp(0.5 * rows[:, :1] - 0.5 * rows[:, 1:2]).astype(np.float32)


Y = np.where(WRONG[:, None], np.float32(12), counts_of(X))
SETTINGS: dict[str, Any] = {
    "clean_set": (X_CLEAN, counts_of(X_CLEAN)),
    "module__n_outputs": 1,
    "max_epochs": 3,
    "batch_size": 30,
    "lr": 0.1,
    "random_state": 0,
    "optimizer": torch.optim.SGD,
    "iterator_train__shuffle": False,
    "verbose": 0,
}


def make(**settings: Any) -> Any:
    return PoissonNet(MLP, **{**SETTINGS, **settings})


def test_learns_in_spite_of_wrong_counts() -> None:
    record = Record()
    net = make(max_epochs=120, batch_size=-1, callbacks=[("record", record)]).fit(X, Y)
    assert net.score(X_TEST, counts_of(X_TEST)) > -1
    plain = make(clean_set=(X, Y), max_epochs=120, batch_size=-1).fit(X, Y)
    assert plain.score(X_TEST, counts_of(X_TEST)) < -2
    weights = torch.stack(record.weights[20:]).mean(0)
    wrong = torch.as_tensor(WRONG)
    assert float(weights[~wrong].mean()) > 1.5 * float(weights[wrong].mean())


def test_equals_the_literal_algorithm() -> None:
    settings: dict[str, Any] = {"module__dtype": torch.float64, "batch_size": -1}
    settings |= BOUNDED
    net = make(**settings, clean_set=(X_CLEAN, counts_of(X_CLEAN).astype(float)))
    module = MLP(n_outputs=1, dtype=torch.float64)
    module.load_state_dict(clone(net).initialize().module_.state_dict())
    batch = torch.as_tensor(X).double(), torch.as_tensor(Y).double()
    clean = torch.as_tensor(X_CLEAN).double(), torch.as_tensor(counts_of(X_CLEAN)).double()
    literal_training(
        module, nn.PoissonNLLLoss(reduction="none"), [batch] * 3, [clean] * 3,
        lr=0.1, momentum=0.0, max_norm=1.0,
    )  # fmt: skip
    net.fit(X, Y.astype(float))
    assert same_state(state_of(net.module_), state_of(module), atol=1e-9)
    assert len(net.history) == 3
    assert set(net.history[-1]) >= {"clean_loss", "zero_weights", "effective_sample_size"}


def test_ways_to_give_the_clean_set() -> None:
    expected = state_of(make().fit(X, Y).module_)
    y_clean = counts_of(X_CLEAN)
    val = make(clean_set=None).fit(X, Y, X_val=X_CLEAN, y_val=y_clean)
    rows, targets, mask = joined(X, Y, X_CLEAN, y_clean)
    masked = make(clean_set=None).fit(rows, targets, clean_mask=mask)
    assert same_state(state_of(val.module_), expected)
    assert same_state(state_of(masked.module_), expected)
    split = make(clean_set=12).fit(rows, targets)
    assert split.clean_set_[0].shape == (12, 4)
    for arguments in ({"X_val": X_CLEAN}, {"clean_mask": mask[1:]}):
        with pytest.raises(ValueError, match=r"X_val|clean_mask"):
            make(clean_set=None).fit(rows, targets, **arguments)
    with pytest.raises(ValueError, match="clean_set"):
        make().fit(rows, targets, clean_mask=mask)


def test_sample_weight() -> None:
    repeated = make(batch_size=-1).fit(np.repeat(X, 2, axis=0)[:-30], np.repeat(Y, 2, axis=0)[:-30])
    weight = np.where(np.arange(N) < N - 15, 2, 0)
    weighted = make(batch_size=-1).fit(X, Y, sample_weight=weight)
    assert same_state(state_of(weighted.module_), state_of(repeated.module_), atol=1e-5)
    with pytest.raises(ValueError, match="negative"):
        make().fit(X, Y, sample_weight=-weight)


def test_copies_predict_the_same() -> None:
    net = make(at_most=3.0).fit(X, Y)
    copies = [pickle.loads(pickle.dumps(net)), copy.deepcopy(net), clone(net).fit(X, Y)]
    for other in copies:
        np.testing.assert_array_equal(other.predict(X_TEST), net.predict(X_TEST))
        assert other.at_most == 3.0
        assert net.predict(X_TEST).max() <= 3.0
    continued = [state_of(other.partial_fit(X, Y).module_) for other in [*copies, net]]
    assert all(same_state(state, continued[-1]) for state in continued)


def test_grid_search() -> None:
    grid = {"lr": [1e-6, 0.1], "module__hidden": [3], "at_most": [50.0]}
    search = GridSearchCV(make(max_epochs=20), grid, cv=2, error_score="raise").fit(X, Y)
    assert search.best_params_ == {"lr": 0.1, "module__hidden": 3, "at_most": 50.0}
    best = make(max_epochs=20, module__hidden=3).fit(X, Y)
    assert same_state(state_of(search.best_estimator_.module_), state_of(best.module_))


def test_parameters_and_representation() -> None:
    net = make(at_most=3.0)
    params = net.get_params()
    assert params["at_most"] == 3.0
    assert params["clean_set"] is SETTINGS["clean_set"]
    assert clone(net).clean_set is net.clean_set
    assert "at_most=3.0" in repr(net)
    assert "(12, 4)" in repr(net)
    assert len(repr(net)) < 500


# Nets that name their modules and criteria otherwise


class Named(nn.Module):
    """The same net in one module."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(4, 3), nn.Linear(3, 1)

    def forward(self, X: Any) -> Any:
        return self.decoder(torch.tanh(self.encoder(X)))


class Parts(PoissonNet):
    """A net of an encoder and a decoder, with a criterion of another name."""

    def initialize_module(self) -> Any:
        whole = Named()
        self.encoder_, self.decoder_ = whole.encoder, whole.decoder
        return self

    def initialize_criterion(self) -> Any:
        self.counting_ = nn.PoissonNLLLoss()
        return self

    def infer(self, x: Any, **fit_params: Any) -> Any:
        return self.decoder_(torch.tanh(self.encoder_(to_tensor(x, self.device))))

    def get_loss(self, y_pred: Any, y_true: Any, *args: Any, **kwargs: Any) -> Any:
        return self.counting_(y_pred, y_true)


@pytest.mark.parametrize("chosen", [None, "last", "decoder.*", ["encoder.weight"]], ids=str)
def test_net_without_a_module_of_that_name(chosen: Any) -> None:
    settings = {k: v for k, v in SETTINGS.items() if not k.startswith("module__")}
    settings |= {"meta_parameters": chosen, "average": 0.5}
    net = Parts(**settings).fit(X, Y)
    expected = PoissonNet(Named, **settings).fit(X, Y)
    np.testing.assert_allclose(net.predict(X), expected.predict(X), rtol=1e-5)
    np.testing.assert_allclose(net.example_weights_, expected.example_weights_, rtol=1e-4)
    check_is_fitted(net)
    first = net.predict(X)
    np.testing.assert_array_equal(net.fit(X, Y).predict(X), first)  # with modules made anew
    net.partial_fit(X, Y)
    np.testing.assert_allclose(net.predict(X), expected.partial_fit(X, Y).predict(X), rtol=1e-5)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(net)).predict(X), net.predict(X))


def test_net_of_parts_that_names_no_parameter() -> None:
    settings = {k: v for k, v in SETTINGS.items() if not k.startswith("module__")}
    with pytest.raises(ValueError, match=r"matches no parameter.*encoder\.weight"):
        Parts(**settings, meta_parameters="x.*").fit(X, Y)


def test_classes_of_skorchs_classifier() -> None:
    """skorch learns them where it checks the data, which are checked elsewhere, too."""

    class Net(L2RWMixin, NeuralNetClassifier):
        pass

    y = np.arange(N) % 2
    net = Net(MLP, criterion=nn.CrossEntropyLoss, clean_set=10, max_epochs=1, verbose=0)
    np.testing.assert_array_equal(net.fit(X, y).classes_, [0, 1])
