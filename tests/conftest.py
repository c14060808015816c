from __future__ import annotations

import gc

import pytest
from hypothesis import settings

# On a busy machine any example may take long. Each run draws other examples, so that fewer at a time are enough.
settings.register_profile("untimed", deadline=None, max_examples=50)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens", action="store_true", help="write tests/cases/*/*.json anew instead of comparing with them"
    )


def pytest_collection_finish() -> None:
    """The ten thousand tests stay to the end: no garbage collection needs to look at them again."""
    gc.collect()
    gc.freeze()
