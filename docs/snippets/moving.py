from fastapi_pulsar import install_as

install_as("app.core.pulsar")
