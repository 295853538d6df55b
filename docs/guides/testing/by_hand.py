import asyncio

from fastapi_pulsar import PulsarClient
from fastapi_pulsar.testing import EmbeddedBroker


async def main() -> None:
    async with EmbeddedBroker() as broker, PulsarClient(broker.service_url) as client:
        consumer = await client.consumer("orders", "audit")
        async with client.producer("orders") as producer:
            await producer.send("hello")
        print((await consumer.receive(timeout=5)).data)


if __name__ == "__main__":
    asyncio.run(main())
