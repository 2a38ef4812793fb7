#!/usr/bin/env python3
"""Reads a repository of format 1 with nothing of ours: written from docs/format.md alone.

    reader.py STORE TRUST.yaml IDENTITY.txt [DEDUP.key]

Python's standard library and the binaries age, zstd and openssl. Opens the repository as the chapter "Trust" says, takes
every listed backup, checks signatures, the chain of backups, chunk lists, sealed details and every chunk, and prints one
line per stream: run, source, stream, bytes, SHA-256. With the dedup key it checks ids and macs as well.
"""

import base64
import datetime
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import tempfile

ULID = r"[0-7][0-9A-HJKMNP-TV-Z]{25}"
NAME = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
TYPES = {
    "config": ("application/vnd.lifeboat.config.v1+json", "operator"),
    "part": ("application/vnd.lifeboat.part.v1+json", "writer"),
    "progress": ("application/vnd.lifeboat.progress.v1+json", "writer"),
    "manifest": ("application/vnd.lifeboat.manifest.v1+json", "writer"),
    "tombstone": ("application/vnd.lifeboat.tombstone.v1+json", "collector"),
    "proof": ("application/vnd.in-toto+json", "prover"),
}
LIMIT_DOCUMENT, LIMIT_SEGMENT, LIMIT_CHUNK = 64 << 20, 256 << 20, 8 << 20


class Refused(Exception):
    pass


def demand(condition, message):
    if not condition:
        raise Refused(message)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def derive(dedup, repository, use, lineage):
    prk = mac(repository.encode(), dedup)
    return mac(prk, f"lifeboat/1/{use}/{lineage}".encode() + b"\x01")


def run(command, data):
    return subprocess.run(command, input=data, check=True, stdout=subprocess.PIPE).stdout


class Store:
    """A directory as a store."""

    def __init__(self, root):
        self.root = root

    def get(self, key, limit):
        path = os.path.join(self.root, key)
        demand(os.path.getsize(path) <= limit, f"{key} is too large")
        with open(path, "rb") as file:
            return file.read()

    def list(self, prefix):
        found = []
        for folder, _, names in os.walk(os.path.join(self.root, prefix)):
            found += [os.path.relpath(os.path.join(folder, name), self.root) for name in names]
        return sorted(key for key in found if not key.startswith("tmp/"))

    def time(self, key):
        return datetime.datetime.fromtimestamp(os.path.getmtime(os.path.join(self.root, key)), datetime.timezone.utc)


def read_trust(path):
    """The few forms of YAML that `init` writes."""
    pins, field = {}, None
    for line in open(path, encoding="utf-8"):
        if item := re.fullmatch(r"  - (\S+)\n", line):
            pins[field].append(item[1])
        elif value := re.fullmatch(r"  (operator): (\S+)\n", line):
            pins[value[1]] = [value[2]]
        elif value := re.fullmatch(r'  dedup: \{id: "(\S+)", check: "(\S+)"\}\n', line):
            pins["dedup"] = {"id": value[1], "check": value[2]}
        elif name := re.fullmatch(r"  (\w+):\n", line):
            field = name[1]
            pins[field] = []
    return pins


def raw_key(text):
    demand(text.startswith("ed25519:"), "not a public key")
    return base64.b64decode(text.removeprefix("ed25519:"), validate=True)


def verify(key, signature, message):
    """Ed25519 by openssl; the key as DER SubjectPublicKeyInfo."""
    with tempfile.TemporaryDirectory() as folder:
        names = {}
        for name, data in {"key": bytes.fromhex("302a300506032b6570032100") + key, "sig": signature, "msg": message}.items():
            names[name] = os.path.join(folder, name)
            with open(names[name], "wb") as file:
                file.write(data)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", names["key"], "-rawin"]
        done = subprocess.run(command + ["-in", names["msg"], "-sigfile", names["sig"]], capture_output=True, check=False)
        return done.returncode == 0


def open_document(data, kind, pins):
    envelope = json.loads(data)
    demand(len(envelope["signatures"]) == 1, "one signature is expected")
    expected, role = TYPES[kind]
    demand(envelope["payloadType"] == expected, "another kind of document")
    payload = base64.b64decode(envelope["payload"], validate=True)
    signature = envelope["signatures"][0]
    signers = [key for key in map(raw_key, pins[role]) if sha256(key) == signature["keyid"]]
    demand(signers, f"no pinned {role} signed it")
    pae = f"DSSEv1 {len(expected)} {expected} {len(payload)} ".encode() + payload
    demand(verify(signers[0], base64.b64decode(signature["sig"], validate=True), pae), "the signature is not good")
    document = json.loads(payload)
    if kind != "proof":
        demand(document["format"] == 1, "a newer format")
    return document


class Reader:
    def __init__(self, root, trust, identity, dedup):
        self.store, self.pins, self.identity, self.dedup = Store(root), read_trust(trust), identity, dedup
        marker = json.loads(self.store.get("lifeboat.json", LIMIT_DOCUMENT))
        demand(marker["format"] == 1, "not format 1")
        constants = marker["constants"]
        demand(constants["max_run"] >= 72 * 3600 and constants["margin"] >= 96 * 3600, "times are lowered")
        longest = constants["max_run"] + constants["margin"]
        demand(min(constants["min_age"], constants["grace"]) >= longest, "times are lowered")
        self.repository = marker["repository"]
        demand(self.repository in self.pins["repositories"], "another repository")
        self.check_config(self.config())

    def config(self):
        links = {}
        for key in self.store.list("config"):
            name = re.fullmatch(rf"config/({ULID})\.json", key)
            demand(name, f"{key} is no configuration")
            data = self.store.get(key, LIMIT_DOCUMENT)
            config = open_document(data, "config", self.pins)
            demand(config["id"] == name[1] and config["repository"] == self.repository, "a configuration of elsewhere")
            links[config["id"]] = (config, sha256(data))
        followed = set()
        for config, _ in links.values():
            if before := config["predecessor"]:
                demand(before["id"] in links and links[before["id"]][1] == before["sha256"], "a broken chain")
                demand(before["id"] not in followed, "a forked chain")
                followed.add(before["id"])
        tips = [config for config, _ in links.values() if config["id"] not in followed]
        demand(len(tips) == 1, "not one newest configuration")
        return tips[0]

    def check_config(self, config):
        demand(set(config["recipients"]) == set(self.pins["recipients"]), "other recipients")
        demand(config["dedup"] == self.pins["dedup"], "another dedup key")
        listed = {(key["role"], key["key"]) for key in config["keys"]}
        for role in ["writer", "prover", "collector"]:
            demand({(role, key) for key in self.pins[role]} <= listed, f"a pinned {role} is not listed")
        if self.dedup:
            demand(mac(self.dedup, b"lifeboat/1/check").hex() == config["dedup"]["check"], "not the dedup key")
            sealed = self.unseal(self.store.get(f"keys/{config['dedup']['id']}.age", LIMIT_DOCUMENT))
            demand(bytes.fromhex(sealed.decode().strip()) == self.dedup, "keys/ holds another dedup key")

    def unseal(self, data):
        return run(["age", "-d", "-i", self.identity], data)

    def manifests(self):
        """Runs with a good manifest, and the tombstones that take effect for it."""
        for key in self.store.list("backups"):
            place = re.fullmatch(rf"backups/({NAME})/({ULID})/manifest\.json", key)
            if not place:
                continue
            policy, run_id = place.groups()
            data = self.store.get(key, LIMIT_DOCUMENT)
            manifest = open_document(data, "manifest", self.pins)
            at = (manifest["repository"], manifest["policy"], manifest["run"])
            demand(at == (self.repository, policy, run_id), f"{key} was moved")
            demand(manifest["requires"] == [], "a newer reader is needed")
            yield manifest, sha256(data), sha256(data) in self.expired(policy, run_id)

    def expired(self, policy, run_id):
        for key in self.store.list(f"expired/{policy}"):
            if not re.fullmatch(rf"expired/{policy}/{run_id}\.{ULID}\.json", key):
                continue
            tombstone = open_document(self.store.get(key, LIMIT_DOCUMENT), "tombstone", self.pins)
            at = (tombstone["repository"], tombstone["policy"], tombstone["run"])
            demand(at == (self.repository, policy, run_id), f"{key} was moved")
            demand(tombstone["signed"].endswith("Z"), "not UTC")
            signed = datetime.datetime.fromisoformat(tombstone["signed"][:19] + "+00:00")
            if abs(self.store.time(key) - signed) <= datetime.timedelta(hours=24):
                yield tombstone["manifest_sha256"]

    def object(self, key, reference):
        data = self.store.get(key, min(reference["bytes"], LIMIT_DOCUMENT))
        demand(len(data) == reference["bytes"] and sha256(data) == reference["sha256"], f"{key} is damaged")
        return data

    def capture(self, manifest, entry):
        policy, run_id, source, attempt = manifest["policy"], manifest["run"], entry["name"], entry["attempt"]
        folder = f"backups/{policy}/{run_id}/{source}.{attempt}"
        part = open_document(self.object(f"{folder}.part.json", entry["part"]), "part", self.pins)
        without = {name: value for name, value in entry.items() if name != "part"}
        demand(part["entry"] == without and part["t0"] == manifest["t0"], "the part says something else")
        streams = [[] for _ in entry["streams"]]
        for segment in entry["chunk_lists"]:
            data = self.object(f"{folder}.chunks.{segment['n']}.jsonl.zst", segment)
            note = open_document(self.store.get(f"{folder}.progress.{segment['n']}.json", LIMIT_DOCUMENT), "progress", self.pins)
            demand(note["list"]["sha256"] == segment["sha256"] and note["segment"] == segment["n"], "a foreign progress note")
            plain = run(["zstd", "-dqc", f"--memory={LIMIT_SEGMENT}"], data)
            header, *lines = [json.loads(line) for line in plain.decode().splitlines()]
            at = (header["repository"], header["policy"], header["source"], header["attempt"], header["segment"])
            demand(at == (self.repository, policy, source, attempt, segment["n"]), "a foreign chunk list")
            demand("s" not in header and len(lines) == segment["count"], "another number of lines")
            for line in lines:
                demand(line["n"] == len(streams[line["s"]]), "lines out of order")
                streams[line["s"]].append(line)
        detail = json.loads(self.unseal(self.object(f"{folder}.detail.age", entry["detail"])))
        demand(detail["attempt"] == attempt and detail["source"] == source and detail["failure"] is None, "a foreign detail")
        for stream, sealed, lines in zip(entry["streams"], detail["streams"], streams, strict=True):
            demand(sum(line["len"] for line in lines) == stream["bytes"], "chunks do not cover the stream")
            demand(len(lines) == stream["chunks"] and sealed["n"] == stream["n"], "another number of chunks")
            plain = b"".join(self.chunk(manifest, source, line) for line in lines)
            demand(sha256(plain) == sealed["sha256"] and len(plain) == sealed["bytes"], "the stream differs")
            if self.dedup:
                origin = (manifest["origin"] or {"repository": self.repository})["repository"]
                key = derive(self.dedup, origin, "mac", f"{policy}.{source}")
                tag = "hmac-sha256:" + mac(key, hashlib.sha256(plain).digest()).hex()
                demand(tag == stream["mac"], "another mac")
            yield sealed["name"], len(plain), sealed["sha256"]

    def chunk(self, manifest, source, line):
        key = f"data/{manifest['policy']}.{source}/{line['id'][:2]}/{line['id']}.{line['a']}"
        sealed = self.object(key, {"bytes": line["size"], "sha256": line["sha256"]})
        plain = run(["zstd", "-dqc"], self.unseal(sealed))
        demand(len(plain) == line["len"] <= LIMIT_CHUNK, f"{key} has another length")
        if self.dedup:
            origin = (manifest["origin"] or {"repository": self.repository})["repository"]
            keyed = mac(derive(self.dedup, origin, "id", f"{manifest['policy']}.{source}"), plain)
            demand(keyed.hex() == line["id"], f"{key} has another id")
        return plain

    def proofs(self, manifest, digest):
        folder = f"backups/{manifest['policy']}/{manifest['run']}"
        for key in self.store.list(f"{folder}/proofs"):
            statement = open_document(self.store.get(key, LIMIT_DOCUMENT), "proof", self.pins)
            demand(statement["_type"] == "https://in-toto.io/Statement/v1", "no statement")
            demand(statement["predicateType"] == "https://lifeboat.dev/proof/v1", "another predicate")
            subject = {"name": f"{folder}/manifest.json", "digest": {"sha256": digest}}
            demand(statement["subject"] == [subject], "a proof of something else")
            proof = statement["predicate"]
            demand(proof["run"] == manifest["run"] and key.endswith(f"/{proof['id']}.json"), "a proof that was moved")
            if proof["detail"]:
                json.loads(self.unseal(base64.b64decode(proof["detail"])))
            yield proof


def main():
    root, trust, identity, *rest = sys.argv[1:]
    dedup = bytes.fromhex(open(rest[0], encoding="ascii").read().strip()) if rest else None
    reader = Reader(root, trust, identity, dedup)
    known = list(reader.manifests())
    hashes = {manifest["run"]: digest for manifest, digest, _ in known}
    for manifest, digest, expired in known:
        if before := manifest["previous"]:
            demand(hashes.get(before["run"]) == before["sha256"], f"the backup before {manifest['run']} is gone")
        proofs = list(reader.proofs(manifest, digest))
        for failed in manifest["failed_sources"]:
            key = f"backups/{manifest['policy']}/{manifest['run']}/{failed['name']}.{failed['attempt']}.detail.age"
            detail = json.loads(reader.unseal(reader.object(key, failed["detail"])))
            demand(detail["failure"]["class"] == failed["class"], "another failure")
        if expired:
            continue
        levels = " ".join(f"{proof['level']}={'passed' if proof['passed'] else 'failed'}" for proof in proofs)
        print(f"{manifest['run']} {manifest['status']} {levels}", file=sys.stderr)
        for entry in manifest["sources"]:
            for name, length, digest in reader.capture(manifest, entry):
                print(manifest["run"], entry["name"], name, length, digest, sep="\t")


main()
