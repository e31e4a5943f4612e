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
import matplotlib.pyplot as plt
import numpy as np
import sklearn
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, PredefinedSplit, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_l2rw import MLP, L2RWClassifier

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
grid = {
    "net__lr": [0.03, 0.1, 0.3],
    "net__clean_batch_size": [10, None],
    "net__module__hidden_layer_sizes": [(50,), (100,)],
}
net = L2RWClassifier(max_epochs=20, random_state=0, verbose=0)
with sklearn.config_context(enable_metadata_routing=True):
    net.set_fit_request(X_val=True, y_val=True)
    pipeline = Pipeline([("scale", StandardScaler()), ("net", net)], transform_input=["X_val"])
    search = GridSearchCV(pipeline, grid, cv=fold)
    search.fit(X_all, y_all, X_val=X_clean, y_val=y_clean)
print("chosen:", {name.removeprefix("net__"): value for name, value in search.best_params_.items()})

# %%
# What it is worth
# ----------------
# The same net without a clean set, on the noisy rows, and on the hundred trusted images alone. The
# latter is the rival to beat, and the first thing to try: if it does as well, the noisy rows have
# nothing to add. All are tested on 500 images with right labels.
plain = NeuralNetClassifier(
    MLP,
    module__n_features=64,
    module__n_outputs=2,
    criterion=nn.CrossEntropyLoss,
    lr=0.3,
    train_split=None,
    iterator_train__shuffle=True,
    verbose=0,
)
accuracy, on_noisy = {}, {}
for name, rows, labels, epochs in [
    ("plain, all rows", X_all, y_all, 20),
    ("plain, trusted only", X_trusted, y_trusted, 200),
]:
    torch.manual_seed(0)
    fitted = make_pipeline(StandardScaler(), plain.set_params(max_epochs=epochs)).fit(rows, labels)
    accuracy[name], on_noisy[name] = fitted.score(X_test, y_test), fitted.score(X_train, y_noisy)
accuracy["L2RW, all rows"] = search.score(X_test, y_test)
on_noisy["L2RW, all rows"] = search.score(X_train, y_noisy)
for name, right in accuracy.items():
    print(f"{name:20} right on test: {right:.0%}, agrees with noisy labels: {on_noisy[name]:.0%}")

# %%
# Read the second column as a warning: plain training agrees best with the noisy labels, and is
# worst on the test. A search that is scored on them would choose it.
fig, ax = plt.subplots(figsize=(6, 2.2), layout="constrained")
bars = ax.barh(list(accuracy), [100 * share for share in accuracy.values()], height=0.6)
ax.bar_label(bars, fmt="%.0f", padding=3)
ax.set(xlabel="test images that are told right, % (50: guessing)", xlim=(50, 100))
ax.spines[["top", "right"]].set_visible(False)
ax.invert_yaxis()
plt.show()
