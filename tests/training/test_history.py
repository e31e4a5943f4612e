"""What a fit tells: history by batch and epoch, and the printed log."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import Tensor, nn

from sklearn_l2rw import L2RWClassifier
from tests.small import Y_NOISY, Record, X, Y, make_net

KEYS = ("clean_loss", "zero_weights", "effective_sample_size", "zero_batches")


class Line(nn.Module):
    """Logits (-w x, w x): at w = 0, the gradient of an example with label +-1 is -+ x."""

    def __init__(self, start: float = 0.0) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(start))

    def forward(self, X: Tensor) -> Tensor:
        return torch.cat([-self.w * X, self.w * X], 1)


LINE_CLEAN = (np.array([[1], [-1]], dtype=np.float32), [1, 0])


def line_net(**settings: Any) -> L2RWClassifier:
    """Steps too small to matter, on batches of four in the order of the rows."""
    return make_net(
        Line,
        **{
            "clean_set": LINE_CLEAN,
            "iterator_train__shuffle": False,
            "batch_size": 4,
            "lr": 1e-12,
            **settings,
        },
    )


# One row a batch: inputs, labels, weights.
BATCHES = [
    ([1, 1, -1, -1], [1, 1, 0, 0], [1 / 4] * 4),  # all agree with the clean set
    ([1, 1, -1, -1], [0, 0, 1, 1], [0] * 4),  # all labels are wrong
    ([1, 2, 1, -1], [1, 1, 0, 1], [1 / 3, 2 / 3, 0, 0]),  # the gradient grows with x
    ([5, 1, -1, -1], [1, 0, 1, 1], [1, 0, 0, 0]),  # one carries the batch
    ([1, 3], [1, 1], [1 / 4, 3 / 4]),  # a smaller batch
]


def line_data() -> tuple[Any, Any]:
    rows = np.array([x for xs, _, _ in BATCHES for x in xs], dtype=np.float32)[:, None]
    return rows, np.array([y for _, ys, _ in BATCHES for y in ys])


def fit_line(**settings: Any) -> tuple[L2RWClassifier, Record]:
    record = Record()
    net = line_net(callbacks=[("record", record)], max_epochs=2, **settings)
    return net.fit(*line_data()), record


WAYS = ["auto", "forward", "double_backward", "finite_difference"]


@pytest.mark.parametrize("meta_gradient", WAYS)
def test_values_by_batch(meta_gradient: str) -> None:
    net, record = fit_line(meta_gradient=meta_gradient)
    weights = [np.array(row[2], dtype=float) for row in BATCHES]
    for found, expected in zip(record.weights, weights * 2, strict=True):
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-3)
    batches = net.history[0, "batches"]
    assert [row["zero_batches"] for row in batches] == [0, 1, 0, 0, 0]
    np.testing.assert_allclose([row["zero_weights"] for row in batches], [0, 1, 0.5, 0.75, 0])
    np.testing.assert_allclose(
        [row["effective_sample_size"] for row in batches],
        [4, 0, 1 / (1 / 9 + 4 / 9), 1, 1 / (1 / 16 + 9 / 16)],
        rtol=1e-2,
    )
    log2 = [np.log(2)] * 5
    np.testing.assert_allclose([row["clean_loss"] for row in batches], log2, rtol=1e-5)
    np.testing.assert_allclose(record.clean_losses, log2 * 2, rtol=1e-5)
    # The training loss is that of the weighted batch: 0 where nothing has weight.
    sums = [1, 0, 1, 1, 1]
    np.testing.assert_allclose(
        [row["train_loss"] for row in batches], np.log(2) * np.array(sums), rtol=1e-5
    )
    assert [row["train_batch_size"] for row in batches] == [4, 4, 4, 4, 2]


def test_values_by_epoch() -> None:
    net, _ = fit_line()
    for epoch in (0, 1):
        row = net.history[epoch]
        batches = row["batches"]
        for key in ("clean_loss", "zero_weights", "effective_sample_size"):
            assert row[key] == pytest.approx(np.mean([batch[key] for batch in batches]))
        assert row["zero_weights"] == pytest.approx(2.25 / 5)
        assert row["zero_batches"] == 1
        # skorch's own mean, by examples
        assert row["train_loss"] == pytest.approx(np.log(2) * 14 / 18, rel=1e-4)


def test_a_batch_without_weights_leaves_the_parameters() -> None:
    record = Record()
    net = make_net(
        Line, clean_set=LINE_CLEAN, iterator_train__shuffle=False,
        batch_size=4, lr=0.5, max_epochs=1, callbacks=[("record", record)],
    )  # fmt: skip
    rows = np.array([[1], [2], [3], [4]] * 2, dtype=np.float32)
    net.fit(rows, [0] * 4 + [1] * 4)
    assert record.weights[0].tolist() == [0] * 4
    assert float(record.parameters[0]["w"]) == 0
    assert float(record.parameters[1]["w"]) > 0
    assert net.history[0]["zero_batches"] == 1


def test_keys_and_types() -> None:
    net = make_net(max_epochs=2).fit(X, Y)
    plain = {"epoch", "dur", "batches", "train_loss", "train_loss_best", "train_batch_count"}
    assert set(net.history[-1]) == {*plain, *KEYS}
    for row in net.history:
        for key in (*KEYS, "train_loss"):
            kind = int if key == "zero_batches" else float
            assert isinstance(row[key], kind), key
            assert all(type(batch[key]) is kind for batch in row["batches"]), key
    assert net.history[:, "batches", :, "clean_loss"] != []
    json.dumps(net.history.to_list())


def test_history_of_weights_is_that_of_the_callback() -> None:
    record = Record()
    net = make_net(max_epochs=3, callbacks=[("record", record)]).fit(X, Y)
    weights = iter(record.weights)
    for row in net.history:
        for batch in row["batches"]:
            w = next(weights).numpy().astype(float)
            assert len(w) == batch["train_batch_size"]
            assert w.sum() == pytest.approx(1, abs=1e-5) or not w.any()
            assert batch["zero_weights"] == pytest.approx(np.mean(w == 0))
            expected = w.sum() ** 2 / (w**2).sum() if w.any() else 0
            assert batch["effective_sample_size"] == pytest.approx(expected, rel=1e-4)
    assert next(weights, None) is None


# The printed log


def table(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines() if line.strip()]


def test_printed_log(capsys: pytest.CaptureFixture[str]) -> None:
    net = make_net(max_epochs=3, verbose=1).fit(X, Y)
    out = capsys.readouterr().out
    header, rule, *rows = table(out)
    assert header[0] == "epoch"
    assert {"train_loss", "clean_loss", "zero_weights", "effective_sample_size"} <= set(header)
    assert all(set(dashes) == {"-"} for dashes in rule)
    assert len(rows) == 3
    for number, row in enumerate(rows):
        values = dict(zip(header, row, strict=True))
        assert values["epoch"] == str(number + 1)
        for key in ("clean_loss", "zero_weights", "effective_sample_size"):
            assert "tensor" not in values[key]
            assert float(values[key]) == pytest.approx(net.history[number, key], abs=1e-3)
        assert int(values["zero_batches"]) == net.history[number, "zero_batches"]
    assert max(len(line) for line in out.splitlines()) <= 120


def test_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    net = make_net(verbose=0).fit(X, Y)
    net.partial_fit(X, Y)
    net.set_params(module__hidden=3)
    net.fit(X, Y).predict(X)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_callbacks_get_numbers_of_the_step() -> None:
    """A callback at the end of a batch sees loss, output, weights and clean loss."""
    seen: list[dict[str, Any]] = []

    class Look(Callback):
        def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
            seen.append(kwargs)
            last = net.history[-1, "batches", -1]
            assert float(last["train_loss"]) == pytest.approx(float(kwargs["loss"].detach()))
            assert f"{last['train_loss']:.3f}" == f"{float(last['train_loss']):.3f}"
            assert f"{kwargs['loss'].item():.3f}" == f"{float(last['train_loss']):.3f}"

    make_net(callbacks=[Look()], max_epochs=1).fit(X, Y)
    assert len(seen) == 3
    for kwargs in seen:
        assert kwargs["weights"].shape == (len(kwargs["batch"][1]),)
        assert not kwargs["weights"].requires_grad
        assert not kwargs["clean_loss"].requires_grad
        assert kwargs["y_pred"].shape == (len(kwargs["batch"][1]), 2)


def test_no_graph_is_kept_in_the_history() -> None:
    net = make_net().fit(X, Y)

    def tensors(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [found for v in value.values() for found in tensors(v)]
        if isinstance(value, list):
            return [found for v in value for found in tensors(v)]
        return [value] if isinstance(value, Tensor) else []

    assert tensors(net.history.to_list()) == []


# Interrupted training


class InterruptAt(Callback):
    """What Ctrl-C does in a step of an epoch."""

    def __init__(self, epoch: int, batch: int, when: str = "on_batch_begin") -> None:
        self.epoch, self.batch, self.when = epoch, batch, when
        self.done = False

    def _maybe(self, net: Any, when: str) -> None:
        here = (len(net.history), len(net.history[-1, "batches"]))
        if not self.done and when == self.when and here == (self.epoch, self.batch):
            self.done = True
            raise KeyboardInterrupt

    def on_batch_begin(self, net: Any, batch: Any = None, **kwargs: Any) -> None:
        self._maybe(net, "on_batch_begin")

    def on_grad_computed(self, net: Any, named_parameters: Any, **kwargs: Any) -> None:
        self._maybe(net, "on_grad_computed")

    def on_batch_end(self, net: Any, **kwargs: Any) -> None:
        self._maybe(net, "on_batch_end")


@pytest.mark.parametrize("when", ["on_batch_begin", "on_grad_computed", "on_batch_end"])
@pytest.mark.parametrize(("epoch", "batch"), [(1, 1), (1, 2), (3, 1), (3, 2), (3, 3)])
def test_interrupt_keeps_what_was_trained(epoch: int, batch: int, when: str) -> None:
    record = Record()
    stop = InterruptAt(epoch, batch, when)
    net = make_net(max_epochs=5, callbacks=[("record", record), ("stop", stop)])
    state = torch.get_rng_state()
    net.fit(X, Y)
    assert torch.equal(torch.get_rng_state(), state)
    assert len(net.history) == epoch
    n_done = len(record.parameters)
    assert n_done == 3 * (epoch - 1) + batch - (when != "on_batch_end")
    if n_done:
        weights = net.module_.inner.weight.detach()
        assert torch.equal(weights, record.parameters[-1]["inner.weight"])
    assert net.predict(X).shape == (42,)
    json.dumps(net.history.to_list())
    for row in net.history[: epoch - 1]:
        assert all(key in row for key in KEYS)
    net.partial_fit(X, Y)
    assert len(net.history) == epoch + 5
    assert all(key in net.history[-1] for key in KEYS)


# What callbacks see of a step


class Reader(Callback):
    """Reads the numbers of a step, as loggers do."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def on_batch_end(self, net: Any, training: bool = False, loss: Any = None, **kw: Any) -> None:
        if training:
            row = net.history[-1]["batches"][-1]
            assert f"{loss:.3f}" == f"{row['train_loss']:.3f}"
            self.rows.append(json.loads(json.dumps(row)))


def test_numbers_of_a_step_are_there_at_its_end() -> None:
    net = make_net(callbacks=[Reader()]).fit(X, Y_NOISY)
    (reader,) = (callback for _, callback in net.callbacks_ if isinstance(callback, Reader))
    written = [row for epoch in net.history for row in epoch["batches"]]
    assert reader.rows == written
    assert {"clean_loss", "zero_weights", "effective_sample_size", "zero_batches"} <= set(
        written[0]
    )
