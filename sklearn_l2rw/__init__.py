"""Learning to reweight examples (Ren et al., ICML 2018) for scikit-learn and PyTorch."""

from importlib.metadata import version

from .estimators.binary import L2RWBinaryClassifier
from .estimators.classifier import L2RWClassifier
from .estimators.mixin import L2RWMixin
from .estimators.mlp import MLP
from .estimators.multilabel import L2RWMultilabelClassifier
from .estimators.paper import ALGORITHM_1
from .estimators.regressor import L2RWRegressor
from .inspection.image_grid import ExampleGridDisplay
from .inspection.label_errors import rank_label_errors
from .inspection.training_health_display import TrainingHealthDisplay
from .inspection.values_display import ExampleValuesDisplay
from .inspection.weight_history_display import WeightHistoryDisplay
from .inspection.weights_display import ExampleWeightsDisplay
from .meta_gradient.backward import ReweightedStep, reweighted_backward
from .meta_gradient.slopes import chosen_meta_gradient, example_slopes
from .meta_gradient.weights import example_weights
from .training.backup_callback import BackupAndRestore

__all__ = [
    "ALGORITHM_1",
    "MLP",
    "BackupAndRestore",
    "ExampleGridDisplay",
    "ExampleValuesDisplay",
    "ExampleWeightsDisplay",
    "L2RWBinaryClassifier",
    "L2RWClassifier",
    "L2RWMixin",
    "L2RWMultilabelClassifier",
    "L2RWRegressor",
    "ReweightedStep",
    "TrainingHealthDisplay",
    "WeightHistoryDisplay",
    "chosen_meta_gradient",
    "example_slopes",
    "example_weights",
    "rank_label_errors",
    "reweighted_backward",
]
__version__ = version("sklearn_l2rw")
