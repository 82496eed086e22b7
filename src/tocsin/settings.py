"""Settings: read once from the environment (`TOCSIN_...`) at start, frozen, and handed in as values."""

from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every setting is an environment variable `TOCSIN_<NAME>`; a secret may also come from a file, `..._FILE`."""

    model_config = SettingsConfigDict(env_prefix="TOCSIN_", frozen=True, extra="ignore", hide_input_in_errors=True)

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
    segments_dir: Path | None = Field(
        None, description="Folder of the log segments; `segments` in the data folder by default. Servers share it."
    )
    retention: str | None = Field(None, description="How long logs are kept, such as 30d or 1y; for ever by default.")
    retention_bytes: str | None = Field(
        None, description="How large all segments together may become, such as 50GB; the oldest go first."
    )
    retention_services: str | None = Field(None, description="Other times for some services: `audit=365d,debug-*=3d`.")
    search_seconds: float = Field(
        5.0, ge=0.1, le=300, description="How long a search may take before it answers with what it has found."
    )
    patterns: bool = Field(
        True,
        description="Whether the patterns of all records are counted; it costs CPU time when records are compacted.",
    )
    storm_service: int = Field(
        20, ge=0, description="More new tickets of a service within 5 minutes become one; 0: never."
    )
    storm_all: int = Field(60, ge=0, description="More new tickets in all within 5 minutes become one; 0: never.")
    allow_private: str | None = Field(
        None,
        description="Private networks and hosts that messages may be sent to: `10.0.0.0/8, hooks.internal`; none by"
        " default.",
    )
    public_url: str | None = Field(
        None, description="Where people find this server, such as https://tocsin.example.org: for links in messages."
    )
    delivery_patience: float = Field(
        1.0, gt=0, le=1, description="Which share of the usual time a message is tried for, and the pauses last."
    )
    log_format: str = Field("text", pattern="^(text|json)$", description="Form of the server's own log: text or json.")
    log_level: str = Field(
        "info", pattern="^(debug|info|warning|error)$", description="Least level of the server's own log."
    )

    @field_validator("segments_dir", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        """An empty variable is as good as none; as a path it would be the current folder."""
        return None if isinstance(value, str) and not value.strip() else value

    @model_validator(mode="after")
    def _check_secrets(self) -> Self:
        _ = self.database_secret
        key = self.admin_secret
        if key is not None and len(key) < 16:
            raise ValueError("TOCSIN_ADMIN_KEY is shorter than 16 characters; make one with: openssl rand -hex 24")
        return self

    @property
    def segments_path(self) -> Path:
        """The folder of the log segments."""
        return self.segments_dir or self.data_dir / "segments"

    @property
    def admin_secret(self) -> str | None:
        """The administrator's key, from the variable or its file."""
        return _secret("admin_key", self.admin_key, self.admin_key_file)

    @property
    def database_secret(self) -> str | None:
        """The shared database's address, from the variable or its file."""
        return _secret("database_url", self.database_url, self.database_url_file)


def _secret(name: str, value: SecretStr | None, path: Path | None) -> str | None:
    """The value, or else what the file holds, without blanks around it. An empty variable is as good as none; a file
    that is named was meant to hold something. Raises ValueError."""
    given = "" if value is None else value.get_secret_value().strip()
    if given or path is None:
        return given or None
    variable = f"TOCSIN_{name.upper()}_FILE"
    try:
        found = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise ValueError(f"{variable} can't be read: {reason}") from None
    if not found:
        raise ValueError(f"{variable} names an empty file")
    return found


def read_settings(**given: Any) -> Settings:
    """Settings from the environment; `given` ones (from command line options) come first. Raises ValueError."""
    return Settings(**given)
