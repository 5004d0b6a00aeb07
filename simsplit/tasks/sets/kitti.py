"""KITTI stereo 2015 (Menze and Geiger, CVPR 2015): left pictures with their disparities.

    training/image_2/000000_10.png                        8-bit RGB, about 375 x 1242 px
    training/disp_occ_0/000000_10.png  (or disp_noc_0)    16-bit; p / 256 px, 0 is unknown

The truth of ``testing`` is withheld, so the 200 training pictures are divided as ``split`` says.
``path`` is the folder that holds ``training``. Source: the devkit's readme.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from simsplit.scenario.data import KittiData
from simsplit.tasks.sets.contract import DataError, Split
from simsplit.tasks.sets.fit import Sample
from simsplit.tasks.sets.pictures import check_there, read_picture, read_sixteen_bits
from simsplit.tasks.sets.samples import SampleSet, settings_of, shape_of
from simsplit.tasks.sets.splits import divided


@dataclass(frozen=True, kw_only=True)
class Kitti(SampleSet):
    """``image`` and ``disparity``, px of the picture that circulates."""

    files: tuple[tuple[Path, Path], ...] = field(repr=False)

    def sample(self, position: int) -> Sample:
        """The picture and its disparities."""
        picture, truth = self.files[position]
        raw = read_sixteen_bits(truth)
        disparity = np.where(raw > 0, raw.astype(np.float32) / np.float32(256), np.float32(np.nan))
        return {"image": read_picture(picture, self.image_shape[-1]), "disparity": disparity}

    def files_of(self, position: int) -> tuple[Path, ...]:
        """Picture and disparities."""
        return self.files[position]


def open_kitti(
    spec: KittiData, split: Split, height: int | None, width: int | None, where: str
) -> Kitti:
    """A split of KITTI's training pictures.

    Raises:
        DataError: No pictures, or some without disparities.
    """
    top = Path(spec.path)
    pictures = sorted((top / "training" / "image_2").glob("[!.]*_10.png"))
    if not pictures:
        raise DataError("expected is training/image_2/*_10.png", file=top)
    folder = top / "training" / f"disp_{spec.disparity}_0"
    check_there([folder / picture.name for picture in pictures], "disparities", top)
    parts = divided([picture.name for picture in pictures], [0] * len(pictures), spec.split)
    files = tuple((pictures[i], folder / pictures[i].name) for i in parts[split])
    if not files:
        raise DataError(f"the {split} split is empty", file=top, key="split")
    first = read_picture(files[0][0], spec.channels).shape
    return Kitti(
        name="kitti",
        split=split,
        length=len(files),
        image_shape=shape_of(height, width, spec.channels, (first[0], first[1])),
        where=where,
        fit=spec.fit,
        settings=settings_of(spec),
        files=files,
    )
