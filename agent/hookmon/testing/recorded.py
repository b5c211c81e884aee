"""What one run under hookmon left: counts to compare, and every byte of it to search."""

from __future__ import annotations

import html
import json
import shutil
import urllib.parse
import weakref
from collections import Counter
from collections.abc import Iterator
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

from hookmon.report.transactions import MAIN

_SHORTEST_PIECE = 8


class Recorded:
    """A finished run. Its files go when it goes.

    `exit_code`, `stdout` and `stderr` are the program's; `report` is the JSON report (docs/json.md).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.exit_code = 0
        self.stdout = ""
        self.stderr = ""
        self.report: dict[str, Any] = {}
        self.run_file = folder
        weakref.finalize(self, shutil.rmtree, folder, True)

    def calls(self, kind: str | None = None) -> dict[str, int]:
        """Return {name: calls} of all kinds or of one; calls of one name at different targets are added up."""
        return self._figures("calls", kind)

    def errors(self, kind: str | None = None) -> dict[str, int]:
        """Return {name: calls that raised}, without the names that have none."""
        return self._figures("errors", kind)

    def _figures(self, figure: str, kind: str | None) -> dict[str, int]:
        found: Counter[str] = Counter()
        for row in self.report["calls"]:
            if row[figure] and kind in (None, row["kind"]):
                found[row["name"]] += row[figure]
        return dict(found)

    def targets(self) -> dict[str, int]:
        """Return {target: calls}: which of the functions that a pack names were called."""
        found: Counter[str] = Counter()
        for row in self.report["calls"]:
            found[row["target"]] += row["calls"]
        return dict(found)

    @property
    def transactions(self) -> dict[str, int]:
        """{name: calls} of requests, jobs and tests, without the rest of the program."""
        return {name: row["calls"] for name, row in self._transactions().items() if name != MAIN}

    def calls_in(self, transaction: str) -> dict[str, int]:
        """Return {name: calls} of what was called within one transaction, "(main)" for the rest of the program."""
        found: Counter[str] = Counter()
        for child in self._transactions()[transaction]["children"]:
            found[child["name"]] += child["calls"]
        return dict(found)

    def _transactions(self) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in self.report["transactions"]}

    @property
    def findings(self) -> list[str]:
        """The titles of what the report finds wrong, the worst first."""
        return [finding["title"] for finding in self.report["findings"]]

    @property
    def kinds(self) -> dict[str, int]:
        """{kind: calls}."""
        return {row["kind"]: row["calls"] for row in self.report["kinds"]}

    @property
    def blind_spots(self) -> list[str]:
        """What could not be seen, as lines `kind: detail`."""
        return [f"{spot['kind']}: {spot['detail']}" for spot in self.report["blind_spots"]]

    @property
    def watched(self) -> dict[str, str]:
        """{target: state} of all that was asked for: active, unused, never imported, not found, refused.

        The last two carry the reason behind a colon.
        """
        return {row["target"]: row["status"] + (f": {row['detail']}" if row["detail"] else "") for row in self.report["watched"]}

    def leaks(self, secret: str) -> list[str]:
        """Return where a secret shows up in what hookmon wrote, each place with what stands around it; [] is as it should be.

        Searched are all shards, the run file, and the report in every format. The secret is looked for in
        any case and in the spellings of JSON, HTML and URLs; one of 16 characters and more also by its first and last 8. One
        in the command line shows up unless its option says that it is one. What the program prints itself is not searched.
        Raises ValueError when there is nothing to search: no watched module was imported.
        """
        pieces = _pieces(secret)
        found = []
        for where, content in self._outputs():
            content = content.lower()
            at = next((at for piece in pieces if (at := content.find(piece)) >= 0), None)
            if at is not None:
                around = content[max(0, at - 40) : at + 40].decode("utf-8", "replace")
                found.append(f"{where}: …{around}…")
        return found

    def _outputs(self) -> Iterator[tuple[str, bytes]]:
        from hookmon.collector.store import RunFile
        from hookmon.core.layout import SHARD_SUFFIX
        from hookmon.report import FORMATS, render

        run = RunFile(self.run_file).load()
        left = Path(run.run_folder).glob(f"**/*{SHARD_SUFFIX}")  # of processes that have outlived the program
        shards = [*(self.folder / "shards").iterdir(), *left]
        if not shards:
            raise ValueError("nothing was recorded, so there is no shard to search")
        for shard in shards:
            yield f"shard {shard.name}", shard.read_bytes()
        yield "run file", self.run_file.read_bytes()
        for format in FORMATS:
            for everything in (False, True):
                content = BytesIO()
                file = TextIOWrapper(content, "utf-8", "replace", newline="\n")  # some formats write bytes below the text
                render(run, format, file=file, width=400, everything=everything)
                file.flush()
                yield f"report as {format}{', all of it' if everything else ''}", content.getvalue()


def _pieces(secret: str) -> list[bytes]:
    """Return what to look for, in small letters."""
    if not secret:
        raise ValueError("an empty secret is everywhere")
    texts = [secret]
    if len(secret) >= 2 * _SHORTEST_PIECE:
        texts += [secret[:_SHORTEST_PIECE], secret[-_SHORTEST_PIECE:]]
    spellings = [
        spelt
        for text in texts
        for spelt in (text, json.dumps(text)[1:-1], html.escape(text), urllib.parse.quote(text), urllib.parse.quote_plus(text))
    ]
    return [spelling.lower().encode("utf-8", "surrogateescape") for spelling in dict.fromkeys(spellings)]
