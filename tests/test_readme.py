"""What README.md shows can be run, and what it points to is there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.reporting.tables import Results, measure_table
from sklearn_l2rw import L2RWClassifier
from tests.small import MLP

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


@pytest.fixture
def names() -> dict[str, Any]:
    """What the reader of README.md has."""
    matplotlib.use("agg")
    y = np.arange(200) % 2
    X = (2 * np.eye(4)[y] + np.random.default_rng(0).normal(size=(200, 4))).astype(np.float32)
    model = MLP()
    tensors = torch.as_tensor(X), torch.as_tensor(y)
    return {
        "X": X,
        "y": y,
        "X_clean": tensors[0][:20],
        "y_clean": tensors[1][:20],
        "X_new": X[:5],
        "LeNet": MLP,
        "torch": torch,
        "model": model,
        "loader": DataLoader(TensorDataset(*tensors), batch_size=50),
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "L2RWClassifier": L2RWClassifier,
    }


def test_the_code_runs(names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", TEXTS["README.md"], flags=re.DOTALL)
    assert len(blocks) >= 4
    found: dict[str, Any] = {}
    for block in blocks:  # the X and y of a loop are not those of the next block
        given = {**found, **names}
        exec(block, given)
        found |= given
    assert found["net"].predict(names["X_new"]).shape == (5,)
    assert found["step"].weights.shape == (50,)
    assert len(found["ranking"].indices) == 200


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


ARMS_OF_TABLES = {
    "imbalance-mnist": {
        "unweighted": "unweighted", "class weights": "class_weighted", "SMOTE": "smote",
        "plain training, logits adjusted": "logit_adjusted",
        "class-balanced batches": "balanced_batches", "hard mining": "hard_mining",
        "fine-tuning on the clean images": "fine_tuned",
        "fine-tuning at a tenth of the learning rate": "fine_tuned_slowly",
        "L2RW, the paper's step": "l2rw", "L2RWClassifier": "l2rw_default",
    },
    "noise-mnist": {
        "unweighted": "unweighted", "unweighted, parameters averaged": "unweighted_averaged",
        "early stopping": "early_stopping",
        "bootstrapped labels, hard": "bootstrap_hard",
        "noise layer told the true noise": "noise_adaptation_true",
        "cleanlab's CleanLearning": "cleanlab", "fine-tuning on the clean images": "fine_tuned",
        "fine-tuning at a tenth of the learning rate": "fine_tuned_slowly",
        "L2RW, the paper's step": "l2rw", 'the same, `meta_parameters="last"`': "l2rw_last",
        "L2RWClassifier": "l2rw_default",
    },
}  # fmt: skip


@pytest.mark.parametrize("experiment", ARMS_OF_TABLES)
def test_tables_are_those_of_the_results(experiment: str) -> None:
    made = measure_table(Results.read(experiment, "cpu"), "error")
    cells = dict(line[2:].split(" | ", 1) for line in made.replace("**", "").splitlines())
    _, after = TEXTS["README.md"].replace("**", "").split(f"benchmarks.run {experiment} ", 1)
    for name, arm in ARMS_OF_TABLES[experiment].items():
        assert f"\n| {name} | {cells[arm]}\n" in after.split("\n\n")[1] + "\n"


def test_ranks_are_those_of_the_results() -> None:
    ranks = Results.read("imbalance-tabular", "cpu").ranks("balanced_error")
    text = TEXTS["README.md"]
    rank = ranks["l2rw_default"]
    assert f"L2RWClassifier ranks {rank:.1f} of {len(ranks)} arms" in text
    assert f"and the paper's step {ranks['l2rw']:.1f}" in text
    assert f"{ranks['l2rw_balanced']:.1f}" == f"{rank:.1f}"  # as the text has it
    said = re.findall(r"\w+ \((\d+\.\d)\)", text[text.index("L2RWClassifier ranks") :][:500])
    assert len(said) == 8
    assert set(said) <= {f"{rank:.1f}" for rank in ranks.values()}
