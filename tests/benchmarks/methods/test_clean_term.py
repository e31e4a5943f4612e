"""Arms that know which rows are clean: losses by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.methods import make
from benchmarks.methods.clean_term import CleanTerm, WithClean
from benchmarks.methods.relabelled import CorrectedSoftly, GoldLossCorrection, estimated_confusion
from tests.small_benchmarks import tiny_setting, tiny_task

LOGITS = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.5, 0.0]])
LABELS = torch.tensor([0, 0, 1])
CLEAN = torch.tensor([False, False, True])


def begun(net: Any) -> Any:
    """Give a net what it knows in a step on all of three rows."""
    net.clean_mask_, net.rows_ = CLEAN, torch.arange(3)
    net.on_train_begin(net)
    return net


def test_which_rows_are_clean_is_known_in_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    task = tiny_task()
    rows = {tuple(row) for row in task.X_clean.tolist()}
    right: list[bool] = []
    step = WithClean.train_step_single

    def looked_at(self: Any, batch: Any, **kwargs: Any) -> Any:
        expected = [tuple(row) in rows for row in batch[0].tolist()]
        right.append(self.is_clean().tolist() == expected)
        return step(self, batch, **kwargs)

    monkeypatch.setattr(WithClean, "train_step_single", looked_at)
    X, y, clean_mask = task.with_clean()
    order = np.random.RandomState(0).permutation(len(y))
    make("clean_term", tiny_setting(task)).fit(X[order], y[order], clean_mask=clean_mask[order])
    assert len(right) == 8
    assert all(right)


def test_clean_batches() -> None:
    net = WithClean(nn.Identity, batch_size=4)
    net.clean_X_, net.clean_y_ = torch.arange(3.0)[:, None], torch.arange(3)
    assert net.clean_batch()[1].tolist() == [0, 1, 2]
    net.clean_X_, net.clean_y_ = torch.arange(9.0)[:, None], torch.arange(9)
    drawn = [net.clean_batch() for _ in range(30)]
    for X, y in drawn:
        assert len(set(y.tolist())) == 4
        assert X[:, 0].tolist() == y.tolist()
    assert {int(i) for _, y in drawn for i in y} == set(range(9))


@pytest.mark.parametrize("name", ["clean_term", "clean_term_1"])
def test_the_clean_loss_is_added(name: str) -> None:
    net = CleanTerm(nn.Identity, clean_term=make(name, tiny_setting(tiny_task())).clean_term)
    net.infer = lambda X: X
    net.clean_X_, net.clean_y_ = torch.tensor([[0.0, 0.0]]), torch.tensor([1])
    share = {"clean_term": 0.3, "clean_term_1": 1.0}[name]
    expected = F.cross_entropy(LOGITS, LABELS) + share * torch.tensor(2.0).log()
    torch.testing.assert_close(net.training_loss(LOGITS, LABELS), expected)


def test_the_confusion_is_the_mean_by_class() -> None:
    proba = torch.tensor([[0.8, 0.2, 0.0], [0.6, 0.4, 0.0], [0.1, 0.8, 0.1]])
    found = estimated_confusion(proba, torch.tensor([0, 0, 2]))
    expected = torch.tensor([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.1, 0.8, 0.1]])
    torch.testing.assert_close(found, expected)


def test_gold_loss_correction_spares_clean_rows() -> None:
    net = begun(GoldLossCorrection(nn.Identity))
    net.confusion_ = torch.tensor([[0.7, 0.3], [0.2, 0.8]])
    p = LOGITS.softmax(1)
    given = [p[i, 0] * 0.7 + p[i, 1] * 0.2 for i in (0, 1)]
    expected = -torch.stack([given[0].log(), given[1].log(), p[2, 1].log()]).mean()
    torch.testing.assert_close(net.training_loss(LOGITS, LABELS), expected)


def test_gold_loss_correction_without_confusion_is_plain_training() -> None:
    net = begun(GoldLossCorrection(nn.Identity))
    net.confusion_ = torch.eye(2)
    torch.testing.assert_close(net.training_loss(LOGITS, LABELS), F.cross_entropy(LOGITS, LABELS))


def test_the_confusion_of_a_fit_shows_where_labels_went() -> None:
    task = tiny_task(3)
    y = task.y.copy()
    y[task.y_true == 1] = 0  # class 1 is never given
    X, _, clean_mask = task.with_clean()
    net = make("glc", tiny_setting(task)).set_params(n_steps=100)
    net.fit(X, np.r_[y, task.y_clean], clean_mask=clean_mask)
    assert net.confusion_[1, 0] > 0.6
    assert net.confusion_[0, 0] > 0.8
    torch.testing.assert_close(net.confusion_.sum(1), torch.ones(3))
    missed = np.mean(net.predict(task.X_test)[task.y_test == 1] != 1)
    assert missed < 0.5, "which plain training misses always"


def test_soft_correction() -> None:
    net = begun(CorrectedSoftly(nn.Identity, n_steps=10))
    plain = F.cross_entropy(LOGITS, LABELS)
    torch.testing.assert_close(net.training_loss(-LOGITS, LABELS), F.cross_entropy(-LOGITS, LABELS))
    torch.testing.assert_close(net.training_loss(LOGITS, LABELS), plain)
    q, p = LOGITS.softmax(1), (2 * LOGITS).softmax(1)
    target = 0.5 * F.one_hot(LABELS, 2) + 0.5 * (0.4 * q + 0.6 * p)
    target[2] = torch.tensor([0.0, 1.0])  # is clean
    expected = -(target * p.log()).sum(1).mean()
    torch.testing.assert_close(net.training_loss(2 * LOGITS, LABELS), expected)


def test_soft_correction_follows_rows_from_batch_to_batch() -> None:
    net = begun(CorrectedSoftly(nn.Identity, n_steps=0))
    net.rows_ = torch.tensor([1, 0])
    net.training_loss(LOGITS[[1, 0]], LABELS[[1, 0]])
    torch.testing.assert_close(net.before_[:2], LOGITS[:2].softmax(1))
    assert net.before_[2].isnan().all()
    net.rows_ = torch.tensor([0])
    logits = torch.zeros(1, 2, requires_grad=True)
    net.training_loss(logits, LABELS[:1]).backward()
    target = 0.5 * torch.tensor([1.0, 0.0]) + 0.5 * (0.4 * LOGITS[0].softmax(0) + 0.6 * 0.5)
    torch.testing.assert_close(logits.grad, (0.5 - target)[None])
