"""The loops of docs/your_net.md, as they stand there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from sklearn_l2rw import L2RWClassifier
from tests.real.nets import bert
from tests.small import MLP, X_CLEAN, Y_CLEAN, X, Y

PAGE = Path(__file__).parents[2] / "docs" / "your_net.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)

pytestmark = pytest.mark.filterwarnings("default")  # theirs, which change with versions


def run(word: str, *packages: str, **names: Any) -> dict[str, Any]:
    """Run the block in which a word occurs."""
    for package in packages:
        pytest.importorskip(package)
    (block,) = (str(block) for block in BLOCKS if word in block)
    names = {"torch": torch, "L2RWClassifier": L2RWClassifier, **names}
    exec(block, names)
    return names


def loop() -> dict[str, Any]:
    model = MLP()
    rows = torch.as_tensor(X), torch.as_tensor(Y)
    return {
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "loader": DataLoader(TensorDataset(*rows), batch_size=14),
        "clean": (torch.as_tensor(X_CLEAN), torch.as_tensor(Y_CLEAN)),
        "loss": torch.nn.CrossEntropyLoss(reduction="none"),
        "parts": [(rows[0][:20], rows[1][:20]), (rows[0][20:], rows[1][20:])],
    }


def test_every_block_is_short() -> None:
    assert len(BLOCKS) == 4
    assert all(block.strip().count("\n") < 15 for block in BLOCKS)


@pytest.mark.slow
def test_timm() -> None:
    images = np.random.default_rng(0).normal(size=(12, 3, 32, 32)).astype(np.float32)
    y = np.arange(12) % 3
    word = "timm.create_model"
    given = {"X": images, "y": y, "X_clean": images[:6], "y_clean": y[:6]}
    net = run(word, "timm", **given)["net"]
    assert net.meta_gradient_ == "forward"
    assert len(net.history) == 10


@pytest.mark.slow
def test_hugging_face_with_lora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("peft")
    texts_of = importlib.import_module("tests.real.test_texts")
    model: Any = bert(num_labels=2)
    model.save_pretrained(tmp_path)
    texts_of.tokenizer().save_pretrained(tmp_path)
    monkeypatch.chdir(tmp_path)
    net = run(
        "LoraConfig", "peft", "transformers", name=str(tmp_path), texts=texts_of.TEXTS,
        clean_texts=texts_of.CLEAN_TEXTS, y=texts_of.Y, y_clean=texts_of.Y_CLEAN,
    )["net"]  # fmt: skip
    assert (tmp_path / "adapters" / "adapter_config.json").exists()
    frozen = [p for p in net.module_.parameters() if not p.requires_grad]
    assert frozen
    assert all(p.grad is None for p in frozen)


def test_a_loop_with_accelerate() -> None:
    given = loop()
    before = [p.clone() for p in given["model"].parameters()]
    found = run("Accelerator()", "accelerate", **given)
    assert found["step"].weights.shape == (14,)
    after = given["model"].parameters()
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_micro_batches() -> None:
    """They take the step that the whole batch takes."""
    given = loop()
    start = {k: v.clone() for k, v in given["model"].state_dict().items()}
    run("example_slopes", **given)
    found = {k: v.clone() for k, v in given["model"].state_dict().items()}
    given["model"].load_state_dict(start)
    whole = [(torch.cat([X for X, _ in given["parts"]]), torch.cat([y for _, y in given["parts"]]))]
    run("example_slopes", **{**given, "parts": whole})
    for name, value in given["model"].state_dict().items():
        torch.testing.assert_close(value, found[name])
        assert not torch.equal(value, start[name])
