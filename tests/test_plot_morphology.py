"""Pictures of neurons: to scale, in shared colours, and what cannot be drawn is refused."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba

import neurojax as nj
from neurojax import plot
from neurojax.channels import SquidLeak

CELL = nj.ball_and_stick({"leak": SquidLeak()}, compartments=9)


def lines(axes):
    return next(c for c in axes.collections if hasattr(c, "get_segments"))


def test_compartments_are_where_and_as_wide_as_they_are():
    drawn = lines(plot.morphology(CELL).axes[0])
    segments, widths = np.array(drawn.get_segments()), drawn.get_linewidths()
    assert segments.shape == (10, 3, 2)
    np.testing.assert_allclose(segments[1:, 0, 0], 20 + np.arange(9) * 500 / 9)
    assert widths[0] / widths[1] == pytest.approx(10.0)
    colours = drawn.get_colors()
    assert tuple(colours[0]) == to_rgba(plot.INK) and tuple(colours[1]) == to_rgba(plot.CYCLE[0])


def test_panels_share_their_colours():
    values = np.outer(np.arange(10.0), [1.0, 2.0]) - 70
    figure = plot.morphology(CELL, values, "v (mV)", titles=["first", "then"])
    first, then, bar = figure.axes
    assert [ax.get_title(loc="left") for ax in (first, then)] == ["first", "then"]
    for ax, panel in zip((first, then), values.T, strict=True):
        np.testing.assert_array_equal(lines(ax).get_array(), panel)
        assert lines(ax).get_clim() == (-70.0, -52.0)
    assert bar.get_ylabel() == "v (mV)"
    limited = plot.morphology(CELL, values, limits=(-90.0, 0.0)).axes[0]
    assert lines(limited).get_clim() == (-90.0, 0.0)


def test_a_view_from_another_side():
    points = [[0, 0, 0, 2], [0, 30, 40, 1]]
    cell = nj.assemble({"a": nj.Section.along(points, 2)}, {"leak": SquidLeak()})
    segments = np.array(lines(plot.morphology(cell, view="zy").axes[0]).get_segments())
    np.testing.assert_allclose(segments[-1, -1], [40, 30])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"values": np.zeros(9)}, r"values: shape \(9,\), expected \[10\] or \[10, panel\]"),
        ({"view": "xx"}, "view = 'xx': expected two of x, y and z"),
    ],
)
def test_what_cannot_be_drawn_is_refused(asked, message):
    with pytest.raises(ValueError, match=message):
        plot.morphology(CELL, **asked)
