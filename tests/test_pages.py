"""Pages of docs/ whose code is run as it stands there, block after block."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_l2rw import L2RWClassifier
from tests.small import MLP, SETTINGS, X_CLEAN, Y_CLEAN, X, Y, make_net

DOCS = Path(__file__).parents[1] / "docs"
NAMES = np.array(["ham", "spam"])


def blocks_of(page: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


class Quiet(L2RWClassifier):
    """The classifier, with less to do and to say."""

    def __init__(self, module: Any = None, *, verbose: int = 0, **kwargs: Any) -> None:
        super().__init__(module, verbose=verbose, **{"max_epochs": 2, **kwargs})


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the reader of a page has."""
    monkeypatch.chdir(tmp_path)
    with sklearn.config_context():
        yield {
            "L2RWClassifier": Quiet,
            "Net": MLP,
            "X": X,
            "y": NAMES[Y],
            "X_new": X[:5],
            "X_clean": X_CLEAN,
            "y_clean": NAMES[Y_CLEAN],
        }


def test_saving(names: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    pytest.importorskip("skops")
    settings = {**SETTINGS, "clean_set": (X_CLEAN, NAMES[Y_CLEAN])}
    first = Quiet(MLP, **settings)
    pipe = make_pipeline(StandardScaler(), Quiet(MLP, **settings)).fit(X, NAMES[Y])
    names |= {"net": first, "pipe": pipe}
    save, load, checkpoint, share, dump, read = blocks_of("saving.md")
    for block in (save, load):
        exec(block, names)
    assert names["net"] is not first
    np.testing.assert_array_equal(names["net"].predict(X), first.predict(X))
    for _ in range(2):
        exec(checkpoint, names)
    assert len(names["net"].history) == 4
    exec(share, names)
    data = (tmp_path / "net.joblib").read_bytes()
    assert not any(row.tobytes() in data for row in X_CLEAN)
    np.testing.assert_array_equal(names["shared"].predict(X), names["net"].predict(X))
    for block in (dump, read):
        exec(block, names)
    assert names["unknown"] == []
    both = make_pipeline(names["before"], names["net"])
    np.testing.assert_array_equal(both.predict(X), pipe.predict(X))


class Code:
    """Runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.mkdir, (self.path,)


def test_skops_runs_the_pickle_in_a_net(tmp_path: Path) -> None:
    """What docs/saving.md says of nets in its files."""
    sio = pytest.importorskip("skops.io")
    fresh = sio.dumps(make_net())
    other = sio.loads(fresh, trusted=sio.get_untrusted_types(data=fresh))
    np.testing.assert_array_equal(other.fit(X, Y).predict(X), make_net().fit(X, Y).predict(X))
    net = make_net().fit(X, Y)
    with pytest.raises(RuntimeError):
        sio.dumps(net)
    net.trim_for_prediction()
    harmless = sio.dumps(net)
    trusted = sio.get_untrusted_types(data=harmless)
    np.testing.assert_array_equal(sio.loads(harmless, trusted=trusted).predict(X), net.predict(X))
    net.module_.code = Code(tmp_path / "was_here")
    harmful = sio.dumps(net)
    assert sio.get_untrusted_types(data=harmful) == trusted
    sio.loads(harmful, trusted=trusted)
    assert (tmp_path / "was_here").exists()


def test_pipelines(names: dict[str, Any]) -> None:
    scales, offsets = np.array([1, 100, 1e4, 0.01]), np.array([50, -1e3, 1e6, 3])
    rare = (Y == 0) | (np.arange(len(Y)) < 26)
    names["X"], names["X_clean"] = (part * scales + offsets for part in (X[rare], X_CLEAN))
    names["y"] = NAMES[Y[rare]]
    scaler = StandardScaler().fit(names["X"])
    scaled, nested, by_hand = blocks_of("samplers.md")
    exec(scaled, names)
    exec(nested, names)
    clean_set = names["pipe"][-1][-1].clean_set_
    np.testing.assert_array_equal(clean_set[0], scaler.transform(names["X_clean"]))
    np.testing.assert_array_equal(clean_set[1], names["y_clean"])
    n_rows = len(names["pipe"][-1][-1].example_weights_)
    assert n_rows == 2 * (names["y"] == "ham").sum() > len(names["y"])
    found = cross_validate(
        names["pipe"], names["X"], names["y"], cv=2, error_score="raise",
        params={"X_val": names["X_clean"], "y_val": names["y_clean"]},
    )  # fmt: skip
    assert found["test_score"].shape == (2,)
    sklearn.set_config(enable_metadata_routing=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # that the clean set is not scaled as X is
        exec(by_hand, names)
    np.testing.assert_array_equal(names["net"].clean_set[0], clean_set[0])
