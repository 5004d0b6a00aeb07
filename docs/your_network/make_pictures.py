"""Four kinds of marks on noise, 32 x 32 px, colour and place by chance: 400 pictures of each."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

rng = np.random.default_rng(1)
for kind in ("disc", "square", "cross", "bars"):
    folder = Path("pictures") / kind
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(400):
        noise = rng.integers(20, 200, (32, 32, 3)).astype(np.uint8)
        picture = Image.fromarray(noise)
        draw = ImageDraw.Draw(picture)
        (x, y), r = rng.integers(8, 24, 2), rng.integers(4, 8)
        ink = tuple(int(v) for v in rng.integers(150, 256, 3))
        box = (x - r, y - r, x + r, y + r)
        if kind == "disc":
            draw.ellipse(box, fill=ink)
        elif kind == "square":
            draw.rectangle(box, fill=ink)
        elif kind == "cross":
            draw.line((x - r, y, x + r, y), ink, 3), draw.line((x, y - r, x, y + r), ink, 3)
        else:
            for row in range(y - r, y + r + 1, 3):
                draw.line((x - r, row, x + r, row), ink, 1)
        picture.save(folder / f"{number:03d}.png")
