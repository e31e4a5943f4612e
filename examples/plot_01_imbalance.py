"""
=================================================
A rare class, in a pipeline, with SMOTE beside it
=================================================

Four rows in a hundred are of the class that matters. A net can be right on the other 96 by never
naming that class. Three remedies are compared with doing
nothing:

- *class weights*: an error on the rare class costs more;
- *SMOTE*: new rare rows are made up between the ones that there are;
- *L2RW*: a small balanced clean set is split off the training rows, and each row's weight is
  learned from it.

All four train the same net. The scaler, SMOTE and the split of the clean set are fitted inside each
fold of the cross-validation, and never see a test row.
"""

# %%
# The data
# --------
# A made-up table of 2,000 rows. No label is wrong.
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_l2rw import MLP, ExampleWeightsDisplay, L2RWClassifier

X, y = make_classification(
    2000, 20, n_informative=8, n_redundant=4, n_clusters_per_class=3,
    weights=[0.96], flip_y=0, random_state=0,
)  # fmt: skip
X = X.astype(np.float32)
print(f"{(y == 1).sum()} of {len(y)} rows are rare")

# %%
# The four pipelines
# ------------------
# ``clean_set=20`` takes 20 rows, ten of each class, out of the training rows inside ``fit``. It is
# for labels that are right. Its price: ten of some 63 rare rows of a fold are not trained on.
# imbalanced-learn's pipeline is scikit-learn's, and takes samplers too.
training: dict[str, Any] = {"lr": 0.1, "max_epochs": 40, "verbose": 0}
plain = NeuralNetClassifier(
    MLP,
    module__n_features=20,
    module__n_outputs=2,
    criterion=nn.CrossEntropyLoss,
    train_split=None,
    iterator_train__shuffle=True,
    **training,
)
balanced = torch.tensor(len(y) / (2 * np.bincount(y)), dtype=torch.float32)
weighted = clone(plain).set_params(criterion__weight=balanced)
pipelines = {
    "plain": make_pipeline(StandardScaler(), plain),
    "class weights": make_pipeline(StandardScaler(), weighted),
    "SMOTE": make_pipeline(StandardScaler(), SMOTE(random_state=0), plain),
    "L2RW": make_pipeline(
        StandardScaler(), L2RWClassifier(clean_set=20, random_state=0, **training)
    ),
}

# %%
# Two scores, two questions
# -------------------------
# *Balanced accuracy*, the mean share of each class that is found, looks at the labels that are
# predicted. *Average precision* looks at the order only: are rare rows given higher probabilities
# than others, wherever the threshold is?
metrics = ["balanced_accuracy", "average_precision"]
folds = StratifiedKFold(5, shuffle=True, random_state=0)
scores = {}
for name, pipeline in pipelines.items():
    torch.manual_seed(0)
    found = cross_validate(pipeline, X, y, cv=folds, scoring=metrics)
    scores[name] = {metric: found[f"test_{metric}"] for metric in metrics}
    means = ", ".join(f"{metric} {scores[name][metric].mean():.2f}" for metric in metrics)
    print(f"{name:14}{means}")

# %%
# What wins?
# ----------
# All three remedies find far more of the rare class than plain training. L2RW is level with class
# weights in balanced accuracy, within what the folds differ by. In average precision it is the
# worst of the four: the rare rows that it sets aside are not trained on, and few rows carry each
# step. **Where classes are rare and labels are right, take class weights**: they are simpler,
# faster and rank better. L2RW is for data whose labels may be wrong as well (next example).
fig, axes = plt.subplots(1, 2, figsize=(8, 2.6), sharey=True, layout="constrained")
for ax, metric in zip(axes, metrics, strict=True):
    for place, name in enumerate(pipelines):
        values = scores[name][metric]
        ax.plot(values, [place] * len(values), "o", color="C0", alpha=0.4, markeredgewidth=0)
        ax.plot(values.mean(), place, "|", color="C0", markersize=18, markeredgewidth=3)
    ax.set(xlabel=f"{metric.replace('_', ' ')} (dash: mean)", xlim=(0, 1))
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="x", alpha=0.3)
axes[0].set_yticks(range(len(pipelines)), list(pipelines))
axes[0].set_ylim(len(pipelines) - 0.5, -0.5)
fig.suptitle("Scores of five folds")

# %%
# What the weights say
# --------------------
# Fitted on all rows, the net's ``example_weights_`` tell how much each row counted; 1 is what it
# would count in plain training. The rare class is lifted above the common one, though nobody said
# which class is rare. The twenty rows of the clean set have no weight, and are left out.
fitted = pipelines["L2RW"].fit(X, y)
display = ExampleWeightsDisplay.from_estimator(fitted, y, class_names=["common", "rare"])
print(f"mean weight: common {display.means_[0]:.1f}, rare {display.means_[1]:.1f}")
plt.show()
