#!/bin/sh
set -eu
. /opt/app/deploy.env
echo "would deploy to $DEPLOY_TARGET"
