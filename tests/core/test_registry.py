"""Names that stand for things: built in, registered, offered by an installed package."""

import doctest
import sys

import pytest

from isoglot.core import registry
from isoglot.core.errors import InputError
from isoglot.core.registry import Registry


@pytest.fixture
def offered(tmp_path, monkeypatch):
    """An installed distribution `shapes-plus` whose entry points name one module that exists and one that does not."""
    info = tmp_path / "shapes_plus-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shapes-plus\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[isoglot.shapes]\nround = shapes_plus:Round\nlost = shapes_minus:Lost\n")
    (tmp_path / "shapes_plus.py").write_text("class Round:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("shapes_plus", None)


def test_an_installed_package_offers_names_that_are_imported_when_asked_for(offered):
    shapes = Registry("isoglot.shapes", "shape", {"ordered": "collections:OrderedDict"})
    assert shapes.names() == ("lost", "ordered", "round")
    assert "shapes_plus" not in sys.modules
    assert shapes.get("round") is sys.modules["shapes_plus"].Round
    assert [shapes.origin(name) for name in ("ordered", "round")] == ["built in", "shapes-plus"]
    with pytest.raises(InputError, match=r"shape 'lost': .*shapes_minus:Lost.*reinstall or remove shapes-plus"):
        shapes.get("lost")


def test_what_is_registered_for_a_while_is_forgotten():
    shapes = Registry("isoglot.shapes", "shape", {"ordered": "collections:OrderedDict"})
    shapes.register("kept", dict)
    with shapes.temporary():
        shapes.register("ordered", list)
        shapes.register("kept", tuple)
        shapes.register("gone", set)
        assert shapes.get("ordered") is list
    assert shapes.names() == ("kept", "ordered")
    assert (shapes.get("kept"), shapes.origin("ordered")) == (dict, "built in")


def test_what_is_registered_wins(offered):
    shapes = Registry("isoglot.shapes", "shape", {"ordered": "collections:OrderedDict"})
    shapes.register("ordered", list)
    shapes.register("round", tuple)
    assert (shapes.get("ordered"), shapes.get("round")) == (list, tuple)
    assert shapes.origin("round") == "registered"
    assert Registry("isoglot.shapes", "shape").origin("round") == "shapes-plus"


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match="no shape named 'flat'; there are: ordered"):
        Registry("isoglot.none", "shape", {"ordered": "collections:OrderedDict"}).get("flat")
    assert "flat" not in Registry("isoglot.none", "shape")


@pytest.mark.parametrize("name", ["", "a b", "a=1", "a,b", "a:b"])
def test_a_name_that_no_flag_could_hold(name):
    with pytest.raises(InputError, match="without spaces"):
        Registry("isoglot.none", "shape").register(name, 1)


def test_examples_in_docstrings():
    assert doctest.testmod(registry).failed == 0
