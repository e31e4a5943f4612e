"""Labels that are likely to be wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_regressor
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from ..data.examples import check_length
from ..targets.checks import check_labels
from ..targets.labels import Encoder
from .fitted import recorded

_METHODS = ("probability", "weight", "both", "value")
_ROUNDING = 1e-2  # probabilities may be of half precision, and of many classes


def rank_label_errors(
    estimator: Any, X: Any, y: Any, *, method: str = "probability", confidence: float = 0.9
) -> Bunch:
    r"""Rank training examples by how likely their labels are wrong.

    With the predicted probability :math:`p_i` of the given label and the relative example weight
    :math:`w_i`, the score is :math:`1 - p_i` (``"probability"``), :math:`1 / (1 + w_i)`
    (``"weight"``), or the mean of the two (``"both"``); with the value :math:`v_i` of the row
    (`example_values_`), it is :math:`(1 - v_i / \max_j |v_j|) / 2`, above a half for a row that did
    harm (``"value"``). A net that is trained on wrong labels
    learns them by heart, so that its own probabilities cannot be used like that; one whose
    weights were learned from a clean set does so far less.

    Parameters
    ----------
    estimator : estimator
        A fitted :class:`L2RWClassifier` or :class:`L2RWBinaryClassifier`, or a Pipeline or search
        that ends in one.
    X : array-like of shape (n_samples, ...), or what else skorch takes
        The examples that it was fitted on. A Pipeline's may be texts, or whatever it takes.
    y : array-like of shape (n_samples,)
        Their given labels.
    method : {"probability", "weight", "both", "value"}, default="probability"
        What to rank by. All but the first need the X and y of the last call of `fit`, in its order;
        a row that was not trained on, being trusted or split off, has score 0 by its weight or
        value.
    confidence : float, default=0.9
        Probability from which another label is suggested, in [0, 1].

    Returns
    -------
    ranking : :class:`~sklearn.utils.Bunch`
        - ``indices``: ndarray of shape (n_samples,), the most suspicious example first;
        - ``scores``: ndarray of shape (n_samples,), in [0, 1], in the order of y;
        - ``suggested``: ndarray of shape (n_samples,), the predicted label where it is not the
          given one and its probability is at least `confidence`, and else the given one.

    Raises
    ------
    ValueError
        If y is not one label for each row of X, has labels that are not among the classes,
        weights are asked for that were not recorded for these rows, or the estimator predicts
        what is no probabilities.
    TypeError
        If the estimator is a regressor.

    See Also
    --------
    ExampleWeightsDisplay : Shows the weights.

    Notes
    -----
    ``cleanlab.filter.find_label_issues(y, estimator.predict_proba(X))`` takes the same
    probabilities, with y as numbers from 0.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_l2rw import L2RWClassifier, rank_label_errors
    >>> X, y = make_blobs(200, centers=[[-4, 0], [4, 0]], random_state=0)
    >>> clean_set = X[:10], y[:10].copy()
    >>> y[[50, 100]] = 1 - y[[50, 100]]  # two labels are wrong
    >>> net = L2RWClassifier(clean_set=clean_set, random_state=0, verbose=0).fit(X, y)
    >>> ranking = rank_label_errors(net, X, y)
    >>> sorted(ranking.indices[:2].tolist())
    [50, 100]
    >>> bool((ranking.suggested[[50, 100]] == 1 - y[[50, 100]]).all())
    True

    """
    if method not in _METHODS:
        raise ValueError(f"Got method={method!r}, but expected one of {list(_METHODS)}.")
    if not 0 <= confidence <= 1:
        raise ValueError(f"Got confidence={confidence}, but expected a probability, 0 to 1.")
    if is_regressor(estimator):
        raise TypeError(
            f"Got the regressor {type(estimator).__name__}, but expected a fitted "
            "classifier: labels are ranked by the probabilities that it predicts."
        )
    check_is_fitted(estimator)
    labels = check_labels(y, "y")
    proba = _probabilities(estimator, X)
    check_length(labels, len(proba))
    encoder = Encoder(np.asarray(estimator.classes_))
    encoder.check(labels, "y")
    codes = encoder.encode(labels).numpy()
    scores = 1 - proba[np.arange(len(codes)), codes]
    if method == "value":
        scores = _by_value(estimator, len(codes))
    elif method != "probability":
        by_weight = _by_weight(estimator, len(codes))
        scores = by_weight if method == "weight" else (scores + by_weight) / 2
    sure = (proba.max(1) >= confidence) & (proba.argmax(1) != codes)
    return Bunch(
        indices=np.argsort(-scores, kind="stable"),
        scores=scores,
        suggested=np.where(sure, encoder.classes[proba.argmax(1)], labels),
    )


def _probabilities(estimator: Any, X: Any) -> NDArray[np.float64]:
    proba = np.asarray(estimator.predict_proba(X), dtype=np.float64)
    least, most, sums = proba.min(), proba.max(), proba.sum(-1)
    within = least >= -_ROUNDING and most <= 1 + _ROUNDING
    if not (proba.ndim == 2 and within and np.abs(sums - 1).max() <= _ROUNDING):
        raise ValueError(
            f"Got predicted numbers from {least:.3g} to {most:.3g} in rows that sum to "
            f"{sums.min():.3g} to {sums.max():.3g}, but expected probabilities, which sum to 1. "
            "Set predict_nonlinearity to what makes them of the module's output, for instance "
            "functools.partial(torch.softmax, dim=-1) for a criterion of your own on logits."
        )
    return np.clip(proba, 0, 1)


def _of_rows(estimator: Any, attribute: str, n: int) -> NDArray[np.float64]:
    """What was recorded of each row of the last fit."""
    found: NDArray[np.float64] = recorded(estimator, attribute)
    if len(found) != n:
        raise ValueError(
            f"Got {n} rows, but the estimator recorded {attribute} of {len(found)} in its last "
            "fit. Give the X and y of that fit, or use method='probability'."
        )
    return found


def _by_weight(estimator: Any, n: int) -> NDArray[np.float64]:
    """Scores of recorded weights; 0 for rows that were never weighed."""
    weights = _of_rows(estimator, "example_weights_", n)
    return np.nan_to_num(1 / (1 + weights), nan=0.0)


def _by_value(estimator: Any, n: int) -> NDArray[np.float64]:
    """Scores of recorded values; 0 for rows that were never weighed."""
    values = _of_rows(estimator, "example_values_", n)
    largest = np.nanmax(np.abs(values), initial=0.0)
    return np.nan_to_num((1 - values / (largest or 1.0)) / 2, nan=0.0)
