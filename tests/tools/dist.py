"""Builds the sdist and, from it, the wheel; checks the tag; tries the wheel where there is nothing but Python.

The README's example runs on the broker that PULSAR_SERVICE_URL names, or else on the embedded one.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"
VERSIONS = ROOT / "tests" / "requirements" / "runtime.txt"
LICENCES = ("LICENSE", "THIRD-PARTY-LICENSES")


def main() -> int:
    shutil.rmtree(DIST, ignore_errors=True)
    # The wheel is built from the sdist, so that a file missing there is found here. The lock file names the same versions,
    # but is shortened in the sdist by the workspace's other members: hence no --locked.
    maturin = [
        sys.executable,
        "-m",
        "maturin",
        "build",
        "--release",
        "--sdist",
        "--out",
        str(DIST),
        "--interpreter",
        sys.executable,
    ]
    run(maturin, CARGO_TARGET_DIR=os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target")))
    wheel = single("*.whl")
    check_tag(wheel)
    check_content(wheel)
    with tempfile.TemporaryDirectory(prefix="fastapi-pulsar-dist-") as folder:
        try_wheel(wheel, Path(folder))
    print(f"dist: {single('*.tar.gz').name} and {wheel.name} are good")
    return 0


def check_tag(wheel: Path) -> None:
    """The platform tag promises an oldest C library; auditwheel reads what the module really asks of it."""
    if sys.platform != "linux":
        return
    shown = output([sys.executable, "-m", "auditwheel", "show", str(wheel)])
    tag = wheel.stem.split("-")[-1]
    promised = tag.split(".")[0]
    print(f"dist: the wheel's tag is {tag}")
    if not promised.startswith(("manylinux", "musllinux")):
        sys.exit(f"dist: {tag} is no tag that other machines accept\n{shown}")
    consistent = shown.replace("\n", " ").split("consistent with the following platform tag:")[-1].split('"')[1]
    if consistent != promised:
        sys.exit(f"dist: the wheel says {promised}, but auditwheel finds {consistent}\n{shown}")


def check_content(wheel: Path) -> None:
    """The compiled module, its stub, the type marker, the demo's data and the licences are in; no build path is."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        wanted = ["py.typed", "_core.pyi", "demo/flights.csv.gz", *(f"licenses/{name}" for name in LICENCES)]
        missing = [name for name in wanted if not any(found.endswith("/" + name) for found in names)]
        modules = [
            name for name in names if name.startswith("fastapi_pulsar/_core.") and name.endswith((".so", ".pyd"))
        ]
        if missing or len(modules) != 1:
            sys.exit(f"dist: missing in the wheel: {missing}; compiled modules: {modules}")
        if str(ROOT).encode() in archive.read(modules[0]):
            print(f"dist: note: {modules[0]} names the folder it was built in")


def try_wheel(wheel: Path, folder: Path) -> None:
    """Installs the wheel into an empty environment whose PATH has no Rust, imports it, runs the README's example."""
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    bare = {"PATH": str(python.parent), "HOME": str(folder)}
    bare |= {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("PIP_", "SSL_")) or name.endswith("_proxy")
    }
    for program in ("cargo", "rustc"):
        if shutil.which(program, path=bare["PATH"]):
            sys.exit(f"dist: {program} is on the PATH of the empty environment")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
    # httpx2: what FastAPI's test client asks for, to call the example.
    run([*pip, "--constraint", str(VERSIONS), str(wheel), "httpx2"], folder, bare)
    imported = output([str(python), "-c", "import fastapi_pulsar._core as c; print(c.__file__)"], folder, bare)
    if str(folder) not in imported:
        sys.exit(f"dist: imported from elsewhere: {imported}")
    print("dist: installed and imported without Rust on the path")
    example = [str(python), str(ROOT / "tests" / "docs" / "readme.py")]
    run(example, folder, bare | {"PULSAR_SERVICE_URL": os.environ.get("PULSAR_SERVICE_URL", "embedded://example")})


def single(pattern: str) -> Path:
    found = list(DIST.glob(pattern))
    if len(found) != 1:
        sys.exit(f"dist: expected one {pattern}, found {[path.name for path in found]}")
    return found[0]


def run(command: list[str], folder: Path = ROOT, environment: dict[str, str] | None = None, **variables: str) -> None:
    environment = (os.environ.copy() if environment is None else environment) | variables
    if subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, check=False).returncode:
        sys.exit(f"dist: failed: {' '.join(command)[:200]}")


def output(command: list[str], folder: Path = ROOT, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"dist: failed: {' '.join(command)[:200]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
