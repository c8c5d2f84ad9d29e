"""The form of App secrets."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.apps import secrets
from portal.kernel.keyfile import UnusableKeyFile, read_or_create


@pytest.mark.parametrize("environment", ["sandbox", "production"])
def test_new_secret_is_well_formed_and_names_its_environment(environment: str) -> None:
    secret = secrets.new_secret(environment)
    assert secrets.is_well_formed(secret)
    assert secrets.environment_of(secret) == environment
    assert re.search(secrets.PATTERN, f"key = '{secret}'")
    assert len(secret) == 53


@given(position=st.integers(0, 52), other=st.sampled_from("0Zaz_9"))
def test_a_changed_character_breaks_the_checksum(position: int, other: str) -> None:
    secret = "gzs_" + "a" * 43
    secret += secrets._checksum(secret)
    changed = secret[:position] + other + secret[position + 1 :]
    assert secrets.is_well_formed(changed) is (changed == secret)


@given(st.text(max_size=80))
def test_arbitrary_text_is_judged_without_error(text: str) -> None:
    assert secrets.is_well_formed(text) is False


def test_hint_shows_prefix_and_last_four_only() -> None:
    secret = secrets.new_secret("sandbox")
    assert secrets.hint(secret) == f"gzs_…{secret[-4:]}"


def test_digest_depends_on_the_pepper() -> None:
    assert secrets.digest("gzs_x", b"a" * 32) != secrets.digest("gzs_x", b"b" * 32)


def test_key_file_is_private_and_stays_the_same(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "pepper"
    first = read_or_create(path)
    assert read_or_create(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_truncated_key_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "pepper").write_bytes(b"short")
    with pytest.raises(UnusableKeyFile, match="pepper"):
        read_or_create(tmp_path / "pepper")
