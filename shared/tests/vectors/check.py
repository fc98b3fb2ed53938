#!/usr/bin/env python3
"""Computes what it can of the vector files once more, with nothing but Python's own library.

Run it in this folder. It shares no code with the crate: HKDF from hmac, bech32m and Ed25519 written out below. What
needs AES, ML-KEM or the word lists is left to the crate; of sealed messages the commitment is checked, which depends
on key, salt and context.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import sys

CHECKED = 0


def same(name, seen, wanted):
    global CHECKED
    CHECKED += 1
    if seen != wanted:
        sys.exit(f"{name}: {seen!r} is not {wanted!r}")


# ---- files


def read(path):
    head, body = path.read_text(encoding="utf-8").split("\n\n", 1)
    fields = {}
    for line in body.splitlines():
        if " = " in line:
            name, text = line.split(" = ", 1)
            fields[name] = text.encode()
        else:
            name, text = line.split(":", 1)
            fields[name] = bytes.fromhex(text)
    return fields


# ---- [S4.1]


def extract(salt, secret):
    return hmac.new(salt, secret, "sha256").digest()


def expand(prk, info, length, algorithm="sha256"):
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([counter]), algorithm).digest()
        out, counter = out + block, counter + 1
    return out[:length]


def with_length(part):
    return len(part).to_bytes(4, "big") + part


def derive(prk, label, parts, length):
    return expand(prk, b"handover/v1/" + label + b"\0" + b"".join(map(with_length, parts)), length)


def commitment(key, salt, context):
    info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0" + salt + context
    return expand(key, info, 32 + 12 + 32, "sha512")[44:]


# ---- BIP-350


def bech32m(hrp, data):
    alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    number, bits = int.from_bytes(data, "big"), len(data) * 8
    values = [number >> (bits - 5 * (place + 1)) & 31 for place in range(bits // 5)]
    spread = [ord(char) >> 5 for char in hrp] + [0] + [ord(char) & 31 for char in hrp]
    check = 1
    for value in spread + values + [0] * 6:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate([0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3]):
            if top >> place & 1:
                check ^= generator
    check ^= 0x2BC830A3
    values += [check >> 5 * (5 - place) & 31 for place in range(6)]
    return hrp + "1" + "".join(alphabet[value] for value in values)


# ---- RFC 8032

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(one, two):
    (x1, y1), (x2, y2) = one, two
    cross = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + cross, P - 2, P) % P
    return x, (y1 * y2 + x1 * x2) * pow(1 - cross, P - 2, P) % P


def times(scalar, point):
    total = (0, 1)
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point, scalar = add(point, point), scalar >> 1
    return total


def decode(text):
    number = int.from_bytes(text, "little")
    y, sign = number & (2**255 - 1), number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square:
        raise ValueError("not a point")
    return (P - x if x & 1 != sign else x), y


def encode(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


BASE = decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def public_key(seed):
    scalar = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    return encode(times(scalar & (2**254 - 8) | 2**254, BASE))


def verifies(key, message, signature):
    scalar = int.from_bytes(signature[32:], "little")
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little")
    right = add(decode(signature[:32]), times(challenge % L, decode(key)))
    return scalar < L and times(scalar, BASE) == right


# ---- PROTOCOL.sshsig


def strings(blob):
    while blob:
        length = int.from_bytes(blob[:4], "big")
        yield blob[4 : 4 + length]
        blob = blob[4 + length :]


def signer(kind, text, armour):
    blob = base64.b64decode(b"".join(armour.splitlines()[1:-1]))
    same("preamble", blob[:10], b"SSHSIG\0\0\0\1")
    key, namespace, reserved, algorithm, signature = strings(blob[10:])
    same("signature", (namespace, reserved, algorithm), (b"handover-" + kind + b"-v1", b"", b"sha512"))
    digest = hashlib.sha512(text).digest()
    message = b"SSHSIG" + b"".join(map(with_length, [namespace, b"", b"sha512", digest]))
    key, signature = list(strings(key))[1], list(strings(signature))[1]
    same("verifies", verifies(key, message, signature), True)
    return key


def fingerprint(key):
    digest = hashlib.sha256(with_length(b"ssh-ed25519") + with_length(key)).digest()
    return b"SHA256:" + base64.b64encode(digest).rstrip(b"=")


# ---- [S10.1]


def statement(text):
    values = json.loads(text)
    same("one text", json.dumps(values, indent=2).encode() + b"\n", text)
    same("strings", {type(value) for value in values.values()}, {str})
    return values


# ---- [S16.2], RFC 9162 section 2.1.3.2 and, by the recursive definition, 2.1.4.2


def leaf(text):
    return hashlib.sha256(b"\0" + text).digest()


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def half(size):
    return 1 << ((size - 1).bit_length() - 1)


def root_by_path(hash, number, size, path):
    """The path is given from the leaf upwards; it is used up from its end."""
    if size == 1:
        return hash if not path else None
    middle = half(size)
    if not path:
        return None
    if number < middle:
        below = root_by_path(hash, number, middle, path[:-1])
        return below and node(below, path[-1])
    below = root_by_path(hash, number - middle, size - middle, path[:-1])
    return below and node(path[-1], below)


def roots_by_proof(earlier, later, proof, known):
    """The earlier and the later root, as a consistency proof has them."""
    if earlier == later:
        return (known, known) if known else (proof[0], proof[0])
    middle = half(later)
    if earlier <= middle:
        old, new = roots_by_proof(earlier, middle, proof[:-1], known)
        return old, node(new, proof[-1])
    old, new = roots_by_proof(earlier - middle, later - middle, proof[:-1], None)
    return node(proof[-1], old), node(proof[-1], new)


def cut(hashes):
    return [hashes[at : at + 32] for at in range(0, len(hashes), 32)]


# ---- what the files say


def check(name, f):
    operation = f["operation"].decode()
    if f["expect"] != b"ok":
        return
    if operation == "derive-from-code":
        prk = extract(b"handover/v1/code", f["code"])
        same(name, derive(prk, b"locator", [], 16), f["gives-locator"])
        same(name, public_key(derive(prk, b"claim", [], 32)), f["gives-claim-key"])
        same(name, derive(prk, b"offer", [], 32), f["gives-offer-key"])
        same(name, derive(prk, b"psk", [], 32), f["gives-psk"])
    elif operation == "derive-from-content-key":
        for label in ["commit", "block", "manifest", "receipt"]:
            field = "gives-commit" if label == "commit" else f"gives-{label}-key"
            same(name, derive(f["content-key"], label.encode(), [f["transfer"]], 32), f[field])
        same(name, derive(f["content-key"], b"inventory", [f["transfer"]], 16), f["gives-inventory-salt"])
    elif operation == "write-code":
        same(name, bech32m("ho", f["code"]), f["gives-text"].decode())
    elif operation == "seal":
        sealed = f["gives-sealed"]
        same(name, sealed[24:56], commitment(f["key"], sealed[:24], f["context"]))
        same(name, len(sealed), 56 + len(f["plain"]) + 16 * (len(f["plain"]) // 16384 + 1))
    elif operation == "open":
        same(name, f["sealed"][24:56], commitment(f["key"], f["sealed"][:24], f["context"]))
    elif operation in ("seal-envelope", "open-envelope"):
        envelope = f["gives-envelope"] if operation == "seal-envelope" else f["envelope"]
        key = derive(extract(f["share"], f["psk"]), b"envelope", [f["transfer"], f["offer-digest"]], 32)
        context = b"handover/v1/envelope\0" + f["transfer"]
        same(name, envelope[24:56], commitment(key, envelope[:24], context))
    elif operation == "bundle":
        bundle = b"handover/v1/bundle\0" + with_length(f["link-key"]) + with_length(f["hybrid-key"])
        same(name, hashlib.sha256(bundle).digest(), f["gives-bundle"])
    elif operation == "read-statement":
        values = statement(f["text"])
        same(name, (next(iter(values)), values["statement"]), ("statement", f"handover-{f['kind'].decode()}/v1"))
        same(name, hashlib.sha256(f["text"]).digest(), f["gives-id"])
        if "gives-leaf" in f:
            same(name, leaf(f["text"]), f["gives-leaf"])
    elif operation == "verify":
        key = signer(f["kind"], f["text"], f["signature"])
        same(name, (key, fingerprint(key)), (f["gives-signer"], f["gives-fingerprint"]))
    elif operation == "open-offer":
        key = derive(extract(b"handover/v1/code", f["code"]), b"offer", [], 32)
        same(name, f["sealed"][24:56], commitment(key, f["sealed"][:24], b"handover/v1/offer\0"))
        same(name, hashlib.sha256(f["sealed"]).digest(), f["gives-digest"])
        values = statement(f["gives-text"])
        same(name, values["seller-key"], fingerprint(f["gives-seller-key"]).decode())
        same(name, values["relay-key"], fingerprint(f["relay-key"]).decode())
    elif operation == "check-claim":
        same(name, signer(b"claim", f["text"], f["identity-signature"]), f["gives-buyer-key"])
        same(name, signer(b"claim", f["text"], f["claim-signature"]), f["claim-key"])
    elif operation == "check-seal":
        same(name, signer(b"seal", f["text"], f["signature"]), f["seller-key"])
        same(name, statement(f["text"])["offer"], hashlib.sha256(f["offer"]).hexdigest())
    elif operation == "check-receipt":
        key = derive(f["content-key"], b"receipt", [f["transfer"]], 32)
        context = b"handover/v1/receipt\0" + f["transfer"]
        same(name, f["sealed"][24:56], commitment(key, f["sealed"][:24], context))
        same(name, statement(f["gives-text"])["seal"], hashlib.sha256(f["seal"]).hexdigest())
    elif operation == "log-inclusion":
        same(name, leaf(f["text"]), f["gives-leaf"])
        root = root_by_path(leaf(f["text"]), int(f["number"]), int(f["size"]), cut(f["path"]))
        same(name, root, f["root"])
    elif operation == "log-consistency":
        if int(f["earlier"]):
            roots = roots_by_proof(int(f["earlier"]), int(f["later"]), cut(f["proof"]), f["earlier-root"])
            same(name, roots, (f["earlier-root"], f["later-root"]))
    elif operation not in ("read-code", "accept-share"):
        sys.exit(f"{name}: unknown operation {operation}")


for path in sorted(pathlib.Path(__file__).parent.glob("*.txt")):
    check(path.name, read(path))
print(f"{CHECKED} values are the same")
