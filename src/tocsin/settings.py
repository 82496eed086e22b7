"""Settings: read once from the environment (`TOCSIN_...`) at start, frozen, and handed in as values."""

from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every setting is an environment variable `TOCSIN_<NAME>`; a secret may also come from a file, `..._FILE`."""

    model_config = SettingsConfigDict(env_prefix="TOCSIN_", frozen=True, extra="ignore")

    data_dir: Path = Field(Path("tocsin-data"), description="Folder of the embedded installation.")
    database_url: SecretStr | None = Field(
        None, description="PostgreSQL instead of the embedded database, as postgresql://user:password@host/name."
    )
    database_url_file: Path | None = Field(None, description="File that holds `database_url`.")
    admin_key: SecretStr | None = Field(
        None, description="Bearer key of the administrator. With it set, loopback requests need it too."
    )
    admin_key_file: Path | None = Field(None, description="File that holds `admin_key`.")
    loopback_admin: bool = Field(
        True, description="Whether requests from this machine act as the administrator while no `admin_key` is set."
    )
    queue_bytes: int = Field(
        128 << 20, ge=1 << 20, description="Bound of the intake queue; beyond it senders hear 503."
    )
    log_format: str = Field("text", pattern="^(text|json)$", description="Form of the server's own log: text or json.")
    log_level: str = Field(
        "info", pattern="^(debug|info|warning|error)$", description="Least level of the server's own log."
    )

    @model_validator(mode="after")
    def _check_key_length(self) -> Self:
        key = self.admin_secret
        if key is not None and len(key) < 16:
            raise ValueError("TOCSIN_ADMIN_KEY is shorter than 16 characters; make one with: openssl rand -hex 24")
        return self

    @property
    def admin_secret(self) -> str | None:
        """The administrator's key, from the variable or its file."""
        return _secret(self.admin_key, self.admin_key_file)

    @property
    def database_secret(self) -> str | None:
        """The shared database's address, from the variable or its file."""
        return _secret(self.database_url, self.database_url_file)


def _secret(value: SecretStr | None, path: Path | None) -> str | None:
    if value is not None:
        return value.get_secret_value() or None
    return None if path is None else path.read_text().strip() or None


def read_settings(**given: Any) -> Settings:
    """Settings from the environment; `given` ones (from command line options) come first. Raises ValueError."""
    return Settings(**given)
