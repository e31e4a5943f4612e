"""Files of parameters that hold no code, from which a new net predicts."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from skorch import NeuralNet, NeuralNetClassifier
from skorch.callbacks import Checkpoint, LoadInitState, TrainEndCheckpoint
from torch import Tensor, nn

from sklearn_l2rw import (
    L2RWBinaryClassifier,
    L2RWClassifier,
    L2RWMixin,
    L2RWMultilabelClassifier,
    L2RWRegressor,
)
from sklearn_l2rw.estimators import header
from tests.small import MLP, SETTINGS, X_CLEAN, Y_CLEAN, Probabilities, X, Y, make_net, state_of
from tests.small import same_state as same

pytest.importorskip("safetensors")
from safetensors import safe_open
from safetensors.torch import load_file, save_file

SPAM = np.array(["ham", "spam"])
FRAME = pd.DataFrame(X, columns=list("abcd"))


def saved(net: Any, **files: Any) -> io.BytesIO:
    file = io.BytesIO()
    net.save_params(f_params=file, use_safetensors=True, **files)
    file.seek(0)
    return file


def loaded(net: Any, file: Any, **files: Any) -> Any:
    assert net.load_params(f_params=file, use_safetensors=True, **files) is net
    return net


def new(module: Any = MLP, **settings: Any) -> L2RWClassifier:
    return L2RWClassifier(module, **{"verbose": 0, "batch_size": 16, **settings})


# What a new net predicts


@pytest.mark.parametrize(
    "labels",
    [
        [0, 1],
        [3, -7],
        [True, False],
        [2.0, 1.0],
        ["ham", "spam"],
        np.array(["ham", "spam"], dtype="U9"),
        np.array(["ham", "spam"], dtype=object),
        np.array([2, 1], dtype="uint8"),
        np.array([2, 1], dtype=">i4"),
        np.array([2.0, 1e9], dtype="float32"),
        ["\N{SNOWMAN}", 'quo"te\\'],
    ],
    ids=repr,
)
def test_labels_of_any_kind(labels: Any) -> None:
    labels = np.asarray(labels)
    net = make_net(clean_set=(X_CLEAN, labels[Y_CLEAN])).fit(X, labels[Y])
    other = loaded(new(), saved(net))
    np.testing.assert_array_equal(other.classes_, net.classes_)
    assert other.classes_.dtype == net.classes_.dtype
    assert [type(x) for x in other.predict(X).tolist()] == [type(x) for x in labels[Y].tolist()]
    np.testing.assert_array_equal(other.predict(X), net.predict(X))
    np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))


def test_estimators_of_all_kinds() -> None:
    y_multi = np.stack([Y, 1 - Y, Y], axis=1)
    numbers = X[:, :2].astype(np.float64)
    settings = {**SETTINGS, "clean_set": 8}
    cases: list[tuple[Any, Any]] = [
        (L2RWClassifier, Y),
        (L2RWBinaryClassifier, SPAM[Y]),
        (L2RWMultilabelClassifier, y_multi),
        (L2RWRegressor, numbers),
        (L2RWRegressor, numbers[:, :1]),
        (L2RWRegressor, numbers[:, 0]),
    ]
    for kind, y in cases:  # the default module, which asks for sizes
        net = kind(**settings).fit(X, y)
        other = loaded(kind(verbose=0, batch_size=16), saved(net))
        found = other.predict(X)
        np.testing.assert_array_equal(found, net.predict(X))
        assert (found.dtype, found.shape) == (net.predict(X).dtype, np.shape(y))
        assert other.n_features_in_ == 4
        with pytest.raises(ValueError, match="expecting 4 features"):
            other.predict(X[:, :3])
        assert other.score(X, y) == net.score(X, y)


def test_sizes_that_a_module_asks_for() -> None:
    class Asks(nn.Linear):
        def __init__(self, n_features: int, n_classes: int) -> None:
            super().__init__(n_features, n_classes)

    net = make_net(Asks).fit(X, Y)
    np.testing.assert_array_equal(loaded(new(Asks), saved(net)).predict(X), net.predict(X))


@pytest.mark.slow  # it has to import torch
def test_another_process(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    net = make_net(None, clean_set=(X_CLEAN, SPAM[Y_CLEAN])).fit(X, SPAM[Y])
    net.save_params(f_params=path, use_safetensors=True)
    np.save(tmp_path / "X.npy", X)
    code = (
        "import sys, numpy as np\n"
        "from sklearn_l2rw import L2RWClassifier\n"
        "net = L2RWClassifier()\n"
        "net.load_params(f_params='net.safetensors', use_safetensors=True)\n"
        "print(*net.predict(np.load('X.npy')))\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(root)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == net.predict(X).tolist()


def test_names_of_columns() -> None:
    net = make_net().fit(FRAME, Y)
    other = loaded(new(), saved(net))
    np.testing.assert_array_equal(other.predict(FRAME), net.predict(FRAME))
    assert other.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        other.predict(FRAME[list("dcba")])


def test_order_of_named_classes() -> None:
    """Outputs are in the order of `classes`, which the file keeps."""
    net = make_net(classes=["spam", "ham"], clean_set=(X_CLEAN, SPAM[Y_CLEAN])).fit(X, SPAM[Y])
    file = saved(net)
    for classes in (None, ["spam", "ham"]):
        file.seek(0)
        other = loaded(new(classes=classes), file)
        assert list(other.classes_) == ["spam", "ham"]
        np.testing.assert_array_equal(other.predict(X), net.predict(X))
    file.seek(0)
    with pytest.raises(ValueError, match=r"for the classes \['spam', 'ham'\].*\['ham', 'spam'\]"):
        new(classes=["ham", "spam"]).load_params(f_params=file, use_safetensors=True)


def test_averaged_parameters_are_saved() -> None:
    net = make_net(average=0.5, batch_size=8).fit(X, Y)
    found = state_of(nn.ModuleDict({"module": loaded(new(), saved(net)).module_}))
    average: Any = net._average
    assert same(found, average.mean)
    assert not same(found, average.raw)


def test_module_instances_and_lazy_layers() -> None:
    lazy = nn.Sequential(nn.LazyLinear(3), nn.ReLU(), nn.LazyLinear(2))
    net = make_net(nn.Sequential(nn.LazyLinear(3), nn.ReLU(), nn.LazyLinear(2))).fit(X, Y)
    np.testing.assert_array_equal(loaded(new(lazy), saved(net)).predict(X), net.predict(X))
    assert isinstance(lazy[0].weight, nn.UninitializedParameter)  # the user's is left alone


class Tied(nn.Module):
    """Two names for one parameter, a gap in another, and a frozen one."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(4, 4)
        self.two = nn.Linear(4, 4)
        self.two.weight = self.one.weight
        self.last = nn.Linear(4, 2)
        self.last.weight = nn.Parameter(torch.randn(4, 2).T)
        self.last.bias.requires_grad = False

    def forward(self, X: Tensor) -> Tensor:
        output: Tensor = self.last(self.two(torch.tanh(self.one(X))))
        return output


def test_tensors_that_share_memory() -> None:
    net = make_net(Tied()).fit(X, Y)
    other = loaded(new(Tied), saved(net))
    np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))
    assert other.module_.two.weight is other.module_.one.weight


class Two(L2RWClassifier):
    """A second module, which it trains beside the first."""

    def initialize_module(self, *args: Any, **kwargs: Any) -> Any:
        super().initialize_module(*args, **kwargs)
        self.encoder_ = nn.Linear(4, 4)
        return self

    def infer(self, x: Any, **fit_params: Any) -> Any:
        return super().infer(self.encoder_(x), **fit_params)


def test_several_modules(tmp_path: Path) -> None:
    paths = {"f_params": tmp_path / "module", "f_encoder": tmp_path / "encoder"}
    net = Two(MLP, **{**SETTINGS, "clean_set": (X_CLEAN, SPAM[Y_CLEAN])}).fit(X, SPAM[Y])
    net.save_params(**paths, use_safetensors=True)
    other = Two(MLP, batch_size=16).load_params(**paths, use_safetensors=True)
    np.testing.assert_array_equal(other.predict(X), net.predict(X))
    assert same(state_of(other.encoder_), state_of(net.encoder_))
    missing = tmp_path / "nowhere"
    fresh = Two(MLP)
    with pytest.raises(FileNotFoundError):
        fresh.load_params(f_params=paths["f_params"], f_encoder=missing, use_safetensors=True)
    assert not fresh.initialized_
    assert not hasattr(fresh, "targets_")


class Plain(L2RWMixin, NeuralNet):
    """A net whose targets go to the loss as they are."""


def test_nets_of_any_kind() -> None:
    settings = {**SETTINGS, "criterion": nn.MSELoss, "clean_set": (X_CLEAN, X_CLEAN[:, :2])}
    net = Plain(MLP, **settings).fit(X, X[:, :2])
    other = loaded(Plain(MLP, criterion=nn.MSELoss, batch_size=16), saved(net))
    np.testing.assert_array_equal(other.predict(X), net.predict(X))
    refused(new(), saved(net), "class Plain.*L2RWClassifier")


# After a load


def test_training_goes_on() -> None:
    net = make_net(clean_set=(X_CLEAN, SPAM[Y_CLEAN])).fit(X, SPAM[Y])
    other = make_net(clean_set=(X_CLEAN, SPAM[Y_CLEAN]))
    loaded(other, saved(net)).partial_fit(X[:20], SPAM[[0]].repeat(20))  # one class is there
    assert other.classes_.tolist() == ["ham", "spam"]
    assert len(other.history) == 2
    fresh = loaded(make_net(clean_set=(X_CLEAN, Y_CLEAN + 5)), saved(net)).fit(X, Y + 5)
    assert fresh.classes_.tolist() == [5, 6]
    assert same(state_of(fresh.module_), state_of(make_net().fit(X, Y).module_))


def test_clone_of_a_loaded_net() -> None:
    net = loaded(new(), saved(make_net().fit(X, Y)))
    other = clone(net)
    assert not other.initialized_
    assert not hasattr(other, "n_features_in_")
    assert net.get_params()["module"] is other.get_params()["module"]


def test_no_row_is_in_the_file() -> None:
    data = saved(make_net(record_weights="epochs").fit(X, Y)).read()
    assert not any(row.tobytes() in data for row in (*X, *X_CLEAN))
    assert len(data) < 2000


# Other software


def test_plain_software_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    net = make_net().fit(X, Y)
    net.save_params(f_params=path, use_safetensors=True)
    assert same(load_file(path), state_of(net.module_))
    plain = NeuralNetClassifier(MLP, criterion=nn.CrossEntropyLoss, classes=[0, 1]).initialize()
    plain.load_params(f_params=path, use_safetensors=True)
    np.testing.assert_array_equal(plain.predict(X), net.predict(X))
    with safe_open(path, framework="pt") as file:
        found = json.loads(file.metadata()["sklearn_l2rw"])
    assert found["estimator"] == "L2RWClassifier"
    assert found["targets"] == {"kind": "Labels", "classes": {"dtype": "<i8", "values": [0, 1]}}


def test_file_of_plain_skorch(tmp_path: Path) -> None:
    """It has parameters alone."""
    path = tmp_path / "net.safetensors"
    save_file(state_of(MLP()), path)
    with pytest.raises(AttributeError, match="initialize"):
        new().load_params(f_params=path, use_safetensors=True)
    net = loaded(new().initialize(), path)
    with pytest.raises(AttributeError, match="`classes`"):
        net.predict(X)
    assert loaded(new(classes=["a", "b"]).initialize(), path).predict(X).shape == (42,)


def test_file_of_a_net_that_was_not_fitted() -> None:
    net = make_net().initialize()
    other = loaded(new(), saved(net))
    assert same(state_of(other.module_), state_of(net.module_))
    with pytest.raises(AttributeError, match="`classes`"):
        other.predict(X)


@pytest.mark.parametrize("use_safetensors", [True, False])
def test_history_criterion_and_optimizer(use_safetensors: bool, tmp_path: Path) -> None:
    paths: dict[str, Any] = {
        f"f_{name}": tmp_path / name for name in ("params", "criterion", "history")
    }
    if not use_safetensors:
        paths["f_optimizer"] = tmp_path / "optimizer"
    net = make_net(optimizer__momentum=0.9).fit(X, Y)
    net.save_params(**paths, use_safetensors=use_safetensors)
    other = make_net(optimizer__momentum=0.9, classes=[0, 1])
    if not use_safetensors:
        with pytest.raises(AttributeError, match="initialize"):
            other.load_params(**paths)
        assert not other.initialized_
        other.initialize()
    other.load_params(**paths, use_safetensors=use_safetensors)
    np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))
    assert len(other.history) == 2


def test_no_optimizer_in_such_files(tmp_path: Path) -> None:
    net = make_net(optimizer__momentum=0.9).fit(X, Y)
    files = {"f_params": tmp_path / "params", "f_optimizer": tmp_path / "optimizer"}
    with pytest.raises(ValueError, match="can only store tensors"):
        net.save_params(**files, use_safetensors=True)
    assert list(tmp_path.iterdir()) == []


def test_two_names_for_one_file() -> None:
    net = make_net().fit(X, Y)
    with pytest.raises(TypeError, match="f_params and f_module"):
        net.save_params(f_params=io.BytesIO(), f_module=io.BytesIO(), use_safetensors=True)


# Checkpoints


@pytest.mark.parametrize("f_params", ["params.safetensors", "{last_epoch[epoch]}.safetensors"])
def test_checkpoint(f_params: str, tmp_path: Path) -> None:
    save = Checkpoint(
        monitor=None, f_params=f_params, f_optimizer=None, dirname=tmp_path, use_safetensors=True
    )
    load = LoadInitState(save, use_safetensors=True)
    net = make_net(average=0.5, callbacks=[save, load]).fit(X, Y)
    other = make_net(average=0.5)
    other.load_params(checkpoint=save, use_safetensors=True)  # nothing was initialized
    np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))
    assert len(other.history) == 2
    net.fit(X, Y)
    assert len(net.history) == 4
    with pytest.raises(ValueError, match=r"for the classes \[0, 1\].*\[5, 6\]"):
        net.set_params(clean_set=(X_CLEAN, Y_CLEAN + 5)).fit(X, Y + 5)


def test_the_epoch_that_a_monitor_chooses(tmp_path: Path) -> None:
    second = Checkpoint(
        monitor=lambda net: len(net.history) == 2, f_params="best.safetensors", f_optimizer=None,
        dirname=tmp_path, use_safetensors=True, load_best=True,
    )  # fmt: skip
    net = make_net(callbacks=[second], max_epochs=4).fit(X, Y)
    shorter = make_net(max_epochs=2).fit(X, Y)
    assert same(state_of(net.module_), state_of(shorter.module_))
    other = loaded(new(), tmp_path / "best.safetensors")
    np.testing.assert_array_equal(other.predict_proba(X), shorter.predict_proba(X))


def test_train_end_checkpoint(tmp_path: Path) -> None:
    end = TrainEndCheckpoint(dirname=tmp_path, f_optimizer=None, use_safetensors=True)
    net = make_net(None, callbacks=[end]).fit(X, Y)
    load = LoadInitState(end, use_safetensors=True)
    again = make_net(None, callbacks=[load], max_epochs=0).fit(X, Y)
    assert same(state_of(again.module_), state_of(net.module_))
    np.testing.assert_array_equal(
        loaded(new(None), tmp_path / "train_end_params.pt").predict(X), net.predict(X)
    )


# Bad input


@pytest.fixture
def net() -> Any:
    return make_net(optimizer__momentum=0.9).fit(X, Y)


def refused(net: Any, file: Any, match: str) -> None:
    """A load that fails leaves the net as it was."""
    before = dict(vars(net))
    state = state_of(net.module_) if net.initialized_ else {}
    with pytest.raises(ValueError, match=match):
        net.load_params(f_params=file, use_safetensors=True)
    assert vars(net) == before
    assert same(state_of(net.module_) if net.initialized_ else {}, state)


@pytest.mark.parametrize("fitted", [True, False])
@pytest.mark.parametrize("hidden", [3, 9])
def test_other_architecture(fitted: bool, hidden: int, net: Any) -> None:
    file = saved(make_net(module__hidden=hidden).fit(X, Y))
    refused(net if fitted else new(), file, "(?s)do not fit the net.*size mismatch.*module__")


def test_other_module(net: Any) -> None:
    file = saved(make_net(None).fit(X, Y))
    refused(net, file, "(?s)do not fit the net.*Missing key")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.3, 0.6, 0.99])
def test_cut_short(share: float, net: Any, tmp_path: Path) -> None:
    data = saved(net).read()
    path = tmp_path / "net.safetensors"
    path.write_bytes(data[: int(share * len(data))])
    for other in (net, new()):
        refused(other, path, f"{re.escape(str(path))}.*cut short")
        refused(other, io.BytesIO(path.read_bytes()), "cut short")


def test_pickles_are_not_read(net: Any, tmp_path: Path) -> None:
    path = tmp_path / "params.pt"
    net.save_params(f_params=path)
    refused(net, path, "params.pt, but no safetensors file")
    with pytest.raises(FileNotFoundError):
        net.load_params(f_params=tmp_path / "nowhere", use_safetensors=True)


def test_other_classes(net: Any) -> None:
    file = saved(make_net(clean_set=(X_CLEAN, SPAM[Y_CLEAN])).fit(X, SPAM[Y]))
    refused(net, file, r"classes \['ham', 'spam'\].*\[0, 1\].*new estimator")


class Mean(nn.Module):
    """Takes any number of columns."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(1, 2)

    def forward(self, X: Tensor) -> Tensor:
        output: Tensor = self.last(X.mean(1, keepdim=True))
        return output


def test_other_number_of_columns() -> None:
    file = saved(make_net(Mean).fit(X, Y))
    narrow = make_net(Mean, clean_set=(X_CLEAN[:, :3], Y_CLEAN)).fit(X[:, :3], Y)
    refused(narrow, file, "for 4 columns of X, but expected 3")


def test_other_names_of_columns() -> None:
    file = saved(make_net().fit(FRAME, Y))
    reordered = make_net().fit(FRAME[list("dcba")], Y)
    refused(reordered, file, r"columns \['a', 'b', 'c', 'd'\].*\['d', 'c', 'b', 'a'\]")


def test_other_estimator() -> None:
    file = saved(L2RWRegressor(**{**SETTINGS, "clean_set": 8}).fit(X, X[:, 0]))
    refused(new(None), file, "class L2RWRegressor.*L2RWClassifier")


def test_later_version(monkeypatch: pytest.MonkeyPatch, net: Any) -> None:
    monkeypatch.setattr(header, "_FORMAT", 2)
    monkeypatch.setattr(header, "VERSION", "3.1")
    file = saved(net)
    monkeypatch.undo()
    refused(new(), file, r"format 2, which sklearn_l2rw 3\.1 wrote.*format 1.*Install")


def test_another_version_of_the_same_format(monkeypatch: pytest.MonkeyPatch, net: Any) -> None:
    monkeypatch.setattr(header, "VERSION", "3.1")
    file = saved(net)
    monkeypatch.undo()
    np.testing.assert_array_equal(loaded(new(), file).predict(X), net.predict(X))


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        "no json",
        '{"format": "1", "reading": {}}',
        '{"format": 1}',
        '{"format": 1, "reading": {}, "targets": {"kind": "Labels"}}',
        '{"format": 1, "reading": {}, "targets": {"kind": "Labels", "classes": '
        '{"dtype": "|V8", "values": [1, 2]}}}',
        '{"format": 1, "reading": {}, "targets": {"kind": "Labels", "classes": '
        '{"dtype": "|O", "values": [[1], [2]]}}}',
        '{"format": 1, "reading": {}, "n_features_in_": -4}',
        '{"format": 1, "reading": {}, "n_features_in_": "4"}',
    ],
)
def test_header_of_nonsense(text: str, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file(state_of(MLP()), path, metadata={"sklearn_l2rw": text})
    refused(new(), path, "cut short|no list of labels|no number of")


def test_labels_that_no_such_file_holds() -> None:
    days = np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[D]")
    net = make_net(clean_set=(X_CLEAN, days[Y_CLEAN])).fit(X, days[Y])
    with pytest.warns(UserWarning, match=r"datetime64.*2020, 1, 1.*name them with `classes`"):
        file = saved(net)
    with pytest.raises(AttributeError, match="`classes`"):
        loaded(new(), file).predict(X)
    file.seek(0)
    other = loaded(new(classes=days), file)
    np.testing.assert_array_equal(other.predict(X), net.predict(X))


def test_module_that_no_such_file_holds() -> None:
    class Extra(MLP):
        def get_extra_state(self) -> Any:
            return {"more": 3}

        def set_extra_state(self, state: Any) -> None: ...

    with pytest.raises(ValueError, match=r"safetensors cannot hold.*_extra_state"):
        saved(make_net(Extra).fit(X, Y))


def test_predictions_that_are_read_in_another_way() -> None:
    """The file has parameters of the module; those of the estimator are given anew."""
    net = make_net(Probabilities, criterion=nn.NLLLoss).fit(X, Y)
    with pytest.warns(UserWarning, match=r"criterion=NLLLoss.*criterion=CrossEntropyLoss"):
        loaded(new(Probabilities), saved(net))
    same_way = loaded(new(Probabilities, criterion=nn.NLLLoss), saved(net))
    np.testing.assert_array_equal(same_way.predict_proba(X), net.predict_proba(X))
    binary = L2RWBinaryClassifier(**SETTINGS, threshold=0.3).fit(X, Y)
    with pytest.warns(UserWarning, match=r"threshold=0\.3.*threshold=0\.5"):
        loaded(L2RWBinaryClassifier(), saved(binary))
