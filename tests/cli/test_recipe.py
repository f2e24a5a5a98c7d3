import pytest

from isoglot.cli import run
from support.rows import parallel_rows, write_jsonl


def refused(capsys, *argv):
    assert run([str(part) for part in argv]) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "key"), [("[train]\nbatch-size = 10\n", "train"), ('data = "xquad-r"\n', "data"), ("[study]\n", "study")]
)
@pytest.mark.parametrize("verb", ["train", "study"])
def test_keys_named_like_commands_are_refused(capsys, tmp_path, verb, text, key):
    recipe = tmp_path / "r.toml"
    recipe.write_text(text)
    said = refused(capsys, verb, "--config", recipe, "--rows", "r.jsonl", "-o", tmp_path / "o")
    assert f"{recipe}: {key} is a command; a recipe is a flat table of one command's flags" in said


def test_a_flag_named_like_a_command_is_taken(capsys, tmp_path):
    rows = write_jsonl(tmp_path / "rows.jsonl", parallel_rows(4))
    recipe = tmp_path / "r.toml"
    recipe.write_text(f'debias = "{tmp_path / "none.npz"}"\n')
    words = ("evaluate", "--config", recipe, "--benchmark", "rows", "--rows", rows, "-o", tmp_path / "o")
    assert f"{tmp_path / 'none.npz'}: no such file" in refused(capsys, *words)


def test_keys_of_no_command_and_no_flag_are_told_by_the_parser(capsys, tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text("[lora]\nrank = 4\n")
    said = refused(capsys, "train", "--config", recipe, "--rows", "r.jsonl", "-o", tmp_path / "o")
    assert "[lora][rank]" in said
    assert "--lora-rank" in said


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["train", "--rows", "r.jsonl", "-o", "o", "--max-steps", "2.7"], "--max-steps 2.7: expected a whole number"),
        (["train", "--rows", "r.jsonl", "-o", "o", "--chunk=1.5"], "--chunk 1.5: expected a whole number"),
        (["search", "index", "words", "-k", "2.6"], "-k 2.6: expected a whole number"),
        (["data", "mine", "r.jsonl", "-o", "o", "--negatives", "0.5"], "--negatives 0.5: expected a whole number"),
    ],
)
def test_fractions_for_whole_numbers_are_refused(capsys, argv, words):
    assert refused(capsys, *argv) == f"isoglot: {words}\n"


def test_fractions_in_a_recipe_are_refused_too(capsys, tmp_path):
    recipe = tmp_path / "r.toml"
    words = ("train", "--config", recipe, "--rows", tmp_path / "none.jsonl", "-o", tmp_path / "o")
    recipe.write_text("max-steps = 2.7\n")
    assert "--max-steps 2.7: expected a whole number" in refused(capsys, *words)
    recipe.write_text("max-steps = 30.0\n")
    assert "none.jsonl: no such file" in refused(capsys, *words)
