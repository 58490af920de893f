"""The objects that `kubectl apply -k` would make of a folder: as much of kustomize as ours use."""

import base64
import hashlib
from pathlib import Path

import yaml
from repository import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
# Kinds that belong to no namespace.
_WITHOUT_NAMESPACE = {"Namespace"}
_KNOWN = {
    "apiVersion", "kind", "namespace", "resources", "configMapGenerator", "images",
}


def objects(folder: Path) -> list[dict]:
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert set(kustomization) <= _KNOWN, set(kustomization) - _KNOWN
    found: list[dict] = []
    for resource in kustomization["resources"]:
        path = (folder / resource).resolve()
        if path.is_dir():
            found += objects(path)
        else:
            found += list(yaml.safe_load_all(path.read_text()))
    names = {}
    for generator in kustomization.get("configMapGenerator", []):
        data = dict(pair.split("=", 1) for pair in generator["files"])
        data = {key: (folder / path).read_text() for key, path in data.items()}
        name = generator["name"]
        names[name] = f"{name}-{hashlib.sha256(repr(data).encode()).hexdigest()[:10]}"
        found.append(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": names[name]},
                "data": data,
            }
        )
    for made in found:
        if made["kind"] not in _WITHOUT_NAMESPACE:
            made["metadata"]["namespace"] = kustomization["namespace"]
        for volume in pod_of(made).get("volumes", []):
            if "configMap" in volume:
                volume["configMap"]["name"] = names.get(
                    volume["configMap"]["name"], volume["configMap"]["name"]
                )
        for container in pod_of(made).get("containers", []):
            for image in kustomization.get("images", []):
                if container["image"] == image["name"]:
                    container["image"] = f"{image['newName']}:{image['newTag']}"
    return found


def pod_of(made: dict) -> dict:
    """The specification of the pods that the object makes; empty where it makes none."""
    if made["kind"] in ("Deployment", "StatefulSet"):
        return made["spec"]["template"]["spec"]
    return {}


def of_kind(made: list[dict], kind: str) -> dict[str, dict]:
    return {one["metadata"]["name"]: one for one in made if one["kind"] == kind}


def data_of(secret: dict) -> dict[str, bytes]:
    return {key: base64.b64decode(text, validate=True) for key, text in secret["data"].items()}
