"""A program that used `pulsar-client`, afterwards."""

import asyncio

from fastapi_pulsar import PulsarClient


async def main() -> None:
    async with PulsarClient() as client:
        consumer = await client.consumer("orders", "audit", type="Exclusive", negative_ack_delay=60)
        async with client.producer("orders", hashing="cpp", batching="off", on_full="error") as producer:
            await producer.send(b"hello", key="42", properties={"source": "web"})

        message = await consumer.receive(timeout=10)
        print(message.data, message.key, message.properties)
        consumer.acknowledge(message)


if __name__ == "__main__":
    asyncio.run(main())
