"""The project's tests. A package, so that no folder of it can shadow an installed package (`fastapi`, `pulsar`)."""
