"""The client alone, without FastAPI."""

import asyncio

from pydantic import BaseModel

from fastapi_pulsar import MessageId, PulsarClient


class Order(BaseModel):
    id: int


async def main() -> None:
    async with PulsarClient() as client:  # settings from the environment
        async with client.producer("orders", Order, compression="lz4") as producer:
            await producer.send(Order(id=1), key="ada")
            await producer.send_many([Order(id=2), Order(id=3)])

        async with client.consumer("orders", "audit", Order, initial_position="earliest") as consumer:
            for _ in range(3):
                message = await consumer.receive(timeout=10)
                print("received", message.value.id)
                consumer.acknowledge(message)
            await consumer.seek(MessageId.EARLIEST)
            print("again", (await consumer.receive(timeout=10)).value.id)

        async with client.reader("orders", Order) as reader:
            while await reader.has_message_available():
                print("read", (await reader.receive()).value.id)


if __name__ == "__main__":
    asyncio.run(main())
