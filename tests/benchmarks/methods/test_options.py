"""Options of nets: rates that fall, parameters that are averaged, gradients that are clipped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks.methods import fit, make
from benchmarks.methods.net import Net
from benchmarks.methods.options import MAX_NORM, Averaged, Falling
from benchmarks.methods.training import n_epochs
from tests.small_benchmarks import TINY, tiny_setting, tiny_task


def record(kind: Any, seen: list[Any], look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Note something of a net after each of its steps, before its callbacks come."""
    on_batch_end = kind.on_batch_end

    def recorded(self: Any, net: Any, *args: Any, training: bool = False, **kwargs: Any) -> Any:
        if training:
            seen.append(look(self))
        return on_batch_end(self, net, *args, training=training, **kwargs)

    monkeypatch.setattr(kind, "on_batch_end", recorded)


def rate(net: Any) -> float:
    return float(net.optimizer_.param_groups[0]["lr"])


def parameters(net: Any) -> list[Tensor]:
    return [p.detach().clone() for p in net.module_.parameters()]


def test_the_rate_falls_linearly_to_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    record(Net, rates, rate, monkeypatch)
    net = fit("unweighted_falling", tiny_setting(tiny_task(), replace(TINY, n_steps=16)))
    np.testing.assert_allclose(rates, 0.1 * (1 - np.arange(16) / 16))
    assert rate(net) == 0


def test_the_rate_of_stages_falls_over_both_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    record(Net, rates, rate, monkeypatch)
    fit("fine_tuned_slowly_falling", tiny_setting(tiny_task(), replace(TINY, n_steps=20)))
    assert len(rates) == 16 + 4
    expected = 0.1 * (1 - np.arange(20) / 20) * np.repeat([1, 0.1], [16, 4])
    np.testing.assert_allclose(rates, expected)


def test_the_rate_falls_beside_milestones() -> None:
    training = replace(TINY, n_steps=16, n_steps_ours=16, milestones=(0.5,))
    for name in ("unweighted_falling", "l2rw_falling"):
        setting = tiny_setting(tiny_task(), training)
        callbacks = dict(make(name, setting).callbacks)
        assert list(callbacks) == ["schedule", "falling"]
        assert rate(fit(name, setting)) == 0


@pytest.mark.parametrize("name", ["unweighted", "l2rw", "l2rw_composed"])
def test_the_mean_is_that_of_the_last_half(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    training = replace(TINY, n_steps=48, n_steps_ours=48)
    setting = tiny_setting(tiny_task(), training)
    seen: list[list[Tensor]] = []
    averaged = make(f"{name}_averaged", setting)
    record(type(averaged), seen, parameters, monkeypatch)
    net = fit(f"{name}_averaged", setting)
    assert len(seen) == 48
    for i, p in enumerate(net.module_.parameters()):
        expected = torch.stack([at[i] for at in seen[24:]]).mean(0)
        torch.testing.assert_close(p.detach(), expected)
        assert not torch.allclose(p.detach(), seen[-1][i])
    plain = fit(name, setting)
    for p, last in zip(plain.module_.parameters(), seen[-1], strict=True):
        assert torch.equal(p, last), "training itself is not changed"


def test_stages_go_on_from_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    training = replace(TINY, n_steps=40)
    seen: list[list[Tensor]] = []
    record(Net, seen, parameters, monkeypatch)
    monkeypatch.setattr("benchmarks.methods.stages.FineTunedSlowly.factor", 0.0)
    net = fit("fine_tuned_slowly_averaged", tiny_setting(tiny_task(), training))
    assert len(seen) == 32 + 8
    for i, p in enumerate(net.module_.parameters()):
        torch.testing.assert_close(p.detach(), torch.stack([at[i] for at in seen[16:32]]).mean(0))


def test_one_epoch_is_not_averaged() -> None:
    task = tiny_task()
    training = replace(TINY, n_steps=8)
    assert n_epochs(8, 160, 20) == 1
    nets = [fit(f"unweighted{s}", tiny_setting(task, training)) for s in ("", "_averaged")]
    np.testing.assert_array_equal(*(net.predict_proba(task.X_test) for net in nets))


def test_statistics_of_batch_normalization_are_made_anew() -> None:
    task = tiny_task()
    X, y, _ = task.with_clean()
    module = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2))
    net = Net(module, n_steps=40, batch_size=20, lr=0.1, verbose=0)
    net.set_params(callbacks=[("averaged", Averaged())])
    net.fit(X, y)
    found = net.module_[0]
    torch.testing.assert_close(found.running_mean, torch.as_tensor(X.mean(0)))
    assert int(found.num_batches_tracked) == 8


def test_gradients_are_clipped(monkeypatch: pytest.MonkeyPatch) -> None:
    norms: list[float] = []
    monkeypatch.setattr(Net, "training_loss", lambda net, logits, y: 100 * logits.square().sum())

    def norm(net: Any) -> float:
        return float(torch.stack([p.grad.norm() for p in net.module_.parameters()]).norm())

    record(Net, norms, norm, monkeypatch)
    fit("unweighted_clipped", tiny_setting(tiny_task()))
    assert max(norms) <= MAX_NORM * (1 + 1e-5)
    assert min(norms) > 0.5


def test_a_refit_begins_at_the_full_rate() -> None:
    net = make("unweighted_falling", tiny_setting(tiny_task()))
    X, y, _ = tiny_task().with_clean()
    first = net.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(net.fit(X, y).predict_proba(X), first)
    assert isinstance(dict(net.callbacks)["falling"], Falling)
