"""What a model server is told: text files of TF Serving. Pure."""

from __future__ import annotations

from ..serving.labels import CANARY, STABLE, models_config

MODELS_ROOT = "/models"
"""Where the bundle's `models.config` looks for the model: what its container is told to read."""

MODELS_FILE, MONITORING_FILE = "models.config", "monitoring.config"


def first_models_config(name: str, version: int) -> str:
    """The one version is stable and canary, until there is another."""
    return models_config(name, f"{MODELS_ROOT}/{name}", {STABLE: version, CANARY: version})


def monitoring_config() -> str:
    """Prometheus, where TF Serving's own documentation has it. Its message is not in the package of
    the API."""
    return 'prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }\n'
