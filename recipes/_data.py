"""Reads the data folders that the recipes train and measure on, and names their licences."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

APACHE = "Apache-2.0"
CC_BY = "CC BY 4.0"
CC_BY_2_FR = "CC BY 2.0 FR"
CC_BY_3 = "CC BY 3.0"
CC_BY_SA = "CC BY-SA 4.0"
CC0 = "CC0 1.0"
CDLA_SHARING = "CDLA-Sharing 1.0"


@dataclass(frozen=True)
class Source:
    """A data set that a starter was trained or measured on, as its card credits it."""

    name: str
    attribution: str
    licence: str
    use: str


def read(data: Path, name: str, split: str) -> pd.DataFrame:
    """Return one split of a data folder as a table."""
    return pd.read_parquet(data / name / f"{split}.parquet")
