"""scikit-learn's MLPClassifier and MLPRegressor, trained and evaluated by fastnn's engines."""

try:
    import sklearn  # noqa: F401
except ImportError:
    raise ImportError(
        "fastnn.MLPClassifier and fastnn.MLPRegressor need scikit-learn: "
        "pip install 'fastnn-jit[sklearn]'"
    ) from None

from fastnn.estimators.mlp import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
