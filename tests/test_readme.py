"""What README.md shows can be run, and what it points to is there."""

from __future__ import annotations

import importlib.util
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from benchmarks.reporting.tables import Results, measure_table
from docs.machinery.quoted import strangers

ARMS = {
    "unweighted": "unweighted",
    "unweighted, parameters averaged": "unweighted_averaged",
    "cleanlab's CleanLearning": "cleanlab",
    "fine-tuning at a tenth of the learning rate": "fine_tuned_slowly",
    "L2RW, the paper's step": "l2rw",
    "L2RWClassifier": "l2rw_default",
}
ROOT = Path(__file__).parent.parent
TEXTS = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "benchmarks/README.md",
        "examples/README.md",
        "docs/your_net.md",
        "docs/several_processes.md",
    )
}


def test_it_is_short() -> None:
    assert TEXTS["README.md"].count("\n") <= 120


def test_the_code_runs_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", TEXTS["README.md"], flags=re.DOTALL)
    assert block.count("\n") <= 14
    names: dict[str, Any] = {}
    exec(block, names)
    X, y, net = names["X"], names["y"], names["net"]
    X_test, y_test = names["X_test"], names["y_test"]
    ours, rival, early = map(float, re.findall(r"0\.\d+", block.split("net.score")[1]))
    assert net.score(X_test, y_test) == pytest.approx(ours, abs=0.02)
    X, labels = np.vstack([X, names["X_clean"]]), np.concatenate([y, names["y_clean"]])
    for stops, score in ((False, rival), (True, early)):
        mlp = MLPClassifier(random_state=0, early_stopping=stops)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mlp.fit(X, labels)
        assert mlp.score(X_test, y_test) == pytest.approx(score, abs=0.02)
    first = [int(i) for i in re.findall(r"\d+", capsys.readouterr().out.split("\n", 1)[1])]
    assert len(first) == 20
    assert all(i % 3 == 0 for i in first)  # the labels that are wrong


def test_figures_are_those_of_the_results() -> None:
    assert strangers(TEXTS["README.md"]) == []
    made = measure_table(Results.read("noise-mnist", "cpu"), "error").replace("**", "")
    cells = dict(line[2:].split(" | ", 1) for line in made.splitlines())
    text = TEXTS["README.md"].replace("**", "")
    for name, arm in ARMS.items():
        assert f"\n| {name} | {cells[arm]}\n" in text


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\((?!http|#)([^)#\s]+)", TEXTS[name])
    assert links or name in {"CONTRIBUTING.md", "benchmarks/README.md"}
    missing = [link for link in links if not ((ROOT / name).parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("name", TEXTS)
def test_commands_are_there(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"`{1,3}\n?make ([a-z-]+)", TEXTS[name]))
    assert targets <= set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    modules = set(re.findall(r"python -m (benchmarks[\w.]*)", TEXTS[name]))
    assert [m for m in modules if importlib.util.find_spec(m) is None] == []
    files = set(re.findall(r"python (examples/\w+\.py)", TEXTS[name]))
    assert [file for file in files if not (ROOT / file).exists()] == []
