"""One place for one thing, in the whole package: who opens what, and nothing that only tests would use."""

import ast
import builtins
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import isoglot

PACKAGE = Path(isoglot.__file__).parent
ROOT = Path(__file__).parents[1]


@cache
def trees():
    """The syntax tree of every module, by its path in the package."""
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def imports(tree):
    """(module, names) of every import that runs; those for a type checker alone do not."""
    unseen = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in unseen:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, alias.name) for alias in node.names)
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize(
    ("package", "name", "place"),
    [
        ("py3langid", None, "languages/detection.py"),
        ("sentencex", None, "languages/sentences.py"),
        ("sentence_transformers", "CrossEncoder", "encoders/cross_encoder.py"),
    ],
)
def test_what_is_opened_in_one_module_only(package, name, place):
    found = {
        path
        for path, tree in trees().items()
        for module, imported in imports(tree)
        if module.split(".")[0] == package and name in (None, imported)
    }
    assert found == {place}


def test_parquet_rows_are_read_in_one_module():
    """What people hand in is read there; the others read files of our own: vectors, figures of queries, best ten."""
    found = {
        path for path, tree in trees().items() for module, _ in imports(tree) if module.startswith("pyarrow.parquet")
    }
    own = {path for path in found if path.startswith(("encoders/", "measuring/"))}
    assert found - own == {"data/parquet_rows.py"}
    assert not any("iter_batches" in ast.unparse(trees()[path]) for path in own - {"encoders/vector_files.py"})


def test_there_is_one_bootstrap_engine():
    """Weights are drawn, and multiplied with values, in one function."""
    found = {"draws": set(), "multiplies": set()}
    for path, tree in trees().items():
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef) or not path.startswith(("measuring/", "studies/")):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "group_weights":
                    found["draws"].add(f"{path}:{function.name}")
                if (
                    isinstance(node, ast.BinOp)
                    and isinstance(node.op, ast.MatMult)
                    and path == "measuring/bootstrap.py"
                ):
                    found["multiplies"].add(f"{path}:{function.name}")
    assert found == {key: {"measuring/bootstrap.py:_draw"} for key in found}


def test_trainer_and_loss_share_names_that_are_written_down():
    """What the collator hands over is a typed record; nothing travels as a key that only two modules know."""
    from isoglot.training.collator import PairInputs

    written = set(PairInputs.__annotations__)
    assert all(f"{name}:" in PairInputs.__doc__ for name in written)
    asked = {
        node.slice.value
        for node in ast.walk(trees()["training/trainer.py"])
        if isinstance(node, ast.Subscript)
        and getattr(node.value, "id", "") == "inputs"
        and isinstance(node.slice, ast.Constant)
    }
    assert asked == written
    for path, tree in trees().items():
        if path.startswith("training/losses/"):
            for function in ast.walk(tree):
                if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) and function.name != "__init__":
                    for node in ast.walk(function):
                        targets = node.targets if isinstance(node, ast.Assign) else []
                        kept = [ast.unparse(target) for target in targets if isinstance(target, ast.Attribute)]
                        assert not kept, f"{path}:{node.lineno}: {kept} is left behind for somebody else to read"


def test_whoever_shares_a_model_takes_turns_in_one_way():
    """`encoders.turns` keeps the locks of models: no module has a second one, or puts its own into a model's method."""
    for path, tree in trees().items():
        made = [
            node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".Lock")
        ]
        assert len(made) <= 1 or path == "encoders/model_locks.py"
        for node in ast.walk(tree):
            for target in node.targets if isinstance(node, ast.Assign) else []:
                patched = isinstance(target, ast.Attribute) and target.attr in ("preprocess", "tokenize", "encode")
                assert not patched, f"{path}:{node.lineno}: {ast.unparse(target)} is replaced"


def test_nothing_is_there_for_tests_alone():
    """Every function, class and method is used in the package, shown in its documents, or public."""
    classes = {
        node.name: node for tree in trees().values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    }
    ours = {*classes, *dir(builtins), "NamedTuple", "Protocol", "TypedDict", "Generic", "Enum", "StrEnum", "ABC"}
    called_by_others = {
        method.name
        for node in classes.values()
        if any(ast.unparse(base).split("[")[0].split(".")[-1] not in ours for base in node.bases)
        for method in node.body
        if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    shown = [
        *PACKAGE.rglob("*.py"),
        *PACKAGE.rglob("*.html"),
        *PACKAGE.rglob("*.pyi"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "performance").rglob("*.py"),
        ROOT / "README.md",
    ]
    words = Counter(word for path in shown for word in re.findall(r"\w+", path.read_text(encoding="utf-8")))
    defined = Counter()
    places = {}
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                decorators = [ast.unparse(one) for one in node.decorator_list]
                registered = any(
                    re.search(r"\.(command|get|post|exception_handler)\b|validator", one) for one in decorators
                )
                if not node.name.startswith("__") and not registered and node.name not in called_by_others:
                    defined[node.name] += 1
                    places[node.name] = f"{path}:{node.lineno}"
    del defined["set_epoch"]  # accelerate asks whether a sampler has it
    assert {name: places[name] for name, times in defined.items() if words[name] <= times} == {}
