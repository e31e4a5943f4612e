"""The grid shows the right images, in their colours, below their labels and weights."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from sklearn_l2rw.inspection.image_grid import ExampleGridDisplay
from tests.display_cases import IMAGES, WEIGHTS, Y


def test_grid_numbers() -> None:
    display = ExampleGridDisplay.from_predictions(WEIGHTS, IMAGES, Y, k=3)
    assert display.indices is not None
    assert display.indices.tolist() == [[0, 1, 5], [3, 6, 7]]  # ties are as they came
    assert display.weights.tolist() == [[0, 0, 0], [3, 2, 2]]
    assert display.labels == [["a", "a", "b"], ["a", "b", "b"]]
    drawn = [np.asarray(image.get_array()) for image in display.images_]
    np.testing.assert_array_equal(drawn, IMAGES[[0, 1, 5, 3, 6, 7]])
    titles = [panel.get_title() for panel in display.axes_.ravel()]
    assert titles[0] == "a\nweight 0"
    assert titles[3] == "a\nweight 3.0"
    names = [panel.get_ylabel() for panel in display.axes_[:, 0]]
    assert names == ["least weight", "greatest weight"]
    assert len({image.get_clim() for image in display.images_}) == 1  # greys can be compared


def test_grid_titles() -> None:
    plain = ExampleGridDisplay.from_predictions(WEIGHTS, IMAGES, k=1)
    assert plain.axes_[0, 0].get_title() == "weight 0"
    numbers = ExampleGridDisplay.from_predictions(WEIGHTS, IMAGES, Y == "b", k=1)
    assert numbers.axes_[0, 0].get_title() == "False\nweight 0"
    codes = (Y == "b").astype(int)
    numbers = ExampleGridDisplay.from_predictions(WEIGHTS, IMAGES, codes, k=1)
    assert numbers.axes_[0, 0].get_title() == "label 0\nweight 0"
    named = ExampleGridDisplay.from_predictions(
        WEIGHTS, IMAGES, codes, k=1, class_names=["cat", "dog"]
    )
    assert named.axes_[0, 0].get_title() == "cat\nweight 0"


def test_grid_of_several_rows() -> None:
    images = np.zeros((40, 2, 2))
    display = ExampleGridDisplay.from_predictions(np.arange(40), images, k=11)
    assert display.axes_.shape == (2, 11)
    assert len(display.figure_.axes) == 22


@pytest.mark.parametrize(
    ("images", "shape"),
    [
        (IMAGES[:, None], (4, 5)),
        (IMAGES[..., None], (4, 5)),
        (np.stack([IMAGES] * 3, axis=1), (4, 5, 3)),
        (np.stack([IMAGES] * 3, axis=-1), (4, 5, 3)),
        (torch.tensor(IMAGES)[:, None], (4, 5)),
    ],
    ids=["n1hw", "nhw1", "n3hw", "nhw3", "tensor"],
)
def test_forms_of_images(images: Any, shape: tuple[int, ...]) -> None:
    display = ExampleGridDisplay.from_predictions(WEIGHTS, images, k=1)
    drawn = np.asarray(display.images_[1].get_array())
    assert drawn.shape == shape
    expected = IMAGES[3] if len(shape) == 2 else np.stack([IMAGES[3]] * 3, axis=-1)
    np.testing.assert_array_equal(drawn, expected)


def test_colors_are_scaled() -> None:
    colors = np.stack([IMAGES] * 3, axis=-1)
    for images in ((255 * colors).round().astype(np.uint8), 255 * colors, 4 * colors - 2):
        display = ExampleGridDisplay.from_predictions(WEIGHTS, images, k=2)
        assert 0 <= display.images.min() < display.images.max() <= 1
        plt.close(display.figure_)
    scaled = ExampleGridDisplay.from_predictions(
        WEIGHTS, (255 * colors).round().astype(np.uint8), k=1
    )
    np.testing.assert_allclose(scaled.images[1, 0], colors[3], atol=1 / 255)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES.reshape(8, -1), r"images of shape \(8, 20\), but expected \(n, h, w\)"),
        (np.zeros((8, 2, 4, 4)), r"images of shape \(8, 2, 4, 4\)"),
        (IMAGES[:7], "Got 7 rows in images and 8 weights"),
    ],
)
def test_wrong_images(images: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ExampleGridDisplay.from_predictions(WEIGHTS, images, k=1)


def test_wrong_k() -> None:
    for k in (0, 4):
        with pytest.raises(ValueError, match=f"Got k={k} and 7 rows with weights.*from 1 to 3"):
            ExampleGridDisplay.from_predictions(WEIGHTS, IMAGES, k=k)
    with pytest.raises(TypeError, match=r"Got k=1.5, but expected a positive int"):
        ExampleGridDisplay.from_predictions(WEIGHTS, IMAGES, k=1.5)  # type: ignore[arg-type]
