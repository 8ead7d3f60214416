"""Low-rank adapters: Hu et al. 2021 (https://arxiv.org/abs/2106.09685).

Only the products A B beside the query and value kernels of frozen attention layers are trained.
"""

from __future__ import annotations

from functools import partial
from typing import Any


def add_adapters(backbone: Any, rank: int) -> None:
    """Freezes a KerasHub backbone and puts trainable adapters beside its queries and values.

    At first they change nothing, as B is 0. Files of weights, `save_weights`, hold the sums of
    kernels and adapters under the names of the plain model, which loads them; checkpoints of
    TensorFlow hold the variables as they are, to go on with.
    """
    backbone.enable_lora(rank)
    for layer in backbone._flatten_layers():
        if getattr(layer, "lora_enabled", False):
            if layer.bias is not None:
                layer.bias.trainable = False
            # Keras would merge as well, but round to the compute dtype.
            layer.save_own_variables = partial(_save_merged, layer)


def _save_merged(layer: Any, store: Any) -> None:
    """In place of `EinsumDense.save_own_variables`: kernel and bias as float32."""
    import numpy as np

    kernel, a, b = (
        np.asarray(variable.numpy(), np.float32)
        for variable in (layer._kernel, layer.lora_kernel_a, layer.lora_kernel_b)
    )
    store["0"] = kernel + layer.lora_alpha / layer.lora_rank * np.matmul(a, b)
    if layer.bias is not None:
        store["1"] = layer.bias.numpy()
