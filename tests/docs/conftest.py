"""Settings of its own for each test: what a page sets must not reach the next."""

from tests.clean_settings import clean_settings

__all__ = ["clean_settings"]
