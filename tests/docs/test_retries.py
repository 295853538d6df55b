"""The snippets of the guide on retries run."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fastapi_pulsar import DeadLetter, DeduplicationStore
from tests.docs.pages import snippet


def test_the_example() -> None:
    with snippet("retries") as retries:
        asyncio.run(retries.bill(retries.Order(id=1, customer="ada")))
        with pytest.raises(DeadLetter, match="no such customer"):
            asyncio.run(retries.bill(retries.Order(id=1, customer="nobody")))


async def remembers(store: Any) -> None:
    assert isinstance(store, DeduplicationStore)
    assert not await store.seen("a")
    await store.add("a")
    await store.add("a")
    assert await store.seen("a") and not await store.seen("b")


def test_the_sql_store(tmp_path: Path) -> None:
    with snippet("deduplication_sql") as sql:
        asyncio.run(remembers(sql.SqlStore(str(tmp_path / "processed.db"))))
        again = sql.SqlStore(str(tmp_path / "processed.db"))
        assert asyncio.run(again.seen("a")), "it outlives the process"


class Redis:
    """The two commands of `redis.asyncio.Redis` that the store uses."""

    def __init__(self) -> None:
        self.values: dict[str, tuple[str, int]] = {}

    async def exists(self, *names: str) -> int:
        return sum(name in self.values for name in names)

    async def set(self, name: str, value: str, *, ex: int) -> bool:
        self.values[name] = value, ex
        return True


def test_the_redis_store() -> None:
    redis = Redis()
    with snippet("deduplication_redis") as stores:
        asyncio.run(remembers(stores.RedisStore(redis)))
    assert redis.values == {"processed:a": ("1", 604_800)}
