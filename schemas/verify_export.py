#!/usr/bin/env python3
"""Verifies an export of the log of Knitfab, as `export.md` describes it, with nothing but Python.

Usage: verify_export.py FILE|DIRECTORY... [--checkpoints FILE]... [--key PUBLIC_KEY]...

FILE is an export, compressed with gzip or not; DIRECTORY is an archive. Several of them, such as an archive and an
export of what follows it, are verified as one history, in the order of what they begin
with (pipes, in the order in which they are named).

Prints how many events there are, the last position and the chain there, and ends with 0. If something is wrong it
says at which position on standard error, and ends with 1; with 2 if it cannot read what was named. With files of
checkpoints, as `checkpoint.md` describes them, and the public keys of those who are trusted, of which a file may hold
several, it says how many of them hold; their signatures are OpenSSL's to verify.

`verify_export.py FILE|DIRECTORY CHECKPOINTS PUBLIC_KEY...` is the same with one file of checkpoints.
"""

import argparse
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
DAMAGE = (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError,
          struct.error, EOFError, zlib.error)
SEGMENT = re.compile(r"events-([0-9]{12})-([0-9]{12})\.pb\.gz")
# How it ends when something is not whole, and when what was named cannot be read or is not said as it should be.
NOT_WHOLE, UNABLE = 1, 2


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


def before_damage(unpacker, data):
    """What `unpacker` makes of `data` before it finds the damage in it: one byte after the other is asked for."""
    made = []
    try:
        for byte in data:
            rest = bytes([byte])
            while some := unpacker.decompress(rest, 1):
                made.append(some)
                rest = unpacker.unconsumed_tail
    except zlib.error:
        pass
    return b"".join(made)


def uncompressed(data):
    """What was compressed with gzip, up to where it is damaged, and the damage."""
    pieces, at = [], 0
    unpacker = zlib.decompressobj(31)
    while at < len(data):
        if unpacker.eof:
            # What was compressed in several pieces is several of these files, one behind the other.
            unpacker = zlib.decompressobj(31)
        piece, before = data[at:at + (1 << 16)], unpacker.copy()
        try:
            pieces.append(unpacker.decompress(piece))
        except zlib.error as error:
            return b"".join([*pieces, before_damage(before, piece)]), error
        at += len(piece) - len(unpacker.unused_data)
    return b"".join(pieces), None if unpacker.eof else EOFError("the compressed file is cut off")


def file_records(path, bytes_max=-1):
    """The records of a file, or of so many bytes of it."""
    with open(path, "rb") as file:
        data = file.read(bytes_max)
    damage = None
    if data[:2] == b"\x1f\x8b":
        data, damage = uncompressed(data)
    yield from json_records(data) if data[:1] == b"{" else proto_records(data)
    if damage:
        raise damage


def files_at(path):
    """The segments of an archive, or the one file that is named."""
    if not os.path.isdir(path):
        return [path]
    segments = sorted(name for name in os.listdir(path) if SEGMENT.fullmatch(name))
    if not segments:
        raise FileNotFoundError(f"there are no segments of an archive in {path}")
    return [os.path.join(path, name) for name in segments]


def begins_behind(path):
    """The position that a file begins behind, which puts files in order; what is no export comes first."""
    try:
        kind, begin = next(file_records(path, 1 << 12), ("nothing", {}))
        return begin["after"] if kind == "begin" else -1
    except DAMAGE:
        return -1


def is_named(path, position, place):
    """Holds the name of a file, if it is that of a segment, against what the file begins (1) or ends (2) with."""
    name = SEGMENT.fullmatch(os.path.basename(path))
    if name and int(name[place]) != position:
        here, which = min(int(name[place]), position) + place - 1, ("first", "last")[place - 1]
        raise Wrong(f"position {here}: the {which} position in {path} is {position}, and not the one in its name")


def records_of(paths):
    """The records of files and archives, of which each must go on where the one before ends."""
    files = [file for path in paths for file in files_at(path)]
    if len(files) > 1 and all(os.path.isfile(file) for file in files):
        files.sort(key=begins_behind)
    end = None
    for path in files:
        is_first = True
        for kind, record in file_records(path):
            if is_first and kind == "begin":
                is_named(path, record["after"] + 1, 1)
            if is_first and end is not None:
                if kind != "begin" or record["format"] != 1:
                    raise Wrong(f"position {end['position'] + 1}: {path} is no export of format 1")
                if (record["after"], record["chain"]) != (end["position"], end["chain"]):
                    raise Wrong(f"position {min(record['after'], end['position']) + 1}: {path} does not go on there")
                is_first, end = False, None
                continue
            is_first = False
            if end is not None:
                yield "end", end
                end = None
            if kind == "end":
                is_named(path, record["position"], 2)
                end = record
            else:
                yield kind, record
        if is_first and end is not None:
            raise Wrong(f"position {end['position'] + 1}: {path} is empty")
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


def envelope_of(event):
    parts = [event["eventId"], event["streamType"], event["streamId"], struct.pack(">Q", event["sequence"]),
             event["eventType"], event["eventVersion"], event["metadata"]]
    return hashlib.sha256(b"".join(struct.pack(">Q", len(part)) + part for part in parts)).digest()


def admitted_by(event):
    """Position and leaf whose redaction an event admits, and the hash of what was left of it, if that was taken."""
    if (event["streamType"], event["eventType"]) != (b"journal", b"EventRedacted"):
        return None
    said = json.loads(event["payload"])["EventRedacted"]
    envelope = said.get("envelope_sha256")
    return said["position"], from_hex(said["leaf"]), envelope and from_hex(envelope)


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


PUBLIC_KEY = re.compile(r"-----BEGIN PUBLIC KEY-----(.+?)-----END PUBLIC KEY-----", re.DOTALL)


def keys_of(key_file):
    """The keys in a file: PEM of each by its 32 bytes, in hexadecimal."""
    with open(key_file, encoding="utf-8") as file:
        found = {base64.b64decode(key[1])[-32:].hex(): key[0] + "\n" for key in PUBLIC_KEY.finditer(file.read())}
    if not found:
        raise ValueError(f"no public key in {key_file}")
    return found


def is_signed(message, signature, key):
    with tempfile.TemporaryDirectory() as directory:
        names = [os.path.join(directory, name) for name in ("message", "signature", "key")]
        for name, content in zip(names, (message, signature, key.encode("ascii"))):
            with open(name, "wb") as file:
                file.write(content)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", names[2], "-rawin",
                   "-in", names[0], "-sigfile", names[1]]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def hold(checkpoints, keys, after, head, chains):
    """How many of the checkpoints are signed and hold; `chains` has the chain at every position."""
    held, whole_up_to = 0, after
    for message, log, position, chain, key, signature in sorted(checkpoints, key=lambda one: one[2]):
        if key not in keys or not is_signed(message, signature, keys[key]):
            raise Wrong(f"position {position}: the checkpoint is not signed with a trusted key")
        if position < after:
            continue
        if chains.get(1, log) != log:
            raise Wrong("position 1: this is another log than the one that was signed")
        if position > head:
            raise Wrong(f"position {head + 1}: missing, though position {position} was signed")
        if chains[position] != chain:
            where = f"behind position {whole_up_to}" if whole_up_to else "up to there"
            raise Wrong(f"position {position}: not as signed; something {where} was rewritten")
        held, whole_up_to = held + 1, position
    return held


class Redactions:
    """Emptied events, and what has been said of them behind them."""

    def __init__(self):
        self.emptied = {}
        self.open = set()
        self.changed = set()

    def admit(self, admitted):
        if admitted is None or self.emptied.get(admitted[0], (None,))[0] != admitted[1]:
            return
        position, _, envelope = admitted
        self.open.discard(position)
        if envelope is not None and envelope != self.emptied[position][1]:
            self.changed.add(position)

    def hold_so_far(self):
        if self.changed:
            raise Wrong(f"position {min(self.changed)}: what was left of the redacted event was changed")

    def hold(self):
        if self.open and min(self.open) < min(self.changed, default=min(self.open) + 1):
            raise Wrong(f"position {min(self.open)}: emptied, and no EventRedacted admits it")
        self.hold_so_far()


def verify(records, chains):
    """Events, last position and chain; notes in `chains` the chain at every position."""
    kind, begin = next(records, ("nothing", {}))
    if kind != "begin" or begin["format"] != 1:
        raise Wrong("position 0: this is no export of format 1")
    position, chain, recorded_at, events = begin["after"], begin["chain"], None, 0
    if (position == 0) != (chain == GENESIS):
        raise Wrong("position 0: the chain is none of the position before the first event")
    chains[position] = chain
    redactions = Redactions()
    try:
        for kind, record in records:
            if kind == "end":
                if next(records, None) is not None:
                    raise Wrong(f"position {position + 1}: something stands behind the end")
                if record["position"] != position and record["chain"] != chain:
                    raise Wrong(f"position {min(position, record['position']) + 1}: missing, or too much")
                if (record["position"], record["chain"]) != (position, chain):
                    raise Wrong(f"position {position}: the end has another position or chain")
                redactions.hold()
                return events, position, chain
            if kind != "event":
                raise Wrong(f"position {position + 1}: no event, but {kind}")
            here = position + 1
            if record["position"] != here:
                raise Wrong(f"position {here}: position {record['position']} stands here")
            if leaf_of(record) == record["leaf"]:
                redactions.admit(admitted_by(record))
            elif record["salt"] == b"" and record["payload"] in (b"", b"{}"):
                redactions.emptied[here] = record["leaf"], envelope_of(record)
                redactions.open.add(here)
            else:
                raise Wrong(f"position {here}: the content does not give the leaf")
            if recorded_at is not None and record["recordedAtMs"] < recorded_at:
                raise Wrong(f"position {here}: recorded_at goes back")
            if link(chain, record) != record["chain"]:
                raise Wrong(f"position {here}: chain, recorded_at and leaf do not fit together")
            position, chain, recorded_at, events = here, record["chain"], record["recordedAtMs"], events + 1
            chains[position] = chain
    except Wrong:
        # What was changed of a redacted event is seen behind it; it is still the first that is wrong.
        redactions.hold_so_far()
        raise
    except DAMAGE as error:
        redactions.hold_so_far()
        raise Wrong(f"position {position + 1}: damaged: {error!r}") from error
    redactions.hold_so_far()
    raise Wrong(f"position {position + 1}: cut off before the end record")


def prove(files, checkpoint_files, key_files):
    """Prints what is proved of the history in `files`."""
    signed, keys, chains = [], {}, {}
    try:
        for name in checkpoint_files:
            with open(name, encoding="ascii", newline="") as file:
                signed += checkpoints_of(file.read())
        for name in key_files:
            keys.update(keys_of(name))
    except DAMAGE as error:
        raise Wrong(f"these are no checkpoints, or no public key: {error!r}") from error
    try:
        events, position, chain = verify(records_of(files), chains)
    except DAMAGE as error:
        raise Wrong(f"position 0: this is no export: {error!r}") from error
    after = min(chains)
    held = hold(signed, keys, after, position, chains)
    if checkpoint_files and not held:
        raise Wrong(f"0 of {len(signed)} checkpoints hold: none lies in what was verified")
    print(f"{events} events, head {position}, chain {chain.hex()}")
    if after > 0:
        print(f"not looked at: positions 1 to {after}")
    if checkpoint_files:
        print(f"{held} of {len(signed)} checkpoints hold")


class Words(argparse.ArgumentParser):
    """Says in one line what is wrong with how it was called."""

    def error(self, message):
        print(f"{message}; `--help` says how it is called", file=sys.stderr)
        sys.exit(UNABLE)


def holds(path, text):
    """Whether a file, if it can be read, holds a text."""
    try:
        with open(path, "rb") as file:
            return text in file.read()
    except OSError:
        return False


def main():
    words = Words(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, usage=argparse.SUPPRESS)
    words.add_argument("files", nargs="+", metavar="FILE|DIRECTORY")
    words.add_argument("--checkpoints", action="append", default=[], metavar="FILE")
    words.add_argument("--key", action="append", default=[], metavar="PUBLIC_KEY")
    said = words.parse_intermixed_args()
    files, checkpoints, keys = said.files, said.checkpoints, said.key
    if not checkpoints and len(files) > 1 and \
            (holds(files[1], b"knitfab checkpoint 1\n") or holds(files[-1], b"-----BEGIN PUBLIC KEY-----")):
        files, checkpoints, keys = files[:1], files[1:2], files[2:] + keys
    if keys and not checkpoints:
        words.error("a key says nothing without checkpoints: --checkpoints FILE")
    try:
        prove(files, checkpoints, keys)
    except Wrong as wrong:
        print(wrong, file=sys.stderr)
        return NOT_WHOLE
    except OSError as error:
        print(error, file=sys.stderr)
        return UNABLE
    return 0


if __name__ == "__main__":
    sys.exit(main())
