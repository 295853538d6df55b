"""A store of processed messages in Redis or Valkey, which forgets after a week."""

from typing import Any

WEEK = 7 * 86_400


class RedisStore:
    def __init__(self, redis: Any) -> None:
        self._redis = redis  # redis.asyncio.Redis.from_url(…)

    async def seen(self, identity: str) -> bool:
        return bool(await self._redis.exists(f"processed:{identity}"))

    async def add(self, identity: str) -> None:
        await self._redis.set(f"processed:{identity}", "1", ex=WEEK)
