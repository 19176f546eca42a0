"""A data set of river's, and models that have learned from it."""

from river import datasets

from fastnn.river import MLPClassifier

PHISHING = list(datasets.Phishing())


def trained(model=None, rows=300):
    model = model or MLPClassifier(seed=1)
    for x, y in PHISHING[:rows]:
        model.learn_one(x, y)
    return model
