"""The estimators that users meet: parameters, docstrings, predictions."""
