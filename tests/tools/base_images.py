"""Stand-ins for the base images, where no image registry can be reached: Debian with its Python, and this machine's Rust.

They have what the Dockerfiles take from their namesakes, in the same places. Python is Debian's own: its patch version may be
another one than the name says.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

SUITE = "trixie"
PACKAGES = ("python3", "python3-venv", "ca-certificates")


def python(folder: Path, root: Path) -> None:
    """A Debian root with Python as `/usr/local/bin/python`.

    Raises:
        OSError: debootstrap is not installed.
        subprocess.SubprocessError: It failed.
    """
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(folder)]
    subprocess.run([*command, *_mirror()], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    for name in ("python", "python3"):
        (folder / "usr" / "local" / "bin" / name).symlink_to("/usr/bin/python3")
    shutil.rmtree(folder / "var" / "cache" / "apt" / "archives")


def rust(folder: Path, root: Path) -> None:
    """The toolchain that `rust-toolchain.toml` pins, with rustup, and nothing besides.

    Raises:
        OSError: There is no such toolchain here.
        subprocess.SubprocessError: rustup does not run.
    """
    channel = re.search(r'channel = "([^"]+)"', (root / "rust-toolchain.toml").read_text())
    installed = subprocess.run(
        ["rustc", "--print", "sysroot"],
        cwd=root,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    sysroot = Path(installed.stdout.strip()).resolve()
    host = re.search(
        r"host: (\S+)", subprocess.run(["rustc", "-vV"], cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout
    )
    if channel is None or host is None:
        raise OSError("rust-toolchain.toml names no channel, or rustc no host")
    name = f"{channel[1]}-{host[1]}"
    home = folder / "usr" / "local" / "rustup"
    shutil.copytree(sysroot, home / "toolchains" / name, symlinks=True, ignore=shutil.ignore_patterns("share"))
    for empty in ("downloads", "tmp", "update-hashes"):  # rustup makes them where they are missing, or fails
        (home / empty).mkdir()
    (home / "settings.toml").write_text(f'version = "12"\ndefault_toolchain = "{name}"\n')
    programs = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")) / "bin"
    ours = folder / "usr" / "local" / "cargo" / "bin"
    ours.mkdir(parents=True)
    shutil.copy2(programs / "rustup", ours / "rustup")
    for program in ("cargo", "rustc", "rustdoc", "rustfmt", "cargo-fmt", "cargo-clippy", "clippy-driver"):
        (ours / program).symlink_to("rustup")


def _mirror() -> list[str]:
    """The mirror that this machine's apt uses, if it is one of Debian; else debootstrap has its own."""
    if shutil.which("apt-get") is None:
        return []
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)"],
        check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    found = [line.removeprefix("Debian ") for line in listed.stdout.splitlines() if line.startswith("Debian http")]
    return found[:1]


MAKERS = {"PYTHON": python, "RUST": rust}
