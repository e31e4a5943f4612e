"""The blocks of docs/large_data.md, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sklearn_l2rw import L2RWClassifier
from tests.small import MLP, X_CLEAN, Y_CLEAN, Y_NOISY, X, make_net, same_state, state_of

PAGE = Path(__file__).parents[1] / "docs" / "large_data.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
LABELS, CLEAN_LABELS = (np.array(["cat", "dog"])[y] for y in (Y_NOISY, Y_CLEAN))


def run(word: str, **names: Any) -> dict[str, Any]:
    """Run the block in which a word occurs."""
    (block,) = (str(block) for block in BLOCKS if word in block)
    names = {
        "np": np, "torch": torch, "L2RWClassifier": L2RWClassifier, "Net": MLP, "X": X,
        "y": Y_NOISY, "labels": LABELS, "X_clean": X_CLEAN, "y_clean": CLEAN_LABELS, **names,
    }  # fmt: skip
    exec(block, names)
    return names


def test_every_block_is_run() -> None:
    assert len(BLOCKS) == 5


def test_a_memory_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("X.npy", X.astype(np.float64))
    net = run("mmap_mode")["net"]
    assert np.isnan(net.example_weights_).sum() == 20
    np.testing.assert_array_equal(
        np.flatnonzero(np.isnan(net.example_weights_)), net.clean_indices_
    )


@pytest.mark.slow
def test_a_lazy_dataset(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.npy" for i in range(len(X))]
    for path, row in zip(paths, X, strict=True):
        np.save(path, row)
    net = run("Files", paths=paths, labels=Y_NOISY, y_clean=Y_CLEAN)["net"]
    assert np.isfinite(net.example_weights_).all()
    assert net.example_weights_.shape == (len(X),)


def test_an_iterable_dataset() -> None:
    net = run("Stream")["net"]
    assert set(net.predict(X)) <= {"cat", "dog"}
    assert not hasattr(net, "example_weights_")


def test_a_stream() -> None:
    chunks = [(X[i : i + 10], LABELS[i : i + 10]) for i in range(0, 40, 10)]
    net = run("partial_fit", chunks=chunks)["net"]
    assert len(net.history) == 4
    assert net.example_weights_.shape == (10,)


def test_a_history_that_is_cut_changes_nothing() -> None:
    whole, cut = (make_net(random_state=0, clean_batch_size=3, max_epochs=1) for _ in range(2))
    for i in range(5):
        rows = X[8 * i :][:8], Y_NOISY[8 * i :][:8]
        whole.partial_fit(*rows, classes=[0, 1])
        cut.partial_fit(*rows, classes=[0, 1])
        del cut.history[:-2]
        np.testing.assert_array_equal(whole.example_weights_, cut.example_weights_)
    assert (len(whole.history), len(cut.history)) == (5, 2)
    assert same_state(*(state_of(net.module_) for net in (whole, cut)))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Dask's own, which change with versions
def test_a_search_on_dask() -> None:
    distributed = pytest.importorskip("distributed")
    net = make_net(random_state=0)
    with distributed.LocalCluster(n_workers=1, dashboard_address=None) as cluster:
        search = run("GridSearchCV", net=net, address=cluster.scheduler_address)["search"]
    assert search.best_params_["lr"] in (0.1, 0.5)
