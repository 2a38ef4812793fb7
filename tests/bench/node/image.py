#!/usr/bin/env python3
"""image.py OUT.tar NAME:TAG LAYER.tar... -- ENTRYPOINT ARGUMENT...

Packs layers (tar files of a root file system) as an OCI image archive that `ctr images import` takes: no container
engine is needed. https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""
import hashlib
import io
import json
import sys
import tarfile


def digest(path):
    size, sha = 0, hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            sha.update(piece)
            size += len(piece)
    return "sha256:" + sha.hexdigest(), size


def blob(value):
    data = json.dumps(value).encode()
    return data, "sha256:" + hashlib.sha256(data).hexdigest()


def main(out, name, *rest):
    layers, entrypoint = rest[: rest.index("--")], list(rest[rest.index("--") + 1 :])
    digests = [digest(layer) for layer in layers]
    path = "PATH=/usr/local/bin:/usr/lib/postgresql/15/bin:/usr/bin:/bin"
    config, config_digest = blob({
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": [path], "Entrypoint": entrypoint},
        "rootfs": {"type": "layers", "diff_ids": [of for of, _ in digests]},
    })
    oci = "application/vnd.oci.image"
    manifest, manifest_digest = blob({
        "schemaVersion": 2,
        "mediaType": oci + ".manifest.v1+json",
        "config": {"mediaType": oci + ".config.v1+json", "digest": config_digest, "size": len(config)},
        "layers": [{"mediaType": oci + ".layer.v1.tar", "digest": of, "size": size} for of, size in digests],
    })
    annotations = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
    index, _ = blob({
        "schemaVersion": 2,
        "manifests": [{
            "mediaType": oci + ".manifest.v1+json",
            "digest": manifest_digest,
            "size": len(manifest),
            "annotations": annotations,
        }],
    })
    place = lambda of: "blobs/sha256/" + of.removeprefix("sha256:")
    with tarfile.open(out, "w") as archive:
        for path, data in [
            ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
            ("index.json", index),
            (place(manifest_digest), manifest),
            (place(config_digest), config),
        ]:
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for layer, (of, size) in dict(zip(layers, digests)).items():
            entry = tarfile.TarInfo(place(of))
            entry.size = size
            with open(layer, "rb") as file:
                archive.addfile(entry, file)


main(*sys.argv[1:])
