"""Runs every fuzz target for FUZZ_SECONDS each, from the corpus in `tests/data/fuzz`; what it finds new stays in `target/fuzz`.

Standard library only, and runs on Python 3.8.
"""

import os
import subprocess
import sys

from preflight import ROOT, toolchain

FUZZ_DIR = "tests/rust/fuzz"


def main():
    seconds = os.environ.get("FUZZ_SECONDS", "60")
    listed = subprocess.run(cargo_fuzz("list"), stdout=subprocess.PIPE, check=True, cwd=str(ROOT))
    targets = listed.stdout.decode().split()
    if not targets:
        sys.exit("fuzz: no targets in %s" % FUZZ_DIR)
    subprocess.run(cargo_fuzz("build"), check=True, cwd=str(ROOT))
    failed = [target for target in targets if not fuzz(target, seconds)]
    print(
        "fuzz: %d passed, %d failed%s"
        % (len(targets) - len(failed), len(failed), ": " + ", ".join(failed) if failed else "")
    )
    return 1 if failed else 0


def fuzz(target, seconds):
    """Whether the target held; libFuzzer itself prints its seed and, on a crash, the input's file."""
    found = ROOT / "target" / "fuzz" / "corpus" / target
    found.mkdir(parents=True, exist_ok=True)
    corpora = [str(found)] + [str(path) for path in [ROOT / "tests" / "data" / "fuzz" / target] if path.is_dir()]
    limits = ["-max_total_time=" + seconds, "-print_final_stats=1", "-rss_limit_mb=2048", "-timeout=10"]
    print("fuzz: %s for %s s" % (target, seconds), flush=True)
    command = cargo_fuzz("run") + [target] + corpora + ["--"] + limits
    return subprocess.run(command, stdin=subprocess.DEVNULL, cwd=str(ROOT)).returncode == 0


def cargo_fuzz(verb):
    os.environ["PATH"] = str(ROOT / ".tools" / "bin") + os.pathsep + os.environ["PATH"]
    os.environ.setdefault("CARGO_TARGET_DIR", str(ROOT / "target" / "fuzz"))
    return ["cargo", "+" + toolchain(), "fuzz", verb, "--fuzz-dir", FUZZ_DIR]


if __name__ == "__main__":
    sys.exit(main())
