"""ConfigMaps for `make bench-cluster`, and the barest clients that a capture and a restore are held against.

    objects.py make FOLDER COUNT     files of objects, and calls.txt, with which curl creates all of them
    objects.py list                  every page of every kind in the namespaces, one after the other, over one connection
    objects.py delete                all ConfigMaps of the namespaces
    objects.py digest                one hash of the data of all of them

SERVER, CA, TOKEN and NAMESPACES (words) come from the environment. `list` prints the seconds that it took.
"""

import base64
import hashlib
import http.client
import json
import os
import pathlib
import random
import ssl
import sys
import time
import urllib.parse

server = urllib.parse.urlsplit(os.environ["SERVER"])
namespaces = os.environ["NAMESPACES"].split()
headers = {"Authorization": "Bearer " + os.environ["TOKEN"], "Accept": "application/json"}


def connect():
    context = ssl.create_default_context(cafile=os.environ["CA"])
    return http.client.HTTPSConnection(server.hostname, server.port, context=context)


def call(connection, method, path):
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status not in (200, 403, 404, 405):
        sys.exit(f"{method} {path}: {answer.status} {body[:500]}")
    return answer.status, body


def make(folder, count):
    """1 to 10 KiB each: base64 of noise compresses to three quarters."""
    noise = random.Random(20_26)
    folder = pathlib.Path(folder)
    calls = []
    for number in range(count):
        namespace = namespaces[number % len(namespaces)]
        size = noise.randrange(1 << 10, 10 << 10)
        text = base64.b64encode(noise.randbytes(size * 3 // 4)).decode()
        meta = {"name": f"object-{number:06}", "namespace": namespace, "labels": {"app": "bench"}}
        path = folder / f"{number}.json"
        path.write_text(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"text": text}}))
        calls.append(
            f'url = "{os.environ["SERVER"]}/api/v1/namespaces/{namespace}/configmaps"\ndata-binary = "@{path}"\n'
            f'header = "Authorization: {headers["Authorization"]}"\nheader = "Content-Type: application/json"\n'
            f'cacert = "{os.environ["CA"]}"\noutput = "/dev/null"\nfail\n'
        )
    (folder / "calls.txt").write_text("next\n".join(calls))


def kinds(connection):
    """Everything in a namespace that can be listed, each kind once; events and leases are in no backup."""
    paths = ["/api/v1"]
    for group in json.loads(call(connection, "GET", "/apis")[1])["groups"]:
        paths.append("/apis/" + group["preferredVersion"]["groupVersion"])
    for path in paths:
        for kind in json.loads(call(connection, "GET", path)[1])["resources"]:
            if kind["namespaced"] and "list" in kind["verbs"] and kind["name"] not in ("events", "leases"):
                yield path, kind["name"]


def pages(connection, collection):
    """In the server's words: a bare client has to read them only for the token, which stands in front."""
    token = ""
    while True:
        status, body = call(connection, "GET", f"{collection}?limit=500" + (f"&continue={token}" if token else ""))
        if status != 200:
            return
        yield body
        head = body[: body.find(b'"items"')]
        found = head.find(b'"continue":"')
        if found < 0:
            return
        token = urllib.parse.quote(head[found + 12 : head.index(b'"', found + 12)].decode())


def main():
    verb = sys.argv[1]
    if verb == "make":
        make(sys.argv[2], int(sys.argv[3]))
        return
    connection = connect()
    if verb == "list":
        begun = time.monotonic()
        size = 0
        for path, name in list(kinds(connection)):
            for namespace in namespaces:
                size += sum(len(body) for body in pages(connection, f"{path}/namespaces/{namespace}/{name}"))
        print(f"{time.monotonic() - begun:.3f} {size}")
    elif verb == "delete":
        for namespace in namespaces:
            call(connection, "DELETE", f"/api/v1/namespaces/{namespace}/configmaps?labelSelector=app%3Dbench")
    elif verb == "digest":
        found = {}
        for namespace in namespaces:
            for body in pages(connection, f"/api/v1/namespaces/{namespace}/configmaps"):
                for item in json.loads(body)["items"]:
                    if item["metadata"].get("labels") == {"app": "bench"}:
                        found[namespace + "/" + item["metadata"]["name"]] = item["data"]
        print(len(found), hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest())


main()
