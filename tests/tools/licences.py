"""Writes THIRD-PARTY-LICENSES: the licence texts of every crate that is linked into the wheel, on any platform.

`--check` compares instead of writing. Which crates those are, and where their sources lie, cargo says.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "THIRD-PARTY-LICENSES"
NAMES = re.compile(r"^(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE|UNLICENSE)", re.IGNORECASE)
OURS = ("fastapi-pulsar",)
INTRODUCTION = """\
The compiled module of fastapi-pulsar contains the Rust standard library (MIT OR Apache-2.0, https://www.rust-lang.org)
and the crates below. Made by tests/tools/licences.py; a licence text that several crates share stands once.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    text = render(linked())
    if not parser.parse_args().check:
        OUTPUT.write_text(text)
        return 0
    if not OUTPUT.exists() or OUTPUT.read_text() != text:
        print("licences: THIRD-PARTY-LICENSES is out of date; run: python tests/tools/licences.py", file=sys.stderr)
        return 1
    return 0


def linked() -> list[dict]:
    """The packages whose code is in the compiled module, as `cargo metadata` describes them."""
    tree = ["tree", "--locked", "--package", "fastapi-pulsar", "--target", "all", "--edges", "normal,no-proc-macro"]
    lines = cargo(*tree, "--prefix", "none", "--format", "{p}").splitlines()
    wanted = {tuple(line.split()[:2]) for line in lines if line.strip()}
    packages = json.loads(cargo("metadata", "--locked", "--format-version", "1"))["packages"]
    found = [package for package in packages if (package["name"], "v" + package["version"]) in wanted]
    if len(found) != len(wanted):
        sys.exit("licences: cargo tree and cargo metadata name different packages")
    return sorted((p for p in found if p["name"] not in OURS), key=lambda p: (p["name"], p["version"]))


def render(packages: list[dict]) -> str:
    """Who is in, under which licence, then each text with the crates that it is of."""
    texts: dict[str, list[str]] = {}
    rows = []
    for package in packages:
        title = f"{package['name']} {package['version']}"
        rows.append(f"{title:<40} {package['license'] or 'see its text'}")
        for text in licence_texts(package):
            texts.setdefault(text, []).append(title)
    parts = [INTRODUCTION, "\n".join(rows) + "\n"]
    for text, titles in texts.items():
        parts.append("-" * 100 + "\n" + ", ".join(titles) + "\n\n" + text + "\n")
    return "\n".join(parts)


def licence_texts(package: dict) -> list[str]:
    """The licence files of a crate, or, if it ships none, its authors and the licence's name."""
    folder = Path(package["manifest_path"]).parent
    files = sorted(path for path in folder.rglob("*") if path.is_file() and NAMES.match(path.name))
    texts = [path.read_text(errors="replace").replace("\r\n", "\n").strip() for path in files]
    texts = ["\n".join(line.rstrip() for line in text.splitlines()) for text in texts]
    if texts:
        return texts
    authors = ", ".join(package["authors"]) or "its authors"
    return [f"Copyright {authors}. Licensed under {package['license']} (the crate ships no text of its own)."]


def cargo(*arguments: str) -> str:
    done = subprocess.run(["cargo", *arguments], cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
