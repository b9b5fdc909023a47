#!/usr/bin/python3
"""Writes signed_zone.h: answers of a signed zone, for the resolver's unit test, valid until 2080.

    tests/unit/runtime/signed_zone.py | clang-format > tests/unit/runtime/signed_zone.h
"""
import datetime
import pathlib
import sys

import dns.message
import dns.name
from cryptography.hazmat.primitives.asymmetric import ec

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "e2e"))
from nameserver import NameServer  # noqa: E402

ZONE = "signed.example"
RECORDS = {
    f"mail.{ZONE} A": ["192.0.2.7"],
    f"_25._tcp.mail.{ZONE} TLSA": ["3 1 1 " + "ab" * 32],
    f"forged.{ZONE} A": ["192.0.2.8"],
}
QUESTIONS = [(ZONE, "DNSKEY"), (f"mail.{ZONE}", "A"), (f"mail.{ZONE}", "AAAA"),
             (f"_25._tcp.mail.{ZONE}", "TLSA"), (f"forged.{ZONE}", "A")]

server = NameServer(RECORDS, [ZONE])
server.stop()
server.forged.add(f"forged.{ZONE}")
server.keys = {dns.name.from_text(ZONE): ec.derive_private_key(20200101, ec.SECP256R1())}
server.validity = {"inception": datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc),
                   "expiration": datetime.datetime(2080, 1, 1, tzinfo=datetime.timezone.utc)}

print("""/* Answers of a signed zone; written by signed_zone.py. */
#pragma once

#include "base/slice.h"
""")
key = server.dnskey(dns.name.from_text(ZONE)).to_text()
print(f'#define SIGNED_ZONE_ANCHOR "{ZONE}. IN DNSKEY {key}\\n"\n')
print("static const struct slice signed_answers[] = {")
for name, kind in QUESTIONS:
    wire = server.answer(dns.message.make_query(name, kind, want_dnssec=True, id=0).to_wire())
    print(f"\t/* {name} {kind} */\n\t{{ (const uint8_t[]){{")
    for at in range(0, len(wire), 16):
        print("\t\t" + " ".join(f"0x{octet:02x}," for octet in wire[at:at + 16]))
    print(f"\t}}, {len(wire)} }},")
print("};")
