"""
=====================
In a loop of your own
=====================

You have a training loop in PyTorch, and will not have it taken over by an estimator. One call takes
the place of ``loss.backward()``: it weighs the batch, and leaves the gradient of the weighted loss
where the optimizer looks for it.
"""

# %%
# The data
# --------
# Scans of tissue, described by 30 numbers, which ship with scikit-learn: which are malignant? We
# spoil the labels as a hurried reader does: half of the malignant ones are called benign. Forty
# scans, twenty of each kind, were read twice.
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import scale
from torch import nn
from torch.optim.swa_utils import AveragedModel

from sklearn_l2rw import ExampleWeightsDisplay, reweighted_backward

table = load_breast_cancer()
rng = np.random.RandomState(0)
order = rng.permutation(len(table.target))
X = torch.as_tensor(scale(table.data)[order], dtype=torch.float32)
y = torch.as_tensor(1 - table.target[order])  # 1: malignant
clean = torch.cat([torch.nonzero(y == kind)[:20, 0] for kind in (0, 1)])
rest = torch.as_tensor(np.setdiff1d(np.arange(len(y)), clean))
X_clean, y_clean, X_test, y_test = X[clean], y[clean], X[rest[300:]], y[rest[300:]]
X_train, y_train = X[rest[:300]], y[rest[:300]].clone()
missed = (y_train == 1) & torch.as_tensor(rng.rand(300) < 0.5)
y_train[missed] = 0
print(f"{missed.sum()} of 300 labels are wrong, all of them on malignant scans")

# %%
# The loop
# --------
# ``reweighted_backward`` takes the model, a loss that gives one number for each row, the batch and
# the clean batch. All else is as ever. It has a share of the clean loss in the step, so that the
# plain loop is given it, too. Both predict with the mean of the parameters over the second half,
# which takes out the noise of steps that few rows carry.
loss = nn.CrossEntropyLoss(reduction="none")
EPOCHS = 40


def train(lr: float, *, reweight: bool) -> tuple[nn.Module, torch.Tensor]:
    """Train a small net; return it, and what each row counted, 1 being an equal share."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 2))
    mean, counted = AveragedModel(model), torch.zeros(len(y_train))
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for epoch in range(EPOCHS):
        for rows in torch.split(torch.randperm(len(y_train)), 50):
            batch = X_train[rows], y_train[rows]
            optimizer.zero_grad()
            if reweight:
                step = reweighted_backward(model, loss, batch, (X_clean, y_clean))
                counted[rows] += step.weights * len(rows) / EPOCHS
            else:
                clean_loss = loss(model(X_clean), y_clean).mean()
                (loss(model(batch[0]), batch[1]).mean() + 0.3 * clean_loss).backward()
            optimizer.step()
            if epoch >= EPOCHS // 2:
                mean.update_parameters(model)
    return mean.module, counted


# %%
# Does it help?
# -------------
# Each loop at three learning rates, and beside them what is left without a single doubtful label:
# logistic regression on the forty scans that were read twice, the rival to beat.
def balanced(predicted: torch.Tensor) -> float:
    """Mean share of benign and of malignant test scans that are told right."""
    return float(np.mean([(predicted == y_test)[y_test == kind].float().mean() for kind in (0, 1)]))


rates = (0.01, 0.03, 0.1)
accuracy: dict[str, list[float]] = {"plain": [], "reweighted": []}
for lr in rates:
    for name in accuracy:
        model, counted = train(lr, reweight=name == "reweighted")
        accuracy[name].append(balanced(model(X_test).argmax(1)))
few = LogisticRegression().fit(X_clean, y_clean)
alone = balanced(torch.as_tensor(few.predict(X_test)))
print(f"forty scans alone: {alone:.1%}")
for name, found in accuracy.items():
    print(f"{name}:", ", ".join(f"lr={lr}: {a:.1%}" for lr, a in zip(rates, found, strict=True)))

# %%
# What the weights say
# --------------------
# The weights of each step are in ``step.weights``. Summed up by row, those of the last run show
# what became of the labels that are wrong.
kinds = np.where(y_train == 1, "called malignant", "called benign")
display = ExampleWeightsDisplay.from_predictions(counted.numpy(), kinds, flipped=missed.numpy())
display.ax_.set_title("What each scan counted", loc="left", pad=44)

# %%
# What to remember
# ----------------
# - One call in place of ``backward()``. Model, optimizer, schedule and logging stay yours.
# - Average the parameters: of what the estimators do by default, it is the part that you have to
#   bring along.
# - Here a batch is weighed as a whole. Where it is trained on in parts, ``example_slopes`` has what
#   the weights are made of, and they are to be put together first.
plt.show()
