"""
=======================================
Texts that a rule of keywords has named
=======================================

Nobody has read the texts, but somebody has written a rule: *says "filter": signal processing*. It
is right more often than not, and where it is wrong it is wrong for a reason, so that a net learns
its mistakes. A hundred texts were read. Does that help to do better than the rule?

No mistake is simulated here: the texts, the rule and its mistakes are real.
"""

# %%
# The data
# --------
# The documentation of scipy's functions, read from its source, for it ships with this package. In
# which of four areas does a function belong? The answer is known, as the source has a folder for
# each, and is used for the texts that somebody has "read", and for the test.
import ast
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import scipy
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from torch import nn

from sklearn_l2rw import L2RWClassifier, rank_label_errors

RULE = {
    "linalg": ["matrix", "matrices", "eigen", "decomposition"],
    "optimize": ["minimi", "optimi", "solver", "constraint"],
    "signal": ["signal", "filter", "frequency", "window"],
    "stats": ["distribution", "statistic", "sample", "random"],
}
AREAS = np.array(list(RULE))


def docstrings(area: str) -> list[str]:
    """What the functions and classes of a part of scipy say of themselves, each text once."""
    found = {}
    for path in sorted((Path(scipy.__file__).parent / area).rglob("*.py")):
        if "tests" not in path.parts:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    found[ast.get_docstring(node) or ""] = True
    return [text for text in found if len(text) > 150]


def by_rule(text: str) -> str:
    """The area whose keywords are in a text most often; most are of stats, where there are none."""
    hits = [sum(text.lower().count(word) for word in words) for words in RULE.values()]
    return str(AREAS[np.argmax(hits)]) if any(hits) else "stats"


pairs = np.array([(text, area) for area in AREAS for text in docstrings(area)], dtype=object)
texts, y_true = np.random.RandomState(0).permutation(pairs).T
y_true = y_true.astype(str)
y_rule = np.array([by_rule(text) for text in texts])
for area in AREAS:
    of_area = y_true == area
    wrong = np.mean(y_rule[of_area] != area)
    print(f"{area:9} {of_area.sum()} texts, {wrong:.0%} of them named wrongly by the rule")

# %%
# The first 25 texts of each area are those that somebody has read. 450 others are for the test, and
# the rest is for training, with the labels of the rule.
read = {area: np.flatnonzero(y_true == area)[:25] for area in AREAS}
rest = np.setdiff1d(np.arange(len(texts)), np.concatenate(list(read.values())))
test, train = rest[:450], rest[450:]

# %%
# An encoder, and a linear head
# -----------------------------
# The encoder turns a text into numbers, and is not trained. Here it counts words, as there is
# nothing to download for that. The clean texts go through the same encoder.
encoder = TfidfVectorizer(min_df=3, max_features=3000, stop_words="english", sublinear_tf=True)
X = encoder.fit(texts[train]).transform(texts).toarray().astype(np.float32)

# %%
# With a model of Hugging Face, a function takes its place; all else stays as it is::
#
#     import torch
#     from transformers import AutoModel, AutoTokenizer
#
#     tokenizer = AutoTokenizer.from_pretrained("sentence-transformers/all-MiniLM-L6-v2")
#     model = AutoModel.from_pretrained("sentence-transformers/all-MiniLM-L6-v2").eval()
#
#     def encode(texts):
#         batch = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
#         with torch.no_grad():
#             states = model(**batch).last_hidden_state
#         mask = batch["attention_mask"].unsqueeze(-1)
#         return ((states * mask).sum(1) / mask.sum(1)).numpy()
#
# Encode in batches of a few hundred texts, once, and keep the numbers. To train the model itself,
# give it as the module.


# %%
# How many texts are worth reading?
# ---------------------------------
# The head is trained on what the rule says, with 3 to 25 texts an area read as its clean set. There
# are two rivals, and each has the best of its settings *on the test texts*, which L2RW has not:
#
# - *read texts alone*: logistic regression on them, with a ``C`` of 1, 10 or 100;
# - *fine-tuned*: the same head, with the read texts in its loss and averaged parameters, but all
#   rows weighed alike (a ``warm_up`` that never ends); then 100 steps on the read texts, at a rate
#   half as large, as larger and smaller ones do worse.
def head(clean: NDArray[np.intp], lr: float, warm_up: int) -> L2RWClassifier:
    """Fit the linear head on the labels of the rule."""
    net = L2RWClassifier(
        nn.Linear, module__in_features=X.shape[1], module__out_features=len(AREAS), lr=lr,
        clean_set=(X[clean], y_true[clean]), warm_up=warm_up, max_grad_norm=None, max_epochs=20,
        random_state=0, verbose=0,
    )  # fmt: skip
    net.fit(X[train], y_rule[train])
    return net


def score(model: LogisticRegression | L2RWClassifier) -> float:
    """Mean share of each area that is told right."""
    return float(balanced_accuracy_score(y_true[test], model.predict(X[test])))


sizes = [3, 8, 25]
scores: dict[str, list[float]] = {"read texts alone": [], "fine-tuned": [], "L2RW": []}
for size in sizes:
    clean = np.concatenate([rows[:size] for rows in read.values()])
    alone = [LogisticRegression(C=C).fit(X[clean], y_true[clean]) for C in (1, 10, 100)]
    tuned = [head(clean, lr, warm_up=1000) for lr in (2.0, 8.0)]
    for plain in tuned:
        plain.set_params(lr=plain.lr / 2, max_epochs=100).partial_fit(X[clean], y_true[clean])
    net = head(clean, lr=2.0, warm_up=0)
    scores["read texts alone"].append(max(map(score, alone)))
    scores["fine-tuned"].append(max(map(score, tuned)))
    scores["L2RW"].append(score(net))
    print(f"{size:3} read:", ", ".join(f"{name} {s[-1]:.1%}" for name, s in scores.items()))

of_rule = balanced_accuracy_score(y_true[test], y_rule[test])
fig, ax = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
for (name, values), style in zip(scores.items(), ["s:", "^--", "o-"], strict=True):
    ax.plot(sizes, [100 * value for value in values], style, label=name)
ax.axhline(100 * of_rule, color="gray", linewidth=1, label="the rule itself")
ax.set(xlabel="texts read of each area", ylabel="balanced accuracy, %", xticks=sizes)
ax.set_title("Telling the area of a text")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)

# %%
# Which texts does the rule get wrong?
# ------------------------------------
# ``rank_label_errors`` says where to look first. The texts at its top, by the net of the 25 read
# texts, and how many of the first fifty the rule gets wrong, as the folders have it:
ranking = rank_label_errors(net, X[train], y_rule[train])
wrong = y_rule[train] != y_true[train]
n_wrong = wrong[ranking.indices[:50]].sum()
print(f"{n_wrong} of the first fifty, and {wrong.mean():.0%} of all, are wrong")
for row in train[ranking.indices[:3]]:
    print(f"\nthe rule says {y_rule[row]}, the folder {y_true[row]}:")
    print(texts[row][:120].replace("\n", " "))

# %%
# What to remember
# ----------------
# - A rule and a few texts that were read make more than each of them alone.
# - With enough read texts, the others have nothing to add: 25 of each area do best alone. The
#   simplest model on what was read is the first thing to try, and the rival to beat.
# - Encode once, and weigh the head alone: that takes seconds, whatever the encoder is.
plt.show()
