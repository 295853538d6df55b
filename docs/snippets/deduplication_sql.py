"""A store of processed messages in SQL; here SQLite, in a thread."""

import asyncio
import sqlite3


class SqlStore:
    def __init__(self, path: str) -> None:
        self._path = path
        database = self._connect()
        database.execute("CREATE TABLE IF NOT EXISTS processed (identity TEXT PRIMARY KEY)")
        database.close()

    async def seen(self, identity: str) -> bool:
        return await asyncio.to_thread(self._seen, identity)

    async def add(self, identity: str) -> None:
        await asyncio.to_thread(self._add, identity)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path)

    def _seen(self, identity: str) -> bool:
        database = self._connect()
        try:
            return database.execute("SELECT 1 FROM processed WHERE identity = ?", (identity,)).fetchone() is not None
        finally:
            database.close()

    def _add(self, identity: str) -> None:
        database = self._connect()
        try:
            with database:
                database.execute("INSERT OR IGNORE INTO processed VALUES (?)", (identity,))
        finally:
            database.close()
