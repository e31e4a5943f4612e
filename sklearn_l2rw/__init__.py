"""Learning to reweight examples (Ren et al., ICML 2018) for scikit-learn and PyTorch."""

from importlib.metadata import version

from ._binary import L2RWBinaryClassifier
from ._classifier import L2RWClassifier
from ._health_display import TrainingHealthDisplay
from ._image_grid import ExampleGridDisplay
from ._label_errors import rank_label_errors
from ._mixin import L2RWMixin
from ._mlp import MLP
from ._multilabel import L2RWMultilabelClassifier
from ._regressor import L2RWRegressor
from ._weight_display import ExampleWeightsDisplay
from ._weight_history_display import WeightHistoryDisplay
from ._weights import example_weights

__all__ = [
    "MLP",
    "ExampleGridDisplay",
    "ExampleWeightsDisplay",
    "L2RWBinaryClassifier",
    "L2RWClassifier",
    "L2RWMixin",
    "L2RWMultilabelClassifier",
    "L2RWRegressor",
    "TrainingHealthDisplay",
    "WeightHistoryDisplay",
    "example_weights",
    "rank_label_errors",
]
__version__ = version("sklearn_l2rw")
