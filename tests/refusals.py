"""For tests of what is refused."""

from __future__ import annotations

import numpy as np
import pytest

NAN, INF = np.nan, np.inf


def check(error: pytest.ExceptionInfo, kind: type[Exception], fragments: tuple[str, ...]) -> None:
    assert type(error.value) is kind
    text = str(error.value)
    for fragment in fragments:
        assert fragment in text
    assert len(text) < 500, "a message to read, not a dump of the data"


class Stubborn:
    """Refuses to become an array, as a tensor of torch that requires a gradient does."""

    shape = (1, 2)

    def __repr__(self):
        return "pages " * 1000

    def __array__(self, *args, **options):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


REAL, UNIT, CLASSES = "squared_error", "binary_cross_entropy", "cross_entropy"
