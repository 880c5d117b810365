#!/usr/bin/env python3
"""Verifies an export of the log of Knitfab, as `export.md` describes it, with nothing but Python.

Usage: verify_export.py FILE|DIRECTORY [CHECKPOINTS PUBLIC_KEY...]

FILE is an export, compressed with gzip or not; DIRECTORY is an archive, whose segments are verified as one history.

Prints how many events there are, the last position and the chain there, and ends with 0. If something is wrong it
says at which position on standard error, and ends with 1. With a file of checkpoints, as `checkpoint.md` describes
it, and the public keys of those who are trusted, it says how many of them hold; their signatures are OpenSSL's to verify.
"""

import base64
import hashlib
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import uuid
import zlib

GENESIS = bytes(32)
# What reading something says that is not written as an export is.
DAMAGE = (ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error, EOFError, zlib.error)
SEGMENT = re.compile(r"events-[0-9]{12}-[0-9]{12}\.pb\.gz")


class Wrong(Exception):
    """What is wrong, with the position in front."""


def from_hex(text):
    """Bytes of lower-case hexadecimal; another way to write the same bytes is a change of the file."""
    value = bytes.fromhex(text)
    if value.hex() != text:
        raise ValueError("no lower-case hexadecimal")
    return value


def json_records(data):
    """The records of JSON Lines: (kind, fields)."""
    for line in data.split(b"\n")[:-1]:
        (kind, fields), = json.loads(line).items()
        for name in ("salt", "leaf", "chain"):
            if name in fields:
                fields[name] = from_hex(fields[name])
        if "eventId" in fields:
            event_id = uuid.UUID(fields["eventId"])
            if str(event_id) != fields["eventId"]:
                raise ValueError("no lower-case UUID")
            fields["eventId"] = event_id.bytes
        for name in ("streamType", "streamId", "eventType", "eventVersion", "payload", "metadata"):
            if name in fields:
                fields[name] = fields[name].encode()
        yield kind, fields
    if not data.endswith(b"\n"):
        raise ValueError("the last line has no end")


def varint(data, at):
    value, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields_of(message):
    """Number and value of each field: numbers of wire type 0 and bytes of wire type 2, for there are no others."""
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        value, at = varint(message, at)
        if tag & 7 == 2:
            value, at = message[at:at + value], at + value
            if at > len(message):
                raise ValueError("a message is longer than what holds it")
        elif tag & 7 != 0:
            raise ValueError("a field of unknown type")
        yield tag >> 3, value


# Of each kind of record: its number, and its fields in the order of their numbers, with what an absent one means.
BYTES, NUMBER = b"", 0
KINDS = {
    1: ("begin", [("format", NUMBER), ("after", NUMBER), ("chain", BYTES)]),
    2: ("event", [("position", NUMBER), ("eventId", BYTES), ("streamType", BYTES), ("streamId", BYTES),
                  ("sequence", NUMBER), ("eventType", BYTES), ("eventVersion", BYTES), ("payload", BYTES),
                  ("metadata", BYTES), ("recordedAtMs", NUMBER), ("salt", BYTES), ("leaf", BYTES), ("chain", BYTES)]),
    3: ("end", [("position", NUMBER), ("chain", BYTES)]),
    4: ("unreadable", [("position", NUMBER), ("why", BYTES)]),
}


def proto_records(data):
    """The records of length-delimited protobuf: (kind, fields)."""
    at = 0
    while at < len(data):
        length, at = varint(data, at)
        if at + length > len(data):
            raise ValueError("the last message is cut off")
        (number, message), = fields_of(data[at:at + length])
        at += length
        kind, names = KINDS[number]
        fields = dict(names)
        for number, value in fields_of(message):
            fields[names[number - 1][0]] = value
        if kind == "event" and fields["recordedAtMs"] >= 1 << 63:
            fields["recordedAtMs"] -= 1 << 64
        yield kind, fields


def uncompressed(data):
    """What was compressed with gzip, up to where it is damaged, and the damage."""
    unpacker, pieces = zlib.decompressobj(31), []
    try:
        for at in range(0, len(data), 1 << 16):
            rest = data[at:at + (1 << 16)]
            while rest:
                if unpacker.eof:
                    # What was compressed in several pieces is several of these files, one behind the other.
                    unpacker = zlib.decompressobj(31)
                pieces.append(unpacker.decompress(rest))
                rest = unpacker.unused_data
    except zlib.error as error:
        return b"".join(pieces), error
    return b"".join(pieces), None if unpacker.eof else EOFError("the compressed file is cut off")


def file_records(path):
    """The records of a file."""
    with open(path, "rb") as file:
        data = file.read()
    damage = None
    if data[:2] == b"\x1f\x8b":
        data, damage = uncompressed(data)
    yield from json_records(data) if data[:1] == b"{" else proto_records(data)
    if damage:
        raise damage


def records_of(path):
    """The records of a file, or of the segments of an archive, of which each must go on where the one before ends."""
    if not os.path.isdir(path):
        yield from file_records(path)
        return
    end = None
    for name in sorted(name for name in os.listdir(path) if SEGMENT.fullmatch(name)):
        begins = end is not None
        for kind, record in file_records(os.path.join(path, name)):
            if begins:
                if kind != "begin" or record["format"] != 1:
                    raise Wrong(f"position {end['position'] + 1}: {name} is no export of format 1")
                if (record["after"], record["chain"]) != (end["position"], end["chain"]):
                    raise Wrong(f"position {min(record['after'], end['position']) + 1}: {name} does not go on there")
                begins, end = False, None
                continue
            if end is not None:
                yield "end", end
                end = None
            if kind == "end":
                end = record
            else:
                yield kind, record
        if begins:
            raise Wrong(f"position {end['position'] + 1}: {name} is empty")
        if end is None:
            return
    if end is not None:
        yield "end", end


def leaf_of(event):
    parts = [event["salt"], event["eventId"], event["streamType"], event["streamId"],
             struct.pack(">Q", event["sequence"]), event["eventType"], event["eventVersion"],
             event["payload"], event["metadata"]]
    return hashlib.sha256(b"".join(struct.pack(">Q", len(part)) + part for part in parts)).digest()


def link(before, event):
    numbers = struct.pack(">Qq", event["position"], event["recordedAtMs"])
    return hashlib.sha256(before + numbers + event["leaf"]).digest()


def admitted_by(event):
    """The position and leaf whose redaction an event admits."""
    if (event["streamType"], event["eventType"]) != (b"journal", b"EventRedacted"):
        return None
    said = json.loads(event["payload"])["EventRedacted"]
    return said["position"], from_hex(said["leaf"])


CHECKPOINT = re.compile(
    r"(knitfab checkpoint 1\nlog ([0-9a-f]{64})\nposition ([1-9][0-9]*)\nchain ([0-9a-f]{64})\ntime [^\n]+\n)"
    r"key ([0-9a-f]{64})\nsignature ([0-9a-f]{128})\n\n")


def checkpoints_of(text):
    """Message, log, position, chain, key and signature of every checkpoint."""
    found, at = [], 0
    while at < len(text):
        match = CHECKPOINT.match(text, at)
        if match is None:
            raise ValueError(f"no checkpoint begins at character {at}")
        message, log, position, chain, key, signature = match.groups()
        found.append((message.encode("ascii"), from_hex(log), int(position), from_hex(chain), key, from_hex(signature)))
        at = match.end()
    return found


def is_signed(message, signature, key_file):
    with tempfile.NamedTemporaryFile() as text, tempfile.NamedTemporaryFile() as signed:
        for file, content in ((text, message), (signed, signature)):
            file.write(content)
            file.flush()
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key_file, "-rawin",
                   "-in", text.name, "-sigfile", signed.name]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def key_of(key_file):
    """The 32 bytes of the key in a file, in hexadecimal."""
    with open(key_file, encoding="ascii") as file:
        lines = file.read().split("-----")[2]
    return base64.b64decode(lines)[-32:].hex()


def hold(checkpoints, key_files, begins_behind, head, chains):
    """How many of the checkpoints are signed and hold; `chains` has the chain at every position."""
    keys = {key_of(file): file for file in key_files}
    held, whole_up_to = 0, begins_behind
    for message, log, position, chain, key, signature in sorted(checkpoints, key=lambda one: one[2]):
        if key not in keys or not is_signed(message, signature, keys[key]):
            raise Wrong(f"position {position}: the checkpoint is not signed with a trusted key")
        if position < begins_behind:
            continue
        if chains.get(1, log) != log:
            raise Wrong("position 1: this is another log than the one that was signed")
        if position > head:
            raise Wrong(f"position {head + 1}: missing, though position {position} was signed")
        if chains[position] != chain:
            raise Wrong(f"position {position}: not as signed; something behind position {whole_up_to} was rewritten")
        held, whole_up_to = held + 1, position
    return held


def verify(records, chains):
    """Events, last position and chain; notes in `chains` the chain at every position."""
    kind, begin = next(records, ("nothing", {}))
    if kind != "begin" or begin["format"] != 1:
        raise Wrong("position 0: this is no export of format 1")
    position, chain, recorded_at, events = begin["after"], begin["chain"], None, 0
    if (position == 0) != (chain == GENESIS):
        raise Wrong("position 0: the chain is none of the position before the first event")
    chains[position] = chain
    emptied = {}
    try:
        for kind, record in records:
            if kind == "end":
                if next(records, None) is not None:
                    raise Wrong(f"position {position + 1}: something stands behind the end")
                if record["position"] != position and record["chain"] != chain:
                    raise Wrong(f"position {min(position, record['position']) + 1}: missing, or too much")
                if (record["position"], record["chain"]) != (position, chain):
                    raise Wrong(f"position {position}: the end has another position or chain")
                if emptied:
                    raise Wrong(f"position {min(emptied)}: emptied, and no EventRedacted admits it")
                return events, position, chain
            if kind != "event":
                raise Wrong(f"position {position + 1}: no event, but {kind}")
            here = position + 1
            if record["position"] != here:
                raise Wrong(f"position {here}: position {record['position']} stands here")
            if leaf_of(record) == record["leaf"]:
                admitted = admitted_by(record)
                if admitted and emptied.get(admitted[0]) == admitted[1]:
                    del emptied[admitted[0]]
            elif record["salt"] == b"" and record["payload"] in (b"", b"{}"):
                emptied[here] = record["leaf"]
            else:
                raise Wrong(f"position {here}: the content does not give the leaf")
            if recorded_at is not None and record["recordedAtMs"] < recorded_at:
                raise Wrong(f"position {here}: recorded_at goes back")
            if link(chain, record) != record["chain"]:
                raise Wrong(f"position {here}: chain, recorded_at and leaf do not fit together")
            position, chain, recorded_at, events = here, record["chain"], record["recordedAtMs"], events + 1
            chains[position] = chain
    except DAMAGE as error:
        raise Wrong(f"position {position + 1}: damaged: {error!r}") from error
    raise Wrong(f"position {position + 1}: cut off before the end record")


def main(path, checkpoints=None, *key_files):
    chains = {}
    try:
        events, position, chain = verify(records_of(path), chains)
    except Wrong as wrong:
        print(wrong, file=sys.stderr)
        return 1
    except DAMAGE as error:
        print(f"position 0: this is no export: {error!r}", file=sys.stderr)
        return 1
    print(f"{events} events, head {position}, chain {chain.hex()}")
    if checkpoints is None:
        return 0
    try:
        with open(checkpoints, encoding="ascii", newline="") as file:
            signed = checkpoints_of(file.read())
        held = hold(signed, key_files, min(chains), position, chains)
    except Wrong as wrong:
        print(wrong, file=sys.stderr)
        return 1
    except DAMAGE as error:
        print(f"these are no checkpoints, or no public key: {error!r}", file=sys.stderr)
        return 1
    print(f"{held} of {len(signed)} checkpoints hold")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
