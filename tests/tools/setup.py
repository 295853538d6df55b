"""The first step of every make target: `setup.py TARGET` checks what the machine must have, then prepares `.venv`.

Standard library only, and written for Python 3.8, so that an old Python says what is missing and not a syntax error.
"""

import os
import sys

import environment
import preflight

# What each target needs: of the machine, of the environment, and cargo tools.
BUILD = ["python", "cargo", "cc"]
BROKER = ["java", "maven"]
NEEDS = {
    "demo": (BUILD, ["runtime"], []),
    "test": (BUILD, ["runtime", "dev", "lowest"], []),
    "test-pulsar": (BUILD + BROKER, ["runtime", "dev"], []),
    "test-cluster": (BUILD + BROKER, ["runtime", "dev"], []),
    "bench": (BUILD + BROKER, ["runtime", "dev"], []),
    "soak": (BUILD, ["runtime", "dev"], []),
    "lint": (BUILD, ["runtime", "dev"], ["cargo-deny"]),
    "fuzz": (BUILD + ["c++", "nightly"], [], ["cargo-fuzz"]),
    "dist": (BUILD, ["runtime", "dev"], []),
}


def main(target):
    if target not in NEEDS:
        sys.stderr.write("setup: no target %r; it knows: %s\n" % (target, ", ".join(sorted(NEEDS))))
        return 2
    machine, groups, tools = NEEDS[target]
    if target == "demo" and os.environ.get("BROKER", "embedded") == "pulsar":
        machine = machine + BROKER
    python, missing = preflight.check(machine, os.environ.get("PYTHON"))
    if missing:
        sys.stderr.write(preflight.report(target, missing))
        return 1
    try:
        if groups:
            venv = environment.Venv(os.environ.get("VENV") or ".venv", python)
            venv.prepare(groups)
            venv.build_extension()
        for tool in tools:
            environment.cargo_tool(tool)
    except environment.Failed as error:
        sys.stderr.write("setup: %s\n" % error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
