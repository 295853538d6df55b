"""A service that tells whoever runs it how it is."""

from fastapi import FastAPI

from fastapi_pulsar import PulsarRouter, health_check

pulsar = PulsarRouter(on_startup="background", drain_timeout=20)


@pulsar.consumer("orders", subscription="billing")
async def bill(order: dict[str, int]) -> None:
    print("billed", order["id"])


app = FastAPI()
app.include_router(pulsar)
app.include_router(health_check.router)  # /health/pulsar/… and /metrics
