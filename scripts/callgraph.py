"""Shows that nothing in the core calls itself, directly or through others: a file cannot exhaust the stack.

``python scripts/callgraph.py FOLDER`` reads the call graphs (``*.ci``) that gcc writes with ``-fcallgraph-info`` beside
the objects, and ends with 1 when there is a circle. Calls through pointers are listed, for who reads this.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

_EDGE = re.compile(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')
_INDIRECT = "__indirect_call"


def read(folder: Path) -> dict[str, set[str]]:
    """Function -> the functions that it calls; static ones bear the name of their file."""
    graph: dict[str, set[str]] = defaultdict(set)
    for path in sorted(folder.rglob("*.ci")):
        for caller, callee in _EDGE.findall(path.read_text()):
            graph[caller].add(callee)
    return graph


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected components of more than one function, and functions that call themselves (Tarjan)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[list[str]] = []
    for root, called in list(graph.items()):
        if root in order:
            continue
        work = [(root, iter(called))]
        order[root] = low[root] = len(order)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, callees = work[-1]
            callee = next(callees, None)
            if callee is not None:
                if callee not in order:
                    order[callee] = low[callee] = len(order)
                    stack.append(callee)
                    on_stack.add(callee)
                    work.append((callee, iter(graph.get(callee, ()))))
                elif callee in on_stack:
                    low[node] = min(low[node], order[callee])
                continue
            work.pop()
            if work:
                low[work[-1][0]] = min(low[work[-1][0]], low[node])
            if low[node] == order[node]:
                at = stack.index(node)
                part, stack[at:] = stack[at:], []
                on_stack.difference_update(part)
                if len(part) > 1 or node in graph.get(node, ()):
                    found.append(part)
    return found


def main() -> int:
    graph = read(Path(sys.argv[1]))
    if not graph:
        sys.stderr.write("callgraph: no call graphs: build with gcc\n")
        return 1
    found = circles(graph)
    for circle in found:
        sys.stderr.write(f"callgraph: these call each other: {', '.join(sorted(circle))}\n")
    through = sorted({caller for caller, callees in graph.items() if _INDIRECT in callees})
    sys.stdout.write(
        f"callgraph: {len(graph)} functions, {len(found)} circles; {len(through)} call through a pointer\n"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
