"""`python -m fastapi_pulsar`: the commands of `cli`."""

import sys

from .cli import main

sys.exit(main())
