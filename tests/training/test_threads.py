"""Fits that run at once in threads of one process give what each gives alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from tests.small import MLP, Y_NOISY, X, make_net, same_state, state_of

N_THREADS = 3


class InStep(Callback):
    """Lets fits in threads take turns, where they do not wait for each other anyway.

    They meet at the beginning of training and of each batch, so that the draws of one fit stand
    between those of another. Fits that run one after the other never meet, and go on.
    """

    def __init__(self, barrier: threading.Barrier) -> None:
        self.barrier = barrier

    def meet(self) -> None:
        try:
            self.barrier.wait(timeout=0.5)
        except threading.BrokenBarrierError:
            return

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.meet()

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self.meet()

    def on_batch_begin(self, net: Any, **kwargs: Any) -> None:
        self.meet()

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        self.barrier.abort()


def fitted(seed: int | None, barrier: threading.Barrier | None, **settings: Any) -> Any:
    callbacks = [] if barrier is None else [InStep(barrier)]
    net = make_net(random_state=seed, callbacks=callbacks, **settings)
    return net.fit(X, Y_NOISY)


def check_same_as_alone(seeds: list[Any], **settings: Any) -> None:
    alone = [fitted(seed, None, **settings) for seed in seeds]
    barrier = threading.Barrier(len(seeds))
    with ThreadPoolExecutor(len(seeds)) as pool:
        futures = [pool.submit(fitted, seed, barrier, **settings) for seed in seeds]
        at_once = [future.result() for future in futures]
    for net, expected in zip(at_once, alone, strict=True):
        assert net.meta_gradient_ == expected.meta_gradient_
        assert same_state(state_of(net.module_), state_of(expected.module_))
        np.testing.assert_array_equal(net.example_weights_, expected.example_weights_)
        np.testing.assert_array_equal(net.predict_proba(X), expected.predict_proba(X))


@pytest.mark.parametrize("way", ["auto", "layerwise", "double_backward"])
def test_fits_with_a_random_state(way: str) -> None:
    """Initial parameters, the order of rows and that of clean batches."""
    check_same_as_alone([0, 1, 2], meta_gradient=way, clean_batch_size=3)


def test_fits_of_one_random_state() -> None:
    check_same_as_alone([5, 5, 5], clean_batch_size=3)


def test_fits_with_dropout() -> None:
    check_same_as_alone([0, 1, 2], module__dropout=0.5)


def test_fits_that_split_off_their_clean_sets() -> None:
    check_same_as_alone([0, 1, 2], clean_set=8)


def test_fits_in_which_nothing_is_random() -> None:
    torch.manual_seed(3)
    module = MLP(batch_norm=True)
    check_same_as_alone([None] * N_THREADS, module=module, iterator_train__shuffle=False)


def test_generator_is_as_it_was_after_fits_at_once() -> None:
    before = torch.get_rng_state()
    check_same_as_alone([0, 1, 2])
    assert torch.equal(torch.get_rng_state(), before)
