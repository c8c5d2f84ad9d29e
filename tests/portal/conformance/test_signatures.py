"""A signed document holds for exactly what was signed: no byte of it may change, nor the key, nor what it is about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from portal.conformance.cli import evidence
from portal.conformance.service import EVIDENCE_TYPE
from portal.kernel.signing import BadSignature, PortalSigner, verify

SIGNER, OTHER = PortalSigner(b"s" * 32), PortalSigner(b"o" * 32)
DOCUMENT: dict[str, Any] = {
    "id": "ev_1",
    "app": "app_1",
    "app_version": "1.0.0",
    "suite_version": "2026.11+abc",
    "judged_at": "2026-11-22T09:00:00+00:00",
    "traffic": {"calls": 12, "sha256": "00" * 32},
    "passes": True,
    "counts": {"pass": 50, "fail": 0, "skip": 0, "omit": 9},
}
SIGNED = SIGNER.sign(DOCUMENT, EVIDENCE_TYPE)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."


def test_what_was_signed_is_what_is_read() -> None:
    assert verify(SIGNED, SIGNER.jwks(), EVIDENCE_TYPE) == DOCUMENT


@given(st.integers(0, len(SIGNED) - 1), st.sampled_from(LETTERS))
def test_no_character_may_change(place: int, letter: str) -> None:
    changed = SIGNED[:place] + letter + SIGNED[place + 1 :]
    if changed != SIGNED:
        with pytest.raises(BadSignature):
            verify(changed, SIGNER.jwks(), EVIDENCE_TYPE)


def test_the_unused_bits_of_the_last_character_count_too() -> None:
    spellings = {SIGNED[:-1] + letter for letter in LETTERS} - {SIGNED}
    for changed in spellings:
        with pytest.raises(BadSignature):
            verify(changed, SIGNER.jwks(), EVIDENCE_TYPE)


@given(st.integers(0, len(SIGNED)), st.text(alphabet=LETTERS + " =\n", max_size=4))
def test_nothing_may_be_added_or_cut_off(place: int, more: str) -> None:
    for changed in (SIGNED[:place] + more + SIGNED[place:], SIGNED[:place]):
        if changed.strip() != SIGNED:
            with pytest.raises(BadSignature):
                verify(changed, SIGNER.jwks(), EVIDENCE_TYPE)


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(BadSignature):
        verify(SIGNED, OTHER.jwks(), EVIDENCE_TYPE)
    with pytest.raises(BadSignature):
        verify(SIGNED, {"keys": []}, EVIDENCE_TYPE)


def test_a_key_under_a_stolen_name_does_not_open_it() -> None:
    """The forger's key set claims the portal's key id."""
    stolen = OTHER.jwks()
    stolen["keys"][0]["kid"] = SIGNER.kid
    with pytest.raises(BadSignature):
        verify(SIGNED, stolen, EVIDENCE_TYPE)


def test_a_checkpoint_is_no_evidence() -> None:
    with pytest.raises(BadSignature):
        verify(SIGNER.sign(DOCUMENT, "gozar-audit-checkpoint+jws"), SIGNER.jwks(), EVIDENCE_TYPE)


def test_a_document_without_signature_is_none() -> None:
    head, body, _ = SIGNED.split(".")
    for forged in (f"{head}.{body}.", "eyJhbGciOiJub25lIn0." + body + ".", body, "", "a.b.c", "..."):
        with pytest.raises(BadSignature):
            verify(forged, SIGNER.jwks(), EVIDENCE_TYPE)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ([], 0),
        (["--app", "app_1", "--app-version", "1.0.0", "--suite", "2026.11+abc"], 0),
        (["--app", "app_2"], 1),
        (["--app-version", "1.0.1"], 1),
        (["--suite", "2027.01+def"], 1),
    ],
)
def test_the_command_also_holds_it_to_what_it_should_be_about(tmp_path: Path, asked: list[str], code: int) -> None:
    (tmp_path / "evidence.jws").write_text(SIGNED + "\n")
    (tmp_path / "keys.json").write_text(json.dumps(SIGNER.jwks()))
    arguments = ["verify", str(tmp_path / "evidence.jws"), "--keys", str(tmp_path / "keys.json"), *asked]
    done = CliRunner().invoke(evidence, arguments)
    assert done.exit_code == code, done.output


def test_the_command_says_what_is_wrong_with_its_files(tmp_path: Path) -> None:
    (tmp_path / "evidence.jws").write_text(SIGNED)
    for keys in ("not json", "[]", '{"keys": "x"}', "{}"):
        (tmp_path / "keys.json").write_text(keys)
        done = CliRunner().invoke(
            evidence, ["verify", str(tmp_path / "evidence.jws"), "--keys", str(tmp_path / "keys.json")]
        )
        assert done.exit_code == 1
        assert "NOT VALID" in done.output
