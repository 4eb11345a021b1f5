#!/bin/sh
# Unpacks the driver that the manifest should declare among its resources.
set -eu
driver=/tmp/driver-4.2.tar.gz
if [ ! -e "$driver" ]; then
    echo "error: $driver is missing: declare it under resources in hardening_manifest.yaml" >&2
    exit 1
fi
tar -xzf "$driver" -C /opt/app
