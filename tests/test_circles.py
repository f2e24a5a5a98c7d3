"""Modules stand in an order: each imports what is below it, for types and inside functions too."""

from graphlib import CycleError, TopologicalSorter

import grimp


def test_no_modules_import_each_other():
    graph = grimp.build_graph("isoglot", exclude_type_checking_imports=False, cache_dir=None)
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imported) > 100
    assert any("isoglot.core.errors" in found for found in imported.values())
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as error:
        raise AssertionError(" <- ".join(error.args[1])) from None
