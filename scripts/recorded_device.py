"""A device whose answers never change: each model's time follows from its bytes. For `make torture` only."""

import sys
import zlib

for path in sys.argv[1:]:
    with open(path, "rb") as file:
        content = file.read()
    # Larger models take longer, and no two models take the same time.
    print(f"{path.rsplit('/', 1)[-1]} {len(content) / 1e6 + zlib.crc32(content) / 2**32 / 1e3:.9f}")
