"""Own functions and their call tree on a screen of text. In: an Own. Out: lines of a Screen."""

from __future__ import annotations

from hookmon.report.own import FIRST, MOST_FUNCTIONS, Own, calls_of, name_of, short_location
from hookmon.report.screen import Column, Piece, Screen
from hookmon.report.texts import count, duration, percent


def write_own(screen: Screen, own: Own, *, everything: bool) -> int:
    """Write what a run with --own is made for; return how many functions were left out.

    That is: who has most time of its own, and the tree that leads there.
    """
    shown = own.functions if everything else own.functions[:MOST_FUNCTIONS]
    columns = [Column("self"), Column("share"), Column("calls"), Column("function", least=24), Column("where", rank=1, least=24)]
    rows: list[list[Piece]] = []
    for row in shown:
        figures: list[Piece] = [(duration(row.self_ns), ""), (percent(row.self_share), "bold"), (calls_of(row), "")]
        rows.append([*figures, (row.name, ""), (short_location(row.location), "cyan")])
    screen.title("Own functions", "most time of their own first; what libraries do for them is in it")
    screen.table(columns, rows)
    if any(row.given_up for row in shown) or any(row.given_up for row in own.tree):
        screen.line((FIRST, "dim"))
    columns = [
        Column("total"),
        Column("share"),
        Column("calls"),
        Column("call tree", least=32),
        Column("where", rank=1, least=24),
    ]
    rows = []
    for place in own.tree:
        name = f"… {count(place.hidden)} more" if place.hidden else name_of(place)
        figures = [(duration(place.total_ns), ""), (percent(place.share), "bold"), (calls_of(place), "")]
        rows.append(
            [*figures, ("  " * place.depth + name, "dim" if place.hidden else ""), (short_location(place.location), "cyan")]
        )
    screen.title("Who calls them", f"shares are of {duration(own.whole_ns)}, the time in all watched calls")
    screen.table(columns, rows)
    return len(own.functions) - len(shown)
