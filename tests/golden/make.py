"""Write torch.npz: the parameters that PyTorch ends with, for each of the recipes in `GOLDEN`.

Run ``python tests/golden/make.py`` with fastnn, its test extra and PyTorch installed, whenever
`GOLDEN` or what it trains on has changed. The file that is there came from torch 2.13.0 for CPU.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from recipes import GOLDEN  # noqa: E402  found by the line above
from torch_twin import Twin  # noqa: E402

if __name__ == "__main__":
    np.savez(HERE / "torch.npz", **{str(recipe): Twin(recipe).train() for recipe in GOLDEN})
