import importlib.util
import pickle
from functools import partial
from pathlib import Path

import pytest
from datasets import Dataset
from sentence_transformers import SentenceTransformer

from isoglot.core.errors import InputError
from isoglot.training.own_trainer import dataset_sampler
from isoglot.training.sampling.regimes import Sampling

EXAMPLES = Path(__file__).parents[2] / "examples"


def load_example(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_own_training_script(rows_file, tiny_model, tmp_path):
    script = load_example("own_training_script")
    folder = script.train(str(tiny_model), [rows_file], tmp_path, max_steps=4, batch_size=4, alpha=0.5)
    model = SentenceTransformer(str(folder), device="cpu")
    before = SentenceTransformer(str(tiny_model), device="cpu")
    assert model.prompts == before.prompts
    assert abs(model.encode_query(["Wie hoch?"]) - before.encode_query(["Wie hoch?"])).max() > 1e-6
    # Checkpoints were written: the arguments, sampler and all, could be pickled.
    assert (tmp_path / "checkpoints" / "checkpoint-2" / "training_args.bin").is_file()
    assert (tmp_path / "checkpoints" / "checkpoint-4" / "training_args.bin").is_file()


def test_its_batches_keep_groups_apart_and_labels_are_components(rows_file):
    rows = load_example("own_training_script").load_rows([rows_file])
    assert rows.column_names == ["group", "lang", "query", "passage", "dataset", "label"]
    assert len(set(rows["label"])) == 39
    make = pickle.loads(pickle.dumps(partial(dataset_sampler, sampling=Sampling("x-y"), steps=5)))
    sampler = make(rows, batch_size=4, drop_last=True, valid_label_columns=["label"], generator=None, seed=7)
    assert len(sampler) == 5
    labels, langs = rows["label"], rows["lang"]
    for batch in sampler:
        queries, passages = batch[:4], batch[4:]
        assert [labels[row] for row in queries] == [labels[row] for row in passages]
        assert len({labels[row] for row in queries}) == 4
        assert len({langs[row] for row in queries}) == len({langs[row] for row in passages}) == 1
    assert list(make(rows, batch_size=4, seed=7)) == list(sampler) != list(make(rows, batch_size=4, seed=8))


def test_a_data_set_without_a_data_set_column():
    rows = Dataset.from_dict({"group": ["a", "b"], "lang": ["de", "de"], "passage": ["x", "y"]})
    assert sorted(next(iter(dataset_sampler(rows, 2, sampling=Sampling("x-x-mono"))))) == [0, 0, 1, 1]
    with pytest.raises(InputError, match="`batch_size` 2 or less"):
        dataset_sampler(rows, 3, sampling=Sampling("x-x-mono"))
