"""Interrupts a small but complete run in every way, and compares what it ends with to a run that nothing disturbed.

    python3 scripts/torture.py [--phases kills,writes,full-disk,errors,truncation] [--kills 50] [--seed 1] [--keep FOLDER]

One run is left alone; then come the phases:

    kills       SIGKILL at random moments, --kills of them, each gone on with until the run is through
    writes      SIGKILL at every write of a record or of a file that is put in place: before, in the middle or after it
    full-disk   a file system that is too small (a tmpfs, where one may be mounted), and writes that find no space
    errors      a write that fails once
    truncation  a finished run whose record files all lose half of their last line

Whatever failed must have ended with exit status 1, a message that names step, cause and the command that goes on, and no
trap of the Swift runtime. Gone on with, the run must end with the same content as the one that was left alone: weights,
tables, predictor, models, their cards and all records but times, byte for byte. The lines of training.jsonl are compared
in sorted order, since models train side by side, and so are those of latency.jsonl: a profile that goes on measures next
what is least known by then. Latencies come from a recorded device, since no seed repeats them.
Exit status 0: everything was the same.
"""

import argparse
import contextlib
import hashlib
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
  - {name: stage1, widths: [8], window: 1, depths: [1, 1], stride: 2}
  - {name: stage2, widths: [16, 24], window: 1, depths: [1, 2], stride: 2}
head:
  - {layer: convolution, name: final_expand, width: 32, activation: hard-swish}
  - {layer: global-average-pool, name: pool}
  - {layer: linear, name: logits}
"""

# A model takes as many microseconds as its file has bytes: latencies that no clock has a part in.
DEVICE = """\
name: recorded
version: "1"
time: [wc, -c, "{files}"]
pattern: '([0-9]+) [^\\n]*[.]onnx'
unit: us
batch: 200
rounds: 3
"""


def small_configuration(folder):
    """The built-in configuration with small numbers, so that a new key of it is tortured too."""
    text = subprocess.run(
        [root / "spaceevo", "run", "--print-configuration"], check=True, capture_output=True, text=True
    ).stdout
    numbers = {
        "hyperspace": folder / "torture.yaml", "validation-images": 300, "fitting-networks": 6, "held-out-networks": 2,
        "images": 64, "evaluation-images": 32, "rows": 4, "float-steps": 12, "integer-steps": 8, "epoch": 4, "seconds": 3600,
    }
    lines = []
    section = ""
    for line in text.splitlines():
        key = line.split(":")[0].strip()
        if not line.startswith(" ") and ":" in line and not line.startswith("#"):
            section = key
        if section == "teacher" and line.startswith(" "):
            small = {"block": "bottleneck", "widths": "[16, 24]", "depths": "[1, 1]", "steps": 12, "batch": 32}
            line = f"  {key}: {small[key]}" if key in small else line
        elif section == "device" and key == "device":
            line = f"device: {{name: {folder / 'device.yaml'}, threads: 1}}"
        elif section == "constraints" and key == "quantiles":
            line = "  quantiles: [0.5, 0.9]"
        elif key == "evolution":
            line = "evolution: {population: 4, tournament: 2, spaces: 12, fraction: 0.08, exponent: 0.01}"
        elif key == "search":
            line = (
                "search: {population: 5, generations: 1, mutations: 2, crossovers: 2, images: 150, "
                "recalibration-images: 32}"
            )
        elif key == "fine-tuning":
            line = "fine-tuning: {models: 2, steps: 9, batch: 32, learning-rate: 0.02}"
        elif key in numbers and ":" in line and not line.strip().startswith("#"):
            line = f"{line.split(':')[0]}: {numbers[key]}"
        lines.append(line)
    return "\n".join(lines) + "\n"


PROGRAM = root / "spaceevo"
# What no user may ever read: the Swift runtime's own words, and those of the C++ one.
TRAPS = ("Fatal error", "crashed", "Thread 0", "Stack dump", "terminate called", "Current stack trace", "met a fault")


def fail(message):
    sys.exit(f"torture: {message}")


def start(folder, run, fault=None):
    environment = dict(os.environ)
    environment.pop("SPACEEVO_FAULT", None)
    if fault:
        environment["SPACEEVO_FAULT"] = fault
    return subprocess.Popen(
        [PROGRAM, "run", folder / "run.yaml", "--run", run, "--quiet"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True)


def kill(process):
    """The program and all that it has started: what a machine that loses its power does."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def finish(process):
    """Whether the process came to its end; one that was killed did not."""
    _, errors = process.communicate()
    if process.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return False
    if process.returncode != 0:
        fail(f"the run failed with status {process.returncode}:\n{errors}")
    return True


def finish_or_fail(process, cause):
    """Whether the process came to its end; one that failed must have said why, where and how to go on."""
    _, errors = process.communicate()
    found = [words for words in TRAPS if words in errors]
    if found:
        fail(f"a user would have read {found}:\n{errors}")
    if process.returncode == 0:
        return True
    if process.returncode != 1:
        fail(f"status {process.returncode} in place of 1:\n{errors}")
    run = pathlib.Path(process.args[4])
    if cause not in errors or run.name not in errors:
        fail(f"the message does not tell of \"{cause}\" or of the run folder:\n{errors}")
    begun = (run / "manifest.json").exists()
    if begun and "To go on: " not in errors and "run the same command again" not in errors:
        fail(f"the message does not tell how to go on:\n{errors}")
    return False


TIMES = ("secondsSince1970", "secondsApart")


def timeless(text):
    """JSON without the keys that tell when something was measured."""
    return json.loads(text, object_hook=lambda members: {k: v for k, v in members.items() if k not in TIMES})


def records(path):
    """A record file's lines without times; in one order where trainings run side by side."""
    lines = [json.dumps(timeless(line), sort_keys=True) for line in path.read_text().splitlines()]
    return sorted(lines) if path.name in ("training.jsonl", "latency.jsonl") else lines


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


def state(folder):
    """What is in a run folder at this moment, for the comparison with a later one."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).digest()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".partial-") and path.name != "lock"
    }


def whole_lines(folder):
    """The whole lines of every record file."""
    return {
        path.name: path.read_bytes().split(b"\n")[:-1] for path in (folder / "records").glob("*.jsonl")
    }


def require_kept(run, before):
    """That every whole record line that was there still is, in its place."""
    after = whole_lines(run)
    for name, lines in before.items():
        if after.get(name, [])[: len(lines)] != lines:
            fail(f"{run}: {name} has lost records")


def shortest_life(seconds):
    """The longest life that a kill leaves a run to begin with, which takes so many seconds when left alone."""
    return max(2.0, seconds / 6)


class Torture:
    def __init__(self, folder, options):
        self.folder = folder
        self.options = options
        begin = time.monotonic()
        if not finish(start(folder, folder / "whole")):
            fail("the run that was to be left alone was killed by somebody else")
        self.seconds = time.monotonic() - begin
        self.expected = content(folder / "whole")
        lines = sum(len(lines) for lines in whole_lines(folder / "whole").values())
        print(
            f"a run that is left alone takes {self.seconds:.0f} s and leaves {len(self.expected)} files to compare, with "
            f"{lines} records", flush=True)

    def compare(self, run):
        actual = content(run)
        differing = sorted(
            name for name in self.expected.keys() | actual.keys() if self.expected.get(name) != actual.get(name)
        )
        if differing:
            fail(f"{run} ended with other content than the run that was left alone: {', '.join(differing)}")

    def go_on(self, run):
        """The rest of a run, which must end with what is expected."""
        if not finish(start(self.folder, run)):
            fail("killed by somebody else")
        self.compare(run)

    def kills(self):
        generator = random.Random(self.options.seed)
        kills = runs = 0
        while kills < self.options.kills:
            runs += 1
            run = self.folder / f"killed-{runs}"
            longest, kept = shortest_life(self.seconds), None
            while True:
                process = start(self.folder, run)
                # Long enough for some progress, short enough for many kills a run.
                try:
                    process.wait(timeout=generator.uniform(0.2, longest))
                except subprocess.TimeoutExpired:
                    kill(process)
                    kills += 1
                    # On a busy machine a life may be over before it has kept anything, again and again.
                    before, kept = kept, state(run)
                    longest = longest * 1.2 if kept == before else shortest_life(self.seconds)
                    continue
                if finish(process):
                    break
            self.compare(run)
            shutil.rmtree(run)
            print(f"kills: {kills} at random moments, {runs} runs: the same", flush=True)

    def writes(self):
        """Every write of a run is met by a life that ends there, at one of three moments in turn; --thorough: at each.

        A life ends at its second write, since its first is the one that was lost before; at its first where none was. A
        unit of work that writes several files before it is recorded begins again, and writes the same bytes again: where
        nothing has changed, the next life ends a write later.
        """
        run = self.folder / "writes"
        moments = ("before-write", "write", "after-write")
        deaths, first, number, kept = 0, 1, 1, None
        while True:
            moment = moments[deaths % 3]
            if finish(start(self.folder, run, f"{moment}:{number}")):
                break
            deaths += 1
            if deaths % 50 == 0:
                print(f"writes: {deaths} kills so far", flush=True)
            first = 1 if moment == "after-write" or self.options.thorough else 2
            before, kept = kept, state(run)
            if kept != before:
                number = first
            elif not self.options.thorough or moment == "after-write":
                number += 1
        self.compare(run)
        shutil.rmtree(run)
        print(f"writes: {deaths} kills at writes: the same", flush=True)

    def failing(self, phase, moment, cause):
        """Lives that each fail at one of their writes, until one comes through before it."""
        generator = random.Random(self.options.seed)
        run = self.folder / phase
        failures = 0
        while not self.fails(run, cause, f"{moment}:{generator.choice((1, 2, 3, 5, 8, 13, 21, 34))}"):
            failures += 1
        self.compare(run)
        shutil.rmtree(run)
        print(f"{phase}: {failures} failed writes: the same", flush=True)

    def fails(self, run, cause, fault=None):
        """One life of a run that may fail for a cause, in which case it must keep what it had; whether it came through."""
        before = whole_lines(run)
        is_through = finish_or_fail(start(self.folder, run, fault), cause)
        require_kept(run, before)
        return is_through

    def errors(self):
        self.failing("errors", "fail-write", "Input/output error")

    def full_disk(self):
        self.small_file_system()
        self.failing("full-disk", "full-disk", "No space left on device")

    def small_file_system(self):
        """A file system that the run fills again and again, and that is then made a little larger."""
        disk = self.folder / "disk"
        disk.mkdir()
        pages = sum(path.stat().st_size // 4096 + 2 for path in (self.folder / "whole").rglob("*"))
        mounting = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk], capture_output=True, text=True)
        if mounting.returncode != 0:
            print(f"full-disk: left out the small file system, which cannot be mounted here: {mounting.stderr.strip()}")
            return
        failures = 0
        try:
            for share in (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.5, 2, 4):
                subprocess.run(["mount", "-o", f"remount,size={int(pages * share) * 4 + 16}k", disk], check=True)
                if self.fails(disk / "run", "No space left on device"):
                    break
                failures += 1
            else:
                fail("the run did not fit into four times the space that it needs")
            self.compare(disk / "run")
        finally:
            subprocess.run(["umount", disk], check=True)
        if failures == 0:
            fail("the small file system was large enough")
        print(f"full-disk: a file system that was full {failures} times: the same", flush=True)

    def truncation(self):
        run = self.folder / "truncated"
        shutil.copytree(self.folder / "whole", run)
        cut = cut_last_lines(run)
        self.go_on(run)
        shutil.rmtree(run)
        for share in (0.2, 0.4, 0.6, 0.8):
            process = start(self.folder, run)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=self.seconds * share)
            kill(process)
            cut += cut_last_lines(run)
            self.go_on(run)
            shutil.rmtree(run)
        print(f"truncation: {cut} record files that had lost half of their last line, in 5 runs: the same", flush=True)


def cut_last_lines(run):
    """Takes half of the last line from every record file; how many files had one."""
    cut = 0
    for path in (run / "records").glob("*.jsonl"):
        text = path.read_bytes()
        last = text.rstrip(b"\n").rfind(b"\n") + 1
        if last < len(text):
            path.write_bytes(text[: last + (len(text) - last) // 2])
            cut += 1
    return cut


def enter_namespace():
    """Goes on in a mount namespace of its own, where there are such, so that no mount outlives this script."""
    mark = "SPACEEVO_TORTURE_NAMESPACE"
    if os.environ.pop(mark, None) or not shutil.which("unshare"):
        return
    options = ["--mount"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--mount"]
    if subprocess.run(["unshare", *options, "true"], capture_output=True).returncode == 0:
        os.environ[mark] = "1"
        os.execvp("unshare", ["unshare", *options, sys.executable, *sys.argv])


PHASES = ("kills", "writes", "full-disk", "errors", "truncation")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phases", default=",".join(PHASES), help="which, with commas between; all where left out")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--thorough", action="store_true", help="kill at all three moments of every write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=pathlib.Path, help="work here, take the whole run that is there, leave everything")
    options = parser.parse_args()
    phases = options.phases.split(",")
    unknown = [phase for phase in phases if phase not in PHASES]
    if unknown:
        parser.error(f"--phases: {unknown[0]} is none of {', '.join(PHASES)}")
    enter_namespace()

    # In memory, where that can be: SIGKILL takes nothing that was written, on whatever it was, and a busy disk takes long.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = (options.keep or pathlib.Path(tempfile.mkdtemp(prefix="spaceevo-torture-", dir=memory))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    # A whole run that is there is taken: it goes through at once.
    for leftover in [*PHASES, "disk", "truncated"]:
        shutil.rmtree(folder / leftover, ignore_errors=True)
    (folder / "torture.yaml").write_text(HYPERSPACE)
    (folder / "device.yaml").write_text(DEVICE)
    (folder / "run.yaml").write_text(small_configuration(folder))

    torture = Torture(folder, options)
    for phase in phases:
        begin = time.monotonic()
        getattr(torture, phase.replace("-", "_"))()
        print(f"{phase}: {(time.monotonic() - begin) / 60:.1f} min", flush=True)
    if not options.keep:
        shutil.rmtree(folder)


main()
