from __future__ import annotations

import pytest
from hypothesis import settings

# On a busy machine any example may take long.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens", action="store_true", help="write tests/cases/*/*.json anew instead of comparing with them"
    )
