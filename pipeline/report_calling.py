"""A servable -> snippets that call it. Pure."""

from __future__ import annotations

import shlex
from pathlib import Path

from ..components.contracts import Servable


def how_to_call(servable: Servable) -> dict[str, str]:
    """How to call the model: from Python, from a shell, over REST."""
    folder = str(Path(servable.uri) / servable.saved_model_dir)
    inputs = {"text": "where is my parcel?"}
    if servable.has_text_pair:
        inputs |= {"text_pair": "it was sent on Monday"}
    if not servable.is_saved_model:
        columns = [[value] for value in inputs.values()]
        return {
            "python": "from pathlib import Path\n\n"
            "from tpuline.components.serving import answering\n\n"
            f"model = answering.load(Path({folder!r}))\n"
            f"answer = model.texts({columns!r})\n"
            'print(answer["label"], answer["score"])\n',
            "shell": "",
            "rest": "",
        }
    name = servable.saved_model_dir.partition("/")[0]
    arguments = ", ".join(f"{key}=tf.constant([{value!r}])" for key, value in inputs.items())
    instance = ", ".join(f'"{key}": "{value}"' for key, value in inputs.items())
    body = f'{{"instances": [{{{instance}}}]}}'
    return {
        "python": "import tensorflow as tf\n"
        "import tensorflow_text  # the tokenizer's ops\n\n"
        f"model = tf.saved_model.load({folder!r})\n"
        'classify = model.signatures["serving_default"]\n'
        f"answer = classify({arguments})\n"
        'print(answer["label"].numpy(), answer["score"].numpy())\n',
        "shell": f"saved_model_cli show --dir {shlex.quote(folder)} \\\n"
        "  --tag_set serve --signature_def serving_default\n",
        "rest": f"curl localhost:8501/v1/models/{name}:predict \\\n  -d {shlex.quote(body)}\n",
    }
