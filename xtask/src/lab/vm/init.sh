#!/bin/busybox sh
# The guest's init: an address, a default gateway, and a service that returns what it is sent. Nothing of it knows of moving.
/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in /modules/*.ko; do insmod "$module"; done
ip link set lo up
ip addr add @ADDRESS@/24 dev eth0
ip link set eth0 up
ip route add default via @GATEWAY@
echo "@@ up"
exec nc -ll -p @PORT@ -e /bin/cat
