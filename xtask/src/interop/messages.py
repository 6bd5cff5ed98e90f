"""Golden messages by os-ken: each is read, or made from what it says, and has to come to the same.

The file given has a line for each: its name, a blank, its bytes in hex. For each a line is printed: "NAME ok", or what is wrong.

os-ken is a controller's library. What controllers send it can write, and for some of it read again; what switches send it can only
read. So each message is checked in the first of these ways that there is:

* `MADE`: made from values; the bytes are compared;
* `SAID`: read; the values are compared with those given here;
* otherwise read and written again; the bytes are compared.
"""

import json
import logging
import struct
import sys

from os_ken.ofproto import ofproto_parser, ofproto_protocol
from os_ken.ofproto import ofproto_v1_0 as v10
from os_ken.ofproto import ofproto_v1_0_parser as p10
from os_ken.ofproto import ofproto_v1_3 as v13
from os_ken.ofproto import ofproto_v1_3_parser as p13

XID = 7
FRAME = bytes.fromhex("ffffffffffff0200000000010806")
MAC = "02:00:00:00:00:01"
DP10 = ofproto_protocol.ProtocolDesc(version=v10.OFP_VERSION)
DP13 = ofproto_protocol.ProtocolDesc(version=v13.OFP_VERSION)


def bucket(port):
    return p13.OFPBucket(weight=0, watch_port=port, watch_group=v13.OFPG_ANY, actions=[p13.OFPActionOutput(port, 0)])


MADE = {
    "v10/packet_out": p10.OFPPacketOut(
        DP10, 0xFFFFFFFF, v10.OFPP_NONE, [p10.OFPActionOutput(v10.OFPP_FLOOD, 0)], FRAME
    ),
    "v10/port_mod": p10.OFPPortMod(DP10, 1, MAC, v10.OFPPC_NO_FLOOD, v10.OFPPC_NO_FLOOD, 0),
    "v10/port_stats_request": p10.OFPPortStatsRequest(DP10, 0, v10.OFPP_NONE),
    "v13/flow_stats_request": p13.OFPFlowStatsRequest(DP13, 0, v13.OFPTT_ALL, v13.OFPP_ANY, v13.OFPG_ANY, 0, 0),
    "v13/group_mod": p13.OFPGroupMod(DP13, v13.OFPGC_ADD, v13.OFPGT_FF, 9, [bucket(2), bucket(3)]),
    "v13/meter_mod": p13.OFPMeterMod(
        DP13,
        v13.OFPMC_ADD,
        v13.OFPMF_KBPS | v13.OFPMF_BURST,
        3,
        [p13.OFPMeterBandDrop(1000, 100), p13.OFPMeterBandDscpRemark(500, 50, 1)],
    ),
    "v13/packet_out": p13.OFPPacketOut(
        DP13, v13.OFP_NO_BUFFER, v13.OFPP_CONTROLLER, [p13.OFPActionOutput(2, 0xFFFF)], FRAME
    ),
    "v13/port_mod": p13.OFPPortMod(DP13, 1, MAC, v13.OFPPC_PORT_DOWN, v13.OFPPC_PORT_DOWN, 0),
    "v13/role_request": p13.OFPRoleRequest(DP13, v13.OFPCR_ROLE_MASTER, 5),
    "v13/set_async": p13.OFPSetAsync(DP13, [3, 0], [7, 7], [7, 0]),
    "v13/set_config": p13.OFPSetConfig(DP13, v13.OFPC_FRAG_DROP, 128),
    "v13/table_mod": p13.OFPTableMod(DP13, v13.OFPTT_ALL, 0),
    "v13/features_request": p13.OFPFeaturesRequest(DP13),
    "v13/get_config_request": p13.OFPGetConfigRequest(DP13),
    "v13/barrier_request": p13.OFPBarrierRequest(DP13),
    "v13/get_async_request": p13.OFPGetAsyncRequest(DP13),
    "v13/queue_config_request": p13.OFPQueueGetConfigRequest(DP13, 2),
    "v13/desc_request": p13.OFPDescStatsRequest(DP13, 0),
    "v13/aggregate_request": p13.OFPAggregateStatsRequest(DP13, 0, 3, 2, v13.OFPG_ANY, 5, 0xff, p13.OFPMatch(in_port=1)),
    "v13/table_request": p13.OFPTableStatsRequest(DP13, 0),
    "v13/port_stats_request": p13.OFPPortStatsRequest(DP13, 0, v13.OFPP_ANY),
    "v13/queue_request": p13.OFPQueueStatsRequest(DP13, 0, 2, v13.OFPQ_ALL),
    "v13/group_request": p13.OFPGroupStatsRequest(DP13, 0, 9),
    "v13/group_desc_request": p13.OFPGroupDescStatsRequest(DP13, 0),
    "v13/group_features_request": p13.OFPGroupFeaturesStatsRequest(DP13, 0),
    "v13/meter_request": p13.OFPMeterStatsRequest(DP13, 0, 3),
    "v13/meter_config_request": p13.OFPMeterConfigStatsRequest(DP13, 0, v13.OFPM_ALL),
    "v13/meter_features_request": p13.OFPMeterFeaturesStatsRequest(DP13, 0),
    "v13/table_features_request": p13.OFPTableFeaturesStatsRequest(DP13, 0, []),
    "v13/port_desc_request": p13.OFPPortDescStatsRequest(DP13, 0),
    "v10/features_request": p10.OFPFeaturesRequest(DP10),
    "v10/get_config_request": p10.OFPGetConfigRequest(DP10),
    "v10/set_config": p10.OFPSetConfig(DP10, 1, 128),
    "v10/barrier_request": p10.OFPBarrierRequest(DP10),
    "v10/queue_config_request": p10.OFPQueueGetConfigRequest(DP10, 2),
    "v10/desc_request": p10.OFPDescStatsRequest(DP10, 0),
    "v10/flow_stats_request": p10.OFPFlowStatsRequest(DP10, 0, p10.OFPMatch(0x3820fe, in_port=1), 0xff, v10.OFPP_NONE),
    "v10/aggregate_request": p10.OFPAggregateStatsRequest(DP10, 0, p10.OFPMatch(0x3820cf, dl_type=0x800, nw_proto=6), 0xff, 2),
    "v10/table_request": p10.OFPTableStatsRequest(DP10, 0),
    "v10/queue_request": p10.OFPQueueStatsRequest(DP10, 0, 2, 0xffffffff),
    "v13/experimenter_request": p13.OFPExperimenterStatsRequest(DP13, 0, 0x4242, 1, bytes([1, 2, 3, 4])),
}

PORT = {"port_no": 1, "hw_addr": MAC, "name": "up", "config": 0, "advertised": 0, "supported": 0, "peer": 0}
PORT10 = {**PORT, "state": 0, "curr": 128}
PORT13 = {**PORT, "state": 4, "curr": 2112, "curr_speed": 10000000, "max_speed": 10000000}
MATCH10 = {"in_port": 1, "dl_type": 0x800, "nw_proto": 6, "nw_dst": "192.0.2.0", "tp_dst": 80, "wildcards": 0x32204E}
MATCH13 = [{"field": "in_port", "value": 1, "mask": None}, {"field": "eth_type", "value": 0x800, "mask": None}]
COUNTED = {"packet_count": 3, "byte_count": 180, "duration_sec": 9, "duration_nsec": 1000000}
FLOW = {**COUNTED, "cookie": 1, "priority": 100, "idle_timeout": 5}
ARRIVED = {"buffer_id": 0xFFFFFFFF, "reason": 1, "total_len": 14, "in_port": 3, "data": "////////AgAAAAABCAY="}

DESC = {"body": {"mfr_desc": "m", "hw_desc": "h", "sw_desc": "s", "serial_num": "n", "dp_desc": "d"}}
AGGREGATE = {"packet_count": 3, "byte_count": 180, "flow_count": 2}
TABLE = {"active_count": 2, "lookup_count": 9, "matched_count": 3}
SINCE = {"duration_sec": 9, "duration_nsec": 1000000}
OF_PORT = {
    "port_no": 2,
    "rx_packets": 1,
    "tx_packets": 2,
    "rx_bytes": 3,
    "tx_bytes": 4,
    "rx_dropped": 5,
    "tx_dropped": 6,
    "rx_errors": 7,
    "tx_errors": 8,
    "rx_frame_err": 9,
    "rx_over_err": 10,
    "rx_crc_err": 11,
    "collisions": 12,
}
OF_QUEUE = {"port_no": 2, "queue_id": 1, "tx_bytes": 180, "tx_packets": 3, "tx_errors": 1}
RATE = [{"property": 1, "rate": 500}]

SAID = {
    "v10/aggregate_reply": {"body": [AGGREGATE]},
    "v10/desc_reply": DESC,
    "v10/get_config_reply": {"flags": 1, "miss_send_len": 128},
    "v10/port_stats_reply": {"body": [OF_PORT]},
    "v10/queue_reply": {"body": [OF_QUEUE]},
    "v10/table_reply": {
        "body": [{**TABLE, "table_id": 0, "name": "steer", "wildcards": 0x3FFFFF, "max_entries": 65536}]
    },
    "v13/aggregate_reply": {"body": AGGREGATE},
    "v13/desc_reply": DESC,
    "v13/experimenter_reply": {"body": {"experimenter": 0x4242, "exp_type": 1, "data": "AQIDBA=="}},
    "v13/get_async_reply": {"packet_in_mask": [3, 0], "port_status_mask": [7, 7], "flow_removed_mask": [7, 0]},
    "v13/get_config_reply": {"flags": 1, "miss_send_len": 128},
    "v13/group_features_reply": {
        "body": {"types": 15, "capabilities": 15, "max_groups": [256] * 4, "actions": [1] * 4}
    },
    "v13/group_reply": {
        "body": [
            {
                **SINCE,
                "group_id": 9,
                "ref_count": 1,
                "packet_count": 3,
                "byte_count": 180,
                "bucket_stats": [{"packet_count": 2, "byte_count": 120}],
            }
        ]
    },
    "v13/meter_features_reply": {
        "body": [{"max_meter": 256, "band_types": 6, "capabilities": 15, "max_bands": 4, "max_color": 0}]
    },
    "v13/meter_reply": {
        "body": [
            {
                **SINCE,
                "meter_id": 3,
                "flow_count": 1,
                "packet_in_count": 3,
                "byte_in_count": 180,
                "band_stats": [{"packet_band_count": 2, "byte_band_count": 120}],
            }
        ]
    },
    "v13/port_stats_reply": {"body": [{**OF_PORT, **SINCE}]},
    "v13/queue_config_reply": {"port": 2, "queues": [{"queue_id": 1, "port": 2, "properties": RATE}]},
    "v13/queue_reply": {"body": [{**OF_QUEUE, **SINCE}]},
    "v13/role_reply": {"role": 3, "generation_id": 5},
    "v13/table_reply": {"body": [{**TABLE, "table_id": 1}]},
    "v10/features_reply": {
        "datapath_id": 2,
        "n_buffers": 0,
        "n_tables": 1,
        "capabilities": 0xCF,
        "actions": 0xFFF,
        "ports": {"1": PORT10},
    },
    "v10/flow_removed": {**FLOW, "reason": 0, "match": MATCH10},
    "v10/flow_stats_reply": {
        "flags": 0,
        "body": [{**FLOW, "hard_timeout": 10, "table_id": 0, "match": MATCH10, "actions": [{"port": 2, "max_len": 0}]}],
    },
    "v10/packet_in": ARRIVED,
    "v10/port_status": {"reason": 2, "desc": PORT10},
    "v10/queue_config_reply": {"port": 1, "queues": [{"queue_id": 1, "properties": [{"property": 1, "rate": 500}]}]},
    "v13/features_reply": {"datapath_id": 2, "n_buffers": 0, "n_tables": 16, "auxiliary_id": 0, "capabilities": 0x14F},
    "v13/flow_removed": {**FLOW, "reason": 0, "table_id": 2, "hard_timeout": 10, "match": {"oxm_fields": MATCH13}},
    "v13/flow_stats_reply": {
        "flags": 1,
        "body": [
            {
                **FLOW,
                "hard_timeout": 10,
                "table_id": 1,
                "flags": 1,
                "match": {"oxm_fields": MATCH13},
                "instructions": [{"type": 1, "table_id": 2}],
            }
        ],
    },
    "v13/group_desc_reply": {
        "body": [
            {
                "group_id": 9,
                "type": 1,
                "buckets": [
                    {
                        "weight": 2,
                        "watch_port": 0xFFFFFFFF,
                        "watch_group": 0xFFFFFFFF,
                        "actions": [{"port": 2, "max_len": 0}],
                    }
                ],
            }
        ]
    },
    "v13/hello": {"elements": [{"type": 1, "versions": [1, 4]}]},
    "v13/meter_config_reply": {
        "body": [{"flags": 1, "meter_id": 3, "bands": [{"type": 1, "rate": 1000, "burst_size": 0}]}]
    },
    "v13/packet_in": {
        **{name: value for name, value in ARRIVED.items() if name != "in_port"},
        "table_id": 2,
        "cookie": 0x574D000000000001,
        "match": {"oxm_fields": [{"field": "in_port", "value": 3, "mask": None}]},
    },
    "v13/port_desc_reply": {"body": [PORT13]},
    "v13/port_status": {"reason": 2, "desc": PORT13},
    "v13/table_features_reply": {
        "body": [
            {
                "table_id": 0,
                "name": "steer",
                "config": 0,
                "max_entries": 65536,
                "metadata_match": 2**64 - 1,
                "metadata_write": 2**64 - 1,
                "properties": [
                    {"type": 0, "instruction_ids": [{"type": 1}, {"type": 4}]},
                    {"type": 2, "table_ids": [1, 2]},
                    {"type": 8, "oxm_ids": [{"type": "in_port"}, {"type": "ipv4_dst", "hasmask": 1}, {"type": "eth_type"}]},
                    {"type": 10, "oxm_ids": [{"type": "in_port"}, {"type": "ipv4_dst"}, {"type": "eth_type"}]},
                    {"type": 4, "action_ids": []},
                    {"type": 6, "action_ids": [{"type": 0}]},
                    {"type": 12, "oxm_ids": []},
                    {"type": 14, "oxm_ids": [{"type": "eth_dst"}]},
                ],
            }
        ]
    },
}

# What os-ken neither makes nor reads, and why.
UNKNOWN = {"v10/role_request": "it reads Nicira's role replies only"}


def differences(said, given, where):
    """What a value given here is not, in os-ken's reading; classes are left out of its paths."""
    if isinstance(said, dict) and len(said) == 1 and isinstance(given, dict):
        (name, inner), = said.items()
        if name.startswith(("OFP", "OXM", "ONF")):
            said = inner
    if isinstance(given, dict):
        if not isinstance(said, dict):
            return [f"{where}: {said!r} instead of {given!r}"]
        return [d for key, value in given.items() for d in differences(said.get(key), value, f"{where}.{key}")]
    if isinstance(given, list):
        if not isinstance(said, list) or len(said) != len(given):
            return [f"{where}: {said!r} instead of {given!r}"]
        return [d for i, value in enumerate(given) for d in differences(said[i], value, f"{where}[{i}]")]
    return [] if said == given else [f"{where}: {said!r} instead of {given!r}"]


def written(message):
    message.set_xid(XID)
    message.serialize()
    return bytes(message.buf)


def wrong(name, data):
    """What is wrong with a message; `None` if nothing is."""
    if name in UNKNOWN:
        return None
    if name in MADE:
        made = written(MADE[name])
        return None if made == data else f"os-ken makes {made.hex()}"
    version, kind, length, xid = struct.unpack_from("!BBHI", data)
    if xid != XID:
        return f"has xid {xid}; those here are compared with {XID}"
    datapath = ofproto_protocol.ProtocolDesc(version=version)
    message = ofproto_parser.msg(datapath, version, kind, length, xid, data)
    if message is None:
        return "os-ken does not read it; say in MADE what it is made of"
    if name in SAID:
        return "; ".join(differences(message.to_jsondict(), SAID[name], name)) or None
    message.datapath = datapath
    message.xid = None
    again = written(message)
    return None if again == data else f"os-ken reads {json.dumps(message.to_jsondict())} and makes {again.hex()}"


def main():
    logging.disable(logging.CRITICAL)
    with open(sys.argv[1], encoding="ascii") as lines:
        for line in lines:
            name, text = line.split()
            print(name, wrong(name, bytes.fromhex(text)) or "ok")


if __name__ == "__main__":
    main()
