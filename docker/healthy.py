"""The images' health check: exit code 0 if the application says that it is well, 1 with the reason if it does not.

`HEALTH_URL` is what is asked.
"""

import os
import sys
import urllib.request

URL = os.environ.get("HEALTH_URL", "http://127.0.0.1:8000/health/pulsar/ready")

try:
    urllib.request.urlopen(URL, timeout=4).close()  # noqa: S310 - the image's own address
except (OSError, ValueError) as error:
    sys.exit(f"{URL}: {error}")
