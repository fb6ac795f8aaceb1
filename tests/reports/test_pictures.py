"""The pages as pictures: what a browser draws is held against pictures that were looked at and kept.

``ZOOPORT_PICTURES=keep pytest tests/reports/test_pictures.py`` draws them anew; look at them before they are committed.
"""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.reports.browsing import CHROMIUM, RESIZED, drawn

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"the pictures need {CHROMIUM}")

MODEL = "models/m1-resnet50.html"
KEPT = Path(__file__).parent / "pictures"
# The fonts that the kept pictures are in, by what asks for them; in others every line breaks elsewhere.
FONTS = {"en": ("sans-serif", "DejaVu Sans"), "zh": ("Noto Sans CJK SC", "Noto Sans CJK SC")}
# A page's side over its picture's. Text becomes grey, and how its edges are smoothed no longer matters.
SCALE = 4
# The side of the squares that are compared, and the mean difference of one (of 255) from which it has changed.
SQUARE = 12
LIMIT = 10
CASES = [
    *(
        (page, "en", width, theme)
        for page in ("index.html", MODEL)
        for width in (1440, 390)
        for theme in ("light", "dark")
    ),
    *((page, "zh", width, "light") for page in ("index.html", MODEL) for width in (1440, 390)),
]


def _missing(lang: str) -> str:
    """Return why no picture can be compared here, empty where it can."""
    asked, kept = FONTS[lang]
    try:
        command = ["fc-match", "-f", "%{family}", asked]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "which fonts there are is asked of fc-match"
    return "" if kept in found.split(",") else f"the pictures are in {kept}; {asked} is {found} here"


def photograph(page: Any, width: int, theme: str) -> Image.Image:
    """Return the whole page as it looks, at a quarter of its size."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    page.wait_for_function(RESIZED, arg=width)
    drawn(page, theme)
    taken = Image.open(io.BytesIO(page.screenshot(full_page=True, animations="disabled"))).convert("RGB")
    return taken.resize((taken.width // SCALE, taken.height // SCALE), Image.Resampling.BOX)


def changed(kept: Image.Image, found: Image.Image) -> list[tuple[int, int]]:
    """Return the squares (row, column) in which two pictures differ; a part that only one has counts."""
    height, width = (max(kept.size[axis], found.size[axis]) for axis in (1, 0))
    sheets = []
    for picture in (kept, found):
        sheet = np.full((-(-height // SQUARE) * SQUARE, -(-width // SQUARE) * SQUARE, 3), -255.0)
        sheet[: picture.height, : picture.width] = np.asarray(picture, np.float64)
        sheets.append(sheet)
    apart = np.abs(sheets[0] - sheets[1]).max(axis=2)
    squares = apart.reshape(apart.shape[0] // SQUARE, SQUARE, -1, SQUARE).mean(axis=(1, 3))
    return [(int(row), int(column)) for row, column in np.argwhere(squares > LIMIT)]


def _file(page: str, lang: str, width: int, theme: str) -> Path:
    return KEPT / f"{Path(page).stem}-{lang}-{width}-{theme}.webp"


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "lang", "width", "theme"), CASES)
def test_a_page_looks_as_it_did_when_it_was_looked_at(
    visit: Callable[..., Any], built: dict[str, Path], tmp_path: Path, name: str, lang: str, width: int, theme: str
) -> None:
    if reason := _missing(lang):
        pytest.skip(reason)
    found, file = photograph(visit(built[lang] / name, width), width, theme), _file(name, lang, width, theme)
    if os.environ.get("ZOOPORT_PICTURES") == "keep":
        found.save(file, lossless=True, quality=100, method=6)
        return
    with Image.open(file) as kept:
        places = changed(kept.convert("RGB"), found)
    if places:
        found.save(tmp_path / file.name)
    assert places == [], f"{tmp_path / file.name} differs in squares of {SQUARE * SCALE} pixels at {places[:5]}"


@pytest.mark.parametrize(
    "damage",
    [
        ".verdict { background: #b42318 !important; color: white !important; }",
        "#summary-table tbody tr:first-child th { visibility: hidden; }",
        ".chart .main-svg { display: none; }",
        "h1 { margin-bottom: 40px; }",
    ],
)
def test_damage_to_a_page_is_seen(visit: Callable[..., Any], built: dict[str, Path], damage: str) -> None:
    page = visit(built["en"] / "index.html", 1440)
    before = photograph(page, 1440, "light")
    assert changed(before, photograph(page, 1440, "light")) == []
    page.add_style_tag(content=damage)
    assert changed(before, photograph(page, 1440, "light"))
