"""Real Apache Pulsar on loopback, without Docker: fetched, started on free ports, stopped, and nothing left behind.

Standard library only, so that `make demo` needs nothing but Python, Java and Maven. Unix only.
"""

from tests.pulsar.harness.admin import Admin, AdminError
from tests.pulsar.harness.cluster import Cluster
from tests.pulsar.harness.process import HarnessError
from tests.pulsar.harness.standalone import Standalone

__all__ = ["Admin", "AdminError", "Cluster", "HarnessError", "Standalone"]
