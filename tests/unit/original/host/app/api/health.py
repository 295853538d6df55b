"""The health route that reads the body of the package's answer."""

import json

from fastapi import APIRouter

from app.core.pulsar.health_check import PulsarHealth, check_pulsar_health, pulsar_health
from app.core.pulsar.health_check import router as pulsar_router

router = APIRouter()
router.include_router(pulsar_router)


@router.get("/health/all")
async def all_health() -> dict:
    response = await pulsar_health.get_health_status()
    return {"pulsar": json.loads(response.body)["healthy"], "is_health": isinstance(pulsar_health, PulsarHealth)}


@router.get("/health/limited")
async def limited() -> object:
    return await check_pulsar_health()
