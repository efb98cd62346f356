#!/usr/bin/env bash
#
# Training steps in this program and in Python, the same network on the same torch, in turn; the best of all rounds.
#   Benchmarks/training.sh [ROUNDS]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=$root/.build/release/spaceevo-training-benchmark
python=$root/.deps/python/bin/python
[ -x "$program" ] || { echo "Benchmarks/training.sh: build it first: swift build -c release --product spaceevo-training-benchmark" >&2; exit 1; }
# shellcheck source=scripts/engine-environment.sh
. "$root/scripts/engine-environment.sh"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$program" describe >"$folder/network.json"
for _ in $(seq "${1:-5}"); do
  "$program" | sed 's/^/swift /' >>"$folder/speeds"
  "$python" "$root/Benchmarks/training.py" "$folder/network.json" | sed 's/^/python /' >>"$folder/speeds"
done
"$python" - "$folder/speeds" <<'PYTHON'
import json, sys
best = {}
for line in open(sys.argv[1]):
    where, text = line.split(" ", 1)
    speed = json.loads(text)
    key = (where, speed["mode"])
    best[key] = max(best.get(key, 0), speed["imagesPerSecond"])
for (where, mode), speed in sorted(best.items()):
    ratio = "" if "augment" in mode else f", {best[(where, 'float')] / speed:5.2f} times the float step"
    print(f"{where:7} {mode:18} {speed:7.0f} images/s{ratio}")
print(f"float, swift to python: {best[('swift', 'float')] / best[('python', 'float')]:.2f}")
PYTHON
