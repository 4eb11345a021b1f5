#!/bin/sh
set -eu
echo "importing the orders of the day"
