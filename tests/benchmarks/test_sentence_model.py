"""The sentence model of the benchmarks, with weights that are drawn here: its tokens by hand, its
vectors against the formulas of BERT written out."""

import math

import pytest
import safetensors.torch
import torch
from torch.nn import functional as F

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "cafe", "_", "'", "s", "in"]
WIDTH, INNER = 24, 32


@pytest.fixture
def weights():
    rng = torch.Generator().manual_seed(0)

    def drawn(*shape):
        return torch.randn(shape, generator=rng) * 0.3

    made = {
        "embeddings.word_embeddings.weight": drawn(len(WORDS), WIDTH),
        "embeddings.position_embeddings.weight": drawn(128, WIDTH),
        "embeddings.token_type_embeddings.weight": drawn(2, WIDTH),
    }
    sizes = {"embeddings.LayerNorm": (WIDTH,), "pooler.dense": (WIDTH, WIDTH)}
    for k in range(6):
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            sizes[f"encoder.layer.{k}.attention.{part}"] = (WIDTH, WIDTH)
        sizes[f"encoder.layer.{k}.attention.output.LayerNorm"] = (WIDTH,)
        sizes[f"encoder.layer.{k}.intermediate.dense"] = (INNER, WIDTH)
        sizes[f"encoder.layer.{k}.output.dense"] = (WIDTH, INNER)
        sizes[f"encoder.layer.{k}.output.LayerNorm"] = (WIDTH,)
    for name, shape in sizes.items():
        made |= {f"{name}.weight": drawn(*shape), f"{name}.bias": drawn(shape[0])}
    return made


@pytest.fixture
def model(load, weights):
    return load("_sentence_model").SentenceModel(safetensors.torch.save(weights), "\n".join(WORDS))


def test_words_are_split_into_their_longest_pieces(model):
    told = [WORDS[number] for number in model.tokens("Unaffable CAFÉ_in unaffed café's")]
    assert told == [
        *("[CLS]", "un", "##aff", "##able", "cafe", "_", "in", "[UNK]", "cafe", "'", "s", "[SEP]")
    ]
    assert len(model.tokens("in " * 500)) == 128


def plain(weights, tokens):
    """One text through BERT, head by head."""

    def linear(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x, name):
        about = x - x.mean(1, keepdim=True)
        spread = (about**2).mean(1, keepdim=True).sqrt()
        return about / spread * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    x = weights["embeddings.word_embeddings.weight"][tokens]
    x = x + weights["embeddings.position_embeddings.weight"][: len(tokens)]
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for k in range(6):
        at = f"encoder.layer.{k}."
        q, key, v = (linear(x, f"{at}attention.self.{n}") for n in ("query", "key", "value"))
        size, heads = WIDTH // 12, []
        for h in range(12):
            own = slice(h * size, (h + 1) * size)
            share = (q[:, own] @ key[:, own].T / math.sqrt(size)).softmax(1)
            heads.append(share @ v[:, own])
        mixed = linear(torch.cat(heads, 1), f"{at}attention.output.dense")
        x = norm(x + mixed, f"{at}attention.output.LayerNorm")
        inner = F.gelu(linear(x, f"{at}intermediate.dense"))
        x = norm(x + linear(inner, f"{at}output.dense"), f"{at}output.LayerNorm")
    mean = x.mean(0)
    return mean / mean.norm()


def test_vectors_are_those_of_the_formulas_whatever_stands_beside(model, weights):
    texts = ["in cafe", "unaffable in _ cafe's in unaffable", "s"]
    found = torch.from_numpy(model.vectors(texts))
    for text, vector in zip(texts, found, strict=True):
        torch.testing.assert_close(vector, plain(weights, model.tokens(text)), atol=1e-5, rtol=1e-4)
