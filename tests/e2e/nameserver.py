"""A DNS server on loopback, for what a test says: zones, failures, silence; signed where it wants.

    dns = NameServer({"example.net MX": ["10 mail.example.net."], "mail.example.net A": ["192.0.2.1"]})
    server = new_server(dns.settings()) ...
    dns.records["example.net MX"] = [...]; dns.broken.add("example.com"); dns.asked; dns.stop()

Names are without the dot at their end, record data is as in a zone file. A name that has no records
does not exist. Zones in `signed` are signed with a key that `settings()` makes a trust anchor.
"""
import socket
import socketserver
import threading

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.NSEC
import dns.rrset
from cryptography.hazmat.primitives.asymmetric import ec

TTL = 300


class NameServer:
    def __init__(self, records=None, signed=(), folder=None):
        self.records = dict(records or {})
        self.broken = set()  # names and all below them, or "name TYPE": SERVFAIL
        self.silent = set()  # likewise: no answer
        self.forged = set()  # likewise: signatures that do not hold
        self.large = set()   # likewise: too large for a datagram, so TCP has to be asked
        self.asked = []      # "name TYPE", in the order of the questions
        self.by_tcp = []     # those of them that came by TCP
        self.folder = folder
        self.validity = {"lifetime": 86400}
        self.expired = {}    # names and all below them: signed with this validity
        self.keys = {dns.name.from_text(zone): ec.generate_private_key(ec.SECP256R1())
                     for zone in signed}
        server = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                data, sock = self.request
                answer = server.answer(data)
                if answer is not None and server.is_large(data):
                    answer = server.truncated(data)
                if answer is not None:
                    sock.sendto(answer, self.client_address)

        class Tcp(socketserver.StreamRequestHandler):
            def handle(self):
                while (head := self.rfile.read(2)) and len(head) == 2:
                    answer = server.answer(self.rfile.read(int.from_bytes(head, "big")))
                    server.by_tcp.append(server.asked[-1])
                    if answer is None:
                        return
                    self.wfile.write(len(answer).to_bytes(2, "big") + answer)

        self.udp = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Udp)
        self.udp.daemon_threads = True
        self.port = self.udp.server_address[1]
        socketserver.ThreadingTCPServer.allow_reuse_address = True
        try:
            self.tcp = socketserver.ThreadingTCPServer(("127.0.0.1", self.port), Tcp)
            self.tcp.daemon_threads = True
        except OSError:
            self.tcp = None  # somebody else has it; answers are small
        for one in filter(None, (self.udp, self.tcp)):
            threading.Thread(target=one.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        for one in filter(None, (self.udp, self.tcp)):
            one.shutdown()
            one.server_close()

    def settings(self):
        """The [dns] section of a server that asks here."""
        anchor = "/dev/null"
        if self.keys:
            anchor = self.folder / "anchors"
            anchor.write_text("".join(f"{zone} IN DNSKEY {self.dnskey(zone)}\n"
                                      for zone in self.keys))
        return f"[dns]\nforward = 127.0.0.1:{self.port}\ntrust_anchor = {anchor}\n"

    # ---- answering ----

    def dnskey(self, zone):
        return dns.dnssec.make_dnskey(self.keys[zone].public_key(), "ECDSAP256SHA256", flags=257)

    def zone_of(self, name):
        zones = [zone for zone in self.keys if name.is_subdomain(zone)]
        return max(zones, key=len, default=None)

    @staticmethod
    def is_among(name, names):
        return any(name.is_subdomain(dns.name.from_text(one)) for one in names)

    def is_large(self, data):
        return self.is_among(dns.message.from_wire(data).question[0].name, self.large)

    @staticmethod
    def truncated(data):
        reply = dns.message.make_response(dns.message.from_wire(data), recursion_available=True)
        reply.flags |= dns.flags.TC
        return reply.to_wire()

    def types_of(self, name):
        text = name.to_text(omit_final_dot=True).lower()
        return [key.split()[1] for key in list(self.records) if key.split()[0].lower() == text]

    def exists(self, name):
        """It has records, or something below it has (RFC 8020)."""
        return any(dns.name.from_text(key.split()[0]).is_subdomain(name)
                   for key in list(self.records)) or name in self.keys

    def find(self, name, kind):
        text = name.to_text(omit_final_dot=True).lower()
        for key, data in list(self.records.items()):
            owner, its_kind = key.split()
            if owner.lower() == text and its_kind == kind:
                return dns.rrset.from_text_list(name, TTL, "IN", kind, data)
        if kind == "DNSKEY" and name in self.keys:
            return dns.rrset.from_rdata(name, TTL, self.dnskey(name))
        return None

    def sign(self, section, rrset):
        zone = self.zone_of(rrset.name)
        section.append(rrset)
        if zone is None:
            return
        key = self.keys[zone]
        if self.is_among(rrset.name, self.forged) and rrset.rdtype != dns.rdatatype.DNSKEY:
            key = ec.generate_private_key(ec.SECP256R1())
        validity = self.validity
        if rrset.rdtype != dns.rdatatype.DNSKEY:
            validity = next((its for name, its in self.expired.items()
                             if rrset.name.is_subdomain(dns.name.from_text(name))), validity)
        signature = dns.dnssec.sign(rrset, key, zone, self.dnskey(zone), **validity)
        section.append(dns.rrset.from_rdata(rrset.name, TTL, signature))

    def deny(self, reply, name, exists):
        """SOA, and for a signed zone an NSEC that covers no more than it must (RFC 4470)."""
        zone = self.zone_of(name)
        owner = zone or dns.name.from_text(".")
        soa = dns.rrset.from_text(owner, TTL, "IN", "SOA", "ns. hostmaster. 1 3600 600 86400 60")
        self.sign(reply.authority, soa)
        if zone is None:
            return
        types = self.types_of(name) if exists else []
        following = dns.name.Name((b"\0",) + name.labels)
        nsec = dns.rrset.from_text(name, TTL, "IN", "NSEC",
                                   " ".join([following.to_text(), *types, "RRSIG", "NSEC"]))
        self.sign(reply.authority, nsec)

    def answer(self, data):
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name, dns.rdatatype.to_text(question.rdtype)
        self.asked.append(f"{name.to_text(omit_final_dot=True).lower()} {kind}")
        if self.is_among(name, self.silent):
            return None
        reply = dns.message.make_response(query, recursion_available=True)
        if self.is_among(name, self.broken) or self.asked[-1] in self.broken:
            reply.set_rcode(dns.rcode.SERVFAIL)
            return reply.to_wire()
        for _ in range(8):
            alias = self.find(name, "CNAME") if kind != "CNAME" else None
            if alias is None:
                break
            self.sign(reply.answer, alias)
            name = alias[0].target
        found = self.find(name, kind)
        if found is not None:
            self.sign(reply.answer, found)
        else:
            exists = self.exists(name)
            self.deny(reply, name, exists)
            # In a signed zone all names that are denied "exist", as RFC 4470 and its kin have it.
            if not exists and self.zone_of(name) is None:
                reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply.to_wire(max_size=65535)


def reverse(address, zone="in-addr.arpa"):
    """"7.2.0.192.in-addr.arpa", or a list's name for that address."""
    return ".".join(reversed(address.split("."))) + "." + zone


def connect_from(address, port):
    """A connection to the server from another address of the loopback network."""
    return socket.create_connection(("127.0.0.1", port), 60, source_address=(address, 0))
