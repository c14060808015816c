"""The user's environment, of what the bootloader of a frozen program made of it."""

from __future__ import annotations

import os

import pytest

from kubectl_memdoctor.frozen import restore_environment, restored

FOLDER = "/store/_internal"


@pytest.mark.parametrize(
    ("found", "before"),
    [
        ({"HOME": "/h"}, {"HOME": "/h"}),
        ({"LD_LIBRARY_PATH": FOLDER}, {}),
        ({"LD_LIBRARY_PATH": f"{FOLDER}:/a:/b", "LD_LIBRARY_PATH_ORIG": "/a:/b"}, {"LD_LIBRARY_PATH": "/a:/b"}),
        ({"LD_LIBRARY_PATH": f"{FOLDER}:", "LD_LIBRARY_PATH_ORIG": ""}, {"LD_LIBRARY_PATH": ""}),
        ({"DYLD_LIBRARY_PATH": "/mine"}, {"DYLD_LIBRARY_PATH": "/mine"}),
        (
            {"LD_LIBRARY_PATH": "/mine", "LD_LIBRARY_PATH_ORIG": "/x"},
            {"LD_LIBRARY_PATH": "/mine", "LD_LIBRARY_PATH_ORIG": "/x"},
        ),
        ({"_PYI_ARCHIVE_FILE": "/p", "_PYI_PARENT_PROCESS_LEVEL": "1", "PYI": "mine"}, {"PYI": "mine"}),
    ],
)
def test_restored(found: dict[str, str], before: dict[str, str]) -> None:
    assert restored(found, FOLDER) == before


def test_a_program_that_is_not_frozen_leaves_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_PYI_ARCHIVE_FILE", "another program's")
    before = dict(os.environ)
    restore_environment()
    assert dict(os.environ) == before


def test_a_frozen_program_hands_on_what_the_user_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys._MEIPASS", FOLDER, raising=False)
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{FOLDER}:/mine")
    monkeypatch.setenv("LD_LIBRARY_PATH_ORIG", "/mine")
    monkeypatch.setenv("_PYI_ARCHIVE_FILE", "/store/program")
    restore_environment()
    assert os.environ["LD_LIBRARY_PATH"] == "/mine"
    assert {"LD_LIBRARY_PATH_ORIG", "_PYI_ARCHIVE_FILE"}.isdisjoint(os.environ)
