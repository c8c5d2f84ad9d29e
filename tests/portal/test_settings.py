"""What a deployment may write in the environment, and the one clear line it gets for what it may not."""

from __future__ import annotations

import pytest

from portal.settings import InvalidSetting, from_env


@pytest.mark.parametrize(
    ("written", "used"),
    [
        ("postgresql://u:p@db:5432/gozar", "postgresql+asyncpg://u:p@db:5432/gozar"),
        ("postgres://u@db/gozar", "postgresql+asyncpg://u@db/gozar"),
        ("postgresql+asyncpg://u@db/gozar", "postgresql+asyncpg://u@db/gozar"),
        ("postgresql+psycopg://u@db/gozar", "postgresql+asyncpg://u@db/gozar"),
        ("sqlite:////var/lib/gozar/portal.sqlite3", "sqlite+aiosqlite:////var/lib/gozar/portal.sqlite3"),
    ],
)
def test_a_database_address_may_be_written_as_most_tools_write_it(written: str, used: str) -> None:
    settings = from_env({"GOZAR_DATABASE_URL": written, "GOZAR_PUBLIC_URL": "http://here"})
    assert settings.portal_database_url == used


@pytest.mark.parametrize("written", ["mysql://u@db/gozar", "postgresql:db", "gozar.sqlite3", "://"])
def test_an_address_of_no_known_database_is_refused_by_name(written: str) -> None:
    with pytest.raises(InvalidSetting, match="GOZAR_SANDBOX_DATABASE_URL"):
        from_env({"GOZAR_SANDBOX_DATABASE_URL": written, "GOZAR_PUBLIC_URL": "http://here"})


def test_two_schemas_cannot_share_a_database() -> None:
    same = "postgresql://u@db/gozar"
    with pytest.raises(InvalidSetting, match="different databases"):
        from_env({"GOZAR_DATABASE_URL": same, "GOZAR_SANDBOX_DATABASE_URL": same, "GOZAR_PUBLIC_URL": "http://here"})


def test_a_refused_address_is_not_printed_with_its_password() -> None:
    with pytest.raises(InvalidSetting) as refused:
        from_env({"GOZAR_DATABASE_URL": "mysql://root:secret-word@db/gozar", "GOZAR_PUBLIC_URL": "http://here"})
    assert "secret-word" not in str(refused.value)
