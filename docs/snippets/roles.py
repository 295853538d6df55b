"""What this service may do, said once."""

from fastapi import FastAPI

from fastapi_pulsar import PulsarConfig, PulsarRouter

PulsarConfig.SECURITY["service_role"] = "billing"
PulsarConfig.SECURITY["topic_roles"] = {
    "orders": {"produce": ["shop"], "consume": ["billing", "audit"]},
    "invoices-*": ["billing"],
}

pulsar = PulsarRouter()
app = FastAPI()
app.include_router(pulsar)
