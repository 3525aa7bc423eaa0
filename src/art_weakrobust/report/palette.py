"""The colours of page and figures: one table, light and dark, and the heat ramps mixed from them in OKLab.

Colour means judgement and nothing else: orange is weak or worse, blue strong or better, grey neither.
OKLab: Björn Ottosson, https://bottosson.github.io/posts/oklab/.
"""

from __future__ import annotations

import numpy as np

LIGHT = {
    "paper": "#fbfaf8",
    "raised": "#ffffff",
    "sunken": "#f3f1ec",
    "ink": "#1b1f23",
    "ink2": "#4a5159",
    "ink3": "#666d75",
    "line": "#e6e3dc",
    "line2": "#c9c5bc",
    "weak": "#ad430a",
    "weakmark": "#d15a06",
    "weaktint": "#fcf0e5",
    "strong": "#0a5796",
    "strongmark": "#0b6cb8",
    "quiet": "#7a8189",
}
DARK = {
    "paper": "#15181b",
    "raised": "#1c2024",
    "sunken": "#22272b",
    "ink": "#e9e7e2",
    "ink2": "#b9bab8",
    "ink3": "#979a9d",
    "line": "#2b3035",
    "line2": "#454c53",
    "weak": "#f2a063",
    "weakmark": "#ee8b3d",
    "weaktint": "#2d2118",
    "strong": "#7cbcf0",
    "strongmark": "#58a8e8",
    "quiet": "#7c838a",
}
HEAT_STEPS, CHANGE_STEPS = 10, 5
_RAMPS = {
    "light": (("#f4f1ea", "#eda25f", "#8a3606"), ("#f4f1ea", "#f0b681", "#af4e0d"), ("#f4f1ea", "#98c4e6", "#1e6bac")),
    "dark": (("#20252a", "#7d4620", "#ffb066"), ("#20252a", "#73421f", "#df8940"), ("#20252a", "#1f5378", "#5fa6dc")),
}
_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def _linear(colour: str) -> np.ndarray:
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2 of ``#rrggbb``."""
    return float(_linear(colour) @ np.array([0.2126, 0.7152, 0.0722]))


def contrast(one: str, other: str) -> float:
    """Return the contrast of WCAG 2 between two colours, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def mix(one: str, other: str, share: float) -> str:
    """Return the colour that lies ``share`` (0 to 1) of the way from ``one`` to ``other`` in OKLab."""
    labs = [_TO_LAB @ np.cbrt(_TO_LMS @ _linear(colour)) for colour in (one, other)]
    lms = np.linalg.solve(_TO_LAB, labs[0] + share * (labs[1] - labs[0])) ** 3
    linear = np.clip(np.linalg.solve(_TO_LMS, lms), 0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(channel * 255):02x}" for channel in srgb)


def ramp(stops: tuple[str, str, str], steps: int) -> list[str]:
    """Return ``steps + 1`` colours through three stops."""
    low, middle, high = stops
    shares = [2 * step / steps for step in range(steps + 1)]
    return [mix(low, middle, share) if share <= 1 else mix(middle, high, share - 1) for share in shares]


def _heat(mode: str) -> dict[str, str]:
    """Return the ramp variables: h0-h10 accuracy, n0-n5 losses, p0-p5 gains, each with its text colour ``t…``."""
    variables: dict[str, str] = {}
    for letter, stops in zip("hnp", _RAMPS[mode], strict=True):
        for step, colour in enumerate(ramp(stops, HEAT_STEPS if letter == "h" else CHANGE_STEPS)):
            variables[f"{letter}{step}"] = colour
            variables[f"t{letter}{step}"] = max(("#000000", "#ffffff"), key=lambda text: contrast(text, colour))
    return variables


def css() -> str:
    """Return the palette as CSS: custom properties for both modes (print is always light), and the heat classes."""

    def block(colours: dict[str, str]) -> str:
        return ";".join(f"--{name}:{colour}" for name, colour in colours.items())

    light, dark = LIGHT | _heat("light"), DARK | _heat("dark")
    cells = [name for name in light if name[0] in "hnp" and name[1:].isdigit()]
    return (
        f":root{{color-scheme:light dark;{block(light)}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{block(dark)}}}}}"
        + "".join(f".{name}{{background:var(--{name});color:var(--t{name})}}" for name in cells)
    )
