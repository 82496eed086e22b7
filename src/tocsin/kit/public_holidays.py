"""Public holidays by country and subdivision, as the library `holidays` knows them."""

from datetime import date
from functools import lru_cache

from holidays import country_holidays, list_supported_countries


@lru_cache(maxsize=2048)
def public_holidays(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    """The days off of a year, with the days that stand in for those on a weekend."""
    return frozenset(country_holidays(country, subdiv=subdivision, years=year))


@lru_cache(maxsize=1)
def subdivisions() -> dict[str, list[str]]:
    """The countries whose holidays are known, each with its subdivisions."""
    return {country: list(parts) for country, parts in list_supported_countries().items()}
