#!/bin/busybox sh
# The first and only script of the guest: mounts what the tests expect, runs them, marks what they print, powers off.
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /usr/bin /usr/sbin /sbin
/bin/busybox --install -s /bin
# What was brought along goes before busybox.
export PATH=/usr/sbin:/usr/bin:/bin:/sbin HOME=/ TMPDIR=/tmp RUST_BACKTRACE=0
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t bpf bpf /sys/fs/bpf
ip link set lo up
[ -e /etc/wamig-bin ] && export WAMIG_BIN=$(cat /etc/wamig-bin)
for module in /modules/*.ko; do insmod "$module"; done

uptime() { cut -d' ' -f1 /proc/uptime; }
echo "@@ kernel $(uname -r)"
for test in /tests/*; do
    name=${test##*/}
    echo "@@ begin $name $(uptime)"
    "$test" --test-threads=1 --show-output $(cat /arguments) 2>&1
    status=$?
    # On a line of its own even if the program died in the middle of one.
    echo
    echo "@@ end $name $status $(uptime)"
done
poweroff -f
