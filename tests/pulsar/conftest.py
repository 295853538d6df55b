from tests.pulsar.compose.fixtures import compose_cluster

__all__ = ["compose_cluster"]
