"""A run as a picture: latencies by percentile, and how it went over time. Charts by matplotlib, as SVG."""

from __future__ import annotations

import io
from html import escape
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["LABELS", "page", "svg"]

LABELS: Final = {"call": "call", "assigned": "route to assigned", "late": "the generator's lateness"}
_TICKS: Final = {1: "0", 10: "90 %", 100: "99 %", 1_000: "99.9 %", 10_000: "99.99 %", 100_000: "99.999 %"}
_STYLE: Final = """body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#223}
svg{max-width:100%;height:auto}.bad{color:#b00;font-weight:600}"""


def page(report: Mapping[str, Any], lines: list[str]) -> str:
    """The whole page: what was said on the terminal, and the charts."""
    title = f"csroute load: {report['options']['how']}, {report['options']['loop']}"
    bad = [*report["invalid"], *report["problems"]]
    body = [f"<h1>{escape(title)}</h1>", *(f"<p class=bad>{escape(line)}</p>" for line in bad)]
    body.append(f"<pre>{escape(chr(10).join(lines))}</pre>")
    body.append("<h2>Latency by percentile</h2>" + svg(lambda axes: _percentiles(axes, report)))
    body.append("<h2>Over time</h2>" + svg(lambda axes: _rates(axes, report)) + svg(lambda axes: _tails(axes, report)))
    head = f"<!doctype html><meta charset=utf-8><title>{escape(title)}</title><style>{_STYLE}</style>\n"
    return head + "\n".join(body)


def svg(draw: Callable[[Any], None], *, size: tuple[float, float] = (9, 3.6)) -> str:
    """One chart."""
    import matplotlib as mpl  # noqa: PLC0415 (slow to load, and only pictures need it)
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context({"svg.hashsalt": "csroute", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _percentiles(axes: Any, report: Mapping[str, Any]) -> None:  # noqa: ANN401 (matplotlib's)
    most = 10
    for measure, label in LABELS.items():
        buckets, count = report[measure]["buckets"], report[measure]["count"]
        if not count:
            continue
        passed, xs, ys = 0, [], []
        for value, times in buckets:
            xs.append(count / (count - passed))  # 1 ÷ (1 − percentile) of what is below
            ys.append(max(value, 0.1) / 1000)
            passed += times
        axes.plot(xs, ys, label=label, drawstyle="steps-post")
        most = max(most, count)
    ticks = [tick for tick in _TICKS if tick <= most]
    axes.set(xscale="log", yscale="log", xlabel="percentile", ylabel="ms")
    axes.set_xticks(ticks, [_TICKS[tick] for tick in ticks])
    axes.grid(visible=True, alpha=0.3)
    axes.legend()


def _rates(axes: Any, report: Mapping[str, Any]) -> None:  # noqa: ANN401 (matplotlib's)
    times = [look["seconds"] for look in report["series"]]
    for name in ("taken", "completed"):
        axes.plot(times, [look[f"{name}_per_s"] for look in report["series"]], label=name)
    axes.set(xlabel="s", ylabel="tickets/s", ylim=(0, None))
    axes.legend()


def _tails(axes: Any, report: Mapping[str, Any]) -> None:  # noqa: ANN401 (matplotlib's)
    times = [look["seconds"] for look in report["series"]]
    for measure, label in LABELS.items():
        values = [max(look[measure]["p99_us"] / 1000, 1e-3) for look in report["series"]]
        axes.plot(times, values, label=f"{label}, p99")
    axes.set(xlabel="s", ylabel="ms", yscale="log")
    axes.legend()
