"""Nodes that are kept compiled, as the sequences that Python reads: each is made when somebody asks for it.

`NodeRows` are those of one shard, `PlaceRows` those of a run's call tree. Runs in the launcher.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hookmon.collector.records import RawNode
from hookmon.collector.rows import Node

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any, overload

    from hookmon.collector.compiled import CallTree, ShardNodes


class NodeRows(Sequence[RawNode]):
    """The nodes of a shard. `read` reads them in Python, for who changes them."""

    def __init__(self, nodes: ShardNodes, read: Callable[[], list[RawNode]]) -> None:
        self.compiled = nodes
        self.read = read

    def __len__(self) -> int:
        return len(self.compiled)

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, index: int) -> RawNode: ...

        @overload
        def __getitem__(self, index: slice) -> list[RawNode]: ...

    def __getitem__(self, index: Any) -> Any:
        """Return a node as it is now; measured, once it was."""
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        return RawNode(*self.compiled.row(index))


class PlaceRows(Sequence[Node]):
    """The nodes of a run's call tree, as they are when they are asked for."""

    def __init__(self, tree: CallTree) -> None:
        self._tree = tree

    def __len__(self) -> int:
        return len(self._tree)

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, index: int) -> Node: ...

        @overload
        def __getitem__(self, index: slice) -> list[Node]: ...

    def __getitem__(self, index: Any) -> Any:
        """Return a node as it is now."""
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        return Node(*self._tree.row(index))
