"""What the machine must have, checked all at once; for what is missing, the command that installs it.

Standard library only, and runs on Python 3.8.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MINIMUM = (3, 11)
NIGHTLY = "nightly-2026-05-20"  # the fuzzers' toolchain: sanitizers are not in a stable one
NIGHTLY_RELEASE = "2026-05-19"  # the date that its `rustc --version` names
PROBE = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
RUSTUP = "install rustup from https://rustup.rs, then: rustup toolchain install %s"


def pinned_rust():
    """The Rust version that `rust-toolchain.toml` pins."""
    return re.search(r'channel = "([^"]+)"', (ROOT / "rust-toolchain.toml").read_text()).group(1)


def check(needs, python=None):
    """What is missing of `needs`: (the interpreter to use or None, [(what, {system: command})])."""
    missing = []
    interpreter = None
    for need in needs:
        if need == "python":
            interpreter, problem = _python(python)
        else:
            problem = CHECKS[need]()
        if problem:
            missing.append((problem, COMMANDS[need]))
    return interpreter, missing


def report(target, missing):
    """The text for people: everything that is missing, and how to get it."""
    lines = ["make %s needs what this machine does not have:" % target]
    for problem, commands in missing:
        lines += ["", "* " + problem] + ["    %-16s%s" % pair for pair in commands.items()]
    return "\n".join(lines + ["", "Install it and run make again. Nothing has been changed.", ""])


def toolchain():
    """The name under which rustup has the pinned nightly, or None."""
    for name in (NIGHTLY, "nightly"):
        if NIGHTLY_RELEASE in (_output(["rustc", "+" + name, "--version"]) or ""):
            return name
    return None


def _python(chosen):
    candidates = [chosen] if chosen else ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"]
    found = []
    for name in candidates:
        version = _output([name, "-c", PROBE])
        if version and tuple(map(int, version.split("."))) >= MINIMUM:
            return name, None
        found.append("%s %s" % (name, "is " + version if version else "does not run, or has no venv and ensurepip"))
    if chosen:
        return None, "Python 3.11 or newer with venv: PYTHON=%s" % found[0]
    return None, "Python 3.11 or newer with venv (found none; PYTHON=… names one elsewhere)"


def _cargo():
    version = _output(["cargo", "--version"])
    if version and version.split()[1] == pinned_rust():
        return None
    return "cargo %s (found %s)" % (pinned_rust(), version or "none")


def _compiler(*names):
    def check_compiler():
        return None if any(map(shutil.which, names)) else "a C%s compiler" % ("++" if "c++" in names else "")

    return check_compiler


def _java():
    home = os.environ.get("JAVA_HOME")
    version = _output([str(Path(home, "bin", "java")) if home else "java", "-version"]) or ""
    number = re.search(r'version "(\d+)', version)
    if number and number.group(1) in ("17", "21"):
        return None
    return "Java 17 or 21, for the real Apache Pulsar (found %s)" % (number.group(1) if number else "none")


def _maven():
    return None if shutil.which("mvn") else "Maven, which fetches Apache Pulsar once"


def _nightly():
    return None if toolchain() else "Rust %s, for the fuzzers" % NIGHTLY


def _output(command):
    """What a command prints, or None if it fails or is not there."""
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            timeout=300,
            cwd=str(ROOT),
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None


def _everywhere(command):
    return {"anywhere": command}


CHECKS = {
    "cargo": _cargo,
    "cc": _compiler("cc", "gcc", "clang"),
    "c++": _compiler("c++", "g++", "clang++"),
    "java": _java,
    "maven": _maven,
    "nightly": _nightly,
}
COMMANDS = {
    "python": {
        "Debian, Ubuntu": "sudo apt-get install -y python3 python3-venv",
        "Fedora": "sudo dnf install -y python3",
        "macOS": "brew install python@3.13",
    },
    "cargo": {
        "Debian, Ubuntu": "sudo apt-get install -y rustup && rustup toolchain install %s" % pinned_rust(),
        "Fedora": "sudo dnf install -y rustup && rustup-init -y --default-toolchain %s" % pinned_rust(),
        "macOS": "brew install rustup && rustup toolchain install %s" % pinned_rust(),
        "elsewhere": RUSTUP % pinned_rust(),
    },
    "cc": {
        "Debian, Ubuntu": "sudo apt-get install -y gcc libc6-dev",
        "Fedora": "sudo dnf install -y gcc",
        "macOS": "xcode-select --install",
    },
    "c++": {
        "Debian, Ubuntu": "sudo apt-get install -y g++",
        "Fedora": "sudo dnf install -y gcc-c++",
        "macOS": "xcode-select --install",
    },
    "java": {
        "Debian, Ubuntu": "sudo apt-get install -y openjdk-17-jdk-headless  (Debian 13, Ubuntu 24.04: openjdk-21-jdk-headless)",
        "Fedora": "sudo dnf install -y java-21-openjdk-devel",
        "macOS": "brew install openjdk@21",
    },
    "maven": {
        "Debian, Ubuntu": "sudo apt-get install -y maven",
        "Fedora": "sudo dnf install -y maven",
        "macOS": "brew install maven",
    },
    "nightly": _everywhere("rustup toolchain install %s --profile minimal" % NIGHTLY),
}
