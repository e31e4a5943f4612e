"""
===============================
Wrong labels, and a grid search
===============================

Images of digits are to be told odd from even. 60% of the odd ones are labelled *even*: most labels
of a class are wrong, all in the same direction. More data of this kind does not help. A hundred
images were looked at twice, and their labels are right.

A net with wrong labels can be *trained* with the help of a clean set. It must also be *chosen* with
the help of right labels: a score on wrong labels rewards the net that repeats the mistake.
"""

# %%
# The data
# --------
# The hundred trusted images have two duties, and no image has both. 60 are the clean set, from
# which example weights are learned. 40 are the validation set, by which the grid search chooses.
# The clean set takes part in training, so a score on it would flatter.
import copy
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import sklearn
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_l2rw import ExampleWeightsDisplay, L2RWClassifier

X, y = load_digits(return_X_y=True)
X, y = X.astype(np.float32), y % 2
X_rest, X_test, y_rest, y_test = train_test_split(X, y, test_size=500, stratify=y, random_state=0)
X_train, X_trusted, y_train, y_trusted = train_test_split(
    X_rest, y_rest, test_size=100, stratify=y_rest, random_state=0
)
X_clean, X_check, y_clean, y_check = train_test_split(
    X_trusted, y_trusted, test_size=40, stratify=y_trusted, random_state=0
)
flipped = (y_train == 1) & (np.random.RandomState(0).rand(len(y_train)) < 0.6)
y_noisy = np.where(flipped, 0, y_train)
print(f"{flipped.sum()} of {len(y_noisy)} training labels are wrong")

# %%
# One split, validated on right labels
# ------------------------------------
# ``PredefinedSplit`` makes one fold: train on the rows marked -1, score on those marked 0. When the
# search refits the best candidate, it trains on both.
X_all, y_all = np.concatenate([X_train, X_check]), np.concatenate([y_noisy, y_check])
fold = PredefinedSplit(np.repeat([-1, 0], [len(X_train), len(X_check)]))

# %%
# The clean set has to be scaled as X is
# --------------------------------------
# It is given to ``fit`` as ``X_val`` and ``y_val``, and ``transform_input`` says that ``X_val``
# goes through the scaler, as fitted in that fold. scikit-learn does this where metadata routing is
# switched on, here for one block only. ``set_fit_request`` says that the net wants them.
#
# Plain training is searched in the same way and with the same clean images in its loss. Its one
# difference is a ``warm_up`` of all epochs, in which every row counts alike.
EPOCHS = 20
grid = {"net__lr": [0.03, 0.1, 0.3], "net__module__hidden_layer_sizes": [(50,), (100,)]}
searches = {}
for name, warm_up in {"plain": EPOCHS, "L2RW": 0}.items():
    net = L2RWClassifier(max_epochs=EPOCHS, warm_up=warm_up, random_state=0, verbose=0)
    with sklearn.config_context(enable_metadata_routing=True):
        net.set_fit_request(X_val=True, y_val=True)
        pipeline = Pipeline([("scale", StandardScaler()), ("net", net)], transform_input=["X_val"])
        search = GridSearchCV(pipeline, grid, cv=fold)
        searches[name] = search.fit(X_all, y_all, X_val=X_clean, y_val=y_clean)
    chosen = {key.removeprefix("net__"): value for key, value in search.best_params_.items()}
    print(f"{name}, chosen: {chosen}")

# %%
# What it is worth
# ----------------
# Two more rivals use the hundred trusted images in the simplest of ways, and both are given the
# best of their settings *on the test images*. Logistic regression on these images alone: if it
# does as well, the noisy rows have nothing to add. And plain training, then the trusted images
# alone at a learning rate that is as large or a tenth of it: fine-tuning.
models: dict[str, Any] = {"plain, all rows": searches["plain"]}
alone = [
    make_pipeline(StandardScaler(), LogisticRegression(C=C)).fit(X_trusted, y_trusted)
    for C in (0.001, 0.01, 0.1, 1)
]
tuned = []
for share in (1, 0.1):
    pipeline = copy.deepcopy(searches["plain"].best_estimator_)
    scaler, net = pipeline.named_steps.values()
    net.set_params(lr=share * net.lr, max_epochs=100, warm_up=1000)
    net.partial_fit(scaler.transform(X_trusted), y_trusted)
    tuned.append(pipeline)
models["trusted only"] = max(alone, key=lambda model: model.score(X_test, y_test))
models["fine-tuned"] = max(tuned, key=lambda model: model.score(X_test, y_test))
models["L2RW, all rows"] = searches["L2RW"]
accuracy = {name: model.score(X_test, y_test) for name, model in models.items()}
on_noisy = {name: model.score(X_train, y_noisy) for name, model in models.items()}
for name, right in accuracy.items():
    print(f"{name:16}right on test: {right:.1%}, agrees with noisy labels: {on_noisy[name]:.1%}")

# %%
fig, ax = plt.subplots(figsize=(6.5, 2.4), layout="constrained")
bars = ax.barh(list(accuracy), [100 * share for share in accuracy.values()], height=0.6)
ax.bar_label(bars, fmt="%.1f", padding=3)
ax.set(xlabel="test images that are told right, % (50: guessing)", xlim=(50, 100))
ax.set_title("Odd or even, where most odd ones are labelled even")
ax.spines[["top", "right"]].set_visible(False)
ax.invert_yaxis()

# %%
# Fine-tuning does best here. It has all hundred trusted images and the rate that is best on the
# test; L2RW was chosen by forty images, which tell candidates apart by two or three points at best.
#
# What do the weights say? Of the rows that are labelled *even*, the wrong ones count for next to
# nothing.
display = ExampleWeightsDisplay.from_estimator(
    searches["L2RW"], y_all, class_names=["even", "odd"],
    flipped=np.concatenate([flipped, np.zeros(len(y_check), dtype=bool)]),
)  # fmt: skip
display.ax_.set_title("Weights, by the label that was given", loc="left", pad=44)

# %%
# What to remember
# ----------------
# - Choose by right labels that were not trained on. Plain training agrees best with the noisy
#   labels, and is worst on the test: a search that is scored on noisy labels would choose it.
# - Try the trusted images alone, and fine-tuning, before you believe in anything else: where the
#   trusted images are many for the problem, one of the two may be all you need.
# - In a pipeline, ``transform_input`` sees to it that the clean set is scaled as X is.
plt.show()
