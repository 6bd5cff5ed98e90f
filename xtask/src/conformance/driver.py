"""Runs os-ken's switch tester (os_ken.tests.switch.tester) without the command line that os-ken no longer ships.

usage: driver.py PORT CASES RESULTS TARGET_VERSION SETTLE

Every case of the JSON files below the directory CASES becomes a line of JSON in the file RESULTS. SETTLE is the
time in seconds between the last answer to the controller and the first test packet: 0 takes a barrier at its word.
"""
import importlib
import json
import logging
import os
import sys
import time

os.environ["OSKEN_HUB_TYPE"] = "eventlet"
from os_ken.lib import hub

hub.patch(thread=False)
from os_ken import cfg, flags, log  # noqa: F401  (they register options)
from os_ken.base.app_manager import AppManager

# The tester evaluates names of packet classes from whatever packet libraries were imported before it.
for name in ("arp bgp bpdu cfm dhcp ethernet icmp icmpv6 igmp ipv4 ipv6 llc lldp mpls ospf packet pbb sctp slow "
             "tcp udp vlan vrrp").split():
    importlib.import_module("os_ken.lib.packet." + name)

port, cases, results, version, settle = sys.argv[1:6]
settle = float(settle)
# The tester's own switch is Open vSwitch, which answers a barrier before it has revalidated its flow cache.
SETTLE_TESTER = 0.2
# A sender written in Python reaches no 10,000 packets a second: such rates, and the meters' own, are divided.
RATE_DIVISOR = 20
FASTEST = 5000

CONF = cfg.CONF
CONF([], project="os_ken", version="os_ken")
CONF.set_override("ofp_listen_host", "0.0.0.0")
CONF.set_override("ofp_tcp_listen_port", int(port))
for key, value in (("dir", cases), ("target_version", version), ("tester_version", "openflow13")):
    CONF.set_override(key, value, group="test-switch")
logging.basicConfig(level=logging.INFO, stream=sys.stderr)

from os_ken.tests.switch import tester

out = open(results, "w", buffering=1)


class Reason(logging.Handler):
    """Remembers what the tester says about a failed case."""

    text = ""

    def emit(self, record):
        message = record.getMessage()
        if message.startswith(" " * 8):
            self.text = message.strip()


reason = Reason()
logging.getLogger("OfTester").addHandler(reason)


class Files(dict):
    """All files below a directory, keyed by path: titles occur twice."""

    def __init__(self, top, logger):
        super().__init__()
        for folder, _, names in os.walk(top):
            for name in names:
                path = os.path.join(folder, name)
                self[path] = tester.TestFile(path, logger)
                self[path].path = os.path.relpath(path, top)


def run_file(self, file):
    report = {}
    for test in file.tests:
        reason.text = ""
        begun = time.monotonic()
        result = self._test_execute(test, None)
        ok = result == tester.TEST_OK
        report.setdefault(result, []).append([file.description, test.description])
        out.write(json.dumps({"file": file.path, "case": test.description, "ok": ok,
                              "why": "" if ok else reason.text or result,
                              "seconds": round(time.monotonic() - begun, 3)}) + "\n")
        hub.sleep(self.interval)
    return report


def numbers(value, keys):
    """All places of these keys in a case: (the dictionary, the key)."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in keys and isinstance(inner, int):
                yield value, key
            yield from numbers(inner, keys)
    elif isinstance(value, list):
        for inner in value:
            yield from numbers(inner, keys)


def slowed(create):
    """A case that sends too fast is divided as a whole: its rates, its meters', and what it expects."""
    def created(self, case):
        if any(place[key] >= FASTEST for place, key in numbers(case, ("pktps",))):
            for place, key in list(numbers(case, ("pktps", "rate", "kbps", "burst_size"))):
                place[key] //= RATE_DIVISOR
        return create(self, case)
    return created


def settled(step, when=lambda *_: True, before=0.0, after=0.0):
    def stepped(self, *arguments):
        applies = when(*arguments)
        if applies and before:
            hub.sleep(before)
        result = step(self, *arguments)
        if applies and after:
            hub.sleep(after)
        return result
    return stepped


def send_paced(self, arg):
    """By the clock: the tester's own sender takes every sleep for exactly 10 ms and falls behind."""
    begun, sent = time.monotonic(), 0
    rate = arg["packet_counter_inc"] / tester.CONTINUOUS_THREAD_INTVL
    while self.ingress_event is not None:
        due = int((time.monotonic() - begun) * rate)
        for _ in range(due - sent):
            data = arg["packet_binary"]
            if arg["randomize"]:
                message = eval("/".join(arg["packet_text"]), vars(tester))
                message.serialize()
                data = message.data
            try:
                self.tester_sw.send_packet_out(data)
            except Exception as error:
                self.thread_msg = error
                self.ingress_event.set()
                return
        sent = due
        hub.sleep(0.01)


app = tester.OfTester
tester.TestPatterns = Files
tester.Test.__init__ = slowed(tester.Test.__init__)
app._test_file_execute = run_file
app._test = settled(app._test, lambda state, *_: state == tester.STATE_INIT_THROUGHPUT_FLOW, after=SETTLE_TESTER)
app._one_time_packet_send = settled(app._one_time_packet_send, before=settle)
app._continuous_packet_send = settled(app._continuous_packet_send, before=settle)
app._send_packet_thread = send_paced
AppManager.run_apps(["os_ken.tests.switch.tester"])
