"""Brings back the dead letters of `billing` that failed on a lost connection."""

import asyncio
from typing import Any

from fastapi_pulsar import Message, replay_dlq_messages


def wanted(letter: Message[Any]) -> bool:
    return letter.properties["DEAD_LETTER_ERROR"] == "ConnectionError"


async def main() -> None:
    report = await replay_dlq_messages("orders", "orders-billing-DLQ", filter=wanted, limit=1000)
    print(f"{report.replayed} brought back, {report.skipped} left, {report.failed} failed")


if __name__ == "__main__":
    asyncio.run(main())
