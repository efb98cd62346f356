"""Kills a small but complete run again and again, and compares what it ends with to a run that nothing disturbed.

    python3 scripts/torture.py [--kills 50] [--writes 0] [--seed 1] [--keep FOLDER]

First one run is left alone. Then runs are killed with SIGKILL at random moments until there were enough kills, each gone
on with until it is through; then one run is killed around every write (--writes 0: all of them): before it, in the
middle of it, after it. Checkpoints, tables, models, their cards and all records but times must be the same, byte for byte.
Latencies come from a recorded device, since no seed repeats them. Exit status 0: everything was the same.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

root = pathlib.Path(__file__).resolve().parent.parent

HYPERSPACE = """\
name: torture
image: {channels: 1, resolutions: [32]}
classes: 10
blocks:
  - {name: bottleneck, family: residual-bottleneck, kernels: [3], expansions: [1], activation: relu}
  - {name: mbconv-se, family: mbconv, kernels: [3], expansions: [2], activation: hard-swish, squeeze-excitation: true}
stem: {name: first_conv, widths: [8], kernel: 3, stride: 2, activation: relu}
stages:
  - {name: stage1, widths: [8, 16], window: 1, depths: [1, 1], stride: 2}
  - {name: stage2, widths: [16, 24], window: 1, depths: [1, 2], stride: 2}
head:
  - {layer: convolution, name: final_expand, width: 32, activation: hard-swish}
  - {layer: global-average-pool, name: pool}
  - {layer: linear, name: logits}
"""

DEVICE = """\
name: recorded
version: "1"
time: [python3, {script}, "{{files}}"]
batch: 64
rounds: 3
"""


def small_configuration(folder):
    """The built-in configuration with small numbers, so that a new key of it is tortured too."""
    text = subprocess.run(
        [root / "spaceevo", "run", "--print-configuration"], check=True, capture_output=True, text=True
    ).stdout
    numbers = {
        "hyperspace": folder / "torture.yaml", "validation-images": 300, "fitting-networks": 6, "held-out-networks": 2,
        "images": 96, "evaluation-images": 32, "rows": 6, "float-steps": 24, "integer-steps": 12, "epoch": 8, "seconds": 3600,
    }
    lines = []
    section = ""
    for line in text.splitlines():
        key = line.split(":")[0].strip()
        if not line.startswith(" ") and ":" in line and not line.startswith("#"):
            section = key
        if section == "teacher" and line.startswith(" "):
            small = {"block": "bottleneck", "widths": "[16, 24]", "depths": "[1, 1]", "steps": 24, "batch": 32}
            line = f"  {key}: {small[key]}" if key in small else line
        elif section == "device" and key == "device":
            line = f"device: {{name: {folder / 'device.yaml'}, threads: 1}}"
        elif key == "evolution":
            line = "evolution: {population: 4, tournament: 2, spaces: 12, fraction: 0.08, exponent: 0.01}"
        elif key == "search":
            line = (
                "search: {population: 5, generations: 1, mutations: 2, crossovers: 2, images: 150, "
                "recalibration-images: 32}"
            )
        elif key == "fine-tuning":
            line = "fine-tuning: {models: 2, steps: 16, batch: 32, learning-rate: 0.02}"
        elif key in numbers and ":" in line and not line.strip().startswith("#"):
            line = f"{line.split(':')[0]}: {numbers[key]}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def start(folder, run, fault=None):
    environment = dict(os.environ)
    environment.pop("SPACEEVO_FAULT", None)
    if fault:
        environment["SPACEEVO_FAULT"] = fault
    return subprocess.Popen(
        [root / "spaceevo", "run", folder / "run.yaml", "--run", folder / run, "--quiet"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True)


def kill(process):
    """The program and all that it has started: what a machine that loses its power does."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.communicate()


def finish(process):
    """Whether the process came to its end; one that was killed did not."""
    _, errors = process.communicate()
    if process.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return False
    if process.returncode != 0:
        sys.exit(f"torture: the run failed with status {process.returncode}:\n{errors}")
    return True


TIMES = ("secondsSince1970", "secondsApart")


def timeless(text):
    """JSON without the keys that tell when something was measured."""
    return json.loads(text, object_hook=lambda members: {k: v for k, v in members.items() if k not in TIMES})


def records(path):
    """A record file's lines without times; in one order where trainings run side by side."""
    lines = [json.dumps(timeless(line), sort_keys=True) for line in path.read_text().splitlines()]
    return sorted(lines) if path.name in ("training.jsonl", "blocks.jsonl") else lines


def content(folder):
    """Everything that has to be the same."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not path.is_file() or name in ("lock", "manifest.json", "report.html", "records/steps.jsonl"):
            continue
        if path.suffix == ".jsonl":
            found[name] = records(path)
        elif path.suffix == ".json":
            found[name] = timeless(path.read_text())
        else:
            found[name] = path.read_bytes()
    return found


def progress(folder):
    """What a run has finished so far: its files, and the lengths of its records."""
    return {
        (str(path), path.stat().st_size if path.suffix == ".jsonl" else 0)
        for path in folder.rglob("*") if not path.name.startswith(".partial-")
    }


def compare(folder, run, expected):
    actual = content(folder / run)
    differing = sorted(
        name for name in expected.keys() | actual.keys() if expected.get(name) != actual.get(name)
    )
    if differing:
        sys.exit(f"torture: {run} ended with other content than the run that was left alone: {', '.join(differing)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--writes", type=int, default=0, help="writes to be killed at; 0 for all of a run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=pathlib.Path, help="work here, and leave everything there")
    options = parser.parse_args()
    folder = options.keep or pathlib.Path(tempfile.mkdtemp(prefix="spaceevo-torture-"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "torture.yaml").write_text(HYPERSPACE)
    (folder / "device.yaml").write_text(DEVICE.format(script=root / "scripts/recorded_device.py"))
    (folder / "run.yaml").write_text(small_configuration(folder))

    begin = time.monotonic()
    if not finish(start(folder, "whole")):
        sys.exit("torture: the run that was to be left alone was killed by somebody else")
    seconds = time.monotonic() - begin
    expected = content(folder / "whole")
    print(f"a run that is left alone takes {seconds:.0f} s and leaves {len(expected)} files to compare", flush=True)

    generator = random.Random(options.seed)
    kills = runs = 0
    while kills < options.kills:
        runs += 1
        run = f"killed-{runs}"
        while True:
            process = start(folder, run)
            # Long enough for some progress, short enough for many kills a run.
            try:
                process.wait(timeout=generator.uniform(0.2, max(2.0, seconds / 6)))
            except subprocess.TimeoutExpired:
                kill(process)
                kills += 1
                continue
            if finish(process):
                break
        compare(folder, run, expected)
        print(f"{kills} kills at random moments, {runs} runs: the same", flush=True)
        shutil.rmtree(folder / run)

    # The second write of each life, and a later one where that added nothing: a unit of work that writes several files
    # before it is recorded begins again, and its next write is met by the next life.
    moments = ["before-write", "write", "after-write"]
    deaths = 0
    number = 2
    kept = None
    while options.writes == 0 or deaths < options.writes:
        if finish(start(folder, "faults", f"{moments[deaths % 3]}:{number}")):
            break
        deaths += 1
        before, kept = kept, progress(folder / "faults")
        number = number + 1 if kept == before else 2
        if deaths % 50 == 0:
            print(f"{deaths} kills at writes", flush=True)
    if not finish(start(folder, "faults")):
        sys.exit("torture: killed by somebody else")
    compare(folder, "faults", expected)
    print(f"{deaths} kills at writes: the same", flush=True)
    if not options.keep:
        shutil.rmtree(folder)


main()
