"""Whoever logs goes on, also when nothing can be written."""

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tocsin.ownlog import configure_logging

FULL = Path("/dev/full")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_full_disk_ends_nobody_who_logs(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    with FULL.open("w", buffering=1) as full:
        monkeypatch.setattr(sys, "stderr", full)
        configure_logging(form, "info")
        structlog.get_logger().error("lost", n=1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())  # or closing it would say so


def test_a_reader_that_is_gone_ends_nobody_who_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", buffering=1) as pipe:
        monkeypatch.setattr(sys, "stderr", pipe)
        configure_logging("text", "info")
        structlog.get_logger().warning("lost", n=1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)
