"""Runs an application of os-ken from its file, without the command line that os-ken no longer ships.

usage: application.py PORT FILE
"""
import importlib.util
import logging
import os
import sys

os.environ["OSKEN_HUB_TYPE"] = "eventlet"
from os_ken.lib import hub

hub.patch(thread=False)
from os_ken import cfg, flags, log  # noqa: F401  (they register options)
from os_ken.base.app_manager import AppManager

port, file = sys.argv[1:3]
name = os.path.splitext(os.path.basename(file))[0]
cfg.CONF([], project="os_ken", version="os_ken")
cfg.CONF.set_override("ofp_listen_host", "127.0.0.1")
cfg.CONF.set_override("ofp_tcp_listen_port", int(port))
logging.basicConfig(level=logging.INFO, stream=sys.stderr)

spec = importlib.util.spec_from_file_location(name, file)
module = importlib.util.module_from_spec(spec)
sys.modules[name] = module
spec.loader.exec_module(module)
AppManager.run_apps([name])
