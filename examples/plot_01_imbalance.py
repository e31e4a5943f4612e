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
# Handwritten digits, which ship with scikit-learn: which are eights? Of these we keep 60, so that
# they are rare. No label is wrong.
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_l2rw import ExampleWeightsDisplay, L2RWClassifier

X, digits = load_digits(return_X_y=True)
kept = (digits != 8) | (np.cumsum(digits == 8) <= 60)
X, y = X[kept].astype(np.float32), (digits[kept] == 8).astype(int)
print(f"{(y == 1).sum()} of {len(y)} rows are rare")

# %%
# The four pipelines
# ------------------
# ``clean_set=20`` takes 20 rows, ten of each class, out of the training rows inside ``fit``. It is
# for labels that are right. Its price: ten of 40 rare rows are not weighed, though they are learned
# from. imbalanced-learn's pipeline is scikit-learn's, and takes samplers too.
#
# The rivals are the same class with a ``warm_up`` of all epochs, in which no row is weighed, and
# without the clean loss: plain training, with averaged parameters as L2RW has them. It asks for a
# clean set all the same, and gets as few rows as can be.
EPOCHS = 20


def pipeline(name: str, lr: float) -> Pipeline:
    """The pipeline of a remedy."""
    own: dict[str, Any] = {"clean_set": 20}
    if name != "L2RW":
        own = {"clean_set": 2, "warm_up": EPOCHS, "clean_loss_weight": 0}
    net = L2RWClassifier(
        lr=lr, max_epochs=EPOCHS, random_state=0, verbose=0,
        class_weight="balanced" if name == "class weights" else None, **own,
    )  # fmt: skip
    sampler = [SMOTE(random_state=0)] if name == "SMOTE" else []
    return make_pipeline(StandardScaler(), *sampler, net)


# %%
# Two scores, two questions
# -------------------------
# *Balanced accuracy*, the mean share of each class that is found, looks at the labels that are
# predicted. *Average precision* looks at the order only: are rare rows given higher probabilities
# than others, wherever the threshold is? Each remedy has the learning rate of two that gives it the
# better balanced accuracy.
metrics = ["balanced_accuracy", "average_precision"]
folds = StratifiedKFold(3, shuffle=True, random_state=0)
names = ["plain", "class weights", "SMOTE", "L2RW"]
scores = {}
for name in names:
    found = [
        cross_validate(pipeline(name, lr), X, y, cv=folds, scoring=metrics) for lr in (0.1, 0.5)
    ]
    best = max(found, key=lambda tried: tried["test_balanced_accuracy"].mean())
    scores[name] = {metric: best[f"test_{metric}"] for metric in metrics}
    means = ", ".join(f"{metric} {scores[name][metric].mean():.3f}" for metric in metrics)
    print(f"{name:14}{means}")

# %%
# What wins?
# ----------
# Class weights, and SMOTE close behind. L2RW is the worst of the four: it finds no more of the rare
# class than plain training does, and ranks the rows far worse. Few rows carry each of its steps,
# and where labels are right there is nothing to distrust.
fig, axes = plt.subplots(1, 2, figsize=(8, 2.6), sharey=True, layout="constrained")
for ax, metric in zip(axes, metrics, strict=True):
    for place, name in enumerate(names):
        values = scores[name][metric]
        ax.plot(values, [place] * len(values), "o", color="C0", alpha=0.4, markeredgewidth=0)
        ax.plot(values.mean(), place, "|", color="C0", markersize=18, markeredgewidth=3)
    ax.set(xlabel=f"{metric.replace('_', ' ')} (dash: mean)", xlim=(0.5, 1))
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="x", alpha=0.3)
axes[0].set_yticks(range(len(names)), names)
axes[0].set_ylim(len(names) - 0.5, -0.5)
fig.suptitle("Which digits are eights? Scores of three folds")

# %%
# What the weights say
# --------------------
# Fitted on all rows, the net's ``example_weights_`` tell how much each row counted; 1 is what it
# would count in plain training. The rare class is lifted above the common one, though nobody said
# which class is rare: what class weights do from a count is learned here, at a price. The twenty
# rows of the clean set have no weight, and are left out.
fitted = pipeline("L2RW", 0.5).fit(X, y)
display = ExampleWeightsDisplay.from_estimator(fitted, y, class_names=["common", "rare"])
display.ax_.set_title("What the rows counted", loc="left", pad=26)
print(f"mean weight: common {display.means_[0]:.1f}, rare {display.means_[1]:.1f}")

# %%
# What to remember
# ----------------
# - **Where classes are rare and labels are right, take class weights**: they are simpler, faster,
#   find more and rank better.
# - L2RW is for labels that may be wrong, with rare classes beside or not: see the next examples.
# - Scale, sample and split within the pipeline, so that no test row is seen.
plt.show()
