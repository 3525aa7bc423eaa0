"""Hand-written SVG: x in per cent of the width, y in pixels, no viewBox, so that text keeps its size at any width."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup

from .typography import MINUS, known

_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5)
ROW, PAIR_ROW, MEASURE = 33, 26, 30
_SYMBOLS = {"held_out": "m-weak", "control": "m-control", "test": "m-test"}
_LANES = {"held_out": 16.5, "control": 6.5, "test": 26.5}

_MARKS = (
    '<path id="m-weak" d="M0 -5.5L5.5 0L0 5.5L-5.5 0Z"/><circle id="m-control" r="3.6"/>'
    '<rect id="m-test" x="-3.4" y="-3.4" width="6.8" height="6.8"/><circle id="m-dot" r="4.2"/>'
)


class Scale:
    """A linear axis: values to per cent of the width.

    :param low: the value at the left edge.
    :param high: the value at the right edge.
    :param step: distance of the grid lines.
    """

    def __init__(self, low: float, high: float, step: float) -> None:
        self.low, self.high, self.step = low, high, step

    @classmethod
    def around(cls, values: Iterable[Any]) -> Scale:
        """Return the scale of at most eight steps that holds zero and all known values."""
        numbers = [0.0, *(float(value) for value in values if known(value))]
        low, high = min(numbers), max(numbers)
        step = next((step for step in _STEPS if high - low <= 6 * step), _STEPS[-1])
        first, last = int(low // step), -int(-high // step)
        return cls(first * step, max(last, first + 1) * step, step)

    @property
    def ticks(self) -> list[float]:
        """The values that have a grid line."""
        number = round((self.high - self.low) / self.step)
        return [self.low + index * self.step for index in range(number + 1)]

    def x(self, value: float) -> str:
        """Return the place of a value, clipped to the axis: ``86.9%``."""
        share = (value - self.low) / (self.high - self.low)
        return f"{100 * min(1.0, max(0.0, share)):.2f}%"


SHARES = Scale(0.0, 1.0, 0.25)


def grid(scale: Scale, name: str) -> Markup:
    """Return the grid lines of a scale, zero stronger where it is within, once for all rows that use ``grid-NAME``."""
    inner = {t for t in scale.ticks if abs(t) < 1e-9 and scale.low < t}
    lines = (
        f'<line class="{"zeroline" if t in inner else "gl"}" x1="{scale.x(t)}" x2="{scale.x(t)}" y1="0" y2="100%"/>'
        for t in scale.ticks
    )
    return _defined(f'<g id="grid-{name}">{"".join(lines)}</g>')


def _defined(body: str) -> Markup:
    return Markup(f'<svg width="0" height="0" class="defs" aria-hidden="true"><defs>{body}</defs></svg>')


DEFINITIONS = _defined(_MARKS) + grid(SHARES, "shares")
_SHARES_GRID = '<use href="#grid-shares"/>'


def axis(scale: Scale = SHARES, *, signed: bool = False, unit: str = "\u202f%") -> Markup:
    """Return the axis above a column of plots."""
    texts = []
    for index, tick in enumerate(scale.ticks):
        last = index == len(scale.ticks) - 1
        number = f"{100 * tick:+g}" if signed and abs(tick) > 1e-9 else f"{abs(100 * tick):.3g}"
        label = number.replace("-", MINUS) + (unit if last and not signed else "")
        anchor = ' text-anchor="end" dx="6"' if last and not signed else ' text-anchor="middle"'
        texts.append(f'<text x="{scale.x(tick)}" y="11"{anchor}>{label}</text>')
    return Markup(f'<svg class="plot axis" width="100%" height="16" aria-hidden="true">{"".join(texts)}</svg>')


def _interval(scale: Scale, lower: Any, upper: Any, y: float, classes: str) -> str:
    if not (known(lower) and known(upper)) or lower == upper:
        return ""
    return f'<line class="iv {classes}" x1="{scale.x(lower)}" x2="{scale.x(upper)}" y1="{y}" y2="{y}"/>'


def _mark(scale: Scale, symbol: str, value: Any, y: float, classes: str) -> str:
    return f'<use href="#{symbol}" x="{scale.x(value)}" y="{y}" class="mk {classes}"/>' if known(value) else ""


def _figure(body: str, height: int, label: str | None) -> Markup:
    named = Markup(' role="img" aria-label="{}"').format(label) if label else Markup(' aria-hidden="true"')
    return Markup('<svg class="plot" width="100%" height="{}"{}>{}</svg>').format(height, named, Markup(body))


def sets(rows: dict[str, dict[str, Any]], phase: str, mean: Any, label: str) -> Markup:
    """Return one type's accuracy on the three sets: diamond held_out, ring control, square test.

    :param rows: set -> row with ``accuracy``, ``lower``, ``upper``, ``verdict``.
    :param phase: ``before`` is drawn hollow, ``after`` solid.
    :param mean: the family's mean on the weak half, or None.
    """
    body = [_SHARES_GRID]
    if known(mean):
        body.append(f'<line class="mean" x1="{SHARES.x(mean)}" x2="{SHARES.x(mean)}" y1="0" y2="{ROW}"/>')
    for name in ("test", "control", "held_out"):
        if row := rows.get(name):
            classes = f"{name} {phase} {row.get('verdict') if name == 'held_out' and row.get('verdict') else 'neither'}"
            body.append(_interval(SHARES, row["lower"], row["upper"], _LANES[name], classes))
            body.append(_mark(SHARES, _SYMBOLS[name], row["accuracy"], _LANES[name], classes))
    return _figure("".join(body), ROW, label)


def one(value: Any, lower: Any, upper: Any, weak: bool) -> Markup:
    """Return one accuracy and its interval: a diamond for weak samples, a square for test images; judged by nobody."""
    classes = "held_out after neither" if weak else "test after neither"
    body = _SHARES_GRID + _interval(SHARES, lower, upper, PAIR_ROW / 2, classes)
    return _figure(
        body + _mark(SHARES, _SYMBOLS["held_out" if weak else "test"], value, PAIR_ROW / 2, classes), PAIR_ROW, None
    )


def measure(row: dict[str, Any], judgement: str, label: str) -> Markup:
    """Return a headline measure: hollow before, solid after, a line between the two."""
    before, after = row.get("before"), row.get("after")
    body = [_SHARES_GRID]
    both = known(before) and known(after)
    high = 10.0 if both else 15.0
    if both:
        ends = f'x1="{SHARES.x(before)}" x2="{SHARES.x(after)}"'  # type: ignore[arg-type]
        body.append(f'<line class="link {judgement}" {ends} y1="10" y2="20"/>')
    body.append(_interval(SHARES, row.get("before_lower"), row.get("before_upper"), high, "before quiet"))
    body.append(_mark(SHARES, "m-dot", before, high, "before quiet"))
    body.append(_interval(SHARES, row.get("after_lower"), row.get("after_upper"), 20.0, f"after {judgement}"))
    body.append(_mark(SHARES, "m-dot", after, 20.0, f"after {judgement}"))
    return _figure("".join(body), MEASURE, label)


def change(row: dict[str, Any], scale: Scale, judgement: str, name: str) -> Markup:
    """Return one type's paired change as a dot and its interval on the grid of its scale.

    :param name: of the scale's :func:`grid`.
    """
    y = PAIR_ROW / 2
    body = f'<use href="#grid-{name}"/>' + _interval(scale, row["lower"], row["upper"], y, f"after {judgement}")
    return _figure(body + _mark(scale, "m-dot", row["change"], y, f"after {judgement}"), PAIR_ROW, None)


def share(value: Any, lower: Any, upper: Any, scale: Scale, mean: Any) -> Markup:
    """Return a class's share of weak samples as a dot beside the overall share; not tested, so in no colour."""
    y = PAIR_ROW / 2
    body = f'<line class="gl" x1="0" x2="0" y1="0" y2="{PAIR_ROW}"/>'
    if known(mean):
        body += f'<line class="mean" x1="{scale.x(mean)}" x2="{scale.x(mean)}" y1="0" y2="{PAIR_ROW}"/>'
    body += _interval(scale, lower, upper, y, "after") + _mark(scale, "m-weak", value, y, "after")
    return _figure(body, PAIR_ROW, None)


def histogram(edges: Sequence[float], counts: Sequence[int], cut: float | None, label: str) -> Markup:
    """Return a histogram: bars at or above the cut, which are selected, in the colour of weakness."""
    top, bottom = 14, 170
    peak = max(max(counts, default=0), 1)
    scale = Scale(edges[0], edges[-1], (edges[-1] - edges[0]) / 4 or 1.0)
    body = [f'<line class="gl" x1="0" x2="100%" y1="{bottom}" y2="{bottom}"/>']
    for left, right, number in zip(edges[:-1], edges[1:], counts, strict=True):
        height = (bottom - top) * number / peak
        width = 100 * (right - left) / (edges[-1] - edges[0])
        chosen = cut is not None and (left + right) / 2 >= cut
        body.append(
            f'<rect class="bar{" sel" if chosen else ""}" x="{scale.x(left)}" width="{width * 0.94:.2f}%" '
            f'y="{bottom - height:.1f}" height="{height:.1f}"/>'
        )
    body.append(f'<text x="100%" y="{top - 4}" text-anchor="end">{peak:,}</text>')
    body.append(f'<line class="gl" x1="0" x2="100%" y1="{top}" y2="{top}"/>')
    if cut is not None:
        body.append(f'<line class="cut" x1="{scale.x(cut)}" x2="{scale.x(cut)}" y1="{top}" y2="{bottom}"/>')
    for index, tick in enumerate(scale.ticks):
        anchor = ("start", "middle", "middle", "middle", "end")[min(index, 4)]
        text = f"{tick:.3g}".replace("-", MINUS)
        body.append(f'<text x="{scale.x(tick)}" y="{bottom + 15}" text-anchor="{anchor}">{text}</text>')
    return _figure("".join(body), 190, label)


def curve(
    points: Sequence[tuple[float, Any, Any, Any]], scale: Scale, phase: str, height: int, *, bare: bool = False
) -> Markup:
    """Return one line with its intervals as whiskers; ``points`` are (x, value, lower, upper), y from 0 to 1.

    :param bare: the line alone, for many points; :func:`band` has the intervals.
    """
    drawn = [point for point in points if known(point[1])]
    body = []
    if len(drawn) > 1:
        body.append(_stretched(f'<path class="cv {phase}" d="M{_path(scale, drawn, height)}"/>', height))
    for x, value, lower, upper in () if bare else drawn:
        if known(lower) and known(upper) and lower != upper:
            place = f'x1="{scale.x(x)}" x2="{scale.x(x)}" y1="{_y(lower, height)}" y2="{_y(upper, height)}"'
            body.append(f'<line class="iv {phase}" {place}/>')
        body.append(f'<circle class="mk {phase}" cx="{scale.x(x)}" cy="{_y(value, height)}" r="2.6"/>')
    return Markup("".join(body))


def band(points: Sequence[tuple[float, Any, Any, Any]], scale: Scale, phase: str, height: int) -> Markup:
    """Return the intervals of a curve as one area, in a nested picture that stretches with the width."""
    drawn = [(x, low, high) for x, _, low, high in points if known(low) and known(high)]
    if len(drawn) < 2:
        return Markup("")
    above = _path(scale, [(x, high) for x, _, high in drawn], height)
    below = _path(scale, [(x, low) for x, low, _ in reversed(drawn)], height)
    return Markup(_stretched(f'<path class="band {phase}" d="M{above}L{below}Z"/>', height))


def _path(scale: Scale, points: Iterable[Sequence[Any]], height: int) -> str:
    return "L".join(f"{float(scale.x(x)[:-1]):g} {_y(value, height):g}" for x, value, *_ in points)


def _stretched(body: str, height: int) -> str:
    """Return a picture within a picture that is as wide as it: 100 units across, pixels down."""
    return f'<svg width="100%" height="{height}" viewBox="0 0 100 {height}" preserveAspectRatio="none">{body}</svg>'


def _y(value: float, height: int) -> float:
    return round(4 + (height - 8) * (1 - value), 1)
