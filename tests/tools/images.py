"""`make images`: builds what docker/Dockerfile describes and tries each image. Standard library only.

With Docker or Podman where one runs, else with buildah, which needs no daemon; there, where the base images cannot be pulled,
stand-ins of the same names are made first (`base_images.py`). What this machine's pip, cargo and certificates are set to
goes into the build as secrets, which no layer keeps.
"""

import argparse
import sys
import time
from pathlib import Path

import image_checks
from engines import ROOT, Engine, Failed, find

TARGETS = ("demo", "uvicorn", "gunicorn")
NOTHING = """\
images: no container engine runs here, so no image was built. Install one, then run make again:
  anywhere        Docker or Podman
  Debian, Ubuntu  sudo apt-get install -y buildah debootstrap   (no daemon; as root)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--if-possible", action="store_true", help="without an engine, say so and succeed")
    parser.add_argument("--dev", action="store_true", help="build Dockerfile.dev too (1 GB more)")
    options = parser.parse_args()
    engine = find()
    if engine is None:
        sys.stderr.write(NOTHING)
        return 0 if options.if_possible else 1
    try:
        build_and_try(engine, dev=options.dev)
    except Failed as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    return 0


def build_and_try(engine: Engine, *, dev: bool) -> None:
    """Builds every target, then runs the checks on each.

    Raises:
        Failed: A build or a check failed.
    """
    began = time.monotonic()
    engine.prepare(bases(ROOT / "docker" / "Dockerfile"))
    for target in TARGETS:
        engine.build("docker/Dockerfile", target, f"fastapi-pulsar:{target}")
    if dev:
        engine.build("docker/Dockerfile.dev", None, "fastapi-pulsar:dev")
    print(f"images: built by {engine.name} in {time.monotonic() - began:.0f} s", flush=True)
    passed = image_checks.run_all(engine, TARGETS)
    print(f"images: {passed} passed in {time.monotonic() - began:.2f}s")


def bases(dockerfile: Path) -> dict[str, str]:
    """What the Dockerfile stands on: argument to image."""
    lines = dockerfile.read_text().splitlines()
    return dict(line.removeprefix("ARG ").split("=", 1) for line in lines if line.startswith("ARG ") and "=" in line)


if __name__ == "__main__":
    sys.exit(main())
