"""The loops of docs/several_processes.md, as they stand there, in one process and in two."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import tests.real  # noqa: F401
from tests.several import in_two
from tests.small import MLP, blobs

PAGE = Path(__file__).parents[2] / "docs" / "several_processes.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
N = 32
X, Y = blobs(N)
Y_NOISY = np.where(np.arange(N) % 5 == 0, 1 - Y, Y)
X_CLEAN, Y_CLEAN = blobs(8, seed=1)
loss = nn.CrossEntropyLoss(reduction="none")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # theirs, which change from version to version
]


def needs(*packages: str) -> None:
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")


def block_with(word: str) -> str:
    """The one loop of the page in which a word occurs."""
    (found,) = (str(block) for block in BLOCKS if word in block)
    return found


def rows(rank: int | None, array: Any) -> Any:
    """What a process sees of an array, in its order: every second batch of 8."""
    return array if rank is None else array.reshape(-1, 2, 4, *array.shape[1:])[:, rank].reshape(
        -1, *array.shape[1:]
    )  # fmt: skip


def names() -> dict[str, Any]:
    torch.manual_seed(0)
    model = MLP()
    dataset = TensorDataset(torch.as_tensor(X), torch.as_tensor(Y_NOISY))
    return {
        "torch": torch,
        "X": X,
        "y": Y_NOISY,
        "LeNet": MLP,
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "X_clean": torch.as_tensor(X_CLEAN),
        "y_clean": torch.as_tensor(Y_CLEAN),
        "clean": (torch.as_tensor(X_CLEAN), torch.as_tensor(Y_CLEAN)),
        "loss": loss,
        "dataset": dataset,
    }


def parameters(module: nn.Module) -> list[Tensor]:
    return [p.detach().cpu().clone() for p in module.parameters()]


def quietly(function: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function()


# A process's batches are of 4 in two processes, and of 8 in one, so that a step's are the same.


def estimator(rank: int | None) -> Any:
    given = names()
    exec(block_with("net.fit"), given)
    net = given["net"]
    return parameters(net.module_), net.predict_proba(X)


def loop(rank: int | None) -> Any:
    given = names()
    batch_size = 8 if rank is None else 4
    given["loader"] = DataLoader(given["dataset"], batch_size=batch_size)
    exec(block_with("accelerator.prepare"), given)
    assert len(given["step"].weights) == batch_size
    return parameters(given["model"])


def bert() -> nn.Module:
    transformers: Any = importlib.import_module("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=8, num_labels=2, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, return_dict=False,
    )  # fmt: skip
    module: nn.Module = transformers.BertForSequenceClassification(config)
    return module


def tokens(seed: int, n: int) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, 20, (n, 6), generator=generator)
    return [{"input_ids": row, "labels": (row[0] > 9).long()} for row in ids]


def trained(name: str, rank: int | None) -> Any:
    transformers: Any = importlib.import_module("transformers")
    clean = torch.utils.data.default_collate(tokens(1, 8))
    y_clean = clean.pop("labels")
    given = {**names(), "Trainer": transformers.Trainer, "clean": (clean, y_clean)}
    exec(block_with(name), given)
    with TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            folder, use_cpu=True, max_steps=3, per_device_train_batch_size=8 if rank is None else 4,
            per_device_eval_batch_size=4, report_to="none", save_strategy="no", disable_tqdm=True,
            optim="sgd", learning_rate=0.1, lr_scheduler_type="constant", max_grad_norm=0.0,
            train_sampling_strategy="sequential", logging_strategy="no",
            remove_unused_columns=False,
        )  # fmt: skip
        module = bert()
        trainer = given[name](module, arguments, train_dataset=tokens(0, N))
        trainer.train()
        evaluated = trainer.evaluate(tokens(2, 8))["eval_loss"]
    return parameters(module), float(evaluated)


def trainer_with_loss(rank: int | None) -> Any:
    return trained("ReweightingTrainer", rank)


def trainer_with_step(rank: int | None) -> Any:
    found, _ = trained("ReweightedTrainer", rank)
    return found


def lightning(rank: int | None) -> Any:
    package: Any = importlib.import_module("lightning")
    given = {**names(), "LightningModule": package.LightningModule}
    given["reweighted_backward"] = importlib.import_module("sklearn_l2rw").reweighted_backward
    exec(block_with("LightningModule"), given)

    base: Any = given["Reweighted"]

    class Net(base):
        def __init__(self) -> None:
            super().__init__()
            self.net = given["model"]

        def forward(self, X: Tensor) -> Any:
            return self.net(X)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    os.environ["TORCHELASTIC_RUN_ID"] = "two"
    with TemporaryDirectory() as folder:
        trainer = package.Trainer(
            accelerator="cpu", devices=1 if rank is None else 2, max_epochs=1, logger=False,
            strategy="auto" if rank is None else "ddp", enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
            default_root_dir=folder,
        )  # fmt: skip
        mine = TensorDataset(*(rows(rank, t) for t in given["dataset"].tensors))
        trainer.fit(Net(), DataLoader(mine, batch_size=8 if rank is None else 4))
    return parameters(given["model"])


LOOPS = {
    "estimator": (estimator, ("accelerate",)),
    "loop": (loop, ("accelerate",)),
    "trainer_with_loss": (trainer_with_loss, ("accelerate", "transformers")),
    "trainer_with_step": (trainer_with_step, ("accelerate", "transformers")),
    "lightning": (lightning, ("lightning",)),
}


def _in_one(rank: int, name: str) -> Any:
    """In one of two processes that know nothing of each other."""
    for key in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        os.environ.pop(key)
    torch.distributed.destroy_process_group()
    return quietly(lambda: LOOPS[name][0](None))


def _in_two(rank: int, name: str) -> Any:
    return quietly(lambda: LOOPS[name][0](rank))


@pytest.mark.parametrize("name", LOOPS)
def test_loop(name: str) -> None:
    """In two processes it leaves what it leaves in one."""
    needs(*LOOPS[name][1])
    first, second = in_two(_in_two, name)
    expected = in_two(_in_one, name)[0]
    if name != "estimator":  # whose batches are drawn by chance, by other generators
        close(first, expected)
    close(second, first)


def close(found: Any, expected: Any) -> None:
    if isinstance(expected, (list, tuple)):
        for a, b in zip(found, expected, strict=True):
            close(a, b)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_each_is_short() -> None:
    assert len(BLOCKS) == len(LOOPS)
    assert max(len(block.strip().splitlines()) for block in BLOCKS) <= 15
