import pytest
import torch
from sentence_transformers import SentenceTransformer

from isoglot.core.errors import InputError
from isoglot.encoders.loading import backbone_of, load
from isoglot.training.losses.chunked import embed_columns
from isoglot.training.speed.token_table import UsedEmbedding, prepare_token_table, restore_token_table
from support.models import gemma3

TEXTS = ["ab ba", "b", "cab"]


@pytest.fixture
def model(tiny_model):
    return load(str(tiny_model), device="cpu")


def used_ids(model):
    return torch.unique(model.preprocess(TEXTS)["input_ids"])


def embed(model, texts=TEXTS):
    return model(model.preprocess(texts))["sentence_embedding"]


def table_of(model):
    return backbone_of(model).get_input_embeddings()


@pytest.mark.parametrize("mode", ["used", "all", "freeze"])
def test_the_forward_pass_stays_the_same(model, mode):
    model.eval()
    with torch.no_grad():
        before = embed(model, [*TEXTS, "zz never seen: 山"])
        prepare_token_table(backbone_of(model), mode, used_ids(model))
        torch.testing.assert_close(embed(model, [*TEXTS, "zz never seen: 山"]), before, atol=0, rtol=0)
        restore_token_table(backbone_of(model))
        torch.testing.assert_close(embed(model, [*TEXTS, "zz never seen: 山"]), before, atol=0, rtol=0)
    assert table_of(model).weight.requires_grad
    assert type(table_of(model)) is torch.nn.Embedding


@pytest.mark.parametrize("mode", ["used", "all", "freeze"])
def test_which_rows_a_step_changes(model, mode):
    with torch.no_grad():
        table_of(model).weight[model.tokenizer.pad_token_id] = 0.5
    plain, used = table_of(model).weight.detach().clone(), used_ids(model)
    prepare_token_table(backbone_of(model), mode, used)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # Weight decay alone moves every row that an optimiser holds.
    optimiser = torch.optim.AdamW(trainable, lr=0.1, weight_decay=0.5)
    embed(model).sum().backward()
    optimiser.step()
    restore_token_table(backbone_of(model))
    changed = (table_of(model).weight != plain).any(dim=1).nonzero().flatten().tolist()
    everything = list(range(len(plain)))
    assert changed == {"used": used.tolist(), "all": everything, "freeze": []}[mode]


def test_gradients_of_used_rows_equal_those_of_the_plain_table(model):
    embed(model).pow(3).sum().backward()
    whole, used = table_of(model).weight.grad.clone(), used_ids(model)
    prepare_token_table(backbone_of(model), "used", used)
    model.zero_grad()
    embed(model).pow(3).sum().backward()
    found = table_of(model).trained.grad
    # The row of padding has no gradient in a plain table with a padding index; here none reaches it through the mask.
    torch.testing.assert_close(found, whole[used], atol=1e-5, rtol=1e-4)
    assert table_of(model).trained.shape == (len(used), 32)


def test_a_table_that_scales_its_rows_goes_on_doing_so(tmp_path):
    """Gemma's word vectors are multiplied by the root of their width."""
    model = load(str(gemma3(tmp_path / "gemma")), device="cpu").eval()
    kind, used = type(table_of(model)), used_ids(model)
    assert kind is not torch.nn.Embedding
    before = embed(model, [*TEXTS, "zz never seen"])
    before.pow(3).sum().backward()
    gradient = table_of(model).weight.grad[used].clone()
    model.zero_grad()
    prepare_token_table(backbone_of(model), "used", used)
    torch.testing.assert_close(embed(model, [*TEXTS, "zz never seen"]), before)
    at_once = embed_columns(model, [model.preprocess(TEXTS)])[0]
    torch.testing.assert_close(at_once, before[: len(TEXTS)])
    embed(model, [*TEXTS, "zz never seen"]).pow(3).sum().backward()
    torch.testing.assert_close(table_of(model).trained.grad[1:], gradient[1:], atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        table_of(model).trained.mul_(2.0)
    trained = embed(model)
    restore_token_table(backbone_of(model))
    assert type(table_of(model)) is kind
    torch.testing.assert_close(embed(model), trained)


def test_the_state_dict_is_the_plain_table(model):
    prepare_token_table(backbone_of(model), "used", used_ids(model))
    module = table_of(model)
    with torch.no_grad():
        module.trained.add_(1.0)
    state = model.state_dict()
    (name,) = (key for key in state if "word_embeddings" in key)
    assert name.endswith("word_embeddings.weight")
    assert torch.equal(state[name], module.weight)
    assert torch.equal(module.weight[module.used], module.trained)
    # Into a plain model, and from a plain one back.
    plain = torch.nn.Embedding(*state[name].shape)
    plain.load_state_dict({"weight": state[name]})
    other = UsedEmbedding(torch.nn.Embedding(*state[name].shape), used_ids(model))
    assert not torch.equal(other.weight, plain.weight)
    result = other.load_state_dict(plain.state_dict())
    assert (result.missing_keys, result.unexpected_keys) == ([], [])
    assert torch.equal(other.weight, plain.weight)
    assert torch.equal(other.trained, plain.weight[other.used])
    ids = torch.arange(len(plain.weight))
    assert torch.equal(other(ids), plain(ids))
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict({})


def test_a_restored_model_saves_and_loads(model, tmp_path):
    prepare_token_table(backbone_of(model), "used", used_ids(model))
    with torch.no_grad():
        table_of(model).trained.mul_(2.0)
    restore_token_table(backbone_of(model))
    model.save_pretrained(str(tmp_path / "saved"), create_model_card=False)
    again = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    assert torch.equal(table_of(again).weight, table_of(model).weight)
    assert again.encode(TEXTS).tolist() == model.encode(TEXTS).tolist()


def test_an_unknown_mode(model):
    with pytest.raises(InputError, match="embeddings 'some': expected one of used, all, freeze"):
        prepare_token_table(backbone_of(model), "some", used_ids(model))
