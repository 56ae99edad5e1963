"""all-MiniLM-L6-v2, a sentence model, out of the weights and the vocabulary that a package ships.

Six layers of BERT, the mean over the tokens, length 1 (Reimers and Gurevych 2019): what the package
sentence-transformers computes of these files, with torch alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

HEADS, LAYERS = 12, 6
MOST = 128  # tokens of a text
BATCH = 32  # texts at once
_WORD = re.compile(r"[^\W_]+|[^\w\s]|_")


class SentenceModel:
    """Vectors of texts.

    Args:
        weights: contents of ``model.safetensors``.
        vocabulary: of ``vocab.txt``, a piece of a word a line.
    """

    def __init__(self, weights: bytes, vocabulary: str) -> None:
        self.pieces = {piece: number for number, piece in enumerate(vocabulary.split("\n"))}
        self.weights = safetensors.torch.load(weights)
        self.layers = [self._layer(f"encoder.layer.{k}.") for k in range(LAYERS)]

    def _layer(self, name: str) -> nn.TransformerEncoderLayer:
        own = {k.removeprefix(name): v for k, v in self.weights.items() if k.startswith(name)}
        width, inner = own["output.dense.weight"].shape
        layer = nn.TransformerEncoderLayer(
            width, HEADS, inner, 0.0, "gelu", layer_norm_eps=1e-12, batch_first=True
        )
        state = {}
        for kind in ("weight", "bias"):
            parts = [own[f"attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            state[f"self_attn.in_proj_{kind}"] = torch.cat(parts)
            state[f"self_attn.out_proj.{kind}"] = own[f"attention.output.dense.{kind}"]
            state[f"norm1.{kind}"] = own[f"attention.output.LayerNorm.{kind}"]
            state[f"linear1.{kind}"] = own[f"intermediate.dense.{kind}"]
            state[f"linear2.{kind}"] = own[f"output.dense.{kind}"]
            state[f"norm2.{kind}"] = own[f"output.LayerNorm.{kind}"]
        layer.load_state_dict(state)
        return layer.eval()

    def tokens(self, text: str) -> list[int]:
        """Numbers of the pieces of ``text``, the longest first, between [CLS] and [SEP]."""
        plain = unicodedata.normalize("NFD", text.lower())
        plain = "".join(sign for sign in plain if unicodedata.category(sign) != "Mn")
        found = [number for word in _WORD.findall(plain) for number in self._split(word)]
        return [self.pieces["[CLS]"], *found[: MOST - 2], self.pieces["[SEP]"]]

    def _split(self, word: str) -> list[int]:
        found: list[int] = []
        while word:
            start = "##" if found else ""
            ends = (n for n in range(len(word), 0, -1) if start + word[:n] in self.pieces)
            end = next(ends, None)
            if end is None:
                return [self.pieces["[UNK]"]]
            found.append(self.pieces[start + word[:end]])
            word = word[end:]
        return found

    @torch.inference_mode()
    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 [N, 384] of length 1."""
        rows = [self.tokens(text) for text in texts]
        found = np.empty((len(rows), self.weights["pooler.dense.bias"].numel()), np.float32)
        order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            found[places] = self._batch([rows[place] for place in places]).numpy()
        return found

    def _batch(self, rows: list[list[int]]) -> Tensor:
        padded = nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
        there = torch.arange(padded.shape[1]) < torch.tensor([len(row) for row in rows])[:, None]
        embed = {
            part: self.weights[f"embeddings.{part}_embeddings.weight"]
            for part in ("word", "position", "token_type")
        }
        hidden = (
            embed["word"][padded] + embed["position"][: padded.shape[1]] + embed["token_type"][0]
        )
        norm = (self.weights[f"embeddings.LayerNorm.{kind}"] for kind in ("weight", "bias"))
        hidden = nn.functional.layer_norm(hidden, hidden.shape[-1:], *norm, eps=1e-12)
        for layer in self.layers:
            hidden = layer(hidden, src_key_padding_mask=~there)
        mean = (hidden * there[..., None]).sum(1) / there.sum(1, keepdim=True)
        return nn.functional.normalize(mean)
