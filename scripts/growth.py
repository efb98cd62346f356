"""Whether long work grows: samples the memory and the open files of measuring and of training for a chosen time.

    python3 scripts/growth.py [--minutes 120] [--every 5] [--output FOLDER]

Two processes work side by side for all of the time: `spaceevo profile` makes, times and frees models of the hyperspace
onnxw in ONNX Runtime; `spaceevo run` trains the demo's supernet with one job and a checkpoint every 50 steps. Both are
stopped at the end, as by Ctrl-C. Written are growth.csv (seconds, process, resident memory in MB, open files) and
growth.svg. Exit status 1 where the last third of a process's time used more open files than its second third, or over a
tenth and 50 MB more memory.
"""

import argparse
import concurrent.futures
import csv
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

root = pathlib.Path(__file__).resolve().parent.parent
PAGE = os.sysconf("SC_PAGE_SIZE")


def training_configuration():
    """The demo with a short way to the supernet, which then trains for longer than anybody waits."""
    text = subprocess.run(
        [root / "spaceevo", "run", "--print-configuration"], check=True, capture_output=True, text=True).stdout
    section = ""
    lines = []
    for line in text.splitlines():
        key = line.split(":")[0].strip()
        if re.match(r"[a-z]", line):
            section = key
        numbers = {
            "profile": {"seconds": 15, "fitting-networks": 6, "held-out-networks": 2},
            "teacher": {"steps": 60},
            "distillation": {"images": 128, "float-steps": 4, "integer-steps": 4, "rows": 4, "evaluation-images": 32},
            "supernet": {"float-steps": 10_000_000, "epoch": 50},
        }.get(section, {})
        if line.startswith(" ") and key in numbers:
            line = f"  {key}: {numbers[key]}"
        elif section == "jobs":
            line = "jobs: 1"
        lines.append(line)
    return "\n".join(lines) + "\n"


def sample(process):
    """Resident memory in MB and open files of a process; nothing once it has ended."""
    folder = pathlib.Path("/proc") / str(process.pid)
    try:
        resident = int((folder / "statm").read_text().split()[1]) * PAGE / 1e6
        return resident, len(list((folder / "fd").iterdir()))
    except OSError:
        return None


def watch(name, command, seconds, every):
    """Runs a command for so long; what it held every few seconds."""
    samples = []
    begin = time.monotonic()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        while (now := time.monotonic() - begin) < seconds and process.poll() is None:
            found = sample(process)
            if found:
                samples.append((round(now, 1), name, round(found[0], 1), found[1]))
            time.sleep(every)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        status = process.wait()
        errors.seek(0)
        if status not in (0, 130):
            raise SystemExit(f"growth: {name} ended with status {status}:\n{errors.read()}")
    print(f"{name}: {time.monotonic() - begin:.0f} s", flush=True)
    return samples


def is_growing(rows):
    """Whether the last third holds more than the second; the first third is for warming up."""
    third = len(rows) // 3
    if third < 3:
        return False
    before, after = rows[third:2 * third], rows[2 * third:]
    memory = [sorted(row[2] for row in part)[len(part) // 2] for part in (before, after)]
    files = [max(row[3] for row in part) for part in (before, after)]
    print(
        f"{rows[0][1]}: resident memory {memory[0]:.0f} MB in the second third and {memory[1]:.0f} MB in the last, "
        f"open files {files[0]} and {files[1]}")
    return files[1] > files[0] or memory[1] > memory[0] * 1.1 + 50


COLOURS = {"measuring": "var(--a)", "training": "var(--b)"}


def panel(rows, column, title, unit, left, top, width, height):
    """One chart: time in minutes against a column of the samples."""
    last = max(row[0] for row in rows) / 60
    ceiling = max(row[column] for row in rows)
    step = next(s * 10 ** e for e in range(-1, 6) for s in (1, 2, 5) if ceiling / (s * 10 ** e) <= 5)
    ceiling = step * (int(ceiling / step) + 1)
    minutes = next(s * 10 ** e for e in range(-1, 5) for s in (1, 2, 5) if last / (s * 10 ** e) <= 8)

    def x(seconds):
        return left + seconds / 60 / last * width

    def y(value):
        return top + height - value / ceiling * height

    parts = [f'<text class="title" x="{left}" y="{top - 12}">{title}</text>']
    value = 0
    while value <= ceiling + 1e-9:
        parts.append(f'<line class="grid" x1="{left}" x2="{left + width}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text class="end" x="{left - 8}" y="{y(value) + 4:.1f}">{value:g}</text>')
        value += step
    tick = 0
    while tick <= last + 1e-9:
        parts.append(f'<text class="middle" x="{x(tick * 60):.1f}" y="{top + height + 18}">{tick:g}</text>')
        tick += minutes
    parts.append(f'<text class="middle" x="{left + width / 2}" y="{top + height + 36}">minutes</text>')
    parts.append(f'<text class="end" x="{left - 8}" y="{top - 12}">{unit}</text>')
    for name, colour in COLOURS.items():
        points = " ".join(f"{x(row[0]):.1f},{y(row[column]):.1f}" for row in rows if row[1] == name)
        parts.append(f'<polyline points="{points}" style="stroke: {colour}"/>')
    return parts


def picture(rows):
    """Both charts, readable on light and on dark pages."""
    style = """
    svg { --ink: #24292f; --grid: #d0d7de; --a: #0969da; --b: #bc4c00; background: #ffffff }
    @media (prefers-color-scheme: dark) {
      svg { --ink: #e6edf3; --grid: #3d444d; --a: #58a6ff; --b: #f0883e; background: #0d1117 }
    }
    text { font: 12px system-ui, sans-serif; fill: var(--ink) }
    .title { font-weight: 600 } .end { text-anchor: end } .middle { text-anchor: middle }
    .grid { stroke: var(--grid) } polyline { fill: none; stroke-width: 1.8 }
    """
    parts = panel(rows, 2, "Resident memory", "MB", 70, 60, 330, 200)
    parts += panel(rows, 3, "Open files", "", 480, 60, 330, 200)
    for index, (name, colour) in enumerate(COLOURS.items()):
        left = 70 + 130 * index
        parts.append(f'<line x1="{left}" x2="{left + 22}" y1="18" y2="18" style="stroke: {colour}; stroke-width: 3"/>')
        parts.append(f'<text x="{left + 30}" y="22">{name}</text>')
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 840 310" width="840" height="310" role="img">\n'
        "<title>Resident memory and open files of measuring and of training, over time</title>\n"
        f"<style>{style}</style>\n" + "\n".join(parts) + "\n</svg>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--every", type=float, default=5, help="seconds between samples")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("."))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(prefix="spaceevo-growth-"))
    (work / "run.yaml").write_text(training_configuration())
    commands = {
        "measuring": [
            root / "spaceevo", "profile", "--device", "onnxruntime", "--hyperspace", "onnxw", "--minutes", "1440",
            "--run", work / "profile", "--quiet"],
        "training": [root / "spaceevo", "run", work / "run.yaml", "--run", work / "run", "--quiet"],
    }
    try:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            watched = [
                pool.submit(watch, name, command, options.minutes * 60, options.every)
                for name, command in commands.items()]
        samples = [sample for one in watched for sample in one.result()]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    with open(options.output / "growth.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["seconds", "process", "resident MB", "open files"])
        writer.writerows(samples)
    (options.output / "growth.svg").write_text(picture(samples))
    growing = [is_growing([row for row in samples if row[1] == name]) for name in COLOURS]
    if any(growing):
        sys.exit("growth: memory or open files grow")


main()
