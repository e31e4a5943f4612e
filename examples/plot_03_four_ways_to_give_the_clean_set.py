"""
===============================
Four ways to give the clean set
===============================

The clean set is the small set whose labels you trust. There are four ways to hand it over:

===============================  ==================================================================
way                              take it when
===============================  ==================================================================
``clean_set=(Xv, yv)``           there is no preprocessing, or it was done before; images, Datasets
``fit(..., X_val=, y_val=)``     the net is behind a scaler or an encoder in a pipeline
``fit(..., clean_mask=mask)``    trusted rows are among the others, and cross-validation cuts them
``clean_set=20``                 all labels are right, and the problem is a rare class
===============================  ==================================================================

They mean the same thing. Two at once are an error.
"""

# %%
# The data
# --------
# Wine of three kinds, by 13 measurements. A third of the labels is wrong, but 30 rows are trusted.
from typing import Any

import numpy as np
import sklearn
from sklearn.datasets import load_wine
from sklearn.model_selection import StratifiedKFold, cross_validate, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_l2rw import L2RWClassifier

X, y_true = load_wine(return_X_y=True)
X, X_test, y_true, y_test = train_test_split(X, y_true, test_size=58, random_state=0)
rng = np.random.RandomState(0)
trusted = np.arange(len(y_true)) < 30
flipped = ~trusted & (rng.rand(len(y_true)) < 1 / 3)
y = np.where(flipped, (y_true + rng.randint(1, 3, len(y_true))) % 3, y_true)
X_clean, y_clean, X_train, y_train = X[trusted], y[trusted], X[~trusted], y[~trusted]
settings: dict[str, Any] = {"max_epochs": 40, "batch_size": 32, "random_state": 0, "verbose": 0}
probabilities = {}

# %%
# 1. In the constructor
# ---------------------
# The net uses the clean set as it is: preprocess it by hand, as X is.
scaler = StandardScaler().fit(X_train)
net = L2RWClassifier(clean_set=(scaler.transform(X_clean), y_clean), **settings)
net.fit(scaler.transform(X_train), y_train)
probabilities["clean_set"] = net.predict_proba(scaler.transform(X_test))

# %%
# 2. As X_val and y_val
# ---------------------
# With ``transform_input=["X_val"]``, a pipeline sends ``X_val`` through the fitted steps, and it is
# scaled as X is. That needs metadata routing, here switched on for one block.
with sklearn.config_context(enable_metadata_routing=True):
    net = L2RWClassifier(**settings).set_fit_request(X_val=True, y_val=True)
    pipeline = Pipeline([("scale", StandardScaler()), ("net", net)], transform_input=["X_val"])
    pipeline.fit(X_train, y_train, X_val=X_clean, y_val=y_clean)
probabilities["X_val, y_val"] = pipeline.predict_proba(X_test)

# %%
# 3. As a mask
# ------------
# ``clean_mask`` is True for the trusted rows of X, which are taken out of the training rows. The
# scaler learns from all rows, those of the clean set too. This is the one difference to the ways
# above; scaled alike by hand, they agree.
pipeline = make_pipeline(StandardScaler(), L2RWClassifier(**settings))
pipeline.fit(X, y, l2rwclassifier__clean_mask=trusted)
probabilities["clean_mask"] = pipeline.predict_proba(X_test)

scaler = StandardScaler().fit(X)
net = L2RWClassifier(clean_set=(scaler.transform(X_clean), y_clean), **settings)
net.fit(scaler.transform(X_train), y_train)
probabilities["clean_set, scaled alike"] = net.predict_proba(scaler.transform(X_test))

# %%
# In cross-validation, the mask is cut as X is: no test row is in a clean set. Stratified by the
# mask, each fold has as many trusted rows. Only these have labels that are fit to score on.
folds = list(StratifiedKFold(3).split(X, trusted))
with sklearn.config_context(enable_metadata_routing=True):
    net = L2RWClassifier(**settings).set_fit_request(clean_mask=True)
    pipeline = make_pipeline(StandardScaler(), net)
    found = cross_validate(
        pipeline, X, y, cv=folds, params={"clean_mask": trusted}, return_estimator=True
    )
rows = [test[trusted[test]] for _, test in folds]
models = found["estimator"]
right = [net.score(X[some], y[some]) for net, some in zip(models, rows, strict=True)]
n_clean = [len(net[-1].clean_set_[1]) for net in models]
print(f"clean rows in each fold: {n_clean}, trusted test rows told right: {np.mean(right):.0%}")

# %%
# 4. As a number
# --------------
# ``clean_set=30`` takes 30 rows, ten of each class, out of the training rows, right or wrong. A
# share works too, as in ``clean_set=0.1``. Rows that were taken have no example weight, by which
# they are found again here, to make a mask of them.
X_scaled = scaler.transform(X)
net = L2RWClassifier(clean_set=30, **settings).fit(X_scaled, y)
taken = np.isnan(net.example_weights_)
probabilities["clean_set=30"] = net.predict_proba(scaler.transform(X_test))
net = L2RWClassifier(**settings).fit(X_scaled, y, clean_mask=taken)
probabilities["clean_mask of these 30"] = net.predict_proba(scaler.transform(X_test))
n_wrong = flipped[taken].sum()
print(f"clean_set=30 takes {np.bincount(y[taken])} rows; {n_wrong} of their labels are wrong")

# %%
# Do they agree?
# --------------
# They should in pairs, and do. The last pair is worse, because its clean set has wrong labels: a
# number is for data whose labels are right.
accuracy = {name: np.mean(p.argmax(1) == y_test) for name, p in probabilities.items()}
for first, second in zip(list(probabilities)[::2], list(probabilities)[1::2], strict=True):
    difference = np.abs(probabilities[first] - probabilities[second]).max()
    print(f"{first} | {second}: differ by {difference:.0e}, right: {accuracy[first]:.0%}")

# %%
# What to remember
# ----------------
# - Take the way that your code asks for: the net that results is the same.
# - Behind a scaler, the clean set has to be scaled, too. ``X_val`` with ``transform_input`` and
#   ``clean_mask`` see to that; with ``clean_set`` it is up to you.
# - A number takes rows as they come. It is for rare classes, never for wrong labels.
