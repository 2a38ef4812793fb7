#!/usr/bin/env python3
"""Prints the golden vectors of format 1, computed from docs/format.md without any of our own code.

Python's hmac and hashlib, and openssl for Ed25519. The tests hold the results as constants: run this again only to
check them, never to move them. Takes about a minute.
"""

import base64
import hashlib
import hmac
import os
import subprocess
import tempfile

DEDUP = bytes(range(32))
REPOSITORY = "01JD7Z9T3Q5R6S7T8V9W0X1Y2Z"
LINEAGE = "shop.postgres"


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def hkdf(ikm, salt, info, length=32):
    prk, okm, block, n = mac(salt, ikm), b"", b"", 1
    while len(okm) < length:
        block = mac(prk, block + info + bytes([n]))
        okm, n = okm + block, n + 1
    return okm[:length]


def derive(use):
    return hkdf(DEDUP, REPOSITORY.encode(), f"lifeboat/1/{use}/{LINEAGE}".encode())


def gear(key):
    table = b"".join(mac(key, bytes([i])) for i in range(64))
    return [int.from_bytes(table[8 * i : 8 * i + 8], "big") for i in range(256)]


def stream(length):
    """xorshift64 from seed 1, eight little-endian bytes a step."""
    x, out, top = 1, bytearray(), (1 << 64) - 1
    while len(out) < length:
        x ^= (x << 13) & top
        x ^= x >> 7
        x ^= (x << 17) & top
        out += x.to_bytes(8, "little")
    return bytes(out[:length])


def cut(data, table, low, avg, high):
    """The plainest loop that the specification allows: one byte a step."""
    bits, start, top = avg.bit_length() - 1, 0, (1 << 64) - 1
    while start < len(data):
        h, i = 0, start + low
        end = min(start + high, len(data))
        stop = end
        while i < end:
            h = ((h << 1) + table[data[i]]) & top
            if h < 1 << (64 - (bits + 1 if i - start < avg else bits - 1)):
                stop = i + 1
                break
            i += 1
        yield data[start:stop]
        start = stop


def envelope(payload_type, payload, seed):
    with tempfile.TemporaryDirectory() as folder:
        key, message = os.path.join(folder, "key.der"), os.path.join(folder, "message")
        with open(key, "wb") as file:
            file.write(bytes.fromhex("302e020100300506032b657004220420") + seed)
        with open(message, "wb") as file:
            file.write(f"DSSEv1 {len(payload_type)} {payload_type} {len(payload)} ".encode() + payload)
        openssl = ["openssl", "pkeyutl", "-sign", "-rawin", "-keyform", "DER", "-inkey", key, "-in", message]
        signature = subprocess.run(openssl, check=True, capture_output=True).stdout
        der = subprocess.run(
            ["openssl", "pkey", "-inform", "DER", "-in", key, "-pubout", "-outform", "DER"], check=True, capture_output=True
        ).stdout
    b64 = lambda data: base64.b64encode(data).decode()
    keyid = hashlib.sha256(der[-32:]).hexdigest()
    return (
        f'{{"payloadType":"{payload_type}","payload":"{b64(payload)}",'
        f'"signatures":[{{"keyid":"{keyid}","sig":"{b64(signature)}"}}]}}',
        b64(der[-32:]),
    )


def main():
    print("check", mac(DEDUP, b"lifeboat/1/check").hex())
    for use in ["id", "mac", "gear"]:
        print("K", use, derive(use).hex())
    print("chunk id of `hello`", mac(derive("id"), b"hello").hex())
    print("stream mac of `hello`", mac(derive("mac"), hashlib.sha256(b"hello").digest()).hex())
    table = gear(derive("gear"))
    for i in [0, 1, 2, 3, 4, 255]:
        print("gear", i, f"{table[i]:016x}")
    data = stream(20_000_000)
    print("stream sha256", hashlib.sha256(data).hexdigest())
    for sizes in [(256 << 10, 1 << 20, 4 << 20), (1 << 20, 4 << 20, 8 << 20)]:
        chunks = list(cut(data, table, *sizes))
        print("cuts", sizes, [len(chunk) for chunk in chunks])
        print("ids", [mac(derive("id"), chunk).hex()[:16] for chunk in chunks])
    tombstone = (
        '{"format":1,"repository":"01JD7Z9T3Q5R6S7T8V9W0X1Y2Z","policy":"shop","run":"01JD7Z9T3Q5R6S7T8V9W0X1Y30",'
        '"manifest_sha256":"' + "ab" * 32 + '","rule":"not among the last 3","signed":"2026-11-23T02:00:04Z"}'
    )
    text, public = envelope("application/vnd.lifeboat.tombstone.v1+json", tombstone.encode(), bytes(range(32)))
    print("public key", public)
    print("envelope", text)


main()
