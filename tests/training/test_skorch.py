"""skorch's features work on the estimator as they do on skorch's own nets."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import is_classifier
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    InputShapeSetter,
    LoadInitState,
    TrainEndCheckpoint,
)
from skorch.dataset import ValidSplit, unpack_data
from skorch.helper import SliceDataset, predefined_split
from skorch.history import History
from skorch.scoring import loss_scoring
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Subset, TensorDataset

from sklearn_l2rw import L2RWClassifier, L2RWMixin, example_weights
from tests.small import (
    MLP,
    SETTINGS,
    X_CLEAN,
    Y_CLEAN,
    Explode,
    Record,
    X,
    Y,
    make_net,
    same_state,
    state_of,
)

CLEAN = (torch.as_tensor(X_CLEAN).double(), torch.as_tensor(Y_CLEAN))
PER_EXAMPLE = nn.CrossEntropyLoss(reduction="none")


# Callbacks


def test_early_stopping_on_the_clean_loss() -> None:
    stop = EarlyStopping("clean_loss", patience=2, threshold=10.0, threshold_mode="abs", sink=str)
    net = make_net(callbacks=[("stop", stop)], max_epochs=20).fit(X, Y)
    assert len(net.history) == 3


def test_early_stopping_on_a_validation_loss() -> None:
    stop = EarlyStopping(
        "valid_acc", lower_is_better=False, patience=2, threshold=2, threshold_mode="abs", sink=str
    )
    net = make_net(callbacks=[stop], train_split=ValidSplit(3), max_epochs=20).fit(X, Y)
    assert len(net.history) == 3


def clean_loss_of(net: Any, X: Any, y: Any) -> float:
    return float(net.history[-1, "clean_loss"])


def test_checkpoint_of_the_best_epoch(tmp_path: Path) -> None:
    checkpoint = Checkpoint(
        monitor="lowest_best", dirname=str(tmp_path), f_pickle="net.pkl", load_best=True
    )
    lowest = EpochScoring(clean_loss_of, name="lowest", on_train=True)
    net = make_net(callbacks=[("lowest", lowest), ("checkpoint", checkpoint)], max_epochs=4)
    net.fit(X, Y)
    names = ("params.pt", "optimizer.pt", "criterion.pt", "history.json", "net.pkl")
    assert all((tmp_path / name).exists() for name in names)
    other = make_net().initialize()
    other.load_params(checkpoint=checkpoint)
    np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))


def test_net_pickled_in_the_middle_of_a_fit(tmp_path: Path) -> None:
    """What a checkpoint pickled is a fitted net, like any other."""
    checkpoint = Checkpoint(monitor=None, dirname=str(tmp_path), f_pickle="{last_epoch[epoch]}.pkl")
    net = make_net(
        callbacks=[("checkpoint", checkpoint)], clean_set=(X_CLEAN, np.array(["a", "b"])[Y_CLEAN])
    ).fit(X, np.array(["a", "b"])[Y])  # fmt: skip
    other = pickle.loads((tmp_path / "2.pkl").read_bytes())
    np.testing.assert_array_equal(other.predict(X), net.predict(X))
    strange = TensorDataset(torch.as_tensor(X), torch.as_tensor(Y) + 5)
    np.testing.assert_array_equal(other.predict(strange), net.predict(X))
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match="NaN"):
        other.partial_fit(np.full_like(X, np.nan), np.array(["a", "b"])[Y])
    other.partial_fit(X, np.array(["a", "b"])[Y])
    assert torch.equal(torch.get_rng_state(), state)


def test_train_end_checkpoint_and_load_init_state(tmp_path: Path) -> None:
    save = TrainEndCheckpoint(dirname=str(tmp_path))
    net = make_net(callbacks=[("save", save)], optimizer__momentum=0.9).fit(X, Y)
    load = LoadInitState(save)
    other = make_net(callbacks=[("load", load)], optimizer__momentum=0.9, max_epochs=0).fit(X, Y)
    assert same_state(state_of(other.module_), state_of(net.module_))
    assert len(other.history) == 2


def test_scoring_by_epoch_and_batch() -> None:
    scores = [
        ("auc", EpochScoring("roc_auc", lower_is_better=False)),
        ("train_acc", EpochScoring("accuracy", name="train_acc", on_train=True)),
        ("batch_acc", BatchScoring("accuracy", name="batch_acc", on_train=True)),
        ("log_loss", EpochScoring("neg_log_loss", lower_is_better=False)),
    ]
    split = predefined_split(TensorDataset(torch.as_tensor(X), torch.as_tensor(Y)))
    net = make_net(callbacks=scores, train_split=split, max_epochs=8).fit(X, Y)
    row = net.history[-1]
    assert row["valid_acc"] == net.score(X, Y)
    assert row["roc_auc"] > 0.75
    assert row["valid_loss"] == pytest.approx(-row["neg_log_loss"], rel=1e-4)
    assert row["train_acc"] == pytest.approx(row["batch_acc"])
    assert net.score(X, Y) > 0.7


def test_validation_split_holds_rows_back() -> None:
    record = Record()
    net = make_net(train_split=ValidSplit(3, stratified=True), callbacks=[record], max_epochs=1)
    net.fit(X, Y)
    assert sum(len(y) for _, y in record.batches) == 28
    assert net.history[0, "train_batch_count"] == 2
    valid = [b["valid_batch_size"] for b in net.history[0, "batches"] if "valid_batch_size" in b]
    assert valid == [14]


@pytest.mark.parametrize("n_inputs", [4, 3])
def test_input_shape_setter(n_inputs: int) -> None:
    setter = InputShapeSetter(param_name="n_inputs")
    clean = (X_CLEAN[:, :n_inputs], Y_CLEAN)
    net = make_net(callbacks=[setter], module__n_inputs=9, clean_set=clean)
    assert net.fit(X[:, :n_inputs], Y).module_.inner.in_features == n_inputs


def test_callback_is_taken_away_by_none() -> None:
    record = Record()
    net = make_net(callbacks=[("record", record)], callbacks__record=None).fit(X, Y)
    assert record.batches == []
    assert "record" not in dict(net.callbacks_)
    with pytest.raises(ValueError, match="callbacks__other"):
        make_net(callbacks=[("record", record)], callbacks__other=None).fit(X, Y)


# History and loss


class Own(History):
    """A history of the user's."""


def test_history_that_is_given_is_written_in() -> None:
    history = Own()
    net = make_net(history=history).fit(X, Y)
    assert net.history is history
    assert len(history) == 2
    assert net.fit(X, Y).history is history
    assert len(history) == 2


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_history_that_is_given_after_a_failed_fit(method: str) -> None:
    history = Own()
    explode = Explode()
    net = make_net(history=history, callbacks=[explode]).fit(X, Y)
    before = history.to_list()
    net.set_params(max_epochs=3)
    dict(net.callbacks_)["Explode"].step = 4
    with pytest.raises(RuntimeError, match="as told"):
        getattr(net, method)(X, Y)
    assert net.history is history
    assert history.to_list() == before


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_loss_scoring(reduction: str) -> None:
    """A loss outside of a fit is on the labels that are given, in the shape that is asked for."""
    labels = np.array(["a", "b"])
    net = make_net(clean_set=(X_CLEAN, labels[Y_CLEAN])).fit(X, labels[Y])
    net.set_params(criterion__reduction=reduction)
    with torch.no_grad():
        losses = PER_EXAMPLE(net.module_(torch.as_tensor(X)), torch.as_tensor(Y)).numpy()
    expected = {"mean": losses.mean(), "sum": losses.sum(), "none": losses}[reduction]
    np.testing.assert_allclose(loss_scoring(net, X, labels[Y]), expected, rtol=1e-5)


def test_loss_of_labels_that_are_no_classes() -> None:
    net = make_net().fit(X, Y)
    with pytest.raises(IndexError):
        loss_scoring(net, X, Y + 5)


# Subclassing, other seams


def test_overridden_step_of_a_user() -> None:
    """A step that adds something to skorch's own, by its documented seam."""
    seen = []

    class Own(L2RWClassifier):
        def train_step_single(self, batch: Any, **fit_params: Any) -> Any:
            step = super().train_step_single(batch, **fit_params)
            rows, _ = unpack_data(batch)
            seen.append((step["y_pred"].shape, len(rows), step["loss"].ndim))
            return step

    net = Own(MLP, **SETTINGS).fit(X, Y)
    assert seen == [((n, 2), n, 0) for n in (16, 16, 10)] * 2
    assert same_state(state_of(net.module_), state_of(make_net().fit(X, Y).module_))


def test_plain_step_of_a_user() -> None:
    """A step that knows nothing of weights."""

    class Plain(L2RWClassifier):
        def train_step(self, batch: Any, **fit_params: Any) -> Any:
            rows, y = unpack_data(batch)
            self.optimizer_.zero_grad()
            loss = F.cross_entropy(self.infer(rows), y)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer_.step()
            return {"loss": loss, "y_pred": None}

    net = Plain(MLP, **SETTINGS).fit(X, Y)
    assert len(net.history) == 2
    assert isinstance(net.history[-1, "train_loss"], float)


def test_keyword_of_the_forward() -> None:
    class Scaled(MLP):
        def forward(self, X: Any, scale: float = 1.0) -> Any:
            return scale * super().forward(X)

    record = Record()
    net = make_net(Scaled, callbacks=[record]).fit(X, Y)
    plain = state_of(net.module_)
    assert same_state(plain, state_of(net.fit(X, Y, scale=1.0).module_))
    record.clear()
    net.fit(X, Y, scale=3.0)
    assert not same_state(plain, state_of(net.module_), atol=1e-4)
    start = make_net(Scaled, max_epochs=0).fit(X, Y).module_

    class Tripled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside = start

        def forward(self, X: Any) -> Any:
            return self.inside(X, scale=3.0)

    clean = (torch.as_tensor(X_CLEAN), torch.as_tensor(Y_CLEAN))
    expected = example_weights(Tripled(), PER_EXAMPLE, tuple(record.batches[0]), clean)
    torch.testing.assert_close(record.weights[0], expected, rtol=1e-4, atol=1e-6)


def test_training_flags() -> None:
    flags: list[bool] = []

    class Look(Callback):
        def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
            flags.append(net.module_.training == training)

    net = make_net(callbacks=[Look()], train_split=ValidSplit(3)).fit(X, Y)
    assert flags
    assert all(flags)
    net.predict(X)
    assert not net.module_.training


def test_kind_of_estimator() -> None:
    net = make_net()
    assert is_classifier(net)
    assert isinstance(net, L2RWMixin)
    assert "clean_batch_size" in net.get_params()
    assert net.get_params()["max_grad_norm"] == 1


def test_score_and_probabilities() -> None:
    net = make_net(max_epochs=10).fit(X, Y)
    probabilities = net.predict_proba(X)
    assert probabilities.shape == (42, 2)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    with torch.no_grad():
        logits = net.module_.eval()(torch.as_tensor(X))
    np.testing.assert_allclose(probabilities, logits.softmax(1).numpy(), rtol=1e-5)
    np.testing.assert_array_equal(net.predict(X), logits.argmax(1).numpy())
    weights = np.linspace(0, 1, 42)
    right = net.predict(X) == Y
    assert net.score(X, Y, sample_weight=weights) == pytest.approx(
        (weights * right).sum() / weights.sum()
    )


def test_slice_data_set() -> None:
    """skorch's way to hand a data set to scikit-learn."""
    data = TensorDataset(torch.as_tensor(X), torch.as_tensor(Y))
    net = make_net().fit(SliceDataset(data, idx=0), SliceDataset(data, idx=1))
    expected = make_net().fit(X, Y)
    assert same_state(state_of(net.module_), state_of(expected.module_), atol=1e-6)
    part = Subset(data, [3, 5])
    np.testing.assert_array_equal(net.predict(part), expected.predict(X[[3, 5]]))


def test_modules_of_a_subclass_may_be_called_encoder() -> None:
    class Net(L2RWClassifier):
        def initialize_module(self, *args: Any, **kwargs: Any) -> Any:
            super().initialize_module(*args, **kwargs)
            self.encoder_ = nn.Identity()
            return self

    net = Net(MLP, clean_set=10, random_state=0, verbose=0).fit(X, Y)
    assert isinstance(net.encoder_, nn.Identity)
    assert set(net.predict(X)) <= set(Y)


def test_no_split_may_be_false_as_in_skorch() -> None:
    net = make_net(train_split=False).fit(X, Y)
    assert "valid_loss" not in net.history[-1]
    np.testing.assert_array_equal(net.predict_proba(X), make_net().fit(X, Y).predict_proba(X))
    with pytest.raises(TypeError, match=r"Got train_split=0\.2, but expected what splits"):
        make_net(train_split=0.2).fit(X, Y)


def test_a_subclass_may_give_its_module_another_name() -> None:
    class Renamed(L2RWClassifier):
        mymodule_: Any

        def initialize_module(self, *args: Any, **kwargs: Any) -> Any:
            self.mymodule_ = MLP()
            return self

    net = Renamed(**SETTINGS).initialize()
    net.check_is_fitted()
    assert isinstance(net.mymodule_, MLP)
