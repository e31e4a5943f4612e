"""The examples run without a warning, and what their texts claim is so."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import sklearn

from tests.display_cases import no_windows

EXAMPLES = Path(__file__).parents[1] / "examples"
PLOTS = sorted(EXAMPLES.glob("plot_*.py"))


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In an empty folder, which is left empty, and with nothing to look at."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "show", lambda: None)  # Agg would warn that it cannot
    with no_windows():
        yield
    assert not list(tmp_path.iterdir())
    assert not sklearn.get_config()["enable_metadata_routing"]


def run(number: int) -> dict[str, Any]:
    """Run an example; return its variables. Figures have titles or labels on their axes."""
    (path,) = EXAMPLES.glob(f"plot_{number:02d}_*.py")
    result = runpy.run_path(str(path))
    for figure in map(plt.figure, plt.get_fignums()):
        figure.draw_without_rendering()
        assert any(ax.get_xlabel() or ax.get_title() for ax in figure.axes)
    return result


@pytest.mark.parametrize("path", PLOTS, ids=lambda path: path.stem)
def test_form(path: Path) -> None:
    """A docstring with a title, and cells with headings, underlined as Sphinx asks for."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    compile(text, str(path), "exec")
    assert lines[0] == '"""'
    assert lines[1] == lines[3] == len(lines[2]) * "="
    headings = [(a, b) for a, b in pairwise(lines) if set(b[2:]) == {"-"}]
    assert headings
    assert all(len(title) == len(underline) for title, underline in headings)
    assert "# %%" in lines
    assert lines[-1] == "plt.show()" or "matplotlib" not in text


def test_index_names_all() -> None:
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(f"]({path.name})" in index for path in EXAMPLES.glob("*.py"))
    assert len(PLOTS) == 11


@pytest.mark.parametrize("path", PLOTS, ids=lambda path: path.stem)
def test_says_what_to_remember(path: Path) -> None:
    *_, last = re.findall(r"# (.+)\n# -+\n", path.read_text(encoding="utf-8"))
    assert last == "What to remember"


@pytest.mark.slow
def test_imbalance() -> None:
    names = run(1)
    balanced, average = (
        {name: scores[metric].mean() for name, scores in names["scores"].items()}
        for metric in ("balanced_accuracy", "average_precision")
    )
    assert max(balanced, key=balanced.__getitem__) == "class weights"
    assert balanced["SMOTE"] > balanced["plain"] + 0.02
    assert balanced["L2RW"] < balanced["plain"] + 0.02  # shown as it is
    assert min(average, key=average.__getitem__) == "L2RW"
    common, rare = names["display"].means_
    assert rare > 3 * common
    assert names["display"].counts_.sum() == len(names["y"]) - 20


@pytest.mark.slow
def test_noisy_labels_grid_search() -> None:
    names = run(2)
    accuracy, on_noisy = names["accuracy"], names["on_noisy"]
    assert min(accuracy, key=accuracy.__getitem__) == "plain, all rows"
    assert accuracy["L2RW, all rows"] > accuracy["trusted only"] + 0.02
    assert max(accuracy, key=accuracy.__getitem__) == "fine-tuned"  # shown as it is
    assert max(on_noisy, key=on_noisy.__getitem__) == "plain, all rows"
    share = names["flipped"].sum() / (names["y_train"] == 1).sum()
    assert share == pytest.approx(0.6, abs=0.03)
    right, wrong = names["display"].means_[:2]  # of those that are labelled even
    assert right > 5 * wrong
    search = names["searches"]["L2RW"]
    np.testing.assert_allclose(  # scaled by what the search was refitted on
        search.best_estimator_[-1].clean_set_[0],
        search.best_estimator_[0].transform(names["X_clean"]),
    )


@pytest.mark.slow
def test_four_ways_to_give_the_clean_set() -> None:
    names = run(3)
    found = list(names["probabilities"].values())
    assert len(found) == 6
    for first, second in zip(found[::2], found[1::2], strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)
    accuracy = names["accuracy"]
    assert accuracy["clean_set"] > accuracy["clean_set=30"] + 0.05
    assert names["n_clean"] == [20, 20, 20]
    assert np.bincount(names["y"][names["taken"]]).tolist() == [10, 10, 10]
    assert names["n_wrong"] > 0


@pytest.mark.slow
def test_which_labels_are_wrong() -> None:
    names = run(4)
    assert names["flipped"].mean() == pytest.approx(0.4, abs=0.02)
    assert names["auc"] > 0.98 > names["auc_of_weights"] > 0.7
    assert names["auc"] > max(names["auc_of_rivals"].values())
    assert names["right"] > 1 > names["wrong"]
    assert names["precision"] > 0.9
    assert names["better"] > 0.98
    assert names["left"] < names["flipped"].mean() - 0.1
    least, most = names["grid"].indices
    assert names["flipped"][least].all()
    assert not names["flipped"][most].any()


@pytest.mark.slow
def test_is_training_healthy() -> None:
    names = run(5)
    accuracy, runs = names["accuracy"], names["runs"]
    healthy, broken, fitted, shorter = runs.values()
    assert accuracy["healthy"] > max(list(accuracy.values())[1:]) + 0.03
    assert accuracy["steps too large"] < 0.2
    assert list(accuracy.values())[3] >= list(accuracy.values())[2] - 0.02  # 15 epochs do as well
    assert healthy.history[-1, "clean_loss"] < healthy.history[-1, "train_loss"]
    assert healthy.history[-1, "clean_loss"] > 50 * fitted.history[-1, "clean_loss"]
    assert healthy.history[-1, "zero_weights"] == pytest.approx(0.4, abs=0.06)
    assert all(epoch["zero_batches"] == 0 for epoch in healthy.history)
    for key, share in (("train_loss", 1.3), ("clean_loss", 1)):
        assert broken.history[-1, key] == pytest.approx(share * np.log(10), abs=0.1)
    assert broken.history[-1, "effective_sample_size"] > 30  # the other panels look fine
    assert fitted.history[-1, "clean_loss"] < 0.01 * fitted.history[0, "clean_loss"]
    assert fitted.history[-1, "train_loss"] < 0.2
    assert shorter.history[-1, "epoch"] == 15


@pytest.mark.slow
def test_text() -> None:
    names = run(6)
    scores, of_rule = names["scores"], names["of_rule"]
    assert all(score > of_rule + 0.02 for score in scores["L2RW"])  # more than the rule alone
    assert scores["L2RW"][0] > scores["read texts alone"][0] + 0.05  # and than few texts alone
    assert scores["read texts alone"][-1] > scores["L2RW"][-1]  # but many have no need of it
    assert len(names["read"]) == 4
    assert not set(names["test"]) & set(names["train"])


@pytest.mark.slow
def test_annotators_who_disagree() -> None:
    names = run(7)
    accuracy = names["accuracy"]
    assert max(accuracy, key=accuracy.__getitem__) == "Dawid and Skene, plain"
    assert min(accuracy, key=accuracy.__getitem__) == "agreed images only, plain"
    assert accuracy["majority, L2RW"] == pytest.approx(accuracy["majority, plain"], abs=0.02)
    wrong = [(names[kind] != names["y_true"]).mean() for kind in ("weighed", "majority")]
    assert wrong[0] < 0.5 * wrong[1]
    errors = [names["ERRORS"][name] for name in names["display"].names]
    assert sorted(errors) == [
        error for _, error in sorted(zip(-names["display"].means_, errors, strict=True))
    ]  # weights rank the annotators


@pytest.mark.slow
def test_stream() -> None:
    names = run(8)
    plain, weighed = (np.array(values) for values in names["accuracy"].values())
    assert plain[7] - plain[8:14].min() > 0.05  # unlearned
    assert plain[-1] > plain[7]  # and learned again
    assert weighed[8:14].min() > weighed[7] - 0.01
    assert plain[-1] > weighed[-1]
    distrusted = np.array(names["distrusted"])
    assert distrusted[8:14].min() > np.delete(distrusted, names["BROKEN"]).max()


@pytest.mark.slow
def test_cleaning_in_rounds() -> None:
    names = run(9)
    found = {name: sum(counts) for name, counts in names["found"].items()}
    by_folds = found["plain, out of fold"]
    assert found["L2RW"] == pytest.approx(by_folds, abs=5)
    assert min(found["L2RW"], by_folds) > 0.85 * 120
    assert found["at random"] < 0.3 * 120
    assert names["found"]["L2RW"][0] == 20
    left = np.sum(names["cleaned"]["L2RW"] != names["y_true"])
    assert left == np.sum(names["y_given"] != names["y_true"]) - found["L2RW"]
    accuracy = names["accuracy"]
    assert accuracy["plain", "cleaned"] > accuracy["plain", "as they came"] + 0.01
    assert max(accuracy, key=accuracy.__getitem__) == ("plain", "cleaned")


@pytest.mark.slow
def test_value_for_a_budget() -> None:
    names = run(10)
    values, plain = (
        names["values"],
        dict(zip(names["offers"], names["accuracy"]["plain"], strict=True)),
    )
    assert max(values, key=values.__getitem__) == max(plain, key=plain.__getitem__) == "careful"
    assert values["repetitive"] > values["hasty"]  # which is not so of what is bought:
    assert plain["repetitive"] < plain["hasty"]


@pytest.mark.slow
def test_a_loop_of_your_own() -> None:
    names = run(11)
    accuracy = {name: max(found) for name, found in names["accuracy"].items()}
    assert accuracy["reweighted"] > accuracy["plain"]
    weights, missed = names["counted"].numpy(), names["missed"].numpy()
    assert weights[missed].mean() < 0.5 * weights[~missed].mean()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of Dask and Ray, which change with versions
@pytest.mark.parametrize(("backend", "package"), [("dask", "distributed"), ("ray", "ray")])
def test_search_on_workers(backend: str, package: str) -> None:
    """Two workers find what one process finds."""
    pytest.importorskip(package)
    names = runpy.run_path(str(EXAMPLES / "search_on_workers.py"))
    alone, found = names["main"](backend)
    key = "mean_test_score"
    assert found.best_score_ > 0.7
    np.testing.assert_array_equal(found.cv_results_[key], alone.cv_results_[key])
    for name, value in alone.best_estimator_.module_.state_dict().items():
        assert (found.best_estimator_.module_.state_dict()[name] == value).all()
