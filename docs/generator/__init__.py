"""One file for each page that `docs/generate.py` writes; each has `page`, the whole text."""

from __future__ import annotations

GENERATED = "<!-- Written by docs/generate.py (make docs): change the code that it comes from, not this page. -->"
